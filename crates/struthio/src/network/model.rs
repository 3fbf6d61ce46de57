//! A graph that classifies images.

use sha2::{Digest, Sha256};

use super::classifier::{Classifier, InputSpec, Session, argmax};
use super::graph::{Graph, Node, ValueId};
use super::head::{Head, OutputKind, OwnOutput};
use super::onnx::ModelOutput;
use super::ops::{Affine, Constant, Op, Reshape, Resize, Sampling};
use super::plan::{Plan, Wanted};
use super::steepness::unit_steepness;
use crate::error::{Error, Result};

/// A classifier given by a graph whose output is one row of logits per image.
#[derive(Debug, Clone)]
pub struct Network {
    graph: Graph,
    input: InputSpec,
    output_kind: OutputKind,
    notes: Vec<String>,
    outputs: Vec<ModelOutput>,
    /// What the model's own output makes of the logits, where it may make them equal.
    own: Option<OwnOutput>,
}

impl Network {
    /// Takes a graph as a classifier of images with pixels in \[0, 1\].
    ///
    /// What keeps the order of classes is taken off the end, such as a softmax, a sigmoid for each class or a
    /// clip: probabilities saturate and their gradients vanish. Averages of probabilities become averages on
    /// their logarithms, and a single output becomes the second of two. [`output_kind`](Self::output_kind) and
    /// [`notes`](Self::notes) tell.
    ///
    /// # Errors
    ///
    /// If the output is not one row of values, or a weight is not finite.
    pub fn new(origin: &str, graph: Graph) -> Result<Self> {
        let Head { graph, own, ending } = Head::of(graph).map_err(|problem| Error::model(origin, problem))?;
        let mut problems = Vec::new();
        problems.extend(graph.nodes().iter().filter_map(non_finite_constant));
        if !problems.is_empty() {
            return Err(Error::Model { origin: origin.into(), problems });
        }
        let input = InputSpec::unit_box(graph.shape(ValueId::INPUT).to_vec());
        let notes = ending.note.into_iter().collect();
        Ok(Self { graph, input, output_kind: ending.kind, notes, outputs: Vec::new(), own })
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

    /// All outputs of the file that the model comes from, in its order; none if it comes from no file.
    #[must_use]
    pub fn outputs(&self) -> &[ModelOutput] {
        &self.outputs
    }

    /// The same network, one of whose `outputs` was taken, because it was `asked_for` or looks like class scores.
    #[must_use]
    pub(super) fn with_outputs(mut self, outputs: Vec<ModelOutput>, asked_for: bool) -> Self {
        let in_words = |output: &ModelOutput| format!("'{}' ({})", output.name, output.shape);
        let (taken, others): (Vec<_>, Vec<_>) = outputs.iter().partition(|output| output.taken);
        let note = taken.first().filter(|_| !others.is_empty() && !asked_for).map(|taken| {
            format!(
                "of the {} outputs of the model, {} is taken for class scores; --output NAME takes another: {}",
                outputs.len(),
                in_words(taken),
                others.iter().map(|output| in_words(output)).collect::<Vec<_>>().join(", ")
            )
        });
        self.outputs = outputs;
        self.with_notes(note)
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
        self.after(origin, shape, vec![("normalize", affine.into())])
    }

    /// The same classifier for images of shape `from`, which are scaled to the size that the original wants:
    /// bilinear, antialiased where they shrink. Images are channels × height × width, height × width, or the rows
    /// of a square one behind the other.
    ///
    /// # Errors
    ///
    /// If the channels differ, or either is no such image.
    pub fn resized(self, origin: &str, from: &[usize]) -> Result<Self> {
        let to = self.input.shape.clone();
        let refuse = |problem: String| Error::model(origin, problem);
        let (Some(source), Some(target)) = (grid(from), grid(&to)) else {
            return Err(refuse(format!("images of shape {from:?} cannot be scaled to its {to:?}")));
        };
        if source[0] != target[0] {
            return Err(refuse(format!(
                "images of shape {from:?} cannot be scaled to its {to:?}: they have {} and {} channels",
                source[0], target[0]
            )));
        }
        let scale = Resize::new(source, [target[1], target[2]], None, Sampling::SMOOTH).map_err(refuse)?;
        let before = Reshape::between(from, source.to_vec()).map_err(refuse)?;
        let after = Reshape::between(&target, to).map_err(refuse)?;
        let ops = vec![("as an image", before), ("scale", scale.into()), ("as the model wants", after)];
        self.after(origin, from.to_vec(), ops)
    }

    /// The classifier of images of `shape` that these ops turn into what this one wants.
    fn after(self, origin: &str, shape: Vec<usize>, ops: Vec<(&str, Box<dyn Op>)>) -> Result<Self> {
        let refuse = |problem: String| Error::model(origin, problem);
        let mut graph = Graph::new(shape.clone());
        for (name, op) in ops {
            graph.then(name, op).map_err(refuse)?;
        }
        let more = graph.nodes().len();
        for node in self.graph.nodes() {
            let inputs: Vec<ValueId> = node.inputs.iter().map(|value| ValueId(value.0 + more)).collect();
            graph.push(&node.name, node.op.clone(), &inputs).map_err(refuse)?;
        }
        Ok(Self { graph, input: InputSpec { shape, ..self.input }, ..self })
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
        let nodes = self.graph.nodes().iter().map(|node| (format!("{:?}", node.inputs), &*node.op));
        let own = self.own.iter().flat_map(OwnOutput::ops).map(|op| ("own output".to_owned(), op));
        for (inputs, op) in nodes.chain(own) {
            hash.update(inputs);
            for part in op.to_onnx() {
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

/// More channels than this are not colours, and another axis may be meant.
const COLOURS: usize = 4;

/// Channels, height and width of images of `shape`, if they are images.
fn grid(shape: &[usize]) -> Option<[usize; 3]> {
    match *shape {
        [channels, height, width] if channels <= COLOURS => Some([channels, height, width]),
        [height, width] => Some([1, height, width]),
        [pixels] if pixels.isqrt().pow(2) == pixels => Some([1, pixels.isqrt(), pixels.isqrt()]),
        _ => None,
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

    fn class_of(&self, logits: &[f32]) -> Option<usize> {
        self.own.as_ref().map_or_else(|| argmax(logits), |own| own.class_of(logits))
    }

    fn sure_class_of(&self, logits: &[f32], left: Option<usize>) -> Option<usize> {
        self.own.as_ref().map_or_else(|| argmax(logits), |own| own.sure_class_of(logits, left))
    }

    fn unit_steepness(&self) -> Option<f64> {
        unit_steepness(&self.graph, &self.input)
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
