//! Planned execution: which buffer holds what, what runs in place, and which gradients are dead.
//!
//! A plan belongs to one thread. It is made once per graph, walks a batch in blocks of rows whose
//! working set stays in the cache, and allocates buffers only when a batch is larger than any before.

use std::ops::Range;

use super::graph::{Graph, Node, ValueId};
use super::layout;
use super::ops::{Tangents, Trace};

/// Working set of one block of rows, in bytes: large, since weights are read once for every block; but
/// what a layer writes should still be in the cache when the next one reads it.
const BLOCK_BYTES: usize = 1 << 22;
/// Most rows of a block.
const BLOCK_ROWS: usize = 512;

/// Which gradients a plan computes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wanted {
    /// With respect to the input: attacks.
    InputGradient,
    /// With respect to the parameters: training.
    ParameterGradients,
    /// With respect to both: training a part of a network that reads another part's output.
    AllGradients,
}

/// Gradients with respect to every trainable tensor, in the order of [`Graph::parameters`].
#[derive(Debug, Clone)]
pub struct ParameterGradients {
    /// One vector per tensor.
    pub tensors: Vec<Vec<f32>>,
}

impl ParameterGradients {
    /// Zeros for the parameters of `graph`.
    #[must_use]
    pub fn zeros(graph: &Graph) -> Self {
        Self { tensors: graph.parameters().map(|tensor| vec![0.0; tensor.values.len()]).collect() }
    }

