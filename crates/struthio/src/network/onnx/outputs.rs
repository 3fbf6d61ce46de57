//! Which of a file's outputs are class scores.

use std::collections::{HashMap, HashSet};

use super::proto::{DimensionValue, GraphProto, NodeProto, ValueInfoProto, data_type};
use crate::network::graph::{Graph, ValueId};
use crate::network::head::{Head, OutputKind};

/// An output of a model, for lists of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelOutput {
    /// Its name in the file.
    pub name: String,
    /// Its shape for one image, as computed, or else as the file declares it: `10`, `100 × 4`.
    pub shape: String,
    /// Whether it was taken for class scores.
    pub taken: bool,
    /// What speaks for it or against it.
    pub evidence: Vec<String>,
}

/// An output, and what became of the attempt to read it.
pub(super) struct Candidate<'a> {
    pub name: &'a str,
    pub result: Result<ValueId, Vec<String>>,
    declared: Option<String>,
    /// Whether it may hold floating-point numbers.
    numeric: bool,
    /// How much speaks for class scores, and what; `None` if it cannot be any.
    standing: Option<i32>,
    evidence: Vec<String>,
}

/// What an output is worth that can be taken without a doubt.
const LIKELY: i32 = 0;
/// What even the only output is not worth if it is to be taken.
const UNLIKELY: i32 = -3;

impl<'a> Candidate<'a> {
    /// Judges the output `info`, which was read as `result` from `proto` into `graph`.
    pub fn judge(
        proto: &'a GraphProto,
        info: &'a ValueInfoProto,
        result: Result<ValueId, Vec<String>>,
        graph: &Graph,
    ) -> Self {
        let other = no_number(proto, info);
        let (declared, numeric) = (declared(info), other.is_none());
        let mut candidate =
            Self { name: &info.name, result, declared, numeric, standing: None, evidence: Vec::new() };
        if let Some(what) = other {
            candidate.evidence.push(what);
            return candidate;
        }
        candidate.weigh_name(&info.name.to_lowercase());
        candidate.weigh(-4, is_normalised(proto, &info.name), "normalised to length 1, as embeddings are");
        let value = match &candidate.result {
            Ok(value) => *value,
            Err(problems) => {
                candidate.evidence.push(format!("cannot be computed here: {}", problems.join("; ")));
                return candidate;
            }
        };
        let (shape, count) = (graph.shape(value), graph.features(value));
        if !shape.contains(&count) {
            candidate.evidence.push("more than one row of values".into());
            candidate.standing = None;
            return candidate;
        }
        match graph.pruned(value).map(Head::of) {
            Some(Ok(head)) => candidate.weigh_head(&head, count),
            Some(Err(problem)) => {
                candidate.evidence.push(problem);
                candidate.standing = None;
            }
            None => candidate.standing = None,
        }
        candidate
    }

    fn weigh_name(&mut self, name: &str) {
        let named = |words: &[&str]| words.iter().any(|word| name.contains(word));
        self.weigh(-3, named(&OTHERS), "called as other things than class scores are");
        self.weigh(-2, named(&["aux"]), "called auxiliary");
        self.weigh(2, named(&SCORES), "called as class scores are");
        self.weigh(1, named(&["output", "dense", "fc", "head"]), "called as last layers are");
    }

    fn weigh_head(&mut self, head: &Head, count: usize) {
        use OutputKind::{Combined, LogProbabilities, OneLogit, OneProbability, Probabilities, Sigmoids};
        let kind = head.ending.kind;
        let sums_to_one = matches!(kind, Probabilities | LogProbabilities | Combined);
        self.weigh(3, sums_to_one && count > 1, "ends in probabilities");
        self.weigh(1, matches!(kind, Sigmoids | OneProbability), "ends in sigmoids");
        self.weigh(-2, head.ending.is_rectified(), "ends in a rectifier, as hidden layers do");
        self.weigh(-1, kind == OneLogit, "a single number");
    }

    fn weigh(&mut self, worth: i32, holds: bool, evidence: &str) {
        let standing = self.standing.get_or_insert(0);
        if holds {
            *standing += worth;
            self.evidence.push(evidence.into());
        }
    }

    /// For lists of outputs.
    pub fn as_output(&self, graph: &Graph, taken: bool) -> ModelOutput {
        let computed = self.result.as_ref().ok().map(|&value| in_words(graph.shape(value)));
        let shape = computed.or_else(|| self.declared.clone()).unwrap_or_else(|| "of unknown shape".into());
        ModelOutput { name: self.name.into(), shape, taken, evidence: self.evidence.clone() }
    }
}

