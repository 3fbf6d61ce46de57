//! The ops: one file each, holding everything about the op.

mod activations;
mod affine;
mod arithmetic;
mod average_pool;
mod clip;
mod concat;
mod conv;
mod exponential;
mod gain;
mod gelu;
mod linear;
mod log_sigmoid;
mod log_softmax;
mod lrn;
mod max_pool;
mod mean;
mod power;
mod prelu;
mod rearrange;
mod reduce;
mod relu;
mod reshape;
mod resize;
mod sigmoid;
mod softmax;
mod standardize;
mod tanh;
mod tensor;
mod window;

pub use affine::Affine;
pub(crate) use affine::per_channel;
pub use arithmetic::{Arithmetic, Operator};
pub use average_pool::AveragePool;
pub use clip::{Clip, Relu6};
pub use concat::Concat;
pub use conv::Conv;
pub use exponential::{Exp, Log, Mish, Softplus, Softsign};
pub use gain::{Gain, Kernel, SWISH};
pub use gelu::{Erf, Gelu, GeluTanh};
pub use linear::Linear;
pub use log_sigmoid::LogSigmoid;
pub use log_softmax::LogSoftmax;
pub use lrn::Lrn;
pub use max_pool::MaxPool;
pub use mean::Mean;
pub use power::{Power, Reciprocal, Sqrt};
pub use prelu::PRelu;
pub use rearrange::Rearrange;
pub use reduce::{Reduce, Reduction};
pub use relu::{Abs, Celu, Elu, LeakyRelu, Relu, Selu};
pub use reshape::Reshape;
pub use resize::{Coordinates, Interpolation, Resize, Rounding, Sampling};
pub use sigmoid::{HardSigmoid, HardSwish, Sigmoid};
pub use softmax::Softmax;
pub use standardize::Standardize;
pub use tanh::Tanh;
pub use tensor::Tensor;
pub use window::Window;

use std::any::Any;
use std::fmt;

/// What an op saw in the forward pass and is told in the backward pass, for `rows` images.
#[derive(Debug, Clone, Copy)]
pub struct Trace<'a> {
    /// Number of images.
    pub rows: usize,
    /// The inputs, each `rows × features`. Unspecified for an op that ran in place.
    pub inputs: &'a [&'a [f32]],
    /// The output, `rows × features`.
    pub output: &'a [f32],
    /// Gradient of the loss with respect to the output.
    pub output_gradient: &'a [f32],
}

/// What an op saw in the forward pass, and along which directions its inputs move, for `rows` images.
#[derive(Debug, Clone, Copy)]
pub struct Tangents<'a> {
    /// Number of images.
    pub rows: usize,
    /// The inputs, each `rows × features`. Unspecified for an op that ran in place.
    pub inputs: &'a [&'a [f32]],
    /// The output, `rows × features`.
    pub output: &'a [f32],
    /// The direction of each input, `rows × features`.
    pub tangents: &'a [&'a [f32]],
}