    /// Sets everything to zero.
    pub fn clear(&mut self) {
        self.tensors.iter_mut().for_each(|tensor| tensor.fill(0.0));
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Execution {
    /// The op writes a buffer of its own.
    Separate,
    /// The op overwrites its input.
    InPlace,
    /// Input and output are the same bytes.
    View,
}

#[derive(Debug)]
struct Step {
    execution: Execution,
    /// Index of the first of the node's parameters among all.
    first_parameter: usize,
}

/// Buffers and decisions for executing one graph.
#[derive(Debug)]
pub struct Plan {
    wanted: Wanted,
    steps: Vec<Step>,
    /// For each value, the value whose buffer holds it.
    storage: Vec<usize>,
    features: Vec<usize>,
    needs_gradient: Vec<bool>,
    values: Vec<Vec<f32>>,
    gradients: Vec<Vec<f32>>,
    scratch: Vec<f32>,
    /// The images and the gradients with respect to them in row-major order, where that is not how the
    /// graph's input is stored.
    images: Vec<f32>,
    image_gradients: Vec<f32>,
    input_shape: Vec<usize>,
    sections: Vec<Section>,
    rows: usize,
}

/// Nodes in a row that take a batch in the same blocks of rows.
#[derive(Debug, Clone)]
struct Section {
    nodes: Range<usize>,
    block_rows: usize,
}

impl Plan {
    /// Plans the execution of `graph`.
    #[must_use]
    pub fn new(graph: &Graph, wanted: Wanted) -> Self {
        Self::keeping(graph, wanted, &[])
    }

    /// Like [`new`](Self::new), and no op overwrites the values `kept`, which [`value`](Self::value) gives.
    #[must_use]
    pub fn keeping(graph: &Graph, wanted: Wanted, kept: &[ValueId]) -> Self {
        let value_count = graph.nodes().len() + 1;
        let features: Vec<usize> = (0..value_count).map(|v| graph.features(ValueId(v))).collect();
        let mut readers = vec![0; value_count];
        for input in graph.nodes().iter().flat_map(|node| &node.inputs) {
            readers[input.0] += 1;
        }
        // Whoever asks for a value reads it after all others have.
        kept.iter().for_each(|value| readers[value.0] += 2);
        let mut storage: Vec<usize> = (0..value_count).collect();
        let mut needs_gradient = vec![wanted != Wanted::ParameterGradients];
        let mut steps = Vec::with_capacity(graph.nodes().len());
        let mut first_parameter = 0;
        for (index, node) in graph.nodes().iter().enumerate() {
            let parameters = node.op.parameters().len();
            let trainable = wanted != Wanted::InputGradient && parameters > 0;
            needs_gradient.push(trainable || node.inputs.iter().any(|input| needs_gradient[input.0]));
            let execution = execution(graph, node, &readers);
            if execution != Execution::Separate {
                storage[index + 1] = storage[node.inputs[0].0];
            }
            steps.push(Step { execution, first_parameter });
            first_parameter += parameters;
        }
        let input_shape = graph.shape(ValueId::INPUT).to_vec();
        let sections = sections(graph, &features);
        Self {
            wanted,
            steps,
            storage,
            features,
            needs_gradient,
            values: vec![Vec::new(); value_count],
            gradients: vec![Vec::new(); value_count],
            scratch: Vec::new(),
            images: Vec::new(),
            image_gradients: Vec::new(),
            input_shape,
            sections,
            rows: 0,
        }
    }

    /// Starts a round of `rows` and returns the input buffer to fill.
    pub fn inputs(&mut self, rows: usize) -> &mut [f32] {
        self.rows = rows;
        for value in 0..self.values.len() {
            let length = rows * self.features[value];
            if self.storage[value] == value && self.values[value].len() < length {
                self.values[value].resize(length, 0.0);
            }
        }
        let length = rows * self.features[0];
        if layout::is_row_major(&self.input_shape) {
            return &mut self.values[0][..length];
        }
        if self.images.len() < length {
            self.images.resize(length, 0.0);
        }
        &mut self.images[..length]
    }

    /// Computes the output of the round, `rows × features of the output`.
    pub fn forward(&mut self, graph: &Graph) -> &[f32] {
        if !layout::is_row_major(&self.input_shape) {
            let images = self.images.chunks_exact(self.features[0]).take(self.rows);
            for (image, stored) in images.zip(self.values[0].chunks_exact_mut(self.features[0])) {
                layout::to_stored(&self.input_shape, image, stored);
            }
        }
        for section in 0..self.sections.len() {
            let Section { nodes, block_rows } = self.sections[section].clone();
            for (from, to) in blocks(self.rows, block_rows) {
                for index in nodes.clone() {
                    self.forward_node(&graph.nodes()[index], index, from, to);
                }
            }
        }
        let output = graph.output().0;
        &self.values[self.storage[output]][..self.rows * self.features[output]]
    }

    /// After a forward pass, a value that was to be kept: `rows × its features`, those of channels × height ×
    /// width channels-last.
    #[must_use]
    pub fn value(&self, value: ValueId) -> &[f32] {
        &self.values[self.storage[value.0]][..self.rows * self.features[value.0]]
    }

    fn forward_node(&mut self, node: &Node, index: usize, from: usize, to: usize) {
        let output = index + 1;
        let stored = self.storage[output];
        let span = from * self.features[output]..to * self.features[output];
        match (self.steps[index].execution, node.op.in_place()) {
            (Execution::View, _) => {}
            (Execution::InPlace, Some(op)) => {
                op.forward_in_place(to - from, &mut self.values[stored][span]);
            }
            _ => {
                let mut buffer = std::mem::take(&mut self.values[stored]);
                let inputs = self.block_of_inputs(&self.values, node, from, to);
                node.op.forward(to - from, &inputs, &mut buffer[span]);
                self.values[stored] = buffer;
            }
        }
    }

    /// What `buffers` have of a node's inputs: values, or their gradients or tangents.
    fn block_of_inputs<'a>(
        &self,
        buffers: &'a [Vec<f32>],
        node: &Node,
        from: usize,
        to: usize,
    ) -> Vec<&'a [f32]> {
        let block = |value: &ValueId| {
            let features = self.features[value.0];
            &buffers[self.storage[value.0]][from * features..to * features]
        };
        node.inputs.iter().map(block).collect()
    }

