//! Reading ONNX models.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::path::Path;

use prost::Message;

use super::input::{Input, InputShape};
use super::proto::{GraphProto, ModelProto, NodeProto, ValueInfoProto, data_type};
use super::tensors::{self, ConstantTensor};
use super::{lower, opsets};
use crate::error::{Error, Result};
use crate::network::graph::{Graph, ValueId};
use crate::network::model::Network;
use crate::network::ops::Reshape;

/// Most numbers in constants: four gigabytes of f32.
const MAX_HELD: usize = 1 << 30;

/// Most numbers that are made of constants, besides so many times those of the file.
const MOST_MADE: usize = 1 << 24;
const MOST_TIMES: usize = 16;

/// Stands for the batch size in computations on shapes.
pub(super) const BATCH: i64 = i64::MIN;

/// Reads the classifier in the ONNX file at `path`; tensors may live in files beside it.
///
/// # Errors
///
/// If the file cannot be read, is not ONNX, uses unsupported operators (all of them are listed with
/// their counts), or does not describe a classifier with finite weights.
pub fn read(path: &Path) -> Result<Network> {
    read_for(path, InputShape::default())
}

/// Like [`read`], for a file that leaves the shape of an image open, or has no axis for the batch.
///
/// # Errors
///
/// As [`read`], and if the shape does not fit what the file says.
pub fn read_for(path: &Path, input: InputShape<'_>) -> Result<Network> {
    let kind = std::fs::metadata(path).map_err(Error::io("read", path))?;
    if !kind.is_file() {
        return Err(Error::model(path.display().to_string(), "not a regular file; expected an ONNX model"));
    }
    let bytes = std::fs::read(path).map_err(Error::io("read", path))?;
    parse(&path.display().to_string(), &bytes, Some(path.parent().unwrap_or(Path::new(""))), input)
}

/// Like [`read`], from memory; `origin` is what messages call it.
pub fn read_bytes(origin: &str, bytes: &[u8]) -> Result<Network> {
    parse(origin, bytes, None, InputShape::default())
}

