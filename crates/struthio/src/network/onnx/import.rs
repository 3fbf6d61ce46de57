//! Reading ONNX models.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::path::Path;

use prost::Message;

use super::input::{Input, InputShape};
use super::outputs::{Candidate, ModelOutput};
use super::proto::{GraphProto, ModelProto, NodeProto, ValueInfoProto, data_type};
use super::tensors::{self, ConstantTensor};
use super::{lower, opsets, outputs};
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

/// What is known of a model besides its file.
#[derive(Clone, Copy, Default)]
pub struct Options<'a> {
    /// The name of the output that holds class scores.
    pub output: Option<&'a str>,
    /// What one image is.
    pub input: InputShape<'a>,
}

/// Reads the classifier in the ONNX file at `path`; tensors may live in files beside it.
///
/// # Errors
///
/// If the file cannot be read, is not ONNX, uses unsupported operators (all of them are listed with
/// their counts), or does not describe a classifier with finite weights.
pub fn read(path: &Path) -> Result<Network> {
    read_with(path, Options::default())
}

/// Like [`read`], with what is known besides the file.
///
/// # Errors
///
/// As [`read`], and if there is no such output, or the shape does not fit what the file says.
pub fn read_with(path: &Path, options: Options<'_>) -> Result<Network> {
    let kind = std::fs::metadata(path).map_err(Error::io("read", path))?;
    if !kind.is_file() {
        return Err(Error::model(path.display().to_string(), "not a regular file; expected an ONNX model"));
    }
    let bytes = std::fs::read(path).map_err(Error::io("read", path))?;
    parse(&path.display().to_string(), &bytes, Some(path.parent().unwrap_or(Path::new(""))), options)
}

/// Like [`read`], from memory; `origin` is what messages call it.
pub fn read_bytes(origin: &str, bytes: &[u8]) -> Result<Network> {
    parse(origin, bytes, None, Options::default())
}

