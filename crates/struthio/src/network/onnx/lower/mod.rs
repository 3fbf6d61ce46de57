//! Translating single ONNX nodes into ops, folding what is known when the file is read.

mod activations;
mod arithmetic;
pub(super) mod classical;
mod constants;
mod elementwise;
mod fold;
mod legacy;
mod linear;
mod moves;
mod normalisation;
mod places;
mod quantised;
mod reductions;
mod resizing;
mod shapes;
mod stacked;
mod windows;

use super::import::{Importer, Value};
use super::proto::{NodeProto, data_type};
use super::tensors::{ConstantTensor, Values};
use crate::network::graph::{Graph, ValueId};
use crate::network::ops::{
    Abs, Affine, Exp, Log, LogSoftmax, Mish, Op, Reciprocal, Relu, Sigmoid, Softmax, Softplus, Softsign,
    Sqrt, Tanh,
};

/// What messages say of a node that does not treat each image for itself.
pub(super) const MIXES: &str = "it mixes the images of a batch";

/// What messages say where the members of an ensemble have an axis in front of that of the batch.
pub(super) const BEFORE: &str = "stand before the batch";

/// Every operator that [`node`] translates where it depends on the image.
pub(super) const SUPPORTED: &[&str] = &[
    "Abs",
    "Add",
    "AveragePool",
    "BatchNormalization",
    "Cast",
    "Celu",
    "Clip",
    "Concat",
    "Constant",
    "ConstantOfShape",
    "Conv",
    "Div",
    "Dropout",
    "Elu",
    "Erf",
    "Exp",
    "Expand",
    "Flatten",
    "Gather",
    "Gelu",
    "Gemm",
    "GlobalAveragePool",
    "GlobalMaxPool",
    "GroupNormalization",
    "HardSigmoid",
    "HardSwish",
    "Identity",
    "InstanceNormalization",
    "LRN",
    "LayerNormalization",
    "LeakyRelu",
    "Log",
    "LogSoftmax",
    "MatMul",
    "Max",
    "MaxPool",
    "Mean",
    "Min",
    "Mish",
    "Mul",
    "Neg",
    "PRelu",
    "Pad",
    "Pow",
    "Reciprocal",
    "ReduceL1",
    "ReduceL2",
    "ReduceLogSumExp",
    "ReduceMax",
    "ReduceMean",
    "ReduceMin",
    "ReduceSum",
    "ReduceSumSquare",
    "Relu",
    "Reshape",
    "Resize",
    "Selu",
    "Shape",
    "Sigmoid",
    "Slice",
    "Softmax",
    "Softplus",
    "Softsign",
    "Split",
    "Sqrt",
    "Squeeze",
    "Sub",
    "Sum",
    "Swish",
    "Tanh",
    "Transpose",
    "Unsqueeze",
    "Upsample",
];

/// Operators that only move values, and so treat numbers of all types alike.
const MOVES: [&str; 13] = [
    "Cast",
    "Concat",
    "Expand",
    "Flatten",
    "Gather",
    "Identity",
    "Pad",
    "Reshape",
    "Slice",
    "Split",
    "Squeeze",
    "Transpose",
    "Unsqueeze",
];

/// Operators that do the same to an image with and without an axis for the batch.
const ANY_RANK: [&str; 11] = [
    "Add",
    "Cast",
    "Div",
    "Flatten",
    "Identity",
    "Mul",
    "Reshape",
    "Squeeze",
    "Sub",
    "Transpose",
    "Unsqueeze",
];

