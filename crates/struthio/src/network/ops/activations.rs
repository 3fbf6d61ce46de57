//! What the elementwise activations share: they run in place, and their slope is a function of
//! their output.

/// Implements [`Op`](super::Op) for an elementwise activation from its value as a function of x
/// and its derivative as a function of y.
macro_rules! activation {
    ($(#[$doc:meta])* $name:ident, $value:expr, $slope_at_output:expr) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, Default)]
        pub struct $name;

        impl super::InPlace for $name {
            fn forward_in_place(&self, _rows: usize, values: &mut [f32]) {
                crate::numeric::simd::vectorised(#[inline(always)] || {
                    for value in values.iter_mut() {
                        *value = $value(*value);
                    }
                });
            }

            fn backward_in_place(&self, _rows: usize, output: &[f32], gradient: &mut [f32]) {
                crate::numeric::simd::vectorised(#[inline(always)] || {
                    for (gradient, &y) in gradient.iter_mut().zip(output) {
                        *gradient *= $slope_at_output(y);
                    }
                });
            }
        }

        impl super::Op for $name {
            fn kind(&self) -> &'static str {
                stringify!($name)
            }

            fn output_shape(&self, inputs: &[&[usize]]) -> Result<Vec<usize>, String> {
                super::only_input(inputs).map(<[usize]>::to_vec)
            }

            fn forward(&self, rows: usize, inputs: &[&[f32]], output: &mut [f32]) {
                output.copy_from_slice(inputs[0]);
                super::InPlace::forward_in_place(self, rows, output);
            }

            fn backward(&self, trace: super::Trace<'_>, _input: usize, input_gradient: &mut [f32]) {
                input_gradient.copy_from_slice(trace.output_gradient);
                super::InPlace::backward_in_place(self, trace.rows, trace.output, input_gradient);
            }

            fn backward_reads_output(&self) -> bool {
                true
            }

            fn in_place(&self) -> Option<&dyn super::InPlace> {
                Some(self)
            }

            fn to_onnx(&self) -> Vec<super::OnnxNode> {
                vec![super::OnnxNode { op_type: stringify!($name), attributes: Vec::new(), constants: Vec::new() }]
            }
        }
    };
}

pub(super) use activation;
