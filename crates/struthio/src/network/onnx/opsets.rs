//! What a node may say in the model's version of the operators (its opset), and which operators there are.
//!
//! An attribute of another version would be read as something that the file does not mean, or ignored; so it is
//! refused, as it is by the runtimes.

use std::collections::{BTreeMap, HashSet};

use super::lower::{self, classical};
use super::proto::NodeProto;

/// The newest version whose operators are known here.
const NEWEST: i64 = 28;
/// The end of what has not ended.
const NOW: i64 = i64::MAX;

/// The last version in which operators had the attribute `consumed_inputs`, which changes no value.
const CONSUMED: i64 = 5;

type Attributes = [(&'static str, i64, i64)];

/// For operators their attributes, each with the first and the last version that has it.
#[rustfmt::skip]
const KNOWN: &[(&[&str], &Attributes)] = &[
    (&["Abs", "Ceil", "Erf", "Exp", "Expand", "Floor", "GlobalAveragePool", "GlobalMaxPool", "HardSwish", "Identity", "Log", "MatMul", "Max", "Mean", "Min", "Mish", "Neg", "Not", "PRelu", "Reciprocal", "Relu", "Sigmoid", "Softplus", "Softsign", "Sqrt", "Sum", "Tanh", "Where"], &[]),
    (&["Add", "Div", "Equal", "Mul", "Pow", "Sub"], &[("axis", 1, 6), ("broadcast", 1, 6)]),
    (&["AveragePool"], &[("auto_pad", 1, NOW), ("ceil_mode", 10, NOW), ("count_include_pad", 7, NOW), ("dilations", 19, NOW), ("kernel_shape", 1, NOW), ("pads", 1, NOW), ("strides", 1, NOW)]),
    (&["BatchNormalization"], &[("epsilon", 1, NOW), ("is_test", 1, 6), ("momentum", 1, NOW), ("spatial", 1, 8), ("training_mode", 14, NOW)]),
    (&["Cast"], &[("round_mode", 24, NOW), ("saturate", 19, NOW), ("to", 1, NOW)]),
    (&["Celu", "Elu", "LeakyRelu", "Swish"], &[("alpha", 1, NOW)]),
    (&["Clip"], &[("max", 1, 10), ("min", 1, 10)]),
    (&["Concat", "Flatten", "Gather", "LogSoftmax", "Softmax"], &[("axis", 1, NOW)]),
    (&["Constant"], &[("sparse_value", 11, NOW), ("value", 1, NOW), ("value_float", 12, NOW), ("value_floats", 12, NOW), ("value_int", 12, NOW), ("value_ints", 12, NOW), ("value_string", 12, NOW), ("value_strings", 12, NOW)]),
    (&["ConstantOfShape"], &[("value", 1, NOW)]),
    (&["Conv"], &[("auto_pad", 1, NOW), ("dilations", 1, NOW), ("group", 1, NOW), ("kernel_shape", 1, NOW), ("pads", 1, NOW), ("strides", 1, NOW)]),
    (&["DequantizeLinear"], &[("axis", 13, NOW), ("block_size", 21, NOW), ("output_dtype", 23, NOW)]),
    (&["Dropout"], &[("is_test", 1, 6), ("ratio", 1, 11), ("seed", 12, NOW)]),
    (&["Gelu"], &[("approximate", 1, NOW)]),
    (&["Gemm"], &[("alpha", 1, NOW), ("beta", 1, NOW), ("broadcast", 1, 6), ("transA", 1, NOW), ("transB", 1, NOW)]),
    (&["GroupNormalization"], &[("epsilon", 1, NOW), ("num_groups", 1, NOW), ("stash_type", 21, NOW)]),
    (&["HardSigmoid"], &[("alpha", 1, NOW), ("beta", 1, NOW)]),
    (&["InstanceNormalization"], &[("epsilon", 1, NOW)]),
    (&["LRN"], &[("alpha", 1, NOW), ("beta", 1, NOW), ("bias", 1, NOW), ("size", 1, NOW)]),
    (&["LayerNormalization"], &[("axis", 1, NOW), ("epsilon", 1, NOW), ("stash_type", 1, NOW)]),
    (&["MaxPool"], &[("auto_pad", 1, NOW), ("ceil_mode", 10, NOW), ("dilations", 10, NOW), ("kernel_shape", 1, NOW), ("pads", 1, NOW), ("storage_order", 8, NOW), ("strides", 1, NOW)]),
    (&["Pad"], &[("mode", 1, NOW), ("paddings", 1, 1), ("pads", 2, 10), ("value", 1, 10)]),
    (&["QuantizeLinear"], &[("axis", 13, NOW), ("block_size", 21, NOW), ("output_dtype", 21, NOW), ("precision", 23, NOW), ("saturate", 19, NOW)]),
    (&["Range"], &[("stash_type", 27, NOW)]),
    (&["ReduceL1", "ReduceL2", "ReduceLogSumExp", "ReduceMax", "ReduceMean", "ReduceMin", "ReduceSumSquare"], &[("axes", 1, 17), ("keepdims", 1, NOW), ("noop_with_empty_axes", 18, NOW)]),
    (&["ReduceSum"], &[("axes", 1, 12), ("keepdims", 1, NOW), ("noop_with_empty_axes", 13, NOW)]),
    (&["Reshape"], &[("allowzero", 14, NOW), ("shape", 1, 4)]),
    (&["Resize"], &[("antialias", 18, NOW), ("axes", 18, NOW), ("coordinate_transformation_mode", 11, NOW), ("cubic_coeff_a", 11, NOW), ("exclude_outside", 11, NOW), ("extrapolation_value", 11, NOW), ("keep_aspect_ratio_policy", 18, NOW), ("mode", 1, NOW), ("nearest_mode", 11, NOW)]),
    (&["Selu"], &[("alpha", 1, NOW), ("gamma", 1, NOW)]),
    (&["Shape"], &[("end", 15, NOW), ("start", 15, NOW)]),
    (&["Slice"], &[("axes", 1, 9), ("ends", 1, 9), ("starts", 1, 9)]),
    (&["Split"], &[("axis", 1, NOW), ("num_outputs", 18, NOW), ("split", 1, 12)]),
    (&["Squeeze", "Unsqueeze"], &[("axes", 1, 12)]),
    (&["Transpose"], &[("perm", 1, NOW)]),
    (&["Upsample"], &[("height_scale", 1, 6), ("mode", 1, NOW), ("scales", 7, 8), ("width_scale", 1, 6)]),
];

/// What there is to say about the version itself.
pub(super) fn note(opset: i64) -> Option<String> {
    (opset > NEWEST).then(|| {
        format!("the model is of opset {opset}; it is read as one of opset {NEWEST}, the newest known here")
    })
}

/// Makes sure that every attribute of `node` means something in the opset, and that it is not meant for training.
pub(super) fn check(node: &NodeProto, opset: i64) -> Result<(), String> {
    let known = KNOWN.iter().find(|(operators, _)| operators.contains(&node.op_type.as_str()));
    let Some((_, attributes)) = known else { return Ok(()) };
    for attribute in &node.attribute {
        let name = attribute.name.as_str();
        if name == "consumed_inputs" && opset <= CONSUMED {
            continue;
        }
        match attributes.iter().find(|(known, ..)| *known == name) {
            Some(&(_, first, last)) if (first..=last).contains(&opset) => {}
            Some(&(_, first, last)) => {
                let when = if last == NOW { format!("{first} on") } else { format!("{first} to {last}") };
                return Err(format!(
                    "it has the attribute '{name}', which {} has from opset {when}, but the model is of opset {opset}",
                    node.op_type
                ));
            }
            None => {
                return Err(format!(
                    "it has the attribute '{name}', which no version of {} has",
                    node.op_type
                ));
            }
        }
    }
    match node.op_type.as_str() {
        "BatchNormalization" => check_inference(node, opset, "normalises by the statistics of the batch"),
        "Dropout" => check_inference(node, opset, "drops values at random"),
        _ => Ok(()),
    }
}

/// Makes sure that `node` is not in training mode, where it `does` something else.
fn check_inference(node: &NodeProto, opset: i64, does: &str) -> Result<(), String> {
    let normalises = node.op_type == "BatchNormalization";
    let further = node.output.iter().skip(1).filter(|name| !name.is_empty()).count();
    let sign = match opset {
        ..7 if node.attribute("is_test").is_none() => "has no is_test, which is 0 then".to_owned(),
        ..7 if node.int("is_test", 0) == 0 => "has is_test = 0".to_owned(),
        7..14 if normalises && further > 0 => format!("gives {} outputs", further + 1),
        14.. if normalises && node.int("training_mode", 0) != 0 => "has training_mode = 1".to_owned(),
        _ => return Ok(()),
    };
    Err(format!(
        "it {sign}: in opset {opset} that is training mode, in which it {does}; export the model for inference (model.eval())"
    ))
}

/// The operators that cannot be translated, where they depend on the image: of constants, anything may be known
/// before it is asked for.
pub(super) struct Unsupported<'a> {
    counts: BTreeMap<String, usize>,
    first_outputs: HashSet<&'a str>,
}

impl<'a> Unsupported<'a> {
    /// Among `nodes`, where `input` is the image.
    pub fn among(nodes: &[&'a NodeProto], input: &'a str) -> Self {
        let mut depends: HashSet<&str> = HashSet::from([input]);
        let mut found = Self { counts: BTreeMap::new(), first_outputs: HashSet::new() };
        for node in nodes {
            if !node.input.iter().any(|name| depends.contains(name.as_str())) {
                continue;
            }
            let standard = matches!(node.domain.as_str(), "" | "ai.onnx");
            // A shape is known, whatever has it.
            if !(standard && node.op_type == "Shape") {
                depends.extend(node.output.iter().map(String::as_str));
            }
            let operator = node.op_type.as_str();
            let classical = node.domain == classical::DOMAIN && classical::SUPPORTED.contains(&operator);
            if !classical && (!standard || !lower::SUPPORTED.contains(&operator)) {
                let domain = if standard { String::new() } else { format!("{}.", node.domain) };
                *found.counts.entry(format!("{domain}{}", node.op_type)).or_default() += 1;
                found.first_outputs.extend(node.output.first().map(String::as_str));
            }
        }
        found
    }

    /// Whether `node` is one of them.
    pub fn has(&self, node: &NodeProto) -> bool {
        node.output.first().is_some_and(|name| self.first_outputs.contains(name.as_str()))
    }

    /// One line for each operator, with the number of its occurrences.
    pub fn problems(&self) -> Vec<String> {
        self.counts
            .iter()
            .map(|(operator, count)| {
                let plural = if *count == 1 { "node" } else { "nodes" };
                let name = operator.rsplit('.').next().unwrap_or_default();
                let quantised = name.contains("QuantizeLinear") || name.starts_with("QLinear") || name.ends_with("Integer");
                let why = if quantised {
                    ": activations are quantised, which is not differentiable; weights alone may be (DequantizeLinear of constants)"
                } else {
                    ""
                };
                format!("operator {operator} is not supported ({count} {plural}){why}")
            })
            .collect()
    }
}