/// Adds what `node` computes to the importer's graph.
pub(super) fn node<'a>(importer: &mut Importer<'a>, node: &'a NodeProto) -> Result<(), String> {
    if importer.is_produced(node) {
        return Ok(()); // merged into the node before it
    }
    let whole = (0..node.input.len()).find_map(|position| importer.whole_type(node, position));
    let unbatched = importer.is_unbatched(node);
    if whole.is_none() && !unbatched && stacked::node(importer, node)? {
        return Ok(());
    }
    if node.domain == classical::DOMAIN {
        return classical::node(importer, node);
    }
    if !matches!(node.domain.as_str(), "" | "ai.onnx") {
        return Err(format!("the operators of {} are not supported", node.domain));
    }
    if !importer.reads_image(node) {
        return fold::node(importer, node);
    }
    if node.op_type == "Shape" {
        return shapes::shape(importer, node);
    }
    if let Some(whole) = whole.filter(|_| !MOVES.contains(&node.op_type.as_str())) {
        return Err(format!(
            "it computes with numbers of {}, which is not differentiable; cast them to float first",
            data_type::name(whole)
        ));
    }
    if unbatched && !ANY_RANK.contains(&node.op_type.as_str()) {
        return Err("it reads an image that has no axis for the batch, which is supported only before a Reshape or Unsqueeze adds one".into());
    }
    computed(importer, node)?;
    if let Some(whole) = whole.filter(|_| node.op_type != "Cast") {
        importer.set_whole_type(node, whole);
    }
    if unbatched && !matches!(node.op_type.as_str(), "Flatten" | "Reshape" | "Squeeze" | "Unsqueeze") {
        importer.set_unbatched(node);
    }
    Ok(())
}

/// Like [`node`], where something that it reads depends on the image.
fn computed<'a>(importer: &mut Importer<'a>, node: &'a NodeProto) -> Result<(), String> {
    match node.op_type.as_str() {
        "Relu" => activations::elementwise(importer, node, Relu),
        "Sigmoid" => activations::elementwise(importer, node, Sigmoid),
        "Tanh" => activations::elementwise(importer, node, Tanh),
        "Abs" => activations::elementwise(importer, node, Abs),
        "Exp" => activations::elementwise(importer, node, Exp),
        "Log" => activations::elementwise(importer, node, Log),
        "Mish" => activations::elementwise(importer, node, Mish),
        "Reciprocal" => activations::elementwise(importer, node, Reciprocal),
        "Softplus" => activations::elementwise(importer, node, Softplus),
        "Softsign" => activations::elementwise(importer, node, Softsign),
        "Sqrt" => activations::elementwise(importer, node, Sqrt),
        "LeakyRelu" | "Elu" | "Selu" | "Celu" | "HardSigmoid" | "HardSwish" | "Clip" | "PRelu" | "Erf"
        | "Gelu" => activations::with_parameters(importer, node),
        "Swish" => activations::swish(importer, node),
        "Softmax" => {
            activations::over_an_axis(importer, node, |width, axis| Softmax::new(width, axis).into())
        }
        "LogSoftmax" => {
            activations::over_an_axis(importer, node, |width, axis| LogSoftmax::new(width, axis).into())
        }
        "Gemm" => linear::gemm(importer, node),
        "MatMul" => linear::matmul(importer, node),
        "Add" | "Sub" | "Mul" | "Div" => arithmetic::arithmetic(importer, node),
        "Neg" => arithmetic::negative(importer, node),
        "Pow" => arithmetic::power(importer, node),
        "Sum" | "Mean" | "Max" | "Min" => arithmetic::of_many(importer, node),
        "BatchNormalization" => arithmetic::batch_normalization(importer, node),
        "InstanceNormalization" | "GroupNormalization" | "LayerNormalization" => {
            normalisation::standardize(importer, node)
        }
        "Identity" | "Dropout" | "Cast" => pass_through(importer, node),
        "Flatten" | "Reshape" | "Squeeze" | "Unsqueeze" => shapes::reshape(importer, node),
        "Conv" => windows::conv(importer, node),
        "MaxPool" => windows::max_pool(importer, node),
        "AveragePool" => windows::average_pool(importer, node),
        "GlobalAveragePool" | "GlobalMaxPool" => windows::global_pool(importer, node),
        "ReduceMean" => windows::reduce_mean(importer, node),
        "ReduceSum" | "ReduceL1" | "ReduceL2" | "ReduceSumSquare" | "ReduceMax" | "ReduceMin"
        | "ReduceLogSumExp" => reductions::reduce(importer, node),
        "LRN" => windows::lrn(importer, node),
        "Slice" => moves::slice(importer, node),
        "Concat" => moves::concat(importer, node),
        "Gather" => moves::gather(importer, node),
        "Expand" => moves::expand(importer, node),
        "Split" => moves::split(importer, node),
        "Pad" => moves::pad(importer, node),
        "Resize" | "Upsample" => resizing::resize(importer, node),
        "Transpose" => moves::transpose(importer, node),
        _ => Err("this operator is not supported".into()),
    }
}

