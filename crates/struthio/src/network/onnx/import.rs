//! Reading ONNX models.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::Path;

use prost::Message;

use super::lower::classical;
use super::outputs::{Candidate, ModelOutput};
use super::proto::{DimensionValue, GraphProto, ModelProto, NodeProto, ValueInfoProto, data_type};
use super::tensors::{self, ConstantTensor};
use super::{lower, outputs};
use crate::error::{Error, Result};
use crate::network::graph::{Graph, ValueId};
use crate::network::model::Network;

/// Most numbers in constants: four gigabytes of f32.
const MAX_HELD: usize = 1 << 30;

/// Stands for the batch size in computations on shapes.
pub(super) const BATCH: i64 = i64::MIN;

/// Reads the classifier in the ONNX file at `path`; tensors may live in files beside it.
///
/// # Errors
///
/// If the file cannot be read, is not ONNX, uses unsupported operators (all of them are listed with
/// their counts), or does not describe a classifier with finite weights.
pub fn read(path: &Path) -> Result<Network> {
    read_output(path, None)
}

/// Like [`read`], with the class scores in the output of this name.
///
/// # Errors
///
/// As [`read`], and if there is no such output.
pub fn read_output(path: &Path, output: Option<&str>) -> Result<Network> {
    let kind = std::fs::metadata(path).map_err(Error::io("read", path))?;
    if !kind.is_file() {
        return Err(Error::model(path.display().to_string(), "not a regular file; expected an ONNX model"));
    }
    let bytes = std::fs::read(path).map_err(Error::io("read", path))?;
    parse(&path.display().to_string(), &bytes, Some(path.parent().unwrap_or(Path::new(""))), output)
}

/// Like [`read`], from memory; `origin` is what messages call it.
pub fn read_bytes(origin: &str, bytes: &[u8]) -> Result<Network> {
    parse(origin, bytes, None, None)
}

fn parse(origin: &str, bytes: &[u8], folder: Option<&Path>, wanted: Option<&str>) -> Result<Network> {
    let refuse = |problem: String| Error::model(origin, problem);
    if bytes.is_empty() {
        return Err(refuse("the file is empty; expected an ONNX model".into()));
    }
    let model = ModelProto::decode(bytes)
        .map_err(|error| refuse(format!("not an ONNX model, or a truncated one ({error})")))?;
    let graph = model.graph.ok_or_else(|| refuse("not an ONNX model: it holds no graph".into()))?;
    let opset = model
        .opset_import
        .iter()
        .find(|set| matches!(set.domain.as_str(), "" | "ai.onnx"))
        .map_or(1, |set| set.version);
    let mut importer = Importer::start(&graph, opset, folder).map_err(refuse)?;
    let mut candidates: Vec<Candidate<'_>> = Vec::new();
    for info in &graph.output {
        let result = importer.read_output(&info.name);
        candidates.push(Candidate::judge(&graph, info, result, &importer.graph));
    }
    let chosen = match wanted {
        Some(name) => candidates.iter().position(|candidate| candidate.name == name).ok_or_else(|| {
            let problem = format!("it has no output called '{name}'");
            (problem, "--output takes one of them")
        }),
        None => outputs::choose(&graph, &mut candidates)
            .map_err(|problem| (problem, "if one of them is class scores, name it with --output NAME")),
    };
    let listed: Vec<ModelOutput> = candidates
        .iter()
        .enumerate()
        .map(|(i, candidate)| candidate.as_output(&importer.graph, chosen.as_ref() == Ok(&i)))
        .collect();
    let chosen = chosen
        .map_err(|(problem, remedy)| refuse(format!("{problem}: {}; {remedy}", outputs::listed(&listed))))?;
    let problems =
        |problems: &Vec<String>| Error::Model { origin: origin.into(), problems: problems.clone() };
    let value = *candidates[chosen].result.as_ref().map_err(problems)?;
    let computed =
        importer.graph.pruned(value).ok_or_else(|| refuse(independent(candidates[chosen].name)))?;
    let network = Network::new(origin, computed)?.with_outputs(listed, wanted.is_some());
    Ok(network.with_notes(outputs::class_labels(&graph)))
}

fn independent(output: &str) -> String {
    format!("its output '{output}' does not depend on its input")
}

/// What a name in the file stands for.
#[derive(Debug, Clone)]
pub(super) enum Value {
    /// Depends on the image.
    Computed(ValueId),
    /// Known when the file is read.
    Constant(ConstantTensor),
}

