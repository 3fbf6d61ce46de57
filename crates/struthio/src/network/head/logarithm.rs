use std::collections::HashMap;

use super::tail::{as_op, is};
use crate::network::graph::{Graph, Node, ValueId};
use crate::network::ops::{
    Affine, Arithmetic, AveragePool, Clip, Concat, Exp, Log, LogSigmoid, LogSoftmax, Mean, Op, Operator,
    Rearrange, Reduce, Reduction, Reshape, Sigmoid, Softmax,
};

/// Probabilities are clipped or shifted by less than this so that logarithms of them are finite; ours are, anyway.
const NEGLIGIBLE: f32 = 1e-6;
/// More than an ensemble has members.
const MOST_TERMS: usize = 1024;

/// Adds to a graph the logarithms of values that are made from probabilities, each computed from the logits.
#[derive(Default)]
pub(super) struct Logarithms {
    known: HashMap<(ValueId, Of), Option<ValueId>>,
    softmaxes: Vec<ValueId>,
    sigmoids: Vec<ValueId>,
}

/// Whose logarithm.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Of {
    /// That of a value p.
    Itself,
    /// That of 1 − p.
    Rest,
}

impl Logarithms {
    /// The logarithm of `value`; `None` if that is not known to be a probability or made from some.
    pub fn log_of(&mut self, graph: &mut Graph, value: ValueId) -> Option<ValueId> {
        self.find(graph, value, Of::Itself)
    }

    /// The logarithm of 1 − `value`.
    pub fn log_of_rest(&mut self, graph: &mut Graph, value: ValueId) -> Option<ValueId> {
        self.find(graph, value, Of::Rest)
    }

    /// How many softmaxes and sigmoids were met.
    pub fn members(&self) -> usize {
        self.softmaxes.len() + self.sigmoids.len()
    }

    pub fn has_sigmoids(&self) -> bool {
        !self.sigmoids.is_empty()
    }

    fn find(&mut self, graph: &mut Graph, value: ValueId, of: Of) -> Option<ValueId> {
        if let Some(&known) = self.known.get(&(value, of)) {
            return known;
        }
        let node = graph.producer(value)?.clone();
        let found = match of {
            Of::Itself => self.itself(graph, &node),
            Of::Rest => self.rest(graph, &node),
        };
        let found = found.or_else(|| self.moved(graph, &node, of)).or_else(|| self.mean(graph, &node, of));
        self.known.insert((value, of), found);
        found
    }

    fn itself(&mut self, graph: &mut Graph, node: &Node) -> Option<ValueId> {
        let input = node.inputs[0];
        if let Some(softmax) = as_op::<Softmax>(node) {
            self.softmaxes.push(input);
            let (width, axis) = softmax.extent();
            return push(graph, node, LogSoftmax::new(width, axis), &[input]);
        }
        if is::<Sigmoid>(node) {
            self.met_sigmoid(input);
            return push(graph, node, LogSigmoid, &[input]);
        }
        if is::<Exp>(node) {
            return Some(input);
        }
        if let Some(affine) = as_op::<Affine>(node) {
            return self.affine(graph, node, affine);
        }
        if as_op::<Clip>(node).copied().is_some_and(is_negligible) {
            return self.log_of(graph, input);
        }
        if ["ReduceSum", "ReduceL1"].contains(&node.op.kind()) {
            return self.sum_over_axes(graph, node);
        }
        match node.op.kind() {
            "Add" => self.sum(graph, node, Of::Itself),
            "Mul" => self.pair(graph, node, Operator::Add),
            "Div" => self.pair(graph, node, Operator::Sub),
            _ => None,
        }
    }

    fn rest(&mut self, graph: &mut Graph, node: &Node) -> Option<ValueId> {
        let input = node.inputs[0];
        if is::<Sigmoid>(node) {
            self.met_sigmoid(input);
            let shape = graph.shape(input).to_vec();
            let negative = push(graph, node, scaled(shape, -1.0, 0.0)?, &[input])?;
            return push(graph, node, LogSigmoid, &[negative]);
        }
        if as_op::<Clip>(node).copied().is_some_and(is_negligible) {
            return self.log_of_rest(graph, input);
        }
        if let Some((-1.0, 1.0, base)) = composed(graph, node) {
            return self.log_of(graph, base);
        }
        match node.op.kind() {
            "Add" | "Affine" => self.sum(graph, node, Of::Rest),
            _ => None,
        }
    }

    fn met_sigmoid(&mut self, input: ValueId) {
        if !self.sigmoids.contains(&input) {
            self.sigmoids.push(input);
        }
    }

