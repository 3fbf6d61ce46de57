use std::sync::atomic::{AtomicBool, Ordering};

use rayon::prelude::*;

use super::circular::{self, Spectrum, wrapped_size};
use super::gram::Gram;
use super::upper;
use crate::error::{Error, Result};
use crate::network::ops::{Gain, Op, Tangents, Tensor, Trace};
use crate::network::{Graph, ValueId};
use crate::numeric::hermitian::Hermitian;
use crate::numeric::lanczos::largest_singular_value;

/// Matrices whose smaller side is longer get a bound by their elements alone.
const LARGEST: usize = 6144;

/// What is computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// All singular values, too.
    pub full: bool,
    /// The gain as executed, too.
    pub zero_padded: bool,
    /// The proven bound, too; without it a layer with weights counts as unbounded.
    pub upper: bool,
    /// Most steps of the iteration for the gain as executed.
    pub steps: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self { full: false, zero_padded: true, upper: true, steps: 300 }
    }
}

/// How far one layer amplifies a change of its input, in the Euclidean norm.
#[derive(Debug, Clone, PartialEq)]
pub struct LayerGain {
    /// The node's name.
    pub name: String,
    /// Kind of op.
    pub op: &'static str,
    /// Shape of the weights: outputs × inputs of a group × rows × columns of a convolution, inputs × outputs
    /// of a matrix; empty without any.
    pub shape: Vec<usize>,
    /// Steps of a convolution along rows and columns.
    pub stride: Option<[usize; 2]>,
    /// Rows and columns on which a convolution wraps around: those of its input, or the next multiples of
    /// its steps.
    pub wrapped: Option<[usize; 2]>,
    /// On images that wrap around, to 10⁻⁷; for a matrix its largest singular value.
    pub circular: Option<f64>,
    /// As executed, by iteration: never above the truth but for rounding.
    pub zero_padded: Option<f64>,
    /// Residual of that iteration.
    pub residual: Option<f64>,
    /// Proven for all inputs; infinite if nothing is known, `None` if the gain depends on how inputs are
    /// related.
    pub upper: Option<f64>,
    /// All singular values, if asked for.
    pub spectrum: Option<Spectrum>,
}

/// The gains of all layers, in the order of the nodes. Uses the current pool of threads; `progress` hears of
/// every layer that is done.
///
/// # Errors
///
/// [`Error::Interrupted`] if `cancelled` becomes true.
pub fn layer_gains(
    graph: &Graph,
    settings: Settings,
    cancelled: &AtomicBool,
    progress: &(dyn Fn() + Sync),
) -> Result<Vec<LayerGain>> {
    let layers = graph.nodes().par_iter().enumerate().map(|(i, node)| {
        if cancelled.load(Ordering::Relaxed) {
            return Err(Error::Interrupted);
        }
        let features = [graph.features(node.inputs[0]), graph.features(ValueId(i + 1))];
        let mut layer = of_op(&*node.op, features, graph.shape(node.inputs[0]), settings);
        layer.name.clone_from(&node.name);
        progress();
        Ok(layer)
    });
    layers.collect()
}

fn of_op(op: &dyn Op, features: [usize; 2], input: &[usize], settings: Settings) -> LayerGain {
    let plain = LayerGain {
        name: String::new(),
        op: op.kind(),
        shape: Vec::new(),
        stride: None,
        wrapped: None,
        circular: None,
        zero_padded: None,
        residual: None,
        upper: None,
        spectrum: None,
    };
    match op.gain() {
        Gain::AtMost(gain) => LayerGain { upper: Some(gain), ..plain },
        Gain::Unbounded => LayerGain { upper: Some(f64::INFINITY), ..plain },
        Gain::Sum(_) | Gain::Joined | Gain::Product => plain,
        Gain::Linear(weight) => of_matrix(weight, plain, settings),
        Gain::Convolution(kernel) => {
            let size = [input[1], input[2]];
            let spectrum = settings.full.then(|| circular::spectrum(&kernel, size));
            let largest = spectrum.as_ref().and_then(|all| all.values.first().copied());
            let executed = settings.zero_padded.then(|| zero_padded(op, features, settings.steps));
            LayerGain {
                shape: kernel.weight.shape.clone(),
                stride: Some(kernel.window.stride),
                wrapped: Some(wrapped_size(size, kernel.window.stride)),
                circular: Some(largest.unwrap_or_else(|| circular::norm(&kernel, size))),
                zero_padded: executed.map(|found| found.0).filter(|value| value.is_finite()),
                residual: executed.map(|found| found.1).filter(|value| value.is_finite()),
                upper: settings.upper.then(|| upper::of_convolution(&kernel)),
                spectrum,
                ..plain
            }
        }
    }
}

/// The gain of a linear `op` as it is executed, and the residual.
fn zero_padded(op: &dyn Op, features: [usize; 2], steps: usize) -> (f64, f64) {
    let found = largest_singular_value(
        features,
        (1e-4, steps), // the value is accurate to about the square of that
        |x, y| op.tangent(Tangents { rows: 1, inputs: &[], output: &[], tangents: &[x] }, y),
        |y, x| {
            let trace = Trace { rows: 1, inputs: &[], output: &[], output_gradient: y };
            op.backward(trace, 0, x);
        },
    );
    (found.value, found.residual)
}

fn of_matrix(weight: &Tensor, plain: LayerGain, settings: Settings) -> LayerGain {
    let shape = weight.shape.clone();
    let Some(gram) = matrix_gram(weight) else {
        return LayerGain { upper: Some(by_elements(weight)), shape, ..plain };
    };
    let mut matrix = Hermitian::new(gram.n);
    gram.at([0.0; 2], &mut matrix);
    let largest = matrix.largest().sqrt();
    let spectrum = settings.full.then(|| {
        gram.at([0.0; 2], &mut matrix);
        Spectrum::of(matrix.eigenvalues().iter().map(|v| v.max(0.0).sqrt()).collect())
    });
    LayerGain {
        circular: Some(largest),
        zero_padded: Some(largest),
        residual: None,
        upper: settings.upper.then(|| upper::of_gram(&gram)),
        shape,
        spectrum,
        ..plain
    }
}

fn matrix_gram(weight: &Tensor) -> Option<Gram> {
    let [inputs, outputs] = weight.shape[..] else { return None };
    let (n, k) = (inputs.min(outputs), inputs.max(outputs));
    let at = |i: usize| if inputs <= outputs { i } else { i % k * outputs + i / k };
    let values = || (0..n * k).map(|i| f64::from(weight.values[at(i)])).collect();
    (n <= LARGEST).then(|| Gram::new([n, k], &[([0, 0], values())]))
}

/// The smaller of ‖W‖_F and √(‖W‖₁·‖W‖_∞), rounded up.
fn by_elements(weight: &Tensor) -> f64 {
    let columns = weight.shape.last().copied().unwrap_or(1).max(1);
    let mut sums = vec![0.0_f64; columns];
    let (mut square, mut row) = (0.0_f64, 0.0_f64);
    for values in weight.values.chunks_exact(columns) {
        let sizes = || values.iter().map(|w| f64::from(w.abs()));
        sums.iter_mut().zip(sizes()).for_each(|(sum, w)| *sum += w);
        row = row.max(sizes().sum());
        square += sizes().map(|w| w * w).sum::<f64>();
    }
    let column = sums.into_iter().fold(0.0, f64::max);
    square.sqrt().min((row * column).sqrt()) * (1.0 + 1e-6)
}