const OTHERS: [&str; 11] = [
    "embed", "feature", "bbox", "box", "hidden", "latent", "landmark", "keypoint", "mask", "offset", "anchor",
];
const SCORES: [&str; 7] = ["logit", "prob", "score", "class", "cls", "pred", "softmax"];

/// Takes the output that looks like class scores, by its number.
///
/// # Errors
///
/// If none does, or several do alike; the message lists them all.
pub(super) fn choose(proto: &GraphProto, candidates: &mut [Candidate<'_>]) -> Result<usize, String> {
    if let [only] = candidates {
        // What cannot be class scores for another reason has a message of its own.
        let accepted = only.standing.is_none_or(|standing| standing > UNLIKELY) || only.result.is_err();
        return if accepted { Ok(0) } else { Err("its only output does not look like class scores".into()) };
    }
    compare(proto, candidates);
    // Of equals, what can be computed goes before what cannot.
    let standing = |i: &usize| Some((candidates[*i].standing?, candidates[*i].result.is_ok()));
    let best = (0..candidates.len()).filter(|i| standing(i).is_some()).max_by_key(standing);
    let Some(best) = best.filter(|i| candidates[*i].standing >= Some(LIKELY)) else {
        return Err(format!("none of its {} outputs looks like class scores", candidates.len()));
    };
    if candidates[best].result.is_err() {
        return Err(format!(
            "of its {} outputs, '{}' looks most like class scores",
            candidates.len(),
            candidates[best].name
        ));
    }
    if (0..candidates.len()).any(|i| i != best && standing(&i) == standing(&best)) {
        return Err(format!(
            "several of its {} outputs look like class scores, none more than the others",
            candidates.len()
        ));
    }
    Ok(best)
}

/// Every problem of the outputs that may hold numbers, if none of them can be computed.
pub(super) fn problems_of_all(candidates: &[Candidate<'_>]) -> Option<Vec<String>> {
    let mut all: Vec<String> = Vec::new();
    for candidate in candidates.iter().filter(|candidate| candidate.numeric) {
        for problem in candidate.result.as_ref().err()? {
            if !all.contains(problem) {
                all.push(problem.clone());
            }
        }
    }
    (!all.is_empty()).then_some(all)
}

/// Weighs what can only be seen by comparison: which output others are computed from, and which one comes last.
fn compare(proto: &GraphProto, candidates: &mut [Candidate<'_>]) {
    let needed: Vec<HashSet<&str>> =
        candidates.iter().map(|candidate| names_behind(proto, candidate.name)).collect();
    let depths = depths(proto);
    let depth = |name: &str| depths.get(name).copied().unwrap_or(0);
    let all: Vec<(usize, Option<i32>)> =
        candidates.iter().map(|candidate| (depth(candidate.name), candidate.standing)).collect();
    for i in 0..candidates.len() {
        if candidates[i].standing.is_none() {
            continue;
        }
        let others = || (0..all.len()).filter(|&j| j != i && all[j].1.is_some());
        let feeds = others().any(|j| needed[j].contains(candidates[i].name));
        candidates[i].weigh(-2, feeds, "another output is computed from it");
        let last = others().all(|j| all[i].0 >= all[j].0 + 3);
        candidates[i].weigh(1, last && others().next().is_some(), "comes last");
    }
}

/// The nodes that the output `name` depends on, in file order.
pub(super) fn reachable<'a>(graph: &'a GraphProto, name: &'a str) -> Vec<&'a NodeProto> {
    let mut wanted: HashSet<&str> = HashSet::from([name]);
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

/// The names that `name` is computed from.
fn names_behind<'a>(graph: &'a GraphProto, name: &'a str) -> HashSet<&'a str> {
    reachable(graph, name).into_iter().flat_map(|node| node.input.iter().map(String::as_str)).collect()
}

/// For each name, the number of nodes on the longest way to it.
fn depths(graph: &GraphProto) -> HashMap<&str, usize> {
    let mut depths: HashMap<&str, usize> = HashMap::new();
    for node in &graph.node {
        let of = |name: &String| depths.get(name.as_str()).copied().unwrap_or(0);
        let depth = 1 + node.input.iter().map(of).max().unwrap_or(0);
        node.output.iter().for_each(|name| {
            depths.insert(name, depth);
        });
    }
    depths
}

fn producer<'a>(graph: &'a GraphProto, name: &str) -> Option<&'a NodeProto> {
    graph.node.iter().find(|node| node.output.iter().any(|output| output == name))
}

/// What an output is if it holds no floating-point numbers.
fn no_number(graph: &GraphProto, info: &ValueInfoProto) -> Option<String> {
    let tensor = info.r#type.as_ref().and_then(|t| t.tensor_type.as_ref());
    let made_by = |op: &str| producer(graph, &info.name).is_some_and(|node| node.op_type == op);
    match tensor.map(|tensor| tensor.elem_type) {
        Some(data_type::INT32 | data_type::INT64) => Some("whole numbers, such as labels".into()),
        Some(data_type::STRING) => Some("text, such as labels".into()),
        Some(data_type::BOOL) => Some("truth values".into()),
        _ if made_by("ArgMax") => Some("whole numbers, such as labels".into()),
        _ => None,
    }
}

/// Whether the output is a vector divided by its length.
fn is_normalised(graph: &GraphProto, name: &str) -> bool {
    let mut name = name;
    for _ in 0..8 {
        let Some(node) = producer(graph, name) else { return false };
        let divisor_is_length = |node: &NodeProto| {
            node.input.get(1).is_some_and(|divisor| {
                let near = names_near(graph, divisor, 6);
                near.iter().any(|op| matches!(*op, "ReduceL2" | "ReduceSumSquare"))
            })
        };
        match node.op_type.as_str() {
            "LpNormalization" => return node.int("p", 2) == 2,
            "Normalizer" => return node.text("norm").as_deref() == Some("L2"),
            "Div" => return divisor_is_length(node),
            "Identity" | "Cast" | "Reshape" | "Flatten" | "Squeeze" | "Unsqueeze" | "Dropout" => {
                let Some(input) = node.input.first() else { return false };
                name = input;
            }
            _ => return false,
        }
    }
    false
}

/// The operators that `name` is computed by, going back along first inputs.
fn names_near<'a>(graph: &'a GraphProto, name: &'a str, steps: usize) -> Vec<&'a str> {
    let mut ops = Vec::new();
    let mut name = name;
    for _ in 0..steps {
        let Some(node) = producer(graph, name) else { break };
        ops.push(node.op_type.as_str());
        let Some(input) = node.input.first() else { break };
        name = input;
    }
    ops
}

/// What the file calls its classes, if not by their numbers.
pub(super) fn class_labels(graph: &GraphProto) -> Option<String> {
    const SHOWN: usize = 8;
    let attributes = ["classlabels_int64s", "classlabels_ints", "classlabels_strings"];
    let given = graph.node.iter().flat_map(|node| attributes.iter().filter_map(|name| node.attribute(name)));
    for attribute in given {
        let numbers = attribute.ints.iter().map(ToString::to_string);
        let words = attribute.strings.iter().map(|word| String::from_utf8_lossy(word).into_owned());
        let labels: Vec<String> = numbers.chain(words).collect();
        if labels.iter().enumerate().any(|(i, label)| *label != i.to_string()) {
            let more = if labels.len() > SHOWN { ", …" } else { "" };
            let labels: Vec<String> = labels.into_iter().take(SHOWN).collect();
            return Some(format!(
                "the model calls its classes {}{more}; here they are counted from 0 in this order, as labels are",
                labels.join(", ")
            ));
        }
    }
    None
}

/// The declared shape for one image.
fn declared(info: &ValueInfoProto) -> Option<String> {
    let dims = &info.r#type.as_ref()?.tensor_type.as_ref()?.shape.as_ref()?.dim;
    let size = |value: &Option<DimensionValue>| match value {
        Some(DimensionValue::Value(d)) => d.to_string(),
        Some(DimensionValue::Parameter(name)) => name.clone(),
        None => "?".into(),
    };
    let sizes: Vec<String> = dims.iter().skip(1).map(|dim| size(&dim.value)).collect();
    (!sizes.is_empty()).then(|| sizes.join(" × "))
}

fn in_words(shape: &[usize]) -> String {
    shape.iter().map(ToString::to_string).collect::<Vec<_>>().join(" × ")
}

/// `'embedding' (12: a rectifier, …), 'logits' (10)`
pub(super) fn listed(outputs: &[ModelOutput]) -> String {
    let one = |output: &ModelOutput| {
        let evidence = output.evidence.join(", ");
        let evidence = if evidence.is_empty() { evidence } else { format!("; {evidence}") };
        format!("'{}' ({}{evidence})", output.name, output.shape)
    };
    outputs.iter().map(one).collect::<Vec<_>>().join(", ")
}
