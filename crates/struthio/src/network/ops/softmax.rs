use super::{OnnxNode, Op, Trace, only_input};

/// e^xⱼ / Σₖ e^xₖ over the last axis.
#[derive(Debug, Clone, Copy, Default)]
pub struct Softmax {
    width: usize,
}

impl Softmax {
    /// Over groups of `width` values, the length of the last axis.
    #[must_use]
    pub fn new(width: usize) -> Self {
        Self { width }
    }
}

/// Checks that the last axis has `width` values, which softmax and log-softmax run over.
pub(super) fn last_axis(inputs: &[&[usize]], width: usize) -> Result<Vec<usize>, String> {
    let shape = only_input(inputs)?;
    match shape.last() {
        Some(&last) if last == width && width > 0 => Ok(shape.to_vec()),
        _ => Err(format!("expected a last axis of {width} values")),
    }
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
        last_axis(inputs, self.width)
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

    fn to_onnx(&self) -> Vec<OnnxNode> {
        vec![OnnxNode {
            op_type: "Softmax",
            attributes: vec![("axis", super::Attribute::Integer(-1))],
            constants: Vec::new(),
        }]
    }
}
