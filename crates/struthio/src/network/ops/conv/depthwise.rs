//! Convolutions of every channel with a window of its own.

use super::Conv;
use crate::network::ops::Trace;
use crate::numeric::simd::vectorised;

/// Adds a convolution of every channel with its own window, many channels at a time.
pub(super) fn forward(conv: &Conv, rows: usize, input: &[f32], output: &mut [f32]) {
    let [channels, height, width] = conv.input;
    let [_, positions_y, positions_x] = conv.output;
    let (window, taps) = (conv.window, conv.taps());
    vectorised(
        #[inline(always)]
        || {
            for image in 0..rows {
                let input = &input[image * channels * height * width..][..channels * height * width];
                let output = &mut output[image * channels * positions_y * positions_x..];
                for y in 0..positions_y {
                    for x in 0..positions_x {
                        let out = &mut output[(y * positions_x + x) * channels..][..channels];
                        for ky in window.inside(0, y, height) {
                            let from_y = (window.start(0, y) + (ky * window.dilation[0]) as isize) as usize;
                            for kx in window.inside(1, x, width) {
                                let from_x =
                                    (window.start(1, x) + (kx * window.dilation[1]) as isize) as usize;
                                let source = &input[(from_y * width + from_x) * channels..][..channels];
                                let tap = &taps[(ky * window.size[1] + kx) * channels..][..channels];
                                for ((out, &x), &w) in out.iter_mut().zip(source).zip(tap) {
                                    *out = x.mul_add(w, *out);
                                }
                            }
                        }
                    }
                }
            }
        },
    );
}

/// Adds the gradient of [`forward`] with respect to the input.
pub(super) fn backward(conv: &Conv, trace: Trace<'_>, input_gradient: &mut [f32]) {
    let [channels, height, width] = conv.input;
    let [_, positions_y, positions_x] = conv.output;
    let (window, taps) = (conv.window, conv.taps());
    vectorised(
        #[inline(always)]
        || {
            for image in 0..trace.rows {
                let gradient = &trace.output_gradient[image * channels * positions_y * positions_x..];
                let into =
                    &mut input_gradient[image * channels * height * width..][..channels * height * width];
                for y in 0..positions_y {
                    for x in 0..positions_x {
                        let dy = &gradient[(y * positions_x + x) * channels..][..channels];
                        for ky in window.inside(0, y, height) {
                            let to_y = (window.start(0, y) + (ky * window.dilation[0]) as isize) as usize;
                            for kx in window.inside(1, x, width) {
                                let to_x = (window.start(1, x) + (kx * window.dilation[1]) as isize) as usize;
                                let target = &mut into[(to_y * width + to_x) * channels..][..channels];
                                let tap = &taps[(ky * window.size[1] + kx) * channels..][..channels];
                                for ((sum, &g), &w) in target.iter_mut().zip(dy).zip(tap) {
                                    *sum = g.mul_add(w, *sum);
                                }
                            }
                        }
                    }
                }
            }
        },
    );
}