    /// The derivatives of the output along `tangents`, one direction of the input for each of the first
    /// rows of the round (the Jacobian–vector products): `rows × features of the output`.
    ///
    /// Only for plans that compute the gradient with respect to the input.
    pub fn tangent(&mut self, graph: &Graph, tangents: &[f32]) -> &[f32] {
        let rows = tangents.len() / self.features[0].max(1);
        self.reserve_gradients(rows);
        for (image, stored) in
            tangents.chunks_exact(self.features[0]).zip(self.gradients[0].chunks_exact_mut(self.features[0]))
        {
            layout::to_stored(&self.input_shape, image, stored);
        }
        for section in 0..self.sections.len() {
            let Section { nodes, block_rows } = self.sections[section].clone();
            for (from, to) in blocks(rows, block_rows) {
                for index in nodes.clone() {
                    self.tangent_node(&graph.nodes()[index], index, from, to);
                }
            }
        }
        let output = graph.output().0;
        &self.gradients[self.storage[output]][..rows * self.features[output]]
    }

    fn tangent_node(&mut self, node: &Node, index: usize, from: usize, to: usize) {
        let output = index + 1;
        let stored = self.storage[output];
        let span = from * self.features[output]..to * self.features[output];
        match (self.steps[index].execution, node.op.in_place()) {
            (Execution::View, _) => {}
            (Execution::InPlace, Some(op)) => {
                let tangent = &mut self.gradients[stored][span.clone()];
                op.backward_in_place(to - from, &self.values[stored][span], tangent);
            }
            _ => {
                let mut buffer = std::mem::take(&mut self.gradients[stored]);
                let along = Tangents {
                    rows: to - from,
                    inputs: &self.block_of_inputs(&self.values, node, from, to),
                    output: &self.values[stored][span.clone()],
                    tangents: &self.block_of_inputs(&self.gradients, node, from, to),
                };
                node.op.tangent(along, &mut buffer[span]);
                self.gradients[stored] = buffer;
            }
        }
    }

    fn reserve_gradients(&mut self, rows: usize) {
        for value in 0..self.values.len() {
            let length = rows * self.features[value];
            if self.storage[value] == value
                && self.needs_gradient[value]
                && self.gradients[value].len() < length
            {
                self.gradients[value].resize(length, 0.0);
            }
        }
    }

    /// The gradient of Σ ⟨seed, output⟩ over the first rows of the round, as many as `seeds` has.
    ///
    /// Returns the gradient with respect to the input unless only
    /// [`Wanted::ParameterGradients`] are, and adds the gradients with respect to the parameters to
    /// `parameters` unless only [`Wanted::InputGradient`] is.
    pub fn backward(
        &mut self,
        graph: &Graph,
        seeds: &[f32],
        mut parameters: Option<&mut ParameterGradients>,
    ) -> &[f32] {
        let output = graph.output().0;
        let rows = seeds.len() / self.features[output].max(1);
        self.reserve_gradients(rows);
        if let Some(gradient) = self.gradients[self.storage[output]].get_mut(..seeds.len()) {
            gradient.copy_from_slice(seeds);
        }
        let mut written = vec![false; self.values.len()];
        written[self.storage[output]] = true;
        for section in (0..self.sections.len()).rev() {
            let Section { nodes, block_rows } = self.sections[section].clone();
            let before = written.clone();
            for (from, to) in blocks(rows, block_rows) {
                written.clone_from(&before);
                for index in nodes.clone().rev() {
                    if self.needs_gradient[index + 1] {
                        let node = &graph.nodes()[index];
                        self.backward_node(node, index, (from, to), &mut written, parameters.as_deref_mut());
                    }
                }
            }
        }
        if self.wanted == Wanted::ParameterGradients {
            return &[];
        }
        let length = rows * self.features[0];
        if layout::is_row_major(&self.input_shape) {
            return &self.gradients[0][..length];
        }
        if self.image_gradients.len() < length {
            self.image_gradients.resize(length, 0.0);
        }
        let stored = self.gradients[0][..length].chunks_exact(self.features[0]);
        for (stored, image) in stored.zip(self.image_gradients.chunks_exact_mut(self.features[0])) {
            layout::to_row_major(&self.input_shape, stored, image);
        }
        &self.image_gradients[..length]
    }

