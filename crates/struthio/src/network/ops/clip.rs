use super::{Constant, Gain, InPlace, OnnxNode, Op, Tensor, Trace, only_input};
use crate::numeric::simd::vectorised;

/// min(6, max(0, x)), elementwise: `Clip` from 0 to 6. The slope at both ends is 0, as PyTorch has it for
/// `ReLU6`.
#[derive(Debug, Clone, Copy, Default)]
pub struct Relu6;

impl InPlace for Relu6 {
    fn forward_in_place(&self, _rows: usize, values: &mut [f32]) {
        vectorised(
            #[inline(always)]
            || values.iter_mut().for_each(|value| *value = value.clamp(0.0, 6.0)),
        );
    }

    fn backward_in_place(&self, _rows: usize, output: &[f32], gradient: &mut [f32]) {
        vectorised(
            #[inline(always)]
            || {
                for (gradient, &y) in gradient.iter_mut().zip(output) {
                    *gradient = if y > 0.0 && y < 6.0 { *gradient } else { 0.0 };
                }
            },
        );
    }
}

impl Op for Relu6 {
    fn kind(&self) -> &'static str {
        "Relu6"
    }

    fn output_shape(&self, inputs: &[&[usize]]) -> Result<Vec<usize>, String> {
        only_input(inputs).map(<[usize]>::to_vec)
    }

    fn forward(&self, rows: usize, inputs: &[&[f32]], output: &mut [f32]) {
        output.copy_from_slice(inputs[0]);
        self.forward_in_place(rows, output);
    }

    fn backward(&self, trace: Trace<'_>, _input: usize, input_gradient: &mut [f32]) {
        input_gradient.copy_from_slice(trace.output_gradient);
        self.backward_in_place(trace.rows, trace.output, input_gradient);
    }

    fn backward_reads_output(&self) -> bool {
        true
    }

    fn in_place(&self) -> Option<&dyn InPlace> {
        Some(self)
    }

    fn gain(&self) -> Gain<'_> {
        Gain::AtMost(1.0)
    }

    fn to_onnx(&self) -> Vec<OnnxNode> {
        Clip { min: 0.0, max: 6.0 }.to_onnx()
    }
}

/// x between `min` and `max`, elementwise. The slope at both ends is 1, as PyTorch has it for `clamp`.
#[derive(Debug, Clone, Copy)]
pub struct Clip {
    /// Smallest value; may be minus infinity.
    pub min: f32,
    /// Largest value; may be infinity.
    pub max: f32,
}

impl Op for Clip {
    fn kind(&self) -> &'static str {
        "Clip"
    }

    fn output_shape(&self, inputs: &[&[usize]]) -> Result<Vec<usize>, String> {
        if self.min.is_nan() || self.max.is_nan() || self.min > self.max {
            return Err(format!("there is nothing between {} and {}", self.min, self.max));
        }
        only_input(inputs).map(<[usize]>::to_vec)
    }

    fn forward(&self, _rows: usize, inputs: &[&[f32]], output: &mut [f32]) {
        let Self { min, max } = *self;
        vectorised(
            #[inline(always)]
            || {
                for (y, &x) in output.iter_mut().zip(inputs[0]) {
                    *y = if x < min {
                        min
                    } else if x > max {
                        max
                    } else {
                        x
                    };
                }
            },
        );
    }

    fn backward(&self, trace: Trace<'_>, _input: usize, input_gradient: &mut [f32]) {
        let Self { min, max } = *self;
        vectorised(
            #[inline(always)]
            || {
                let pairs = trace.inputs[0].iter().zip(trace.output_gradient);
                for (dx, (&x, &dy)) in input_gradient.iter_mut().zip(pairs) {
                    *dx = if x >= min && x <= max { dy } else { 0.0 };
                }
            },
        );
    }

    fn gain(&self) -> Gain<'_> {
        Gain::AtMost(1.0)
    }

    fn to_onnx(&self) -> Vec<OnnxNode> {
        // No weight may be infinite; no number is beyond the largest.
        let end = |value: f32| {
            let value = value.clamp(f32::MIN, f32::MAX);
            Constant::Floats(Tensor { shape: Vec::new(), values: vec![value] })
        };
        vec![OnnxNode {
            op_type: "Clip",
            attributes: Vec::new(),
            constants: vec![("min", end(self.min)), ("max", end(self.max))],
        }]
    }
}