/// Makes bytes of pixels in \[0, 1\], for a model that takes those.
pub(super) fn bytes(graph: &mut Graph) -> Result<(), String> {
    let shape = graph.shape(ValueId::INPUT).to_vec();
    let constants = vec![1; shape.len()];
    graph.push("bytes", Affine::new(shape, constants, vec![255.0], vec![0.0])?, &[ValueId::INPUT])?;
    Ok(())
}

fn push<'a>(
    importer: &mut Importer<'a>,
    node: &'a NodeProto,
    op: impl Into<Box<dyn Op>>,
    inputs: &[ValueId],
) -> Result<(), String> {
    let value = importer.graph.push(node.label(), op, inputs)?;
    importer.account(importer.graph.features(value))?;
    importer.produce(node, Value::Computed(value));
    Ok(())
}

/// The axes of `node`, an input at `position` or an attribute, counted without the batch.
fn axes<'a>(
    importer: &mut Importer<'a>,
    node: &'a NodeProto,
    position: usize,
    rank: usize,
) -> Result<Vec<usize>, String> {
    let axes = match importer.optional(node, position)? {
        Some(Value::Constant(axes)) => axes.as_integers()?.to_vec(),
        Some(Value::Computed(_)) => return Err("its axes must be constant".into()),
        None => node.ints("axes").map(<[i64]>::to_vec).unwrap_or_default(),
    };
    axes.into_iter().map(|axis| image_axis(axis, rank)).collect()
}

/// An axis of the images, which have `rank`, from one counted with the batch.
fn image_axis(axis: i64, rank: usize) -> Result<usize, String> {
    match shapes::from_front(axis, rank + 1)? {
        0 => Err(MIXES.into()),
        axis => Ok(axis - 1),
    }
}

/// Operators that change nothing in inference.
fn pass_through<'a>(importer: &mut Importer<'a>, node: &'a NodeProto) -> Result<(), String> {
    let value = importer.value(node, 0)?;
    match node.op_type.as_str() {
        "Cast" => return cast(importer, node, value),
        "Dropout" => check_dropout(importer, node)?,
        _ => {}
    }
    importer.produce(node, value);
    Ok(())
}

fn check_dropout<'a>(importer: &mut Importer<'a>, node: &'a NodeProto) -> Result<(), String> {
    let keeps_all = match importer.optional(node, 1)? {
        Some(Value::Constant(ratio)) => constants::floats(&ratio).iter().all(|&ratio| ratio == 0.0),
        _ => false,
    };
    let trains = match importer.optional(node, 2)? {
        Some(Value::Constant(training)) => training.as_integers()?.iter().any(|&flag| flag != 0),
        Some(Value::Computed(_)) => true,
        None => false,
    };
    if trains && !keeps_all {
        return Err(
            "its training_mode is true, in which it drops values at random; export the model for inference (model.eval())"
                .into(),
        );
    }
    Ok(())
}

