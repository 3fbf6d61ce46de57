//! Convolution, by the way that suits its window and channels.

mod depthwise;
mod patches;
mod winograd;

use std::sync::OnceLock;

use self::patches::{Images, Patches, convolve, scatter};
use self::winograd::Winograd;
use super::{Attribute, Constant, Gain, Kernel, OnnxNode, Op, Tangents, Tensor, Trace, Window, only_input};
use crate::numeric::gemm::{Destination, Packed, multiply_transposed};
use crate::numeric::scratch::with_scratch;

/// Below so many input channels per group the gradient is scattered patch by patch: a product with few
/// columns wastes most of every vector.
const FEW_CHANNELS: usize = 8;

/// Two-dimensional convolution (cross-correlation) of channels × height × width, with groups.
#[derive(Debug, Clone)]
pub struct Conv {
    input: [usize; 3],
    output: [usize; 3],
    /// Outputs × inputs of a group × rows × columns.
    weight: Tensor,
    bias: Tensor,
    window: Window,
    groups: usize,
    prepared: Prepared,
}

/// The weights as each way of convolving reads them, made when first asked for.
#[derive(Debug, Clone, Default)]
struct Prepared {
    packed: OnceLock<Vec<Packed>>,
    packed_for_patches: OnceLock<Vec<Packed>>,
    packed_for_gradient: OnceLock<Vec<Packed>>,
    winograd: OnceLock<Winograd>,
    winograd_for_gradient: OnceLock<Winograd>,
    taps: OnceLock<Vec<f32>>,
}

impl Conv {
    /// Of images of shape `input` with `weight` of shape outputs × inputs/groups × rows × columns and
    /// `bias` of shape outputs.
    ///
    /// # Errors
    ///
    /// If the shapes do not fit together.
    pub fn new(
        input: [usize; 3],
        weight: Tensor,
        bias: Tensor,
        window: Window,
        groups: usize,
    ) -> Result<Self, String> {
        let [channels, height, width] = input;
        let [outputs, inputs, rows, columns] = weight.shape[..] else {
            return Err(format!("its weight must have four axes, found shape {:?}", weight.shape));
        };
        if groups == 0
            || outputs == 0
            || outputs % groups != 0
            || inputs.checked_mul(groups) != Some(channels)
        {
            return Err(format!(
                "a weight of shape {:?} in {groups} groups does not fit {channels} channels",
                weight.shape
            ));
        }
        if window.size != [rows, columns] || bias.shape != [outputs] {
            return Err(format!(
                "a window of {:?} and a bias of shape {:?} do not fit a weight of shape {:?}",
                window.size, bias.shape, weight.shape
            ));
        }
        let [y, x] = window.positions([height, width])?;
        Ok(Self {
            input,
            output: [outputs, y, x],
            weight,
            bias,
            window,
            groups,
            prepared: Prepared::default(),
        })
    }

    /// Inputs and outputs of one group.
    fn group(&self) -> [usize; 2] {
        [self.input[0] / self.groups, self.output[0] / self.groups]
    }

    fn is_depthwise(&self) -> bool {
        self.groups > 1 && self.group() == [1, 1]
    }

    /// The weight from input `c` of a group to output `o` of group `g` at `tap`, counted row by row.
    fn weight_at(&self, g: usize, o: usize, c: usize, tap: usize) -> f32 {
        let [inputs, outputs] = self.group();
        self.weight.values[((g * outputs + o) * inputs + c) * self.window.taps() + tap]
    }

    /// For each group g, a matrix of `shape` with the weights `at(g, row, column)`.
    fn pack(&self, shape: [usize; 2], at: impl Fn(usize, usize, usize) -> f32) -> Vec<Packed> {
        (0..self.groups).map(|g| Packed::of(shape, |row, column| at(g, row, column))).collect()
    }

