use super::{Attribute, Gain, OnnxNode, Op, Trace, only_input};
use crate::network::layout;

/// e^xⱼ / Σₖ e^xₖ over an axis whose values lie side by side.
#[derive(Debug, Clone, Copy)]
pub struct Softmax {
    width: usize,
    axis: usize,
}

impl Softmax {
    /// Over the `width` values along `axis`: the last one, or the channels of an image.
    #[must_use]
    pub fn new(width: usize, axis: usize) -> Self {
        Self { width, axis }
    }

    /// How many values it runs over, and along which axis.
    pub(crate) fn extent(self) -> (usize, usize) {
        (self.width, self.axis)
    }
}

/// Checks that along `axis` there are `width` values side by side, which softmax and log-softmax run over.
pub(super) fn side_by_side(inputs: &[&[usize]], width: usize, axis: usize) -> Result<Vec<usize>, String> {
    let shape = only_input(inputs)?;
    if width == 0 || shape.get(axis) != Some(&width) {
        return Err(format!("expected {width} values along axis {}", axis + 1));
    }
    if !layout::is_contiguous(shape, axis) {
        return Err(format!("values of axis {} do not lie side by side", axis + 1));
    }
    Ok(shape.to_vec())
}

/// max x and ln Σ e^(x − max x), in f64.
pub(super) fn log_sum_exp(x: &[f32]) -> (f64, f64) {
    let max = x.iter().copied().fold(f32::NEG_INFINITY, f32::max) as f64;
    let sum: f64 = x.iter().map(|&x| (x as f64 - max).exp()).sum();
    (max, sum.ln())
}

impl Op for Softmax {
    fn kind(&self) -> &'static str {
        "Softmax"
    }

    fn output_shape(&self, inputs: &[&[usize]]) -> Result<Vec<usize>, String> {
        side_by_side(inputs, self.width, self.axis)
    }

    fn forward(&self, _rows: usize, inputs: &[&[f32]], output: &mut [f32]) {
        for (x, y) in inputs[0].chunks_exact(self.width).zip(output.chunks_exact_mut(self.width)) {
            let (max, log_sum) = log_sum_exp(x);
            for (y, &x) in y.iter_mut().zip(x) {
                *y = (x as f64 - max - log_sum).exp() as f32;
            }
        }
    }

    fn backward(&self, trace: Trace<'_>, _input: usize, input_gradient: &mut [f32]) {
        let rows = trace.output.chunks_exact(self.width).zip(trace.output_gradient.chunks_exact(self.width));
        for ((y, dy), dx) in rows.zip(input_gradient.chunks_exact_mut(self.width)) {
            let mean: f64 = y.iter().zip(dy).map(|(&y, &dy)| y as f64 * dy as f64).sum();
            for ((dx, &y), &dy) in dx.iter_mut().zip(y).zip(dy) {
                *dx = (y as f64 * (dy as f64 - mean)) as f32;
            }
        }
    }

    fn backward_reads_output(&self) -> bool {
        true
    }

    fn gain(&self) -> Gain<'_> {
        Gain::AtMost(0.5) // of diag(p) − p·pᵀ, whose rows sum to at most ½ in magnitude
    }

    fn to_onnx(&self) -> Vec<OnnxNode> {
        vec![OnnxNode {
            op_type: "Softmax",
            attributes: vec![("axis", Attribute::Integer(self.axis as i64 + 1))],
            constants: Vec::new(),
        }]
    }
}
