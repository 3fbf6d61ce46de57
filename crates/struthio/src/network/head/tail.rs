use std::any::Any;

use crate::network::graph::{Graph, Node, ValueId};
use crate::network::ops::{
    Affine, Arithmetic, Clip, Elu, Exp, HardSigmoid, LeakyRelu, Log, LogSoftmax, Operator, Rearrange, Relu,
    Relu6, Sigmoid, Softmax, Tanh,
};

/// Whether the node computes a `T`.
pub(super) fn is<T: Any>(node: &Node) -> bool {
    as_op::<T>(node).is_some()
}

/// The node's op, if it is a `T`.
pub(super) fn as_op<T: Any>(node: &Node) -> Option<&T> {
    let op: &dyn Any = &*node.op;
    op.downcast_ref()
}

/// The nodes at the end of a graph, in a row, that move whole values or keep the order of classes.
pub(super) struct Tail {
    /// From the last node back.
    nodes: Vec<Member>,
    output: ValueId,
}

struct Member {
    node: usize,
    /// The value that it moves or whose order it keeps.
    input: ValueId,
    keeps: Keeps,
}

/// What a node does to classes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Keeps {
    /// Values are moved, or some left out.
    Values,
    /// Their order, and gradients live on.
    Order,
    /// Their order, but gradients vanish.
    OrderOnly,
}

impl Tail {
    pub fn of(graph: &Graph) -> Self {
        let output = graph.output();
        let (mut value, mut nodes) = (output, Vec::new());
        while let Some(node) = graph.producer(value) {
            let Some((position, keeps)) = kept(graph, value, node) else { break };
            let input = node.inputs[position];
            nodes.push(Member { node: value.0 - 1, input, keeps });
            value = input;
        }
        Self { nodes, output }
    }

    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    /// The node that is number `i` from the end.
    pub fn node(&self, i: usize) -> usize {
        self.nodes[i].node
    }

    /// What is left when the last `removed` nodes are taken off.
    pub fn start(&self, removed: usize) -> ValueId {
        removed.checked_sub(1).map_or(self.output, |last| self.nodes[last].input)
    }

    /// What is left when all are taken off.
    pub fn all_off(&self) -> ValueId {
        self.start(self.len())
    }

    /// How many nodes have to go so that no gradient vanishes.
    pub fn needed(&self) -> usize {
        self.nodes.iter().rposition(|member| member.keeps == Keeps::OrderOnly).map_or(0, |last| last + 1)
    }

    /// Those of the last `removed` nodes that only move values, in their order.
    pub fn movements(&self, removed: usize) -> Vec<usize> {
        self.which(removed, |keeps| keeps == Keeps::Values)
    }

    /// Those of the last `removed` nodes that change values, in their order.
    pub fn removed(&self, removed: usize) -> Vec<usize> {
        self.which(removed, |keeps| keeps != Keeps::Values)
    }

    fn which(&self, removed: usize, wanted: impl Fn(Keeps) -> bool) -> Vec<usize> {
        let members = self.nodes[..removed].iter().rev();
        members.filter(|member| wanted(member.keeps)).map(|member| member.node).collect()
    }

    /// What the last `removed` nodes do, in words, in their order.
    pub fn words(&self, graph: &Graph, removed: usize) -> Vec<&'static str> {
        self.removed(removed).into_iter().map(|node| word(&graph.nodes()[node])).collect()
    }
}

/// Which input's order of classes the node keeps, and how; `None` if it keeps none.
fn kept(graph: &Graph, value: ValueId, node: &Node) -> Option<(usize, Keeps)> {
    let all = graph.features(value);
    let over_all = |width: usize| width == all;
    if node.op.is_view() || as_op::<Rearrange>(node).is_some_and(Rearrange::only_moves) {
        return Some((0, Keeps::Values));
    }
    if let Some(softmax) = as_op::<Softmax>(node) {
        return over_all(softmax.extent().0).then_some((0, Keeps::OrderOnly));
    }
    if let Some(softmax) = as_op::<LogSoftmax>(node) {
        return over_all(softmax.width()).then_some((0, Keeps::OrderOnly));
    }
    if let Some(affine) = as_op::<Affine>(node) {
        return affine.uniform().filter(|&(scale, _)| scale > 0.0).map(|_| (0, Keeps::Order));
    }
    if let Some(arithmetic) = as_op::<Arithmetic>(node) {
        return row_factor(graph, arithmetic.operator(), node).map(|position| (position, Keeps::Order));
    }
    if as_op::<LeakyRelu>(node).is_some_and(|op| op.alpha > 0.0) {
        return Some((0, Keeps::Order));
    }
    let squashes = is::<Sigmoid>(node)
        || is::<Tanh>(node)
        || is::<Clip>(node)
        || is::<Relu>(node)
        || is::<Relu6>(node)
        || is::<Exp>(node)
        || is::<Log>(node)
        || as_op::<Elu>(node).is_some_and(|op| op.alpha > 0.0)
        || as_op::<HardSigmoid>(node).is_some_and(|op| op.alpha > 0.0);
    squashes.then_some((0, Keeps::OrderOnly))
}

/// Which input is multiplied or divided by one positive number for all classes, if one is.
fn row_factor(graph: &Graph, operator: Operator, node: &Node) -> Option<usize> {
    let [a, b] = node.inputs[..] else { return None };
    let one_for_all = |value: ValueId| graph.features(value) == 1 && is_positive(graph, value);
    match operator {
        Operator::Div => one_for_all(b).then_some(0),
        Operator::Mul if one_for_all(b) => Some(0),
        Operator::Mul => one_for_all(a).then_some(1),
        _ => None,
    }
}

/// Whether a value cannot be negative, as far as one sees from how it was made; sums of what cannot are the
/// usual case.
fn is_positive(graph: &Graph, value: ValueId) -> bool {
    let Some(node) = graph.producer(value) else { return false };
    let norm = ["ReduceL1", "ReduceL2", "ReduceSumSquare"].contains(&node.op.kind());
    if norm || is::<Softmax>(node) || is::<Sigmoid>(node) || is::<Exp>(node) {
        return true;
    }
    if as_op::<Clip>(node).is_some_and(|clip| clip.min >= 0.0) || is::<Relu>(node) || is::<Relu6>(node) {
        return true;
    }
    let grows = as_op::<Affine>(node).is_some_and(|affine| {
        let (_, scale, offset) = affine.constants();
        scale.iter().all(|&a| a > 0.0) && offset.iter().all(|&b| b >= 0.0)
    });
    let combines = as_op::<Arithmetic>(node).is_some_and(|arithmetic| arithmetic.operator() != Operator::Sub);
    let gathers = ["ReduceMean", "AveragePool", "Concat", "ReduceSum"].contains(&node.op.kind());
    let moves = node.op.is_view() || as_op::<Rearrange>(node).is_some_and(Rearrange::only_moves);
    (grows || combines || gathers || moves) && node.inputs.iter().all(|&input| is_positive(graph, input))
}

fn word(node: &Node) -> &'static str {
    match node.op.kind() {
        "Softmax" => "a softmax",
        "LogSoftmax" => "a log-softmax",
        "Sigmoid" => "a sigmoid for each class",
        "Tanh" => "a tanh",
        "HardSigmoid" => "a hard sigmoid for each class",
        "Clip" | "Relu6" => "a clip",
        "Relu" | "LeakyRelu" | "Elu" => "a rectifier",
        "Exp" => "an exponential",
        "Log" => "a logarithm",
        "Affine" => "a constant factor or offset",
        _ => "a factor that all classes share",
    }
}