    /// For each group, patches (taps × inputs) to outputs.
    fn packed(&self) -> &[Packed] {
        self.prepared.packed.get_or_init(|| {
            let [inputs, outputs] = self.group();
            let shape = [self.window.taps() * inputs, outputs];
            self.pack(shape, |g, row, o| self.weight_at(g, o, row % inputs, row / inputs))
        })
    }

    /// For each group, gradients of outputs to gradients of patches.
    fn packed_for_patches(&self) -> &[Packed] {
        self.prepared.packed_for_patches.get_or_init(|| {
            let [inputs, outputs] = self.group();
            let shape = [outputs, self.window.taps() * inputs];
            self.pack(shape, |g, o, column| self.weight_at(g, o, column % inputs, column / inputs))
        })
    }

    /// For each group, patches of gradients (taps from the last to the first × outputs) to gradients of
    /// inputs.
    fn packed_for_gradient(&self) -> &[Packed] {
        self.prepared.packed_for_gradient.get_or_init(|| {
            let [inputs, outputs] = self.group();
            let taps = self.window.taps();
            let turned = |g, row, c| self.weight_at(g, row % outputs, c, taps - 1 - row / outputs);
            self.pack([taps * outputs, inputs], turned)
        })
    }

    /// The window by which a convolution of the output's gradient gives the input's; only for steps of one.
    fn gradient_window(&self) -> Option<Window> {
        let Window { size, stride, dilation, .. } = self.window;
        if stride != [1, 1] {
            return None;
        }
        // Along each axis as many positions as the input has rows or columns.
        let around = |axis: usize| {
            let before = (self.window.extent(axis) - 1).checked_sub(self.window.before[axis])?;
            let all = self.input[axis + 1] + self.window.extent(axis) - 1;
            Some([before, all.checked_sub(self.output[axis + 1] + before)?])
        };
        let [rows, columns] = [around(0)?, around(1)?];
        Some(Window { size, stride, dilation, before: [rows[0], columns[0]], after: [rows[1], columns[1]] })
    }

    /// Adds the convolution of `rows` images, without the bias.
    fn add_convolution(&self, rows: usize, input: &[f32], output: &mut [f32]) {
        if self.is_depthwise() {
            return depthwise::forward(self, input, output);
        }
        let images = Images { values: input, shape: self.input, count: rows };
        let [inputs, outputs] = self.group();
        if self.groups == 1 && winograd::suits(self.window, [inputs, outputs]) {
            let winograd = self
                .prepared
                .winograd
                .get_or_init(|| Winograd::new([inputs, outputs], |c, o, tap| self.weight_at(0, o, c, tap)));
            return winograd.convolve(images, self.window.before, output, self.output);
        }
        convolve(images, self.window, self.groups, self.packed(), (output, self.output));
    }

    /// The weights of a depthwise convolution, tap by tap.
    fn taps(&self) -> &[f32] {
        self.prepared.taps.get_or_init(|| {
            let (channels, taps) = (self.input[0], self.window.taps());
            (0..taps * channels).map(|i| self.weight.values[i % channels * taps + i / channels]).collect()
        })
    }
}

