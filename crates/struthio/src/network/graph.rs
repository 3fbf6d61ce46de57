//! A network as a list of nodes in topological order.

use super::ops::Op;

/// Most elements of a value, for one image: a small file must not make us hold very many.
const MAX_FEATURES: usize = 1 << 26;

/// A value of the graph: 0 is the input, i + 1 the output of node i.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ValueId(pub usize);

impl ValueId {
    /// The graph's input.
    pub const INPUT: Self = Self(0);
}

/// One op applied to earlier values.
#[derive(Debug, Clone)]
pub struct Node {
    /// Name in the file it came from, or one given when it was built.
    pub name: String,
    /// What it computes.
    pub op: Box<dyn Op>,
    /// Which values it reads, all of them earlier.
    pub inputs: Vec<ValueId>,
}

/// Nodes in topological order, the last of which produces the logits. Shapes exclude the batch.
#[derive(Debug, Clone)]
pub struct Graph {
    nodes: Vec<Node>,
    shapes: Vec<Vec<usize>>,
}

impl Graph {
    /// A graph whose output is its input.
    #[must_use]
    pub fn new(input_shape: Vec<usize>) -> Self {
        Self { nodes: Vec::new(), shapes: vec![input_shape] }
    }

    /// Appends a node and returns the value it produces.
    ///
    /// # Errors
    ///
    /// If the op refuses the shapes of its inputs; the message names the node and the shapes.
    pub fn push(
        &mut self,
        name: impl Into<String>,
        op: impl Into<Box<dyn Op>>,
        inputs: &[ValueId],
    ) -> Result<ValueId, String> {
        let (name, op) = (name.into(), op.into());
        if let Some(later) = inputs.iter().find(|value| value.0 >= self.shapes.len()) {
            return Err(format!("{} '{name}' reads value {}, which does not exist yet", op.kind(), later.0));
        }
        let shapes: Vec<&[usize]> = inputs.iter().map(|&value| self.shape(value)).collect();
        let shape = op
            .output_shape(&shapes)
            .map_err(|problem| format!("{} '{name}' with inputs {shapes:?}: {problem}", op.kind()))?;
        if shape.contains(&0) {
            return Err(format!("{} '{name}' gives {shape:?}, no value for an image", op.kind()));
        }
        let features = crate::element_count(&shape);
        if features == Some(0) {
            return Err(format!("{} '{name}' gives {shape:?}, which has no values", op.kind()));
        }
        if features.is_none_or(|features| features > MAX_FEATURES) {
            return Err(format!(
                "{} '{name}' gives {shape:?}, more than {MAX_FEATURES} values for one image",
                op.kind()
            ));
        }
        self.nodes.push(Node { name, op, inputs: inputs.to_vec() });
        self.shapes.push(shape);
        Ok(self.output())
    }

    /// Appends a node that reads the value produced last.
    pub fn then(&mut self, name: impl Into<String>, op: impl Into<Box<dyn Op>>) -> Result<ValueId, String> {
        self.push(name, op, &[self.output()])
    }

    /// The value produced by the last node, or the input.
    #[must_use]
    pub fn output(&self) -> ValueId {
        ValueId(self.nodes.len())
    }

    /// Shape of a value, without the batch.
    #[must_use]
    pub fn shape(&self, value: ValueId) -> &[usize] {
        &self.shapes[value.0]
    }

    /// Number of elements of a value for one image.
    #[must_use]
    pub fn features(&self, value: ValueId) -> usize {
        self.shape(value).iter().product()
    }

    /// The nodes, in an order in which they can be computed.
    #[must_use]
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// The op that produces `value`, unless that is the input.
    #[must_use]
    pub fn producer(&self, value: ValueId) -> Option<&Node> {
        value.0.checked_sub(1).map(|node| &self.nodes[node])
    }

    /// The trainable tensors, node by node.
    pub fn parameters_mut(&mut self) -> impl Iterator<Item = &mut super::ops::Tensor> {
        self.nodes.iter_mut().flat_map(|node| node.op.parameters_mut())
    }

    /// The trainable tensors, node by node.
    pub fn parameters(&self) -> impl Iterator<Item = &super::ops::Tensor> {
        self.nodes.iter().flat_map(|node| node.op.parameters())
    }

    /// Keeps the first `nodes` nodes.
    pub(crate) fn truncate(&mut self, nodes: usize) {
        self.nodes.truncate(nodes);
        self.shapes.truncate(nodes + 1);
    }

    /// The graph that computes `output` and nothing else; `None` if that does not depend on the
    /// input.
    pub(crate) fn pruned(&self, output: ValueId) -> Option<Self> {
        let mut wanted = vec![false; output.0 + 1];
        wanted[output.0] = true;
        for node in (0..output.0).rev() {
            if wanted[node + 1] {
                self.nodes[node].inputs.iter().for_each(|input| wanted[input.0] = true);
            }
        }
        let mut kept = Self::new(self.shapes[0].clone());
        let mut new_id = vec![ValueId::INPUT; output.0 + 1];
        for (node, _) in wanted[1..].iter().enumerate().filter(|(_, wanted)| **wanted) {
            let Node { name, op, inputs } = &self.nodes[node];
            kept.nodes.push(Node {
                name: name.clone(),
                op: op.clone(),
                inputs: inputs.iter().map(|input| new_id[input.0]).collect(),
            });
            kept.shapes.push(self.shapes[node + 1].clone());
            new_id[node + 1] = kept.output();
        }
        wanted[0].then_some(kept)
    }
}
