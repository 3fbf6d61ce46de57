use super::{Attribute, Gain, OnnxNode, Op, Tangents, Trace, Window, only_input};
use crate::numeric::scratch::with_scratch;
use crate::numeric::simd::vectorised;

/// The largest value in a window, channel by channel; what is added around the image never wins.
///
/// The gradient goes to the first of equal values, row by row, as in PyTorch. Ties are common where an
/// image is flat.
#[derive(Debug, Clone)]
pub struct MaxPool {
    input: [usize; 3],
    output: [usize; 3],
    window: Window,
}

impl MaxPool {
    /// Over images of shape `input`: channels, height, width.
    ///
    /// # Errors
    ///
    /// If the window does not fit, or sees nothing of the image at some position.
    pub fn new(input: [usize; 3], window: Window) -> Result<Self, String> {
        let [channels, height, width] = input;
        let [y, x] = window.positions([height, width])?;
        window.check_visits([y, x])?;
        if let Some(axis) = (0..2).find(|&axis| {
            (0..[y, x][axis]).any(|position| window.inside(axis, position, input[axis + 1]).is_empty())
        }) {
            return Err(format!("along axis {axis} a window sees nothing of the image"));
        }
        Ok(Self { input, output: [channels, y, x], window })
    }
}

impl Op for MaxPool {
    fn kind(&self) -> &'static str {
        "MaxPool"
    }

    fn output_shape(&self, inputs: &[&[usize]]) -> Result<Vec<usize>, String> {
        if only_input(inputs)? != self.input {
            return Err(format!("the pooling was made for images of shape {:?}", self.input));
        }
        Ok(self.output.to_vec())
    }

    fn forward(&self, _rows: usize, inputs: &[&[f32]], output: &mut [f32]) {
        let [channels, height, width] = self.input;
        let [_, rows, columns] = self.output;
        let images = inputs[0].chunks_exact(self.input.iter().product());
        vectorised(
            #[inline(always)]
            || {
                for (image, output) in images.zip(output.chunks_exact_mut(self.output.iter().product())) {
                    output.fill(f32::NEG_INFINITY);
                    self.window.visit(
                        [height, width],
                        [rows, columns],
                        #[inline(always)]
                        |position, seen| {
                            let most = &mut output[position * channels..][..channels];
                            seen.each(
                                #[inline(always)]
                                |pixel, _| {
                                    let values = &image[pixel * channels..][..channels];
                                    for (most, &x) in most.iter_mut().zip(values) {
                                        *most = if x > *most || x.is_nan() { x } else { *most };
                                    }
                                },
                            );
                        },
                    );
                }
            },
        );
    }

    fn tangent(&self, along: Tangents<'_>, output_tangent: &mut [f32]) {
        let [channels, height, width] = self.input;
        let [_, rows, columns] = self.output;
        let (image_len, output_len): (usize, usize) =
            (self.input.iter().product(), self.output.iter().product());
        output_tangent.fill(0.0);
        // Whether an element has not found its pixel yet, as one or zero.
        let mut due = vec![0.0; output_len];
        for (row, out) in output_tangent.chunks_exact_mut(output_len).enumerate() {
            let image = &along.inputs[0][row * image_len..][..image_len];
            let tangent = &along.tangents[0][row * image_len..][..image_len];
            let output = &along.output[row * output_len..][..output_len];
            due.fill(1.0);
            self.window.visit([height, width], [rows, columns], |position, seen| {
                let span = position * channels..(position + 1) * channels;
                let (out, due, most) = (&mut out[span.clone()], &mut due[span.clone()], &output[span]);
                seen.each(|pixel, _| {
                    let pixel = pixel * channels..(pixel + 1) * channels;
                    let moves = image[pixel.clone()].iter().zip(&tangent[pixel]).zip(most);
                    for ((out, due), ((&x, &dx), &most)) in out.iter_mut().zip(&mut *due).zip(moves) {
                        if x == most && *due > 0.0 {
                            (*out, *due) = (dx, 0.0);
                        }
                    }
                });
            });
        }
    }

    fn backward(&self, trace: Trace<'_>, _input: usize, input_gradient: &mut [f32]) {
        let [channels, height, width] = self.input;
        let [_, rows, columns] = self.output;
        let (image_len, output_len): (usize, usize) =
            (self.input.iter().product(), self.output.iter().product());
        input_gradient.fill(0.0);
        with_scratch(output_len, |due| {
            vectorised(
                #[inline(always)]
                || {
                    for row in 0..trace.rows {
                        let image = &trace.inputs[0][row * image_len..][..image_len];
                        let output = &trace.output[row * output_len..][..output_len];
                        let into = &mut input_gradient[row * image_len..][..image_len];
                        // What has not been given to a pixel yet.
                        due.copy_from_slice(&trace.output_gradient[row * output_len..][..output_len]);
                        self.window.visit(
                            [height, width],
                            [rows, columns],
                            #[inline(always)]
                            |position, seen| {
                                let span = position * channels..(position + 1) * channels;
                                let (due, most) = (&mut due[span.clone()], &output[span]);
                                seen.each(
                                    #[inline(always)]
                                    |pixel, _| {
                                        let values = image[pixel * channels..][..channels].iter().zip(most);
                                        let sums = into[pixel * channels..][..channels].iter_mut();
                                        for ((sum, due), (&x, &most)) in sums.zip(&mut *due).zip(values) {
                                            let given = if x == most { *due } else { 0.0 };
                                            *sum += given;
                                            *due -= given;
                                        }
                                    },
                                );
                            },
                        );
                    }
                },
            );
        });
    }

    fn backward_reads_output(&self) -> bool {
        true
    }

    fn gain(&self) -> Gain<'_> {
        // Each output changes by no more than some pixel of its window: a pixel counts once per window.
        let most = |axis: usize| {
            let mut windows = vec![0_u32; self.input[axis + 1]];
            for position in 0..self.output[axis + 1] {
                let inside = self.window.inside(axis, position, self.input[axis + 1]);
                inside.for_each(|k| windows[self.window.at(axis, position, k)] += 1);
            }
            f64::from(windows.into_iter().max().unwrap_or(0))
        };
        let most = most(0) * most(1);
        Gain::AtMost(if most == 1.0 { 1.0 } else { most.sqrt() * (1.0 + 1e-12) })
    }

    fn to_onnx(&self) -> Vec<OnnxNode> {
        vec![OnnxNode {
            op_type: "MaxPool",
            attributes: attributes(self.window, true),
            constants: Vec::new(),
        }]
    }
}

/// A window as the attributes of a pooling node.
pub(super) fn attributes(window: Window, with_dilation: bool) -> Vec<(&'static str, Attribute)> {
    let mut attributes = vec![
        ("kernel_shape", Attribute::sizes(&window.size)),
        ("pads", Attribute::sizes(&[window.before, window.after].concat())),
        ("strides", Attribute::sizes(&window.stride)),
    ];
    if with_dilation {
        attributes.push(("dilations", Attribute::sizes(&window.dilation)));
    }
    attributes
}
