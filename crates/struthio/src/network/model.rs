//! A graph that classifies images.

use sha2::{Digest, Sha256};

use super::classifier::{Classifier, InputSpec, Session};
use super::graph::{Graph, Node, ValueId};
use super::ops::{Affine, Constant, Op};
use super::plan::{Plan, Wanted};
use crate::error::{Error, Result};

/// What a model's own output is, which decides what is attacked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OutputKind {
    /// The model ends in logits.
    Logits,
    /// The model ends in a softmax, which was taken off.
    Probabilities,
    /// The model ends in a log-softmax, which was taken off.
    LogProbabilities,
}

/// A classifier given by a graph whose output is one row of logits per image.
#[derive(Debug, Clone)]
pub struct Network {
    graph: Graph,
    input: InputSpec,
    output_kind: OutputKind,
    notes: Vec<String>,
}

impl Network {
    /// Takes a graph as a classifier of images with pixels in \[0, 1\].
    ///
    /// A final softmax or log-softmax is taken off: both keep the order of the logits, but
    /// probabilities saturate and their gradients vanish.
    ///
    /// # Errors
    ///
    /// If the output is not one row of at least two values, or a weight is not finite.
    pub fn new(origin: &str, mut graph: Graph) -> Result<Self> {
        let mut output_kind = OutputKind::Logits;
        loop {
            // Both keep the order of classes, so a softmax over a log-softmax goes too. A final
            // reshape changes no value; it goes with the softmax before it.
            let nodes = graph.nodes();
            let views = nodes.iter().rev().take_while(|node| node.op.is_view()).count();
            let Some(at) = nodes.len().checked_sub(views + 1) else { break };
            let kind = match nodes[at].op.kind() {
                "Softmax" => OutputKind::Probabilities,
                "LogSoftmax" => OutputKind::LogProbabilities,
                _ => break,
            };
            let in_a_row = (at..nodes.len()).all(|i| nodes[i].inputs == [ValueId(i)]);
            let over_all = graph.shape(ValueId(at + 1)).last() == Some(&graph.features(ValueId(at + 1)));
            if !(in_a_row && over_all) {
                break;
            }
            if output_kind == OutputKind::Logits {
                output_kind = kind;
            }
            graph.truncate(at);
        }
        let mut problems = Vec::new();
        let shape = graph.shape(graph.output());
        if shape.iter().product::<usize>() < 2 {
            problems
                .push(format!("a classifier needs at least two outputs per image, found shape {shape:?}"));
        } else if shape.last() != Some(&shape.iter().product()) {
            problems.push(format!("a classifier has one row of outputs per image, found shape {shape:?}"));
        }
        problems.extend(graph.nodes().iter().filter_map(non_finite_constant));
        if !problems.is_empty() {
            return Err(Error::Model { origin: origin.into(), problems });
        }
        let input = InputSpec::unit_box(graph.shape(ValueId::INPUT).to_vec());
        Ok(Self { graph, input, output_kind, notes: Vec::new() })
    }

    /// The graph from pixels to logits.
    #[must_use]
    pub fn graph(&self) -> &Graph {
        &self.graph
    }

    /// The graph, for training.
    pub(crate) fn graph_mut(&mut self) -> &mut Graph {
        &mut self.graph
    }

    /// What a user has to know about how the model was read.
    #[must_use]
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// The same network with more to know about it.
    #[must_use]
    pub(crate) fn with_notes(mut self, notes: impl IntoIterator<Item = String>) -> Self {
        self.notes.extend(notes);
        self
    }

    /// What the model's own output was.
    #[must_use]
    pub fn output_kind(&self) -> OutputKind {
        self.output_kind
    }

