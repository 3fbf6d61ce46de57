use super::max_pool::attributes;
use super::{Attribute, Gain, OnnxNode, Op, Tangents, Trace, Window, only_input};
use crate::numeric::simd::vectorised;

/// The mean over a window, channel by channel.
#[derive(Debug, Clone)]
pub struct AveragePool {
    input: [usize; 3],
    output: [usize; 3],
    window: Window,
    /// Rows and columns around the image that count as zeros: before and after, at most the window's.
    counted: [[usize; 2]; 2],
}

impl AveragePool {
    /// Over images of shape `input`: channels, height, width. Of what the window adds around the image,
    /// `counted` (before, after) enters the mean as zeros, and the rest does not.
    ///
    /// # Errors
    ///
    /// If the window does not fit, has gaps, or sees nothing that counts at some position.
    pub fn new(input: [usize; 3], window: Window, counted: [[usize; 2]; 2]) -> Result<Self, String> {
        let [channels, height, width] = input;
        let [y, x] = window.positions([height, width])?;
        window.check_visits([y, x])?;
        if window.dilation != [1, 1] {
            return Err("a dilated mean is not supported".into());
        }
        let pool = Self { input, output: [channels, y, x], window, counted };
        if (0..2).any(|axis| (0..[y, x][axis]).any(|position| pool.count(axis, position) == 0)) {
            return Err("a window sees nothing of the image".into());
        }
        Ok(pool)
    }

    /// Over whole images.
    ///
    /// # Errors
    ///
    /// If they are empty.
    pub fn global(input: [usize; 3]) -> Result<Self, String> {
        Self::new(input, Window::of([input[1], input[2]]), [[0; 2]; 2])
    }

    /// Whether each channel becomes its mean over the whole image.
    pub(crate) fn is_global(&self) -> bool {
        self.output[1..] == [1, 1] && self.window == Window::of([self.input[1], self.input[2]])
    }

    /// Elements that count along `axis` at `position`.
    fn count(&self, axis: usize, position: usize) -> usize {
        let start = self.window.start(axis, position);
        let first = start.max(-(self.counted[0][axis] as isize));
        let end = (self.input[axis + 1] + self.counted[1][axis]) as isize;
        (start + self.window.size[axis] as isize).min(end).saturating_sub(first).max(0) as usize
    }

    /// The share of each element of the window, for every position.
    fn shares(&self) -> Vec<f32> {
        let [_, rows, columns] = self.output;
        let share = |i| 1.0 / (self.count(0, i / columns) * self.count(1, i % columns)) as f32;
        (0..rows * columns).map(share).collect()
    }
}

impl Op for AveragePool {
    fn kind(&self) -> &'static str {
        "AveragePool"
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
        let shares = self.shares();
        output.fill(0.0);
        vectorised(
            #[inline(always)]
            || {
                for (image, output) in images.zip(output.chunks_exact_mut(self.output.iter().product())) {
                    self.window.visit(
                        [height, width],
                        [rows, columns],
                        #[inline(always)]
                        |position, seen| {
                            let sums = &mut output[position * channels..][..channels];
                            seen.each(
                                #[inline(always)]
                                |pixel, _| {
                                    let values = &image[pixel * channels..][..channels];
                                    for (sum, &x) in sums.iter_mut().zip(values) {
                                        *sum += x;
                                    }
                                },
                            );
                        },
                    );
                    for (sums, &share) in output.chunks_exact_mut(channels).zip(&shares) {
                        for sum in sums {
                            *sum *= share;
                        }
                    }
                }
            },
        );
    }

    fn tangent(&self, along: Tangents<'_>, output_tangent: &mut [f32]) {
        self.forward(along.rows, along.tangents, output_tangent);
    }

    fn backward(&self, trace: Trace<'_>, _input: usize, input_gradient: &mut [f32]) {
        let [channels, height, width] = self.input;
        let [_, rows, columns] = self.output;
        let gradients = trace.output_gradient.chunks_exact(self.output.iter().product());
        let shares = self.shares();
        input_gradient.fill(0.0);
        vectorised(
            #[inline(always)]
            || {
                for (gradient, into) in
                    gradients.zip(input_gradient.chunks_exact_mut(self.input.iter().product()))
                {
                    self.window.visit(
                        [height, width],
                        [rows, columns],
                        #[inline(always)]
                        |position, seen| {
                            let (share, dy) =
                                (shares[position], &gradient[position * channels..][..channels]);
                            seen.each(
                                #[inline(always)]
                                |pixel, _| {
                                    let sums = into[pixel * channels..][..channels].iter_mut();
                                    for (sum, &g) in sums.zip(dy) {
                                        *sum = g.mul_add(share, *sum);
                                    }
                                },
                            );
                        },
                    );
                }
            },
        );
    }

    fn gain(&self) -> Gain<'_> {
        // √(largest sum of a row · largest sum of a column) of the averaging along each axis.
        let bound = |axis: usize| {
            let (mut columns, mut row) = (vec![0.0_f64; self.input[axis + 1]], 0.0_f64);
            for position in 0..self.output[axis + 1] {
                let share = 1.0 / self.count(axis, position) as f64;
                let inside = self.window.inside(axis, position, self.input[axis + 1]);
                row = row.max(share * inside.len() as f64);
                inside.for_each(|k| columns[self.window.at(axis, position, k)] += share);
            }
            (row * columns.into_iter().fold(0.0, f64::max)).sqrt()
        };
        Gain::AtMost(bound(0) * bound(1) * (1.0 + 1e-9))
    }

    fn to_onnx(&self) -> Vec<OnnxNode> {
        // Zeros that count can only be told apart from the rest by a node of their own.
        let [before, after] = self.counted;
        let list = |values: &[usize]| values.iter().map(|&v| v as i64).collect::<Vec<_>>();
        let mut nodes = Vec::new();
        let mut window = self.window;
        if self.counted != [[0; 2]; 2] {
            let pads = [&[0, 0][..], &list(&before), &[0, 0], &list(&after)].concat();
            let constants = vec![("pads", super::Constant::Integers(pads))];
            nodes.push(OnnxNode { op_type: "Pad", attributes: Vec::new(), constants });
            for axis in 0..2 {
                window.before[axis] -= before[axis];
                window.after[axis] -= after[axis];
            }
        }
        let mut attributes = attributes(window, false);
        attributes.push(("count_include_pad", Attribute::Integer(0)));
        nodes.push(OnnxNode { op_type: "AveragePool", attributes, constants: Vec::new() });
        nodes
    }
}
