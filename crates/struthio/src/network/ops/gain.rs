use super::{Tensor, Window};

/// How far an op can amplify a change of its inputs, in the Euclidean norm.
#[derive(Debug, Clone, PartialEq)]
pub enum Gain<'a> {
    /// ‖change of the output‖ ≤ this · ‖change of the only input‖.
    AtMost(f64),
    /// The sum over both inputs of this · ‖change of the input‖.
    Sum([f64; 2]),
    /// The product of both inputs, element by element: no constant holds for all, unless one is a
    /// function of the other.
    Product,
    /// The inputs one beside the other.
    Joined,
    /// A matrix, apart from an offset.
    Linear(&'a Tensor),
    /// A convolution, apart from an offset.
    Convolution(Kernel<'a>),
    /// No bound is known.
    Unbounded,
}

/// A convolution by its weights and its window.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Kernel<'a> {
    /// Outputs × inputs of a group × rows × columns.
    pub weight: &'a Tensor,
    /// How it slides.
    pub window: Window,
    /// Groups of channels.
    pub groups: usize,
}

/// The largest slope of x·Φ(x), at x = √2: Φ(√2) + √2·φ(√2), rounded up.
pub(super) const GELU: f64 = 1.128_904_146;
/// The largest slope of x·sigmoid(x), where x·tanh(x/2) = 2, rounded up.
pub const SWISH: f64 = 1.099_839_321;
/// 2/√π, rounded up.
pub(super) const ERF: f64 = 1.128_379_168;
/// The largest slope of x·tanh(ln(1 + eˣ)), at x = 1.4906, rounded up.
pub(super) const MISH: f64 = 1.088_498_162;
/// The largest slope of the approximate GELU, at x = 1.4185, rounded up.
pub(super) const GELU_TANH: f64 = 1.128_993_069;
