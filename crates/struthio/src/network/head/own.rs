use crate::network::argmax;
use crate::network::graph::{Graph, Node};
use crate::network::ops::{Affine, Arithmetic, LogSoftmax, Op, Softmax};

use super::for_a_row;
use super::tail::{as_op, is};

/// Outputs that differ by less than this share of the largest are in no order: the last few bits of a sigmoid or a
/// softmax depend on the runtime.
const SURE: f32 = 4e-7;

/// What a model's own output makes of its logits.
#[derive(Debug, Clone)]
pub(in crate::network) struct OwnOutput {
    /// Functions of one row, one after the other.
    ops: Vec<Box<dyn Op>>,
}

impl OwnOutput {
    /// `first` and then the nodes `removed` of `graph`, for rows of `classes`; `None` where they cannot make
    /// different logits equal.
    pub fn of(
        graph: &Graph,
        removed: &[usize],
        first: Vec<Box<dyn Op>>,
        classes: usize,
    ) -> Result<Option<Self>, String> {
        if first.is_empty() && !is_lossy(graph, removed) {
            return Ok(None);
        }
        let nodes = removed.iter().map(|&node| &graph.nodes()[node]);
        let ops: Vec<_> =
            first.into_iter().chain(nodes.filter_map(|node| for_a_row(&*node.op, classes))).collect();
        for op in &ops {
            op.output_shape(&[&[classes]])?;
        }
        Ok(Some(Self { ops }))
    }

    /// The class of these logits: the largest of the model's own outputs, the first of equals.
    pub fn class_of(&self, logits: &[f32]) -> Option<usize> {
        argmax(&self.of_logits(logits))
    }

    /// The same if the other outputs, or that of the class that was `left` alone, are so far behind that no other
    /// runtime's rounding could put one first.
    pub fn sure_class_of(&self, logits: &[f32], left: Option<usize>) -> Option<usize> {
        let outputs = self.of_logits(logits);
        let class = argmax(&outputs)?;
        let finite = outputs.iter().filter(|value| value.is_finite());
        let largest = finite.fold(0.0_f32, |largest, value| largest.max(value.abs()));
        let is_ahead = |other: usize| other == class || outputs[class] - outputs[other] > SURE * largest;
        let is_sure = match left {
            Some(left) => left != class && is_ahead(left),
            None => (0..outputs.len()).all(is_ahead),
        };
        is_sure.then_some(class)
    }

    fn of_logits(&self, logits: &[f32]) -> Vec<f32> {
        let mut row = logits.to_vec();
        let mut next = row.clone();
        for op in &self.ops {
            op.forward(1, &[&row], &mut next);
            std::mem::swap(&mut row, &mut next);
        }
        row
    }

    pub fn ops(&self) -> impl Iterator<Item = &dyn Op> {
        self.ops.iter().map(|op| &**op)
    }
}

/// Whether the nodes `removed` may make different logits equal.
pub(super) fn is_lossy(graph: &Graph, removed: &[usize]) -> bool {
    !removed.iter().all(|&node| tells_apart(&graph.nodes()[node]))
}

/// Whether the op gives different values to logits that differ by more than rounding.
fn tells_apart(node: &Node) -> bool {
    let scales = as_op::<Affine>(node).and_then(Affine::uniform).is_some_and(|(_, offset)| offset == 0.0);
    is::<Softmax>(node) || is::<LogSoftmax>(node) || scales || is::<Arithmetic>(node)
}