fn parse(origin: &str, bytes: &[u8], folder: Option<&Path>, known: InputShape<'_>) -> Result<Network> {
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
    let used = reachable(&graph);
    let mut importer = Importer::start(&graph, opset, folder, known).map_err(refuse)?;
    let problems = importer.translate(&used);
    if !problems.is_empty() {
        return Err(Error::Model { origin: origin.into(), problems });
    }
    let output = &graph.output[0].name;
    let computed = match importer.values.get(output.as_str()) {
        Some(Value::Computed(value)) => importer.graph.pruned(*value),
        _ => None,
    };
    match computed {
        Some(graph) => Ok(Network::new(origin, graph)?.with_notes(importer.all_notes())),
        None => Err(refuse(format!("its output '{output}' does not depend on its input"))),
    }
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
    pub opset: i64,
    /// The batch size the file was fixed to, if it was.
    pub fixed_batch: Option<i64>,
    values: HashMap<&'a str, Value>,
    initializers: HashMap<&'a str, &'a super::proto::TensorProto>,
    readers: HashMap<&'a str, Vec<&'a NodeProto>>,
    outputs: HashSet<&'a str>,
    pub folder: Option<&'a Path>,
    /// Whether a node is evaluated on constants alone, which must not be merged with others.
    pub folding: bool,
    /// Of values that depend on the image, the type in the file, unless that is a floating-point one.
    types: HashMap<&'a str, i32>,
    /// Of what nodes called `Constant` give, the type in the file.
    constant_types: HashMap<&'a str, i32>,
    /// Values that depend on the image and have no axis for the batch.
    unbatched: HashSet<&'a str>,
    /// Values that could not be translated, for reasons that are told.
    failed: HashSet<&'a str>,
    /// Names of constants of types that are not computed with.
    widened: BTreeMap<i32, BTreeSet<&'a str>>,
    notes: Vec<String>,
    /// Numbers in all constants so far.
    held: usize,
    /// Constants of the file that were read, and how many numbers they have together.
    decoded: (HashSet<&'a str>, usize),
    /// Numbers of constants that were made of others.
    made: usize,
}

impl<'a> Importer<'a> {
    fn start(
        proto: &'a GraphProto,
        opset: i64,
        folder: Option<&'a Path>,
        known: InputShape<'_>,
    ) -> Result<Self, String> {
        let initializers: HashMap<&str, _> = proto.initializer.iter().map(|t| (t.name.as_str(), t)).collect();
        let inputs: Vec<&ValueInfoProto> =
            proto.input.iter().filter(|input| !initializers.contains_key(input.name.as_str())).collect();
        let [input] = inputs[..] else {
            let names: Vec<&str> = inputs.iter().map(|input| input.name.as_str()).collect();
            return Err(format!("expected one input, the image; found {}: {names:?}", inputs.len()));
        };
        let Input { fixed_batch, shape, data_type, unbatched, notes } = Input::of(input, known)?;
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
        let mut graph = Graph::new(shape);
        let mut types = HashMap::new();
        if data_type == data_type::UINT8 {
            lower::bytes(&mut graph)?;
            types.insert(input.name.as_str(), data_type);
        }
        Ok(Self {
            opset,
            fixed_batch,
            values: HashMap::from([(input.name.as_str(), Value::Computed(graph.output()))]),
            graph,
            initializers,
            readers,
            outputs: proto.output.iter().map(|output| output.name.as_str()).collect(),
            folder,
            folding: false,
            types,
            constant_types: HashMap::new(),
            unbatched: unbatched.then_some(input.name.as_str()).into_iter().collect(),
            failed: HashSet::new(),
            widened: BTreeMap::new(),
            notes: opsets::note(opset).into_iter().chain(notes).collect(),
            held: 0,
            decoded: (HashSet::new(), 0),
            made: 0,
        })
    }

    /// Translates the nodes; every problem that does not come from another one.
    fn translate(&mut self, nodes: &[&'a NodeProto]) -> Vec<String> {
        let input = self.values.keys().next().copied();
        let unsupported = opsets::Unsupported::among(nodes, input);
        let mut problems = unsupported.problems();
        for &node in nodes {
            let result = if unsupported.has(node) {
                Err(None)
            } else if let Err(problem) = opsets::check(node, self.opset) {
                Err(Some(problem))
            } else if node.input.iter().any(|name| self.failed.contains(name.as_str())) {
                Err(None)
            } else {
                lower::node(self, node).map_err(Some)
            };
            if let Err(problem) = result {
                self.failed.extend(node.output.iter().map(String::as_str));
                problems.extend(problem.map(|problem| {
                    let problem = self.explained(problem);
                    format!("{} '{}': {problem}", node.op_type, node.label())
                }));
            }
        }
        problems
    }

    /// The problem with what may have led to it.
    fn explained(&self, problem: String) -> String {
        match self.fixed_batch {
            Some(batch) if batch > 1 && problem.contains(lower::MIXES) => format!(
                "{problem}; if the first axis of the input, of size {batch}, is not that of the batch, say what one image is by --input-shape"
            ),
            _ => problem,
        }
    }

    fn all_notes(self) -> Vec<String> {
        let mut notes = self.notes;
        for (data_type, names) in self.widened {
            let how = match data_type {
                data_type::DOUBLE => "rounded to float32, in which everything is computed",
                data_type::FLOAT16 | data_type::BFLOAT16 => {
                    "widened to float32, in which everything is computed"
                }
                _ => "taken as the floating-point numbers that they stand for",
            };
            let tensors = if names.len() == 1 { "tensor" } else { "tensors" };
            notes.push(format!("{} {tensors} of {}: {how}", names.len(), data_type::name(data_type)));
        }
        notes
    }

    /// Notes that the user has to know about constants of this type.
    pub fn note_type(&mut self, data_type: i32, name: &'a str) {
        self.widened.entry(data_type).or_default().insert(name);
    }

    /// Whether anything that `node` reads depends on the image.
    pub fn reads_image(&self, node: &NodeProto) -> bool {
        node.input.iter().any(|name| matches!(self.values.get(name.as_str()), Some(Value::Computed(_))))
    }

    /// The type in the file of input number `position` of `node`, if that is a constant of the file.
    pub fn type_of_constant(&self, node: &NodeProto, position: usize) -> Option<i32> {
        let name = node.input.get(position)?.as_str();
        let initializer = self.initializers.get(name).map(|tensor| tensor.data_type);
        initializer.or_else(|| self.constant_types.get(name).copied())
    }

    /// Records the type of what the `Constant` called `node` gives.
    pub fn set_constant_type(&mut self, node: &'a NodeProto, data_type: i32) {
        if let Some(name) = node.output.first() {
            self.constant_types.insert(name, data_type);
            self.note_inexact(data_type, name);
        }
    }

    /// Notes the type of a constant that is computed with in another one.
    fn note_inexact(&mut self, data_type: i32, name: &'a str) {
        if matches!(data_type, data_type::DOUBLE | data_type::FLOAT16 | data_type::BFLOAT16) {
            self.note_type(data_type, name);
        }
    }

    /// Gives outputs of the graph that are a single number for each image, without an axis, one of length one.
    pub fn give_outputs_an_axis(&mut self, node: &'a NodeProto) -> Result<(), String> {
        for name in node.output.iter().filter(|name| self.outputs.contains(name.as_str())) {
            if let Some(&Value::Computed(value)) = self.values.get(name.as_str())
                && self.graph.shape(value).is_empty()
            {
                let op = Reshape::between(&[], vec![1])?;
                let value = self.graph.push(format!("{}.one", node.label()), op, &[value])?;
                self.values.insert(name, Value::Computed(value));
            }
        }
        Ok(())
    }

    /// The type in the file of what input number `position` stands for, if it depends on the image and is no
    /// floating-point number.
    pub fn whole_type(&self, node: &NodeProto, position: usize) -> Option<i32> {
        self.types.get(node.input.get(position)?.as_str()).copied()
    }

    /// Records the type of all outputs of `node`.
    pub fn set_whole_type(&mut self, node: &'a NodeProto, data_type: i32) {
        node.output.iter().for_each(|name| {
            self.types.insert(name, data_type);
        });
    }

    /// Whether something that `node` reads depends on the image and has no axis for the batch.
    pub fn is_unbatched(&self, node: &NodeProto) -> bool {
        node.input.iter().any(|name| self.unbatched.contains(name.as_str()))
    }

    /// Notes that the output of `node` has no axis for the batch.
    pub fn set_unbatched(&mut self, node: &'a NodeProto) {
        self.unbatched.extend(node.output.first().map(String::as_str));
    }

    /// Replaces what `name` stands for, and tells what it was.
    pub fn exchange(&mut self, name: &'a str, value: Option<Value>) -> Option<Value> {
        match value {
            Some(value) => self.values.insert(name, value),
            None => self.values.remove(name),
        }
    }

    /// What input number `position` of `node` stands for; `None` if it was left out.
    pub fn optional(&mut self, node: &'a NodeProto, position: usize) -> Result<Option<Value>, String> {
        let Some(name) = node.input.get(position).filter(|name| !name.is_empty()) else { return Ok(None) };
        if let Some(value) = self.values.get(name.as_str()) {
            return Ok(Some(value.clone()));
        }
        match self.initializers.get(name.as_str()).copied() {
            Some(tensor) => {
                let decoded = tensors::decode(tensor, self.folder)?;
                self.note_inexact(tensor.data_type, &tensor.name);
                if self.decoded.0.insert(&tensor.name) {
                    self.decoded.1 += decoded.len();
                }
                self.account(decoded.len())?;
                Ok(Some(Value::Constant(decoded)))
            }
            None => Err(format!(
                "it reads '{name}', which nothing before it produces, or only as a further output that is not computed here"
            )),
        }
    }

    /// Notes that `count` more numbers are made of constants, which must not be many times those of the file.
    pub fn account_made(&mut self, count: usize) -> Result<(), String> {
        self.made = self.made.saturating_add(count);
        if self.made > MOST_MADE + MOST_TIMES * self.decoded.1 {
            return Err("what is computed of its constants is too large".into());
        }
        self.account(count)
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

    pub fn is_produced(&self, node: &NodeProto) -> bool {
        node.output.first().is_some_and(|name| self.values.contains_key(name.as_str()))
    }

    /// The only node that reads what `node` produces, if nothing else does.
    pub fn only_reader(&self, node: &NodeProto) -> Option<&'a NodeProto> {
        let name = node.output.first()?.as_str();
        match self.readers.get(name).map(Vec::as_slice) {
            Some(&[reader]) if !self.folding && !self.outputs.contains(name) => Some(reader),
            _ => None,
        }
    }
}

/// The nodes that the first output depends on, in file order.
fn reachable(graph: &GraphProto) -> Vec<&NodeProto> {
    let mut wanted: HashSet<&str> =
        graph.output.first().map(|output| output.name.as_str()).into_iter().collect();
    let mut nodes = Vec::new();
    for node in graph.node.iter().rev() {
        if node.output.iter().any(|name| wanted.contains(name.as_str())) {
            wanted.extend(node.input.iter().map(String::as_str));
            nodes.push(node);
        }
    }
    nodes.reverse();
    nodes
}