/// The state of a translation: the graph so far, and what each name of the file stands for.
pub(super) struct Importer<'a> {
    pub graph: Graph,
    proto: &'a GraphProto,
    pub opset: i64,
    /// The batch size the file was fixed to, if it was.
    pub fixed_batch: Option<i64>,
    values: HashMap<&'a str, Value>,
    /// What stands before the batch: the outputs of several members, one behind the other.
    pub stacked: HashMap<&'a str, ValueId>,
    initializers: HashMap<&'a str, &'a super::proto::TensorProto>,
    readers: HashMap<&'a str, Vec<&'a NodeProto>>,
    outputs: HashSet<&'a str>,
    pub folder: Option<&'a Path>,
    /// Numbers in all constants so far.
    held: usize,
}

impl<'a> Importer<'a> {
    fn start(proto: &'a GraphProto, opset: i64, folder: Option<&'a Path>) -> Result<Self, String> {
        let initializers: HashMap<&str, _> = proto.initializer.iter().map(|t| (t.name.as_str(), t)).collect();
        let inputs: Vec<&ValueInfoProto> =
            proto.input.iter().filter(|input| !initializers.contains_key(input.name.as_str())).collect();
        let [input] = inputs[..] else {
            let names: Vec<&str> = inputs.iter().map(|input| input.name.as_str()).collect();
            return Err(format!("expected one input, the image; found {}: {names:?}", inputs.len()));
        };
        let (fixed_batch, shape) = input_shape(input)?;
        if proto.output.is_empty() {
            return Err("the graph has no output".into());
        }
        let mut names: HashSet<&str> = initializers.keys().copied().chain([input.name.as_str()]).collect();
        let outputs = proto.node.iter().flat_map(|node| &node.output).filter(|name| !name.is_empty());
        if let Some(twice) = outputs.into_iter().find(|name| !names.insert(name)) {
            return Err(format!("two things are called '{twice}'; names must be unique"));
        }
        let mut readers: HashMap<&str, Vec<&NodeProto>> = HashMap::new();
        for node in &proto.node {
            node.input.iter().for_each(|name| readers.entry(name).or_default().push(node));
        }
        Ok(Self {
            graph: Graph::new(shape),
            proto,
            opset,
            fixed_batch,
            stacked: HashMap::new(),
            values: HashMap::from([(input.name.as_str(), Value::Computed(ValueId::INPUT))]),
            initializers,
            readers,
            outputs: proto.output.iter().map(|output| output.name.as_str()).collect(),
            folder,
            held: 0,
        })
    }

    /// Translates everything that the output `name` depends on; all problems if that cannot be.
    fn read_output(&mut self, name: &'a str) -> Result<ValueId, Vec<String>> {
        let used = outputs::reachable(self.proto, name);
        let unsupported = unsupported_operators(&used);
        if !unsupported.is_empty() {
            return Err(unsupported);
        }
        for node in used {
            lower::node(self, node)
                .map_err(|problem| vec![format!("{} '{}': {problem}", node.op_type, node.label())])?;
        }
        match self.values.get(name) {
            Some(&Value::Computed(value)) if self.graph.pruned(value).is_some() => Ok(value),
            _ => Err(vec![independent(name)]),
        }
    }

    /// What input number `position` of `node` stands for; `None` if it was left out.
    pub fn optional(&mut self, node: &'a NodeProto, position: usize) -> Result<Option<Value>, String> {
        let Some(name) = node.input.get(position).filter(|name| !name.is_empty()) else { return Ok(None) };
        if let Some(value) = self.values.get(name.as_str()) {
            return Ok(Some(value.clone()));
        }
        match self.initializers.get(name.as_str()) {
            Some(tensor) => {
                let tensor = tensors::decode(tensor, self.folder)?;
                self.account(tensor.len())?;
                Ok(Some(Value::Constant(tensor)))
            }
            None => Err(format!("it reads '{name}', which nothing before it produces")),
        }
    }

    /// Notes that `count` more numbers are held; a small file must not make us hold very many.
    pub fn account(&mut self, count: usize) -> Result<(), String> {
        self.held = self.held.saturating_add(count);
        if self.held > MAX_HELD {
            return Err(format!("its constants, spread over their inputs, are more than {MAX_HELD} numbers"));
        }
        Ok(())
    }

    pub fn value(&mut self, node: &'a NodeProto, position: usize) -> Result<Value, String> {
        self.optional(node, position)?.ok_or_else(|| format!("its input number {} is missing", position + 1))
    }