/// How an op appears in an ONNX file: a chain of nodes, each reading the one before.
#[derive(Debug, Clone)]
pub struct OnnxNode {
    /// ONNX operator name.
    pub op_type: &'static str,
    /// Attributes by name.
    pub attributes: Vec<(&'static str, Attribute)>,
    /// Constant inputs that follow the data inputs.
    pub constants: Vec<(&'static str, Constant)>,
}

/// An attribute of an [`OnnxNode`].
#[derive(Debug, Clone, PartialEq)]
pub enum Attribute {
    /// A whole number.
    Integer(i64),
    /// A list of whole numbers.
    Integers(Vec<i64>),
    /// A number.
    Float(f32),
    /// A word.
    Text(&'static str),
}

impl Attribute {
    /// A list of sizes.
    fn sizes(sizes: &[usize]) -> Self {
        Self::Integers(sizes.iter().map(|&size| size as i64).collect())
    }
}

/// A constant input of an [`OnnxNode`].
#[derive(Debug, Clone)]
pub enum Constant {
    /// Weights and the like.
    Floats(Tensor),
    /// Shapes.
    Integers(Vec<i64>),
    /// Places along an axis.
    Indices {
        /// Lengths of the axes; empty for a single place.
        shape: Vec<usize>,
        /// As many as the shape says.
        values: Vec<i64>,
    },
}

/// A differentiable function of one or more values, applied to each image of a batch.
///
/// Values are matrices of `rows × features`, one row per image, and no row may influence another. The
/// features of channels × height × width are stored channels-last, all others in row-major order.
pub trait Op: Any + fmt::Debug + Send + Sync + OpClone {
    /// Name of the op, for messages.
    fn kind(&self) -> &'static str;

    /// Shape of the output for inputs of these shapes, or why they do not fit.
    fn output_shape(&self, inputs: &[&[usize]]) -> Result<Vec<usize>, String>;

    /// Computes the output.
    fn forward(&self, rows: usize, inputs: &[&[f32]], output: &mut [f32]);

    /// Writes the gradient with respect to input number `input` (the vector–Jacobian product).
    fn backward(&self, trace: Trace<'_>, input: usize, input_gradient: &mut [f32]);

    /// Writes the derivative of the output along the directions of the inputs (the Jacobian–vector
    /// product), with the conventions of [`backward`](Self::backward) at kinks.
    ///
    /// Without a definition of its own, an op is taken to have one input and a symmetric Jacobian, as
    /// elementwise ops have.
    fn tangent(&self, along: Tangents<'_>, output_tangent: &mut [f32]) {
        let Tangents { rows, inputs, output, tangents } = along;
        self.backward(Trace { rows, inputs, output, output_gradient: tangents[0] }, 0, output_tangent);
    }

    /// Whether [`backward`](Self::backward), [`tangent`](Self::tangent) or
    /// [`parameter_gradients`](Self::parameter_gradients) reads the output; if not, an op that follows may overwrite it.
    fn backward_reads_output(&self) -> bool {
        false
    }

    /// The op as one that overwrites its input, if it can be.
    fn in_place(&self) -> Option<&dyn InPlace> {
        None
    }

    /// Whether the output has the very bytes of the input, under another shape.
    fn is_view(&self) -> bool {
        false
    }

    /// The op as one that only moves values, if it is that.
    fn as_rearrangement(&self) -> Option<&Rearrange> {
        None
    }

    /// Floating-point operations in matrix products of a forward pass, per image.
    fn flops(&self) -> u64 {
        0
    }

    /// How far a change of the inputs can be amplified: proven for all inputs, if not unbounded.
    fn gain(&self) -> Gain<'_> {
        Gain::Unbounded
    }

    /// Whether every value of the output is a strictly increasing function, in exact arithmetic, of the value at
    /// the same place of the only input, so that both put images in the same order.
    fn is_increasing(&self) -> bool {
        false
    }

    /// The scale of an elementwise op that saturates: s where it is about as wide as the logistic function of x / s,
    /// which is a quarter of its range by its largest slope; `None` if it is not flat at both ends.
    fn saturation_scale(&self) -> Option<f64> {
        None
    }

    /// Trainable tensors.
    fn parameters(&self) -> Vec<&Tensor> {
        Vec::new()
    }

    /// Trainable tensors, to be changed.
    fn parameters_mut(&mut self) -> Vec<&mut Tensor> {
        Vec::new()
    }

    /// Adds the gradient with respect to each of [`parameters`](Self::parameters).
    fn parameter_gradients(&self, trace: Trace<'_>, gradients: &mut [Vec<f32>]) {
        let _ = (trace, gradients);
    }

    /// How the op is written to an ONNX file.
    fn to_onnx(&self) -> Vec<OnnxNode>;
}

/// An elementwise op whose output can take the place of its input and whose gradient needs only its output.
pub trait InPlace {
    /// Replaces the input by the output.
    fn forward_in_place(&self, rows: usize, values: &mut [f32]);

    /// Multiplies by the slopes: turns the gradient with respect to the output into the one with respect to
    /// the input, or the tangent of the input into that of the output.
    fn backward_in_place(&self, rows: usize, output: &[f32], gradient: &mut [f32]);
}

/// Cloning of boxed ops; implemented for every op that is `Clone`.
pub trait OpClone {
    /// A boxed copy.
    fn clone_box(&self) -> Box<dyn Op>;
}

impl<T: Op + Clone + 'static> OpClone for T {
    fn clone_box(&self) -> Box<dyn Op> {
        Box::new(self.clone())
    }
}

impl Clone for Box<dyn Op> {
    fn clone(&self) -> Self {
        (**self).clone_box()
    }
}

impl<T: Op + 'static> From<T> for Box<dyn Op> {
    fn from(op: T) -> Self {
        Box::new(op)
    }
}

/// The shape of an op's only input.
fn only_input<'a>(inputs: &[&'a [usize]]) -> Result<&'a [usize], String> {
    match inputs {
        [only] => Ok(only),
        _ => Err(format!("expected one input, found {}", inputs.len())),
    }
}