/// Everything that depends on the image is f32 here; only constants can become integers.
fn cast<'a>(importer: &mut Importer<'a>, node: &'a NodeProto, value: Value) -> Result<(), String> {
    let to = match node.attribute("to") {
        // The first version has the type in words.
        Some(to) if to.i == 0 => data_type::by_name(&String::from_utf8_lossy(&to.s)),
        Some(to) => i32::try_from(to.i).ok(),
        None => None,
    };
    let to = to.ok_or("it does not say to which type")?;
    let value = match value {
        Value::Constant(tensor) => Value::Constant(cast_constant(tensor, to)?),
        Value::Computed(_) if data_type::is_float(to) => {
            if [data_type::FLOAT16, data_type::BFLOAT16].contains(&to)
                && let Some(name) = node.output.first()
            {
                importer.note_type(to, name);
            }
            value
        }
        Value::Computed(_) => {
            // Bytes are the only whole numbers that an image can be.
            let wide = matches!(
                to,
                data_type::UINT8 | data_type::INT16 | data_type::INT32 | data_type::INT64 | data_type::UINT16
            );
            let from = importer.whole_type(node, 0).filter(|_| wide);
            if from.is_none_or(|from| to == data_type::UINT8 && from != to) {
                return Err(format!(
                    "it casts values that depend on the image to {}, which is not differentiable",
                    data_type::name(to)
                ));
            }
            importer.set_whole_type(node, to);
            value
        }
    };
    importer.produce(node, value);
    Ok(())
}

fn cast_constant(
    ConstantTensor { shape, values }: ConstantTensor,
    to: i32,
) -> Result<ConstantTensor, String> {
    let whole = match to {
        data_type::INT8 => Some((i64::from(i8::MIN), i64::from(i8::MAX))),
        data_type::UINT8 => Some((0, i64::from(u8::MAX))),
        data_type::INT16 => Some((i64::from(i16::MIN), i64::from(i16::MAX))),
        data_type::UINT16 => Some((0, i64::from(u16::MAX))),
        data_type::INT32 => Some((i64::from(i32::MIN), i64::from(i32::MAX))),
        data_type::UINT32 => Some((0, i64::from(u32::MAX))),
        data_type::INT64 | data_type::UINT64 => Some((i64::MIN, i64::MAX)),
        _ => None,
    };
    let values = match (values, whole) {
        (Values::Integers(list), None) if data_type::is_float(to) => {
            if list.contains(&super::import::BATCH) {
                return Err(fold::OF_THE_BATCH.into());
            }
            Values::Floats(list.iter().map(|&i| i as f32).collect())
        }
        (Values::Floats(list), None) if data_type::is_float(to) => {
            Values::Floats(list.into_iter().map(|value| rounded_to(value, to)).collect())
        }
        (Values::Integers(list), None) if to == data_type::BOOL => {
            Values::Integers(list.iter().map(|&i| i64::from(i != 0)).collect())
        }
        (Values::Floats(list), None) if to == data_type::BOOL => {
            Values::Integers(list.iter().map(|&f| i64::from(f != 0.0)).collect())
        }
        (values, Some((low, high))) => {
            let list: Vec<i64> = match values {
                Values::Integers(list) => list,
                Values::Floats(list) => list.iter().map(|&f| f as i64).collect(),
            };
            let outside = |i: &&i64| **i != super::import::BATCH && !(low..=high).contains(*i);
            if let Some(value) = list.iter().find(outside) {
                return Err(format!("the constant {value} does not fit the type {}", data_type::name(to)));
            }
            Values::Integers(list)
        }
        _ => return Err(format!("a cast to {} is not supported", data_type::name(to))),
    };
    Ok(ConstantTensor { shape, values })
}

/// What is left of a constant in a narrower type.
fn rounded_to(value: f32, to: i32) -> f32 {
    match to {
        data_type::FLOAT16 => half::f16::from_f32(value).to_f32(),
        data_type::BFLOAT16 => half::bf16::from_f32(value).to_f32(),
        _ => value,
    }
}
