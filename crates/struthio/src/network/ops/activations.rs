//! What elementwise activations share.

/// Implements [`Op`](super::Op) for an elementwise activation that runs in place, from its value as a
/// function of x, its derivative as a function of y, the largest magnitude of that, and possibly whether it is
/// strictly increasing and what its scale is between flat ends. Its fields are ONNX attributes.
macro_rules! activation {
    ($name:ident { $($field:ident),* }, $onnx:literal, $value:expr, $slope_at_output:expr, $gain:expr $(, $increasing:expr $(, $scale:expr)?)?) => {
        impl super::InPlace for $name {
            fn forward_in_place(&self, _rows: usize, values: &mut [f32]) {
                crate::numeric::simd::vectorised(#[inline(always)] || {
                    for value in values.iter_mut() {
                        *value = $value(self, *value);
                    }
                });
            }

            fn backward_in_place(&self, _rows: usize, output: &[f32], gradient: &mut [f32]) {
                crate::numeric::simd::vectorised(#[inline(always)] || {
                    for (gradient, &y) in gradient.iter_mut().zip(output) {
                        *gradient *= $slope_at_output(self, y);
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

            fn gain(&self) -> super::Gain<'_> {
                super::Gain::AtMost($gain(self))
            }

            $(
                fn is_increasing(&self) -> bool {
                    $increasing(self)
                }

                $(
                    fn saturation_scale(&self) -> Option<f64> {
                        Some($scale(self))
                    }
                )?
            )?

            fn to_onnx(&self) -> Vec<super::OnnxNode> {
                vec![super::OnnxNode {
                    op_type: $onnx,
                    attributes: vec![$((stringify!($field), super::Attribute::Float(self.$field))),*],
                    constants: Vec::new(),
                }]
            }
        }
    };
}

/// Implements [`Op`](super::Op) for an elementwise activation from its value and its derivative as
/// functions of x, and the largest magnitude of that. Its fields are ONNX attributes, unless it says itself how
/// it is written.
macro_rules! activation_of_input {
    ($name:ident { $($field:ident),* }, $onnx:literal, $value:expr, $slope:expr, $gain:expr) => {
        $crate::network::ops::activations::activation_of_input!(
            $name,
            $value,
            $slope,
            $gain,
            |op: &$name| super::OnnxNode {
                op_type: $onnx,
                attributes: {
                    let _ = op;
                    vec![$((stringify!($field), super::Attribute::Float(op.$field))),*]
                },
                constants: Vec::new(),
            }
        );
    };
    ($name:ident, $value:expr, $slope:expr, $gain:expr, $onnx:expr) => {
        impl super::Op for $name {
            fn kind(&self) -> &'static str {
                stringify!($name)
            }

            fn output_shape(&self, inputs: &[&[usize]]) -> Result<Vec<usize>, String> {
                super::only_input(inputs).map(<[usize]>::to_vec)
            }

            fn forward(&self, _rows: usize, inputs: &[&[f32]], output: &mut [f32]) {
                crate::numeric::simd::vectorised(#[inline(always)] || {
                    for (y, &x) in output.iter_mut().zip(inputs[0]) {
                        *y = $value(self, x);
                    }
                });
            }

            fn backward(&self, trace: super::Trace<'_>, _input: usize, input_gradient: &mut [f32]) {
                crate::numeric::simd::vectorised(#[inline(always)] || {
                    let inputs = trace.inputs[0].iter().zip(trace.output_gradient);
                    for (dx, (&x, &dy)) in input_gradient.iter_mut().zip(inputs) {
                        *dx = dy * $slope(self, x);
                    }
                });
            }

            fn gain(&self) -> super::Gain<'_> {
                super::Gain::AtMost($gain(self))
            }

            fn to_onnx(&self) -> Vec<super::OnnxNode> {
                vec![$onnx(self)]
            }
        }
    };
}

pub(super) use {activation, activation_of_input};
