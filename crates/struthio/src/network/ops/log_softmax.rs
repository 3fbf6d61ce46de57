use super::softmax::{log_sum_exp, side_by_side};
use super::{Attribute, Gain, OnnxNode, Op, Tangents, Trace};

/// xⱼ − ln Σₖ e^xₖ over an axis whose values lie side by side.
#[derive(Debug, Clone, Copy)]
pub struct LogSoftmax {
    width: usize,
    axis: usize,
}

impl LogSoftmax {
    /// Over the `width` values along `axis`: the last one, or the channels of an image.
    #[must_use]
    pub fn new(width: usize, axis: usize) -> Self {
        Self { width, axis }
    }

    /// How many values it runs over.
    pub(crate) fn width(self) -> usize {
        self.width
    }
}

impl Op for LogSoftmax {
    fn kind(&self) -> &'static str {
        "LogSoftmax"
    }

    fn output_shape(&self, inputs: &[&[usize]]) -> Result<Vec<usize>, String> {
        side_by_side(inputs, self.width, self.axis)
    }

    fn forward(&self, _rows: usize, inputs: &[&[f32]], output: &mut [f32]) {
        for (x, y) in inputs[0].chunks_exact(self.width).zip(output.chunks_exact_mut(self.width)) {
            let (max, log_sum) = log_sum_exp(x);
            for (y, &x) in y.iter_mut().zip(x) {
                *y = (x as f64 - max - log_sum) as f32;
            }
        }
    }

    fn tangent(&self, along: Tangents<'_>, output_tangent: &mut [f32]) {
        let rows = along.output.chunks_exact(self.width).zip(along.tangents[0].chunks_exact(self.width));
        for ((y, dx), dy) in rows.zip(output_tangent.chunks_exact_mut(self.width)) {
            let mean: f64 = y.iter().zip(dx).map(|(&y, &dx)| (y as f64).exp() * dx as f64).sum();
            for (dy, &dx) in dy.iter_mut().zip(dx) {
                *dy = (dx as f64 - mean) as f32;
            }
        }
    }

    fn backward(&self, trace: Trace<'_>, _input: usize, input_gradient: &mut [f32]) {
        let rows = trace.output.chunks_exact(self.width).zip(trace.output_gradient.chunks_exact(self.width));
        for ((y, dy), dx) in rows.zip(input_gradient.chunks_exact_mut(self.width)) {
            let total: f64 = dy.iter().map(|&dy| dy as f64).sum();
            for ((dx, &y), &dy) in dx.iter_mut().zip(y).zip(dy) {
                *dx = (dy as f64 - (y as f64).exp() * total) as f32;
            }
        }
    }

    fn backward_reads_output(&self) -> bool {
        true
    }

    fn gain(&self) -> Gain<'_> {
        Gain::AtMost((self.width as f64).sqrt() * (1.0 + 1e-12)) // of I − 1·pᵀ
    }

    fn to_onnx(&self) -> Vec<OnnxNode> {
        vec![OnnxNode {
            op_type: "LogSoftmax",
            attributes: vec![("axis", Attribute::Integer(self.axis as i64 + 1))],
            constants: Vec::new(),
        }]
    }
}
