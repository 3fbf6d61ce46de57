//! A network as a list of nodes in topological order.

use super::ops::Op;

/// A value of the graph: 0 is the input, i + 1 the output of node i.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
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
        let shapes: Vec<&[usize]> = inputs.iter().map(|&value| self.shape(value)).collect();
        let shape = op
            .output_shape(&shapes)
            .map_err(|problem| format!("{} '{name}' with inputs {shapes:?}: {problem}", op.kind()))?;
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

    /// Removes the last node, leaving the value it read as the output, if that is a single value
    /// produced just before it.
    pub(crate) fn pop(&mut self) {
        self.nodes.pop();
        self.shapes.pop();
    }
}
