//! How a model's own output decides the class, and where gradients live.
//!
//! What comes after the logits saturates: a softmax is 1 and its gradient 0 long before the class changes. So
//! what keeps the order of classes is taken off (`tail.rs`), and sums of probabilities are computed again on
//! their logarithms (`logarithm.rs`) or, if they are sigmoids, on their log-odds (`votes.rs`). What was taken off still has the last word (`own.rs`): where it makes two
//! logits equal, they are.

mod kind;
mod logarithm;
mod own;
mod tail;
mod votes;

pub use kind::OutputKind;

use kind::Ending;
pub(super) use own::OwnOutput;

use super::graph::{Graph, ValueId};
use super::ops::{
    Affine, Arithmetic, Attribute, Concat, Constant, Exp, LogSoftmax, OnnxNode, Op, Rearrange, Reshape,
    Sigmoid, Softmax, Tensor,
};
use logarithm::Logarithms;
use tail::{Tail, is};
use votes::Votes;

/// A graph that ends in one row of logits, and what its own output makes of them.
pub(super) struct Head {
    pub graph: Graph,
    pub own: Option<OwnOutput>,
    pub ending: Ending,
}

impl Head {
    /// Finds the logits behind the output of `graph`.
    ///
    /// # Errors
    ///
    /// If the output is not one row of values, or always the same.
    pub fn of(graph: Graph) -> Result<Self, String> {
        let shape = graph.shape(graph.output()).to_vec();
        let count = graph.features(graph.output());
        if !shape.contains(&count) {
            return Err(format!("a classifier has one row of outputs per image, found shape {shape:?}"));
        }
        if count == 1 { Self::of_one(graph) } else { Self::of_row(graph) }
    }

    fn of_row(mut graph: Graph) -> Result<Self, String> {
        let count = graph.features(graph.output());
        let tail = Tail::of(&graph);
        let (all, inner) = (tail.len(), tail.all_off());
        let mut logarithms = Logarithms::default();
        if let Some(votes) = Votes::of(&mut graph, inner) {
            let ending = Ending::voted(votes.members, &tail.words(&graph, all));
            let first = votes.sum(count)?;
            return Self::behind(graph, &tail, Cut { removed: all, logits: votes.log_odds, first }, ending);
        }
        if let Some(log) = logarithms.log_of(&mut graph, inner) {
            let ending = Ending::combined(logarithms.members(), &tail.words(&graph, all));
            let is_flat = logarithms.has_sigmoids() || own::is_lossy(&graph, &tail.removed(all));
            let first = if is_flat { vec![Exp.into()] } else { Vec::new() };
            return Self::behind(graph, &tail, Cut { removed: all, logits: log, first }, ending);
        }
        if let Some(logits) = logarithms.stabilised(&mut graph, inner) {
            let ending = Ending::combined(logarithms.members(), &tail.words(&graph, all));
            return Self::behind(graph, &tail, Cut { removed: all, logits, first: Vec::new() }, ending);
        }
        let removed = tail.needed();
        let ending = Ending::of(&tail.words(&graph, removed));
        let cut = Cut { removed, logits: tail.start(removed), first: Vec::new() };
        Self::behind(graph, &tail, cut, ending)
    }

    /// The graph to the logits of `cut`, followed by the movements among the nodes removed, as one row.
    fn behind(mut graph: Graph, tail: &Tail, cut: Cut, ending: Ending) -> Result<Self, String> {
        let mut value = cut.logits;
        for node in tail.movements(cut.removed) {
            let node = graph.nodes()[node].clone();
            value = graph.push(node.name, node.op, &[value])?;
        }
        let value = in_a_row(&mut graph, value)?;
        let classes = graph.features(value);
        let own = OwnOutput::of(&graph, &tail.removed(cut.removed), cut.first, classes)?;
        Ok(Self { graph: up_to(&graph, value)?, own, ending })
    }