fn parse(origin: &str, bytes: &[u8], folder: Option<&Path>, options: Options<'_>) -> Result<Network> {
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
    let mut importer = Importer::start(&graph, opset, folder, options.input).map_err(refuse)?;
    let mut candidates: Vec<Candidate<'_>> = Vec::new();
    for info in &graph.output {
        let result = importer.read_output(&info.name);
        candidates.push(Candidate::judge(&graph, info, result, &importer.graph));
    }
    let chosen = match options.output {
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
    let all = |problems: &[String]| Error::Model { origin: origin.into(), problems: problems.to_vec() };
    let chosen = chosen.map_err(|(problem, remedy)| match outputs::problems_of_all(&candidates) {
        Some(problems) if options.output.is_none() => all(&problems),
        _ => refuse(format!("{problem}: {}; {remedy}", outputs::listed(&listed))),
    })?;
    let Candidate { name, ref result, .. } = candidates[chosen];
    let value = *result.as_ref().map_err(|problems| all(problems))?;
    let computed = importer.graph.pruned(value).ok_or_else(|| refuse(independent(name)))?;
    let network = Network::new(origin, computed)?.with_outputs(listed, options.output.is_some());
    Ok(network.with_notes(outputs::class_labels(&graph)).with_notes(importer.notes_on(name)))
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
    /// The name of the image.
    input: &'a str,
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
    /// Whether a node is evaluated on constants alone, which must not be merged with others.
    pub folding: bool,
    /// Of values that depend on the image, the type in the file, unless that is a floating-point one.
    types: HashMap<&'a str, i32>,
    /// Of what nodes called `Constant` give, the type in the file.
    constant_types: HashMap<&'a str, i32>,
    /// Values that depend on the image and have no axis for the batch.
    unbatched: HashSet<&'a str>,
    /// Values that could not be translated, and why unless that is told of another one.
    failed: HashMap<&'a str, Option<String>>,
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
            proto,
            input: &input.name,
            opset,
            fixed_batch,
            values: HashMap::from([(input.name.as_str(), Value::Computed(graph.output()))]),
            stacked: HashMap::new(),
            graph,
            initializers,
            readers,
            outputs: proto.output.iter().map(|output| output.name.as_str()).collect(),
            folder,
            folding: false,
            types,
            constant_types: HashMap::new(),
            unbatched: unbatched.then_some(input.name.as_str()).into_iter().collect(),
            failed: HashMap::new(),
            widened: BTreeMap::new(),
            notes: opsets::note(opset).into_iter().chain(notes).collect(),
            held: 0,
            decoded: (HashSet::new(), 0),
            made: 0,
        })
    }

    /// Translates everything that the output `name` depends on; all problems if that cannot be.
    fn read_output(&mut self, name: &'a str) -> Result<ValueId, Vec<String>> {
        let problems = self.translate(&outputs::reachable(self.proto, name));
        if !problems.is_empty() {
            return Err(problems);
        }
        match self.values.get(name) {
            Some(&Value::Computed(value)) if self.graph.pruned(value).is_some() => {
                self.with_an_axis(value, name).map_err(|problem| vec![problem])
            }
            _ if self.stacked.contains_key(name) => {
                Err(vec![format!("in its output '{name}', several members {}", lower::BEFORE)])
            }
            _ => Err(vec![independent(name)]),
        }
    }

    /// The output, of length one if it is a single number for each image, without an axis.
    fn with_an_axis(&mut self, value: ValueId, output: &str) -> Result<ValueId, String> {
        if !self.graph.shape(value).is_empty() {
            return Ok(value);
        }
        self.graph.push(format!("{output}.one"), Reshape::between(&[], vec![1])?, &[value])
    }

    /// Translates the nodes, unless that was tried before; every problem that does not come from another one.
    fn translate(&mut self, nodes: &[&'a NodeProto]) -> Vec<String> {
        let unsupported = opsets::Unsupported::among(nodes, self.input);
        let mut problems = unsupported.problems();
        for &node in nodes {
            if let Some(before) = node.output.iter().find_map(|name| self.failed.get(name.as_str())) {
                problems.extend(before.clone());
                continue;
            }
            let result = if unsupported.has(node) {
                Err(None)
            } else if let Err(problem) = opsets::check(node, self.opset) {
                Err(Some(problem))
            } else if node.input.iter().any(|name| self.failed.contains_key(name.as_str())) {
                Err(None)
            } else {
                lower::node(self, node).map_err(Some)
            };
            if let Err(problem) = result {
                let problem = problem.map(|problem| {
                    let problem = self.explained(problem);
                    format!("{} '{}': {problem}", node.op_type, node.label())
                });
                let names = node.output.iter().filter(|name| !name.is_empty());
                self.failed.extend(names.map(|name| (name.as_str(), problem.clone())));
                problems.extend(problem);
            }
        }
        problems
    }

    /// The problem with what may have led to it.
    fn explained(&self, problem: String) -> String {
        match self.fixed_batch {
            Some(batch)
                if batch > 1 && [lower::MIXES, lower::BEFORE].iter().any(|sign| problem.contains(sign)) =>
            {
                format!(
                    "{problem}; if the first axis of the input, of size {batch}, is not that of the batch, say what one image is by --input-shape"
                )
            }
            _ => problem,
        }
    }

    /// What the user has to know if the output `name` is taken.
    fn notes_on(self, name: &'a str) -> Vec<String> {
        let used = outputs::reachable(self.proto, name);
        let used: HashSet<&str> =
            used.iter().flat_map(|node| node.input.iter().chain(&node.output)).map(String::as_str).collect();
        let mut notes = self.notes;
        for (data_type, mut names) in self.widened {
            names.retain(|name| used.contains(name));
            if names.is_empty() {
                continue;
            }
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
            Some(&[reader]) if !self.folding && !self.outputs.contains(name) => Some(reader),
            _ => None,
        }
    }
}
