//! Convolutions as products of patches with weights.

use super::Conv;
use crate::network::ops::Window;
use crate::numeric::gemm::{Destination, Left, Packed, Right, multiply_into};
use crate::numeric::scratch::with_scratch;

/// Patches are made for so many bytes at a time: they should stay in the second-level cache.
pub(super) const PATCH_BYTES: usize = 1 << 19;

/// `count` images of `shape` (channels, height, width), channels-last.
#[derive(Debug, Clone, Copy)]
pub(super) struct Images<'a> {
    pub values: &'a [f32],
    pub shape: [usize; 3],
    pub count: usize,
}

/// What a window sees of some channels at each of its positions, image by image and row by row: taps ×
/// channels, zero outside the image.
pub(super) struct Patches<'a> {
    pub images: Images<'a>,
    pub window: Window,
    /// Channels (not looked at), rows and columns of positions.
    pub positions: [usize; 3],
    pub channels: std::ops::Range<usize>,
}

impl Patches<'_> {
    /// Writes the patches of the positions in `range`.
    pub fn write(&self, range: std::ops::Range<usize>, out: &mut [f32]) {
        let [all, height, width] = self.images.shape;
        let [_, rows, columns] = self.positions;
        let (channels, window) = (self.channels.len(), self.window);
        let [_, across] = window.size;
        let in_one_piece = channels == all && window.dilation[1] == 1;
        for (position, patch) in range.zip(out.chunks_exact_mut(window.size[0] * across * channels)) {
            let (image, pixel) = (position / (rows * columns), position % (rows * columns));
            let (y, x) = (pixel / columns, pixel % columns);
            let (inside_y, inside_x) = (window.inside(0, y, height), window.inside(1, x, width));
            let image = &self.images.values[image * all * height * width..][..all * height * width];
            for (ky, line) in patch.chunks_exact_mut(across * channels).enumerate() {
                if !inside_y.contains(&ky) {
                    line.fill(0.0);
                    continue;
                }
                let source_y = (window.start(0, y) + (ky * window.dilation[0]) as isize) as usize;
                let source = |kx: usize| {
                    let source_x = (window.start(1, x) + (kx * window.dilation[1]) as isize) as usize;
                    (source_y * width + source_x) * all + self.channels.start
                };
                line[..inside_x.start * channels].fill(0.0);
                line[inside_x.end * channels..].fill(0.0);
                if in_one_piece && !inside_x.is_empty() {
                    let piece = &mut line[inside_x.start * channels..inside_x.end * channels];
                    piece.copy_from_slice(&image[source(inside_x.start)..][..piece.len()]);
                } else {
                    for kx in inside_x.clone() {
                        line[kx * channels..][..channels].copy_from_slice(&image[source(kx)..][..channels]);
                    }
                }
            }
        }
    }
}

/// Adds the convolution of `images` to what is in the output, for each group by the product with its
/// `weights`.
pub(super) fn convolve(
    images: Images<'_>,
    window: Window,
    groups: usize,
    weights: &[Packed],
    (output, shape): (&mut [f32], [usize; 3]),
) {
    let [channels, ..] = images.shape;
    let [outputs, rows, columns] = shape;
    let (inputs, outputs_of_group) = (channels / groups, outputs / groups);
    let positions = images.count * rows * columns;
    let width = window.size[0] * window.size[1] * inputs;
    for (g, weights) in weights.iter().enumerate() {
        let into = |from: usize| from * outputs + g * outputs_of_group;
        if window == Window::of([1, 1]) {
            let left = Left { values: &images.values[g * inputs..], stride: channels };
            let right = Right { values: &mut output[into(0)..], stride: outputs };
            multiply_into(positions, left, weights, right, Destination::Accumulate);
            continue;
        }
        let patches = Patches { images, window, positions: shape, channels: g * inputs..(g + 1) * inputs };
        let step = (PATCH_BYTES / (4 * width)).max(32);
        for from in (0..positions).step_by(step) {
            let to = (from + step).min(positions);
            with_scratch((to - from) * width, |scratch| {
                patches.write(from..to, scratch);
                let left = Left { values: scratch, stride: width };
                let right = Right { values: &mut output[into(from)..], stride: outputs };
                multiply_into(to - from, left, weights, right, Destination::Accumulate);
            });
        }
    }
}

/// Adds the gradient with respect to the input, patch by patch.
pub(super) fn scatter(conv: &Conv, gradients: Images<'_>, input_gradient: &mut [f32]) {
    let [inputs, outputs] = conv.group();
    let [all_outputs, rows, columns] = conv.output;
    let [channels, height, width] = conv.input;
    let window = conv.window;
    let patch_len = window.size[0] * window.size[1] * inputs;
    let step = (PATCH_BYTES / (4 * patch_len)).max(32);
    let positions = gradients.count * rows * columns;
    for (g, weights) in conv.packed_for_patches().iter().enumerate() {
        for from in (0..positions).step_by(step) {
            let to = (from + step).min(positions);
            with_scratch((to - from) * patch_len, |patches| {
                let values = &gradients.values[from * all_outputs + g * outputs..];
                let left = Left { values, stride: all_outputs };
                let right = Right { values: &mut *patches, stride: patch_len };
                multiply_into(to - from, left, weights, right, Destination::Overwrite);
                for (position, patch) in (from..to).zip(patches.chunks_exact(patch_len)) {
                    let (image, pixel) = (position / (rows * columns), position % (rows * columns));
                    let (y, x) = (pixel / columns, pixel % columns);
                    let image = &mut input_gradient[image * channels * height * width..];
                    for ky in window.inside(0, y, height) {
                        let to_y = (window.start(0, y) + (ky * window.dilation[0]) as isize) as usize;
                        for kx in window.inside(1, x, width) {
                            let to_x = (window.start(1, x) + (kx * window.dilation[1]) as isize) as usize;
                            let target =
                                &mut image[(to_y * width + to_x) * channels + g * inputs..][..inputs];
                            let source = &patch[(ky * window.size[1] + kx) * inputs..][..inputs];
                            for (sum, &g) in target.iter_mut().zip(source) {
                                *sum += g;
                            }
                        }
                    }
                }
            });
        }
    }
}