    /// One number per image: a probability of class 1 or its logit.
    fn of_one(mut graph: Graph) -> Result<Self, String> {
        let tail = Tail::of(&graph);
        if let Some(of) = one_of_several(&graph, &tail) {
            return Err(format!(
                "its only output is one of {of} probabilities, which does not say what the others are; export the \
                 model with one output for each class"
            ));
        }
        let always = |node: &usize| is::<Softmax>(&graph.nodes()[*node]);
        if tail.removed(tail.len()).iter().any(always) {
            return Err("its only output is a softmax over a single value, which is always 1; export the \
                        model without that softmax, or with one output for each class"
                .into());
        }
        let sigmoid = (0..tail.len()).rev().find(|&i| is::<Sigmoid>(&graph.nodes()[tail.node(i)]));
        if let Some(at) = sigmoid {
            return Self::beside_zero(graph, tail.start(at + 1), Ending::one_probability());
        }
        for inner in (0..=tail.len()).map(|removed| tail.start(removed)) {
            let mut logarithms = Logarithms::default();
            let both = [logarithms.log_of_rest(&mut graph, inner), logarithms.log_of(&mut graph, inner)];
            if let [Some(no), Some(yes)] = both {
                let ending = Ending::one_combined(logarithms.members());
                let rows = [in_a_row(&mut graph, no)?, in_a_row(&mut graph, yes)?];
                let value = graph.push("head.both", Concat::new(&[&[1], &[1]], 0)?, &rows)?;
                return Ok(Self { graph: up_to(&graph, value)?, own: None, ending });
            }
        }
        if Logarithms::default().log_of(&mut graph, tail.all_off()).is_some() {
            return Err("its only output is a combination of probabilities whose largest value is not 1, so that \
                        nothing says from where on it means class 1; export the model with one output for each \
                        class, or with the mean of the probabilities"
                .into());
        }
        let output = tail.start(0);
        Self::beside_zero(graph, output, Ending::one_logit())
    }

    /// The graph to `logit`, of class 1, beside the 0 of class 0.
    fn beside_zero(mut graph: Graph, logit: ValueId, ending: Ending) -> Result<Self, String> {
        let logit = in_a_row(&mut graph, logit)?;
        let value = graph.push("head.two_classes", beside_zero()?, &[logit])?;
        Ok(Self { graph: up_to(&graph, value)?, own: None, ending })
    }
}

/// Of how many probabilities the only output is one that was picked out; `None` if it is not.
fn one_of_several(graph: &Graph, tail: &Tail) -> Option<usize> {
    let of = |&node: &usize| {
        let op = &graph.nodes()[node];
        let values = graph.features(ValueId(node + 1));
        let is_probability = is::<Softmax>(op) || is::<LogSoftmax>(op) || is::<Sigmoid>(op);
        (is_probability && values > 1).then_some(values)
    };
    tail.removed(tail.len()).iter().find_map(of)
}

/// Where the tail of a graph is taken off.
struct Cut {
    removed: usize,
    logits: ValueId,
    /// What the model's own output does to the logits before the nodes removed, if that may make them equal.
    first: Vec<Box<dyn Op>>,
}

/// (0, z) from z.
fn beside_zero() -> Result<Rearrange, String> {
    let constants = vec![
        ("pads", Constant::Integers(vec![0, 1, 0, 0])),
        ("value", Constant::Floats(Tensor { shape: Vec::new(), values: vec![0.0] })),
    ];
    let attributes: Vec<(&'static str, Attribute)> = Vec::new();
    let onnx = vec![OnnxNode { op_type: "Pad", attributes, constants }];
    Rearrange::new(&[1], &[2], |i| (i == 1).then_some(0), 0.0, onnx)
}

/// `value` as one row.
fn in_a_row(graph: &mut Graph, value: ValueId) -> Result<ValueId, String> {
    let (shape, count) = (graph.shape(value).to_vec(), graph.features(value));
    if shape.last() == Some(&count) {
        return Ok(value);
    }
    graph.push("head.row", Reshape::between(&shape, vec![count])?, &[value])
}

fn up_to(graph: &Graph, value: ValueId) -> Result<Graph, String> {
    graph.pruned(value).ok_or_else(|| "its output does not depend on its input".into())
}

/// An op of the same kind for a row of `classes`; `None` if it needs more than the row.
fn for_a_row(op: &dyn Op, classes: usize) -> Option<Box<dyn Op>> {
    let any: &dyn std::any::Any = op;
    if any.is::<Softmax>() {
        return Some(Softmax::new(classes, 0).into());
    }
    if any.is::<LogSoftmax>() {
        return Some(LogSoftmax::new(classes, 0).into());
    }
    if let Some(affine) = any.downcast_ref::<Affine>() {
        let (scale, offset) = affine.uniform()?;
        return Affine::new(vec![classes], vec![1], vec![scale], vec![offset]).ok().map(Into::into);
    }
    (!any.is::<Arithmetic>()).then(|| op.clone_box())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_of_several_probabilities_is_refused() {
        let mut graph = Graph::new(vec![4]);
        graph.then("p", Softmax::new(4, 0)).expect("fits");
        let first = Rearrange::new(&[4], &[1], |_| Some(0), 0.0, Vec::new()).expect("fits");
        graph.then("first", first).expect("fits");
        let problem = Head::of(graph).err().expect("refused");
        assert!(problem.contains("one of 4 probabilities"), "{problem}");
    }
}
