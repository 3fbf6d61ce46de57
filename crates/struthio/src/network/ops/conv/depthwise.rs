//! Convolutions of every channel with a window of its own.

use super::Conv;
use crate::network::ops::Trace;
use crate::numeric::simd::vectorised;

/// Adds a convolution of every channel with its own window, many channels at a time.
pub(super) fn forward(conv: &Conv, input: &[f32], output: &mut [f32]) {
    let [channels, height, width] = conv.input;
    let [_, rows, columns] = conv.output;
    let taps = conv.taps();
    let images = input.chunks_exact(channels * height * width);
    vectorised(
        #[inline(always)]
        || {
            for (input, output) in images.zip(output.chunks_exact_mut(channels * rows * columns)) {
                conv.window.visit(
                    [height, width],
                    [rows, columns],
                    #[inline(always)]
                    |position, seen| {
                        let sums = &mut output[position * channels..][..channels];
                        seen.each(
                            #[inline(always)]
                            |pixel, tap| {
                                let values = input[pixel * channels..][..channels].iter();
                                let pairs = values.zip(&taps[tap * channels..][..channels]);
                                for (sum, (&x, &w)) in sums.iter_mut().zip(pairs) {
                                    *sum = x.mul_add(w, *sum);
                                }
                            },
                        );
                    },
                );
            }
        },
    );
}

/// Adds the gradient of [`forward`] with respect to the input.
pub(super) fn backward(conv: &Conv, trace: Trace<'_>, input_gradient: &mut [f32]) {
    let [channels, height, width] = conv.input;
    let [_, rows, columns] = conv.output;
    let taps = conv.taps();
    let gradients = trace.output_gradient.chunks_exact(channels * rows * columns);
    vectorised(
        #[inline(always)]
        || {
            for (gradient, into) in gradients.zip(input_gradient.chunks_exact_mut(channels * height * width))
            {
                conv.window.visit(
                    [height, width],
                    [rows, columns],
                    #[inline(always)]
                    |position, seen| {
                        let values = &gradient[position * channels..][..channels];
                        seen.each(
                            #[inline(always)]
                            |pixel, tap| {
                                let pairs = values.iter().zip(&taps[tap * channels..][..channels]);
                                let sums = into[pixel * channels..][..channels].iter_mut();
                                for (sum, (&g, &w)) in sums.zip(pairs) {
                                    *sum = g.mul_add(w, *sum);
                                }
                            },
                        );
                    },
                );
            }
        },
    );
}