    fn backward_node(
        &mut self,
        node: &Node,
        index: usize,
        (from, to): (usize, usize),
        written: &mut [bool],
        parameters: Option<&mut ParameterGradients>,
    ) {
        let output = index + 1;
        let stored = self.storage[output];
        let span = from * self.features[output]..to * self.features[output];
        match (self.steps[index].execution, node.op.in_place()) {
            (Execution::View, _) => return,
            (Execution::InPlace, Some(op)) => {
                let gradient = &mut self.gradients[stored][span.clone()];
                return op.backward_in_place(to - from, &self.values[stored][span], gradient);
            }
            _ => {}
        }
        let mut scratch = std::mem::take(&mut self.scratch);
        let output_gradient = std::mem::take(&mut self.gradients[stored]);
        for (position, input) in node.inputs.iter().enumerate() {
            if !self.needs_gradient[input.0] {
                continue;
            }
            let target = self.storage[input.0];
            let into = from * self.features[input.0]..to * self.features[input.0];
            let mut gradient = std::mem::take(&mut self.gradients[target]);
            let inputs = self.block_of_inputs(&self.values, node, from, to);
            let trace = Trace {
                rows: to - from,
                inputs: &inputs,
                output: &self.values[stored][span.clone()],
                output_gradient: &output_gradient[span.clone()],
            };
            if written[target] {
                scratch.resize(into.len(), 0.0);
                node.op.backward(trace, position, &mut scratch);
                for (sum, g) in gradient[into].iter_mut().zip(&scratch) {
                    *sum += g;
                }
            } else {
                node.op.backward(trace, position, &mut gradient[into]);
            }
            written[target] = true;
            self.gradients[target] = gradient;
        }
        if let (true, Some(parameters)) = (self.wanted != Wanted::InputGradient, parameters) {
            let first = self.steps[index].first_parameter;
            let count = node.op.parameters().len();
            let inputs = self.block_of_inputs(&self.values, node, from, to);
            let trace = Trace {
                rows: to - from,
                inputs: &inputs,
                output: &self.values[stored][span.clone()],
                output_gradient: &output_gradient[span],
            };
            node.op.parameter_gradients(trace, &mut parameters.tensors[first..first + count]);
        }
        self.gradients[stored] = output_gradient;
        self.scratch = scratch;
    }
}

/// How `node` can run: in place only where nobody else needs what it overwrites.
fn execution(graph: &Graph, node: &Node, readers: &[usize]) -> Execution {
    let [mut source] = node.inputs[..] else { return Execution::Separate };
    if node.op.is_view() {
        return Execution::View;
    }
    let overwritable = loop {
        // The graph's input has no producer and is kept for the caller.
        let Some(producer) = graph.producer(source).filter(|_| readers[source.0] == 1) else { break false };
        if !producer.op.is_view() {
            break !producer.op.backward_reads_output();
        }
        source = producer.inputs[0];
    };
    if overwritable && node.op.in_place().is_some() { Execution::InPlace } else { Execution::Separate }
}

/// Cuts the graph where values become so much smaller or larger that blocks of other sizes suit them.
fn sections(graph: &Graph, features: &[usize]) -> Vec<Section> {
    let rows_of = |index: usize| {
        let read: usize = graph.nodes()[index].inputs.iter().map(|input| features[input.0]).sum();
        let rows = BLOCK_BYTES / (4 * (read + features[index + 1])).max(1);
        rows.clamp(1, BLOCK_ROWS)
    };
    let mut sections: Vec<Section> = Vec::new();
    for index in 0..graph.nodes().len() {
        let rows = rows_of(index);
        match sections.last_mut() {
            Some(section) if rows < 2 * section.block_rows && section.block_rows < 2 * rows => {
                section.nodes.end = index + 1;
                section.block_rows = section.block_rows.min(rows);
            }
            _ => sections.push(Section { nodes: index..index + 1, block_rows: rows }),
        }
    }
    sections
}

fn blocks(rows: usize, block: usize) -> impl Iterator<Item = (usize, usize)> {
    (0..rows).step_by(block.max(1)).map(move |from| (from, (from + block).min(rows)))
}
