use super::softmax::{last_axis, log_sum_exp};
use super::{OnnxNode, Op, Trace};

/// xⱼ − ln Σₖ e^xₖ over the last axis.
#[derive(Debug, Clone, Copy, Default)]
pub struct LogSoftmax {
    width: usize,
}

impl LogSoftmax {
    /// Over groups of `width` values, the length of the last axis.
    #[must_use]
    pub fn new(width: usize) -> Self {
        Self { width }
    }
}

impl Op for LogSoftmax {
    fn kind(&self) -> &'static str {
        "LogSoftmax"
    }

    fn output_shape(&self, inputs: &[&[usize]]) -> Result<Vec<usize>, String> {
        last_axis(inputs, self.width)
    }

    fn forward(&self, _rows: usize, inputs: &[&[f32]], output: &mut [f32]) {
        for (x, y) in inputs[0].chunks_exact(self.width).zip(output.chunks_exact_mut(self.width)) {
            let (max, log_sum) = log_sum_exp(x);
            for (y, &x) in y.iter_mut().zip(x) {
                *y = (x as f64 - max - log_sum) as f32;
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

    fn to_onnx(&self) -> Vec<OnnxNode> {
        vec![OnnxNode {
            op_type: "LogSoftmax",
            attributes: vec![("axis", super::Attribute::Integer(-1))],
            constants: Vec::new(),
        }]
    }
}