    /// ln (a·p) = ln p + ln a, with a factor for each value; ln (1 − p).
    fn affine(&mut self, graph: &mut Graph, node: &Node, affine: &Affine) -> Option<ValueId> {
        let input = node.inputs[0];
        if let Some((-1.0, 1.0, base)) = composed(graph, node) {
            return self.log_of_rest(graph, base);
        }
        let (constants, scale, offset) = affine.constants();
        let negligible = |(&a, &b): (&f32, &f32)| a > 0.0 && (0.0..=NEGLIGIBLE * a).contains(&b);
        let is_same = offset.iter().all(|b| *b == offset[0]);
        if !is_same || !scale.iter().zip(offset).all(negligible) {
            return None;
        }
        let log = self.log_of(graph, input)?;
        let shape = graph.shape(log).to_vec();
        let logs: Vec<f32> = scale.iter().map(|a| a.ln()).collect();
        let op = Affine::new(shape, constants.to_vec(), vec![1.0; logs.len()], logs).ok()?;
        push(graph, node, op, &[log])
    }

    /// The same movement of the logarithms; the largest is theirs, too.
    fn moved(&mut self, graph: &mut Graph, node: &Node, of: Of) -> Option<ValueId> {
        let moves = node.op.is_view()
            || as_op::<Rearrange>(node).is_some_and(Rearrange::only_moves)
            || is::<Concat>(node);
        let picks = of == Of::Itself && ["Max", "Min", "ReduceMax", "ReduceMin"].contains(&node.op.kind());
        if !moves && !picks {
            return None;
        }
        let logs: Option<Vec<ValueId>> =
            node.inputs.iter().map(|&input| self.find(graph, input, of)).collect();
        push(graph, node, node.op.clone(), &logs?)
    }

    /// ln of the mean over axes, which is also that of the rests for the rest.
    fn mean(&mut self, graph: &mut Graph, node: &Node, of: Of) -> Option<ValueId> {
        let axes = match (as_op::<Mean>(node), as_op::<AveragePool>(node)) {
            (Some(mean), _) => mean.axes().to_vec(),
            (_, Some(pool)) if pool.is_global() => vec![1, 2],
            _ => return None,
        };
        let log = self.find(graph, node.inputs[0], of)?;
        let shape = graph.shape(log).to_vec();
        let sum = push(graph, node, Reduce::new(Reduction::LogSumExp, &shape, &axes).ok()?, &[log])?;
        let shape = graph.shape(sum).to_vec();
        let members = graph.features(log) as f32 / graph.features(sum) as f32;
        push(graph, node, scaled(shape, 1.0, -members.ln())?, &[sum])
    }

    fn sum_over_axes(&mut self, graph: &mut Graph, node: &Node) -> Option<ValueId> {
        let log = self.log_of(graph, node.inputs[0])?;
        let (from, to) = (graph.shape(log).to_vec(), node.op.output_shape(&[graph.shape(log)]).ok()?);
        let axes: Vec<usize> = (0..from.len()).filter(|&axis| to.get(axis) != from.get(axis)).collect();
        push(graph, node, Reduce::new(Reduction::LogSumExp, &from, &axes).ok()?, &[log])
    }

    /// ln Σ over everything that is added, directly or in turn; of the rests if the weights sum to one.
    fn sum(&mut self, graph: &mut Graph, node: &Node, of: Of) -> Option<ValueId> {
        let mut terms = Vec::new();
        for &input in &node.inputs {
            addends(graph, input, 1.0, &mut terms)?;
        }
        let total: f32 = terms.iter().map(|(_, weight)| weight).sum();
        let own = match as_op::<Affine>(node).map(Affine::uniform) {
            Some(Some((scale, 0.0))) => scale,
            Some(_) => return None,
            None => 1.0,
        };
        if of == Of::Rest && (own * total - 1.0).abs() > 1e-5 {
            return None;
        }
        let shape = graph.shape(terms.first()?.0).to_vec();
        let count: usize = shape.iter().product();
        let mut rows = Vec::new();
        for (value, weight) in terms {
            if graph.shape(value) != shape {
                return None;
            }
            let log = self.find(graph, value, of)?;
            let log = push(graph, node, scaled(shape.clone(), 1.0, (own * weight).ln())?, &[log])?;
            rows.push(push(graph, node, Reshape::between(&shape, vec![1, count]).ok()?, &[log])?);
        }
        let shapes: Vec<&[usize]> = rows.iter().map(|&row| graph.shape(row)).collect();
        let joined = Concat::new(&shapes, 0).ok()?;
        let all = push(graph, node, joined, &rows)?;
        let op = Reduce::new(Reduction::LogSumExp, graph.shape(all), &[0]).ok()?;
        let sum = push(graph, node, op, &[all])?;
        push(graph, node, Reshape::between(&[1, count], shape).ok()?, &[sum])
    }