    pub fn computed(&mut self, node: &'a NodeProto, position: usize) -> Result<ValueId, String> {
        match self.value(node, position)? {
            Value::Computed(value) => Ok(value),
            Value::Constant(_) => Err(format!("its input number {} must depend on the image", position + 1)),
        }
    }

    pub fn constant(&mut self, node: &'a NodeProto, position: usize) -> Result<ConstantTensor, String> {
        match self.value(node, position)? {
            Value::Constant(tensor) => Ok(tensor),
            Value::Computed(_) => Err(format!(
                "its input number {} ('{}') must be a constant, but depends on the image",
                position + 1,
                node.input[position]
            )),
        }
    }

    /// Records what the first output of `node` stands for.
    pub fn produce(&mut self, node: &'a NodeProto, value: Value) {
        self.produce_output(node, 0, value);
    }

    /// Records what output number `position` of `node` stands for.
    pub fn produce_output(&mut self, node: &'a NodeProto, position: usize, value: Value) {
        if let Some(name) = node.output.get(position).filter(|name| !name.is_empty()) {
            self.values.insert(name, value);
        }
    }

    pub fn is_known(&self, name: &str) -> bool {
        self.values.contains_key(name)
    }

    pub fn is_produced(&self, node: &NodeProto) -> bool {
        node.output.first().is_some_and(|name| self.values.contains_key(name.as_str()))
    }

    /// The only node that reads what `node` produces, if nothing else does.
    pub fn only_reader(&self, node: &NodeProto) -> Option<&'a NodeProto> {
        let name = node.output.first()?.as_str();
        match self.readers.get(name).map(Vec::as_slice) {
            Some(&[reader]) if !self.outputs.contains(name) => Some(reader),
            _ => None,
        }
    }
}

/// Batch size, if fixed, and shape of one image.
fn input_shape(input: &ValueInfoProto) -> Result<(Option<i64>, Vec<usize>), String> {
    let name = &input.name;
    let tensor = input.r#type.as_ref().and_then(|t| t.tensor_type.as_ref());
    let tensor = tensor.ok_or_else(|| format!("its input '{name}' is not a tensor"))?;
    if tensor.elem_type != data_type::FLOAT {
        return Err(format!(
            "its input '{name}' has ONNX data type {}; expected float (1)",
            tensor.elem_type
        ));
    }
    let dims = tensor.shape.as_ref().map_or(&[][..], |shape| &shape.dim);
    let Some((batch, image)) = dims.split_first().filter(|(_, image)| !image.is_empty()) else {
        return Err(format!(
            "its input '{name}' has rank {}; expected a batch axis and the axes of an image",
            dims.len()
        ));
    };
    let fixed = match batch.value {
        Some(DimensionValue::Value(n)) if n > 0 => Some(n),
        _ => None,
    };
    let shape = image
        .iter()
        .enumerate()
        .map(|(axis, dim)| match dim.value {
            Some(DimensionValue::Value(d @ 1..=0xFF_FFFF)) => Ok(d as usize),
            ref other => {
                let found = match other {
                    Some(DimensionValue::Value(d)) => d.to_string(),
                    Some(DimensionValue::Parameter(name)) => format!("'{name}', which is open"),
                    None => "nothing".to_owned(),
                };
                Err(format!(
                    "axis {} of its input '{name}' has no usable fixed size: found {found}; export the model with fixed image sizes",
                    axis + 1
                ))
            }
        })
        .collect::<Result<Vec<_>, _>>()?;
    match crate::element_count(&shape) {
        Some(1..=0xFF_FFFF) => Ok((fixed, shape)),
        _ => Err(format!("its input '{name}' of shape {shape:?} is too large")),
    }
}

/// One line for each unsupported operator, with the number of its occurrences.
fn unsupported_operators(nodes: &[&NodeProto]) -> Vec<String> {
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for node in nodes {
        let standard = matches!(node.domain.as_str(), "" | "ai.onnx");
        let operator = node.op_type.as_str();
        let classical = node.domain == classical::DOMAIN && classical::SUPPORTED.contains(&operator);
        if !classical && (!standard || !lower::SUPPORTED.contains(&operator)) {
            let domain = if standard { String::new() } else { format!("{}.", node.domain) };
            *counts.entry(format!("{domain}{}", node.op_type)).or_default() += 1;
        }
    }
    counts
        .into_iter()
        .map(|(operator, count)| {
            let plural = if count == 1 { "node" } else { "nodes" };
            format!("operator {operator} is not supported ({count} {plural})")
        })
        .collect()
}