    /// The same classifier for images in \[0, 1\] where the original wants (x − mean) / std with
    /// one mean and one standard deviation per channel.
    pub fn normalized(self, origin: &str, mean: &[f32], std: &[f32]) -> Result<Self> {
        let shape = self.input.shape.clone();
        let affine = Affine::normalize(&shape, mean, std).map_err(|problem| Error::model(origin, problem))?;
        let mut graph = Graph::new(shape);
        let push = |graph: &mut Graph, name: &str, op: Box<dyn Op>, inputs: &[ValueId]| {
            graph.push(name, op, inputs).map_err(|problem| Error::model(origin, problem))
        };
        push(&mut graph, "normalize", affine.into(), &[ValueId::INPUT])?;
        for node in self.graph.nodes() {
            let inputs: Vec<ValueId> = node.inputs.iter().map(|value| ValueId(value.0 + 1)).collect();
            push(&mut graph, &node.name, node.op.clone(), &inputs)?;
        }
        Ok(Self { graph, ..self })
    }

    /// Floating-point operations in matrix products of a forward pass, per image.
    #[must_use]
    pub fn flops(&self) -> u64 {
        self.graph.nodes().iter().map(|node| node.op.flops()).sum()
    }

    /// Bytes that a session holds for each image of a batch: all values, and the gradients with respect
    /// to them.
    #[must_use]
    pub fn bytes_per_image(&self) -> usize {
        let values = (0..=self.graph.nodes().len()).map(|value| self.graph.features(ValueId(value)));
        2 * size_of::<f32>() * values.sum::<usize>()
    }

    /// Number of trainable numbers.
    #[must_use]
    pub fn parameter_count(&self) -> usize {
        self.graph.parameters().map(|tensor| tensor.values.len()).sum()
    }

    /// SHA-256 over the structure and every constant: two networks with the same fingerprint
    /// compute the same function.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        let mut hash = Sha256::new();
        hash.update(format!("{:?}", self.input.shape));
        for node in self.graph.nodes() {
            hash.update(format!("{:?}", node.inputs));
            for part in node.op.to_onnx() {
                hash.update(format!("{} {:?}", part.op_type, part.attributes));
                for (name, constant) in part.constants {
                    match constant {
                        Constant::Integers(values) => hash.update(format!("{name} {values:?}")),
                        Constant::Indices { shape, values } => {
                            hash.update(format!("{name} {shape:?} {values:?}"));
                        }
                        Constant::Floats(tensor) => {
                            hash.update(format!("{name} {:?}", tensor.shape));
                            tensor.values.iter().for_each(|value| hash.update(value.to_le_bytes()));
                        }
                    }
                }
            }
        }
        crate::hex(&hash.finalize())
    }
}

/// Complains about the first constant of `node` that is infinite or not a number.
fn non_finite_constant(node: &Node) -> Option<String> {
    node.op.to_onnx().into_iter().flat_map(|part| part.constants).find_map(|(name, constant)| {
        let Constant::Floats(tensor) = constant else { return None };
        let (at, value) = tensor.values.iter().enumerate().find(|(_, value)| !value.is_finite())?;
        Some(format!(
            "{} '{}': its {name} of shape {:?} has the value {value} at element {at}; every weight must be finite",
            node.op.kind(),
            node.name,
            tensor.shape
        ))
    })
}

impl Classifier for Network {
    fn input(&self) -> &InputSpec {
        &self.input
    }

    fn classes(&self) -> usize {
        self.graph.features(self.graph.output())
    }

    fn session(&self) -> Box<dyn Session + '_> {
        Box::new(NetworkSession { graph: &self.graph, plan: Plan::new(&self.graph, Wanted::InputGradient) })
    }
}

struct NetworkSession<'a> {
    graph: &'a Graph,
    plan: Plan,
}

impl Session for NetworkSession<'_> {
    fn inputs(&mut self, rows: usize) -> &mut [f32] {
        self.plan.inputs(rows)
    }

    fn forward(&mut self) -> Result<&[f32]> {
        Ok(self.plan.forward(self.graph))
    }

    fn backward(&mut self, seeds: &[f32]) -> Result<&[f32]> {
        Ok(self.plan.backward(self.graph, seeds, None))
    }

    fn tangent(&mut self, tangents: &[f32]) -> Result<&[f32]> {
        Ok(self.plan.tangent(self.graph, tangents))
    }
}