    /// ln of a product or quotient.
    fn pair(&mut self, graph: &mut Graph, node: &Node, operator: Operator) -> Option<ValueId> {
        let logs = [self.log_of(graph, node.inputs[0])?, self.log_of(graph, *node.inputs.get(1)?)?];
        let op = Arithmetic::new(operator, logs.map(|log| graph.shape(log))).ok()?;
        push(graph, node, op, &logs)
    }

    /// `value` with every logarithm of probabilities in its sums computed from logits; `None` if there is none.
    pub fn stabilised(&mut self, graph: &mut Graph, value: ValueId) -> Option<ValueId> {
        let node = graph.producer(value)?.clone();
        if is::<Log>(&node) {
            return self.log_of(graph, node.inputs[0]);
        }
        let sums = as_op::<Arithmetic>(&node)
            .is_some_and(|op| matches!(op.operator(), Operator::Add | Operator::Sub));
        let linear = sums || is::<Affine>(&node) || is::<Mean>(&node) || is::<Concat>(&node);
        if !linear && !node.op.is_view() && node.op.as_rearrangement().is_none() {
            return None;
        }
        let stable: Vec<_> = node.inputs.iter().map(|&input| self.stabilised(graph, input)).collect();
        if stable.iter().all(Option::is_none) {
            return None;
        }
        let inputs: Vec<ValueId> =
            stable.iter().zip(&node.inputs).map(|(stable, &input)| stable.unwrap_or(input)).collect();
        push(graph, &node, node.op.clone(), &inputs)
    }
}

/// What is added to give `value`, each with its weight; `value` itself if it is no sum. `None` if it is very much.
pub(super) fn addends(
    graph: &Graph,
    value: ValueId,
    weight: f32,
    terms: &mut Vec<(ValueId, f32)>,
) -> Option<()> {
    if terms.len() == MOST_TERMS {
        return None;
    }
    let Some(node) = graph.producer(value) else {
        terms.push((value, weight));
        return Some(());
    };
    let same_shape = node.inputs.iter().all(|&input| graph.shape(input) == graph.shape(value));
    let adds = as_op::<Arithmetic>(node).is_some_and(|op| op.operator() == Operator::Add);
    match as_op::<Affine>(node).and_then(Affine::uniform) {
        Some((scale, 0.0)) if scale > 0.0 => addends(graph, node.inputs[0], weight * scale, terms),
        _ if adds && same_shape => {
            node.inputs.iter().try_for_each(|&input| addends(graph, input, weight, terms))
        }
        _ => {
            terms.push((value, weight));
            Some(())
        }
    }
}

/// Factor and offset of uniform affine maps in a row that end with `node`, and what they are applied to.
fn composed(graph: &Graph, node: &Node) -> Option<(f32, f32, ValueId)> {
    let (scale, offset) = as_op::<Affine>(node)?.uniform()?;
    let input = node.inputs[0];
    match graph.producer(input).and_then(|before| composed(graph, before)) {
        Some((inner, shift, base)) => Some((scale * inner, scale.mul_add(shift, offset), base)),
        None => Some((scale, offset, input)),
    }
}

fn is_negligible(clip: Clip) -> bool {
    clip.min <= NEGLIGIBLE && clip.max >= 1.0 - NEGLIGIBLE
}

pub(super) fn scaled(shape: Vec<usize>, scale: f32, offset: f32) -> Option<Affine> {
    let constants = vec![1; shape.len()];
    Affine::new(shape, constants, vec![scale], vec![offset]).ok()
}

/// Appends what replaces `node`; an op that changes nothing is left out.
pub(super) fn push(
    graph: &mut Graph,
    node: &Node,
    op: impl Into<Box<dyn Op>>,
    inputs: &[ValueId],
) -> Option<ValueId> {
    let op = op.into();
    let unchanged = (&*op as &dyn std::any::Any).downcast_ref::<Affine>().and_then(Affine::uniform);
    if unchanged == Some((1.0, 0.0)) {
        return inputs.first().copied();
    }
    graph.push(format!("{}.log", node.name), op, inputs).ok()
}
