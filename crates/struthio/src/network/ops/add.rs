use super::{OnnxNode, Op, Trace};
use crate::numeric::simd::vectorised;

/// The sum of two values of the same shape.
#[derive(Debug, Clone, Copy, Default)]
pub struct Add;

impl Op for Add {
    fn kind(&self) -> &'static str {
        "Add"
    }

    fn output_shape(&self, inputs: &[&[usize]]) -> Result<Vec<usize>, String> {
        match inputs {
            [a, b] if a == b => Ok(a.to_vec()),
            [a, b] => Err(format!("the shapes {a:?} and {b:?} differ")),
            _ => Err(format!("expected two inputs, found {}", inputs.len())),
        }
    }

    fn forward(&self, _rows: usize, inputs: &[&[f32]], output: &mut [f32]) {
        vectorised(
            #[inline(always)]
            || {
                for ((out, &a), &b) in output.iter_mut().zip(inputs[0]).zip(inputs[1]) {
                    *out = a + b;
                }
            },
        );
    }

    fn backward(&self, trace: Trace<'_>, _input: usize, input_gradient: &mut [f32]) {
        input_gradient.copy_from_slice(trace.output_gradient);
    }

    fn to_onnx(&self) -> Vec<OnnxNode> {
        vec![OnnxNode { op_type: "Add", attributes: Vec::new(), constants: Vec::new() }]
    }
}