impl Op for Conv {
    fn kind(&self) -> &'static str {
        "Conv"
    }

    fn output_shape(&self, inputs: &[&[usize]]) -> Result<Vec<usize>, String> {
        let shape = only_input(inputs)?;
        if shape != self.input {
            return Err(format!("the convolution was made for images of shape {:?}", self.input));
        }
        Ok(self.output.to_vec())
    }

    fn forward(&self, rows: usize, inputs: &[&[f32]], output: &mut [f32]) {
        for pixel in output.chunks_exact_mut(self.output[0]) {
            pixel.copy_from_slice(&self.bias.values);
        }
        self.add_convolution(rows, inputs[0], output);
    }

    fn tangent(&self, along: Tangents<'_>, output_tangent: &mut [f32]) {
        output_tangent.fill(0.0);
        self.add_convolution(along.rows, along.tangents[0], output_tangent);
    }

    fn backward(&self, trace: Trace<'_>, _input: usize, input_gradient: &mut [f32]) {
        input_gradient.fill(0.0);
        if self.is_depthwise() {
            return depthwise::backward(self, trace, input_gradient);
        }
        let images = Images { values: trace.output_gradient, shape: self.output, count: trace.rows };
        let [inputs, outputs] = self.group();
        match self.gradient_window() {
            Some(window) if self.groups == 1 && winograd::suits(window, [outputs, inputs]) => {
                let winograd = self.prepared.winograd_for_gradient.get_or_init(|| {
                    Winograd::new([outputs, inputs], |o, c, tap| self.weight_at(0, o, c, 8 - tap))
                });
                winograd.convolve(images, window.before, input_gradient, self.input);
            }
            Some(window) if self.group()[0] >= FEW_CHANNELS => {
                let into = (input_gradient, self.input);
                convolve(images, window, self.groups, self.packed_for_gradient(), into);
            }
            _ => scatter(self, images, input_gradient),
        }
    }

    fn gain(&self) -> Gain<'_> {
        Gain::Convolution(Kernel { weight: &self.weight, window: self.window, groups: self.groups })
    }

    fn flops(&self) -> u64 {
        let [outputs, height, width] = self.output.map(|n| n as u64);
        2 * outputs * height * width * (self.weight.values.len() as u64 / outputs)
    }

    fn parameters(&self) -> Vec<&Tensor> {
        vec![&self.weight, &self.bias]
    }

    fn parameters_mut(&mut self) -> Vec<&mut Tensor> {
        self.prepared = Prepared::default();
        vec![&mut self.weight, &mut self.bias]
    }

    fn parameter_gradients(&self, trace: Trace<'_>, gradients: &mut [Vec<f32>]) {
        let [weight, bias] = gradients else { return };
        for pixel in trace.output_gradient.chunks_exact(self.output[0]) {
            for (sum, g) in bias.iter_mut().zip(pixel) {
                *sum += g;
            }
        }
        let [inputs, outputs] = self.group();
        let [_, rows, columns] = self.output;
        let positions = trace.rows * rows * columns;
        for g in 0..self.groups {
            let channels = g * inputs..(g + 1) * inputs;
            let patches =
                Patches { image: self.input, window: self.window, positions: [rows, columns], channels };
            let width = patches.len();
            let mut sums = vec![0.0; width * outputs];
            let step = patches.step();
            for from in (0..positions).step_by(step) {
                let count = step.min(positions - from);
                with_scratch(count * (width + outputs), |scratch| {
                    let (patch, dy) = scratch.split_at_mut(count * width);
                    patches.write(trace.inputs[0], from..from + count, patch);
                    let of_group =
                        trace.output_gradient[from * self.output[0]..].chunks_exact(self.output[0]);
                    for (out, pixel) in dy.chunks_exact_mut(outputs).zip(of_group) {
                        out.copy_from_slice(&pixel[g * outputs..(g + 1) * outputs]);
                    }
                    let shape = [width, outputs, count];
                    multiply_transposed(shape, patch, dy, &mut sums, Destination::Accumulate);
                });
            }
            let taps = self.window.taps();
            for o in 0..outputs {
                let own = &mut weight[(g * outputs + o) * width..][..width];
                for (i, sum) in own.iter_mut().enumerate() {
                    *sum += sums[(i % taps * inputs + i / taps) * outputs + o];
                }
            }
        }
    }

    fn to_onnx(&self) -> Vec<OnnxNode> {
        let Window { size, stride, dilation, before, after } = self.window;
        vec![OnnxNode {
            op_type: "Conv",
            attributes: vec![
                ("dilations", Attribute::sizes(&dilation)),
                ("group", Attribute::Integer(self.groups as i64)),
                ("kernel_shape", Attribute::sizes(&size)),
                ("pads", Attribute::sizes(&[before, after].concat())),
                ("strides", Attribute::sizes(&stride)),
            ],
            constants: vec![
                ("weight", Constant::Floats(self.weight.clone())),
                ("bias", Constant::Floats(self.bias.clone())),
            ],
        }]
    }
}
