//! Convolutions as products of patches with weights.

use std::ops::Range;

use super::Conv;
use crate::network::ops::Window;
use crate::numeric::gemm::{Destination, Left, Packed, Right, multiply_into};
use crate::numeric::scratch::with_scratch;
use crate::numeric::simd::vectorised;

/// Patches are made for so many bytes at a time: they should stay in the second-level cache.
const PATCH_BYTES: usize = 1 << 19;

/// `count` images of `shape` (channels, height, width), channels-last.
#[derive(Debug, Clone, Copy)]
pub(super) struct Images<'a> {
    pub values: &'a [f32],
    pub shape: [usize; 3],
    pub count: usize,
}

/// Where patches lie in images: what a window sees of some channels at each of its positions, counted
/// image by image and row by row. A patch is taps × channels.
#[derive(Debug, Clone)]
pub(super) struct Patches {
    /// Channels, height and width of an image.
    pub image: [usize; 3],
    pub window: Window,
    /// Rows and columns of positions.
    pub positions: [usize; 2],
    pub channels: Range<usize>,
}

/// Values that are contiguous in a patch and in an image.
struct Run {
    patch: usize,
    image: usize,
    len: usize,
}

impl Patches {
    pub fn len(&self) -> usize {
        self.window.taps() * self.channels.len()
    }

    /// Positions whose patches are made at a time.
    pub fn step(&self) -> usize {
        (PATCH_BYTES / (4 * self.len())).max(32)
    }

    /// Calls `body` for every run of the patch at `position`; what is left out lies outside the image.
    #[inline(always)]
    fn runs(&self, position: usize, mut body: impl FnMut(Run)) {
        let [all, height, width] = self.image;
        let [rows, columns] = self.positions;
        let (window, channels) = (self.window, self.channels.len());
        let (image, pixel) = (position / (rows * columns), position % (rows * columns));
        let (y, x) = (pixel / columns, pixel % columns);
        let across = window.inside(1, x, width);
        let in_one_piece = channels == all && window.dilation[1] == 1;
        let pieces = if in_one_piece { usize::from(!across.is_empty()) } else { across.len() };
        let len = if in_one_piece { across.len() * channels } else { channels };
        for ky in window.inside(0, y, height) {
            let line = image * height + window.at(0, y, ky);
            for kx in across.start..across.start + pieces {
                body(Run {
                    patch: (ky * window.size[1] + kx) * channels,
                    image: (line * width + window.at(1, x, kx)) * all + self.channels.start,
                    len,
                });
            }
        }
    }

    /// Writes the patches of the positions in `range`.
    pub fn write(&self, images: &[f32], range: Range<usize>, out: &mut [f32]) {
        for (position, patch) in range.zip(out.chunks_exact_mut(self.len())) {
            let mut written = 0;
            self.runs(position, |run| {
                patch[run.patch..][..run.len].copy_from_slice(&images[run.image..][..run.len]);
                written += run.len;
            });
            if written < patch.len() {
                patch.fill(0.0);
                self.runs(position, |run| {
                    patch[run.patch..][..run.len].copy_from_slice(&images[run.image..][..run.len]);
                });
            }
        }
    }

    /// Adds the patches of the positions in `range` to the images they lie in.
    fn add(&self, range: Range<usize>, patches: &[f32], images: &mut [f32]) {
        vectorised(
            #[inline(always)]
            || {
                for (position, patch) in range.zip(patches.chunks_exact(self.len())) {
                    self.runs(
                        position,
                        #[inline(always)]
                        |run| {
                            let sums = images[run.image..][..run.len].iter_mut();
                            for (sum, g) in sums.zip(&patch[run.patch..][..run.len]) {
                                *sum += g;
                            }
                        },
                    );
                }
            },
        );
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
    for (g, weights) in weights.iter().enumerate() {
        let into = |from: usize| from * outputs + g * outputs_of_group;
        if window == Window::of([1, 1]) {
            let left = Left { values: &images.values[g * inputs..], stride: channels };
            let right = Right { values: &mut output[into(0)..], stride: outputs };
            multiply_into(positions, left, weights, right, Destination::Accumulate);
            continue;
        }
        let channels = g * inputs..(g + 1) * inputs;
        let patches = Patches { image: images.shape, window, positions: [rows, columns], channels };
        let step = patches.step();
        for from in (0..positions).step_by(step) {
            let to = (from + step).min(positions);
            with_scratch((to - from) * patches.len(), |scratch| {
                patches.write(images.values, from..to, scratch);
                let left = Left { values: scratch, stride: patches.len() };
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
    let positions = gradients.count * rows * columns;
    for (g, weights) in conv.packed_for_patches().iter().enumerate() {
        let channels = g * inputs..(g + 1) * inputs;
        let patches =
            Patches { image: conv.input, window: conv.window, positions: [rows, columns], channels };
        let step = patches.step();
        for from in (0..positions).step_by(step) {
            let to = (from + step).min(positions);
            with_scratch((to - from) * patches.len(), |scratch| {
                let values = &gradients.values[from * all_outputs + g * outputs..];
                let left = Left { values, stride: all_outputs };
                let right = Right { values: &mut *scratch, stride: patches.len() };
                multiply_into(to - from, left, weights, right, Destination::Overwrite);
                patches.add(from..to, scratch, input_gradient);
            });
        }
    }
}
