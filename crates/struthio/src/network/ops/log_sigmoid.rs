use super::{Gain, OnnxNode, Op, Trace, only_input};
use crate::numeric::elementary;
use crate::numeric::simd::vectorised;

/// ln(1 / (1 + e⁻ˣ)), elementwise and without overflow: its slope is that of x where the sigmoid is nearly 0.
#[derive(Debug, Clone, Copy)]
pub struct LogSigmoid;

impl Op for LogSigmoid {
    fn kind(&self) -> &'static str {
        "LogSigmoid"
    }

    fn output_shape(&self, inputs: &[&[usize]]) -> Result<Vec<usize>, String> {
        only_input(inputs).map(<[usize]>::to_vec)
    }

    fn forward(&self, _rows: usize, inputs: &[&[f32]], output: &mut [f32]) {
        for (y, &x) in output.iter_mut().zip(inputs[0]) {
            *y = x.min(0.0) - (-x.abs()).exp().ln_1p();
        }
    }

    fn backward(&self, trace: Trace<'_>, _input: usize, input_gradient: &mut [f32]) {
        vectorised(
            #[inline(always)]
            || {
                let known = trace.inputs[0].iter().zip(trace.output_gradient);
                for (dx, (&x, &dy)) in input_gradient.iter_mut().zip(known) {
                    *dx = dy * elementary::sigmoid(-x);
                }
            },
        );
    }

    fn gain(&self) -> Gain<'_> {
        Gain::AtMost(1.0)
    }

    fn to_onnx(&self) -> Vec<OnnxNode> {
        let node = |op_type| OnnxNode { op_type, attributes: Vec::new(), constants: Vec::new() };
        ["Neg", "Softplus", "Neg"].map(node).into()
    }
}
