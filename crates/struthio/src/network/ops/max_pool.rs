use super::{Attribute, OnnxNode, Op, Trace, Window, only_input};
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
        if let Some(axis) = (0..2).find(|&axis| {
            (0..[y, x][axis]).any(|position| window.inside(axis, position, input[axis + 1]).is_empty())
        }) {
            return Err(format!("along axis {axis} a window sees nothing of the image"));
        }
        Ok(Self { input, output: [channels, y, x], window })
    }

    /// Calls `body` with every position's index and the indices of the pixels in its window, in order.
    #[inline(always)]
    fn each(&self, mut body: impl FnMut(usize, &mut dyn Iterator<Item = usize>)) {
        let [_, height, width] = self.input;
        let [_, rows, columns] = self.output;
        let window = self.window;
        let at = |axis: usize, position: usize, k: usize| {
            (window.start(axis, position) + (k * window.dilation[axis]) as isize) as usize
        };
        for y in 0..rows {
            for x in 0..columns {
                let lines = window.inside(0, y, height);
                let across = window.inside(1, x, width);
                let mut pixels = lines
                    .flat_map(|ky| across.clone().map(move |kx| (ky, kx)))
                    .map(|(ky, kx)| at(0, y, ky) * width + at(1, x, kx));
                body(y * columns + x, &mut pixels);
            }
        }
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
        let channels = self.input[0];
        let images = inputs[0].chunks_exact(self.input.iter().product());
        vectorised(
            #[inline(always)]
            || {
                for (image, output) in images.zip(output.chunks_exact_mut(self.output.iter().product())) {
                    self.each(
                        #[inline(always)]
                        |position, pixels| {
                            let out = &mut output[position * channels..][..channels];
                            out.fill(f32::NEG_INFINITY);
                            for pixel in pixels {
                                for (out, &x) in out.iter_mut().zip(&image[pixel * channels..][..channels]) {
                                    *out = if x > *out || x.is_nan() { x } else { *out };
                                }
                            }
                        },
                    );
                }
            },
        );
    }

    fn backward(&self, trace: Trace<'_>, _input: usize, input_gradient: &mut [f32]) {
        let channels = self.input[0];
        input_gradient.fill(0.0);
        let (image_len, output_len): (usize, usize) =
            (self.input.iter().product(), self.output.iter().product());
        let mut due = vec![0.0; channels];
        vectorised(
            #[inline(always)]
            || {
                for row in 0..trace.rows {
                    let image = &trace.inputs[0][row * image_len..][..image_len];
                    let output = &trace.output[row * output_len..][..output_len];
                    let gradient = &trace.output_gradient[row * output_len..][..output_len];
                    let into = &mut input_gradient[row * image_len..][..image_len];
                    self.each(
                        #[inline(always)]
                        |position, pixels| {
                            // What has not been given to a pixel yet.
                            due.copy_from_slice(&gradient[position * channels..][..channels]);
                            let most = &output[position * channels..][..channels];
                            for pixel in pixels {
                                let values = &image[pixel * channels..][..channels];
                                let sums = &mut into[pixel * channels..][..channels];
                                for (((sum, due), &x), &most) in
                                    sums.iter_mut().zip(due.iter_mut()).zip(values).zip(most)
                                {
                                    let given = if x == most { *due } else { 0.0 };
                                    *sum += given;
                                    *due -= given;
                                }
                            }
                        },
                    );
                }
            },
        );
    }

    fn backward_reads_output(&self) -> bool {
        true
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
    let list = |values: &[usize]| Attribute::Integers(values.iter().map(|&v| v as i64).collect());
    let mut attributes = vec![
        ("kernel_shape", list(&window.size)),
        ("pads", list(&[window.before, window.after].concat())),
        ("strides", list(&window.stride)),
    ];
    if with_dilation {
        attributes.push(("dilations", list(&window.dilation)));
    }
    attributes
}
