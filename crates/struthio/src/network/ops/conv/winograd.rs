//! Convolutions of 3 × 3 by the algorithm F(2 × 2, 3 × 3) of Winograd (Lavin & Gray 2016): a tile of 2 × 2
//! outputs takes 16 products instead of 36, one for each element of the transformed tile of 4 × 4 inputs.
//! The transforms are sums with factors of one and one half, so that roundings stay what they are
//! without them.

use super::patches::Images;
use crate::network::ops::Window;
use crate::numeric::gemm::{Destination, Left, Packed, Right, multiply_into};
use crate::numeric::scratch::with_scratch;
use crate::numeric::simd::vectorised;

/// Transformed tiles are made for so many bytes at a time.
const TILE_BYTES: usize = 1 << 21;
/// With fewer channels than this the transforms cost more than they save.
const FEW_CHANNELS: usize = 16;
/// Channels transformed at a time.
const LANES: usize = 16;

/// Elements of a transformed tile.
const ELEMENTS: usize = 16;

/// Whether a convolution is done this way; the answer must not depend on the images.
pub(super) fn suits(window: Window, channels: [usize; 2]) -> bool {
    let Window { size, stride, dilation, .. } = window;
    size == [3, 3]
        && stride == [1, 1]
        && dilation == [1, 1]
        && channels.iter().all(|&channels| channels >= FEW_CHANNELS)
}

/// The weights of a convolution, transformed: for each element of a tile, a matrix of inputs × outputs.
#[derive(Debug, Clone)]
pub(super) struct Winograd {
    channels: [usize; 2],
    elements: Vec<Packed>,
}

impl Winograd {
    /// Of the weight from input `c` to output `o` at `tap`, given by `weight(c, o, tap)`.
    pub fn new([inputs, outputs]: [usize; 2], weight: impl Fn(usize, usize, usize) -> f32) -> Self {
        // G · g · Gᵀ
        let rows = |[a, b, c]: [f64; 3]| [a, 0.5 * (a + b + c), 0.5 * (a - b + c), c];
        let mut transformed = vec![0.0; ELEMENTS * inputs * outputs];
        for (i, o) in (0..inputs).flat_map(|i| (0..outputs).map(move |o| (i, o))) {
            let columns: [[f64; 4]; 3] =
                [0, 1, 2].map(|x| rows([0, 1, 2].map(|y| weight(i, o, 3 * y + x) as f64)));
            for y in 0..4 {
                for (x, value) in rows([columns[0][y], columns[1][y], columns[2][y]]).into_iter().enumerate()
                {
                    transformed[((4 * y + x) * inputs + i) * outputs + o] = value as f32;
                }
            }
        }
        let elements = transformed.chunks_exact(inputs * outputs);
        Self {
            channels: [inputs, outputs],
            elements: elements.map(|element| Packed::new([inputs, outputs], element)).collect(),
        }
    }

    /// Adds the convolution of `images`, with `before` zeros above and to the left, to `output`, which has
    /// images of `shape`.
    pub fn convolve(&self, images: Images<'_>, before: [usize; 2], output: &mut [f32], shape: [usize; 3]) {
        let [inputs, outputs] = self.channels;
        let tiles = Tiles { images, before, output: shape };
        let all = tiles.count();
        let step = (TILE_BYTES / (4 * ELEMENTS * (inputs + outputs))).max(64);
        for from in (0..all).step_by(step) {
            let count = step.min(all - from);
            with_scratch(ELEMENTS * count * (inputs + outputs), |scratch| {
                let (transformed, products) = scratch.split_at_mut(ELEMENTS * count * inputs);
                tiles.transform(from..from + count, transformed);
                let pairs =
                    transformed.chunks_exact(count * inputs).zip(products.chunks_exact_mut(count * outputs));
                for (weights, (tiles, products)) in self.elements.iter().zip(pairs) {
                    let left = Left { values: tiles, stride: inputs };
                    let right = Right { values: products, stride: outputs };
                    multiply_into(count, left, weights, right, Destination::Overwrite);
                }
                tiles.add(from..from + count, products, output);
            });
        }
    }
}

/// The tiles of a batch, image by image and row by row.
struct Tiles<'a> {
    images: Images<'a>,
    before: [usize; 2],
    output: [usize; 3],
}

impl Tiles<'_> {
    fn across(&self) -> [usize; 2] {
        [self.output[1].div_ceil(2), self.output[2].div_ceil(2)]
    }

    fn count(&self) -> usize {
        let [down, across] = self.across();
        self.images.count * down * across
    }

    /// Image, and row and column of the first output, of tile number `tile`.
    fn place(&self, tile: usize) -> (usize, [usize; 2]) {
        let [down, across] = self.across();
        let within = tile % (down * across);
        (tile / (down * across), [2 * (within / across), 2 * (within % across)])
    }

    /// Bᵀ · d · B for the inputs d of each tile in `range`: elements × tiles × channels.
    fn transform(&self, range: std::ops::Range<usize>, out: &mut [f32]) {
        let [channels, height, width] = self.images.shape;
        let zeros = vec![0.0; channels];
        let count = range.len();
        vectorised(
            #[inline(always)]
            || {
                for (at, tile) in range.enumerate() {
                    let (image, [y, x]) = self.place(tile);
                    let image = &self.images.values[image * channels * height * width..];
                    let mut pixels = [&zeros[..]; ELEMENTS];
                    for (element, pixel) in pixels.iter_mut().enumerate() {
                        let y = (y + element / 4).wrapping_sub(self.before[0]);
                        let x = (x + element % 4).wrapping_sub(self.before[1]);
                        if y < height && x < width {
                            *pixel = &image[(y * width + x) * channels..][..channels];
                        }
                    }
                    let whole = channels / LANES * LANES;
                    for c in (0..whole).step_by(LANES) {
                        transform::<LANES>(&pixels, c, &mut out[at * channels + c..], count * channels);
                    }
                    for c in whole..channels {
                        transform::<1>(&pixels, c, &mut out[at * channels + c..], count * channels);
                    }
                }
            },
        );
    }

    /// Adds Aᵀ · m · A to the outputs of each tile in `range`, for products m: elements × tiles × channels.
    fn add(&self, range: std::ops::Range<usize>, products: &[f32], output: &mut [f32]) {
        let [channels, height, width] = self.output;
        let count = range.len();
        vectorised(
            #[inline(always)]
            || {
                for (at, tile) in range.enumerate() {
                    let (image, [y, x]) = self.place(tile);
                    let first = ((image * height + y) * width + x) * channels;
                    let rows = if y + 1 < height { 2 } else { 1 };
                    let columns = if x + 1 < width { 2 } else { 1 };
                    let products = &products[at * channels..];
                    let whole = channels / LANES * LANES;
                    for c in (0..channels).step_by(LANES) {
                        let lanes = LANES.min(channels - c);
                        let sums = if c < whole {
                            gather::<LANES>(&products[c..], count * channels)
                        } else {
                            let mut sums = [[0.0; LANES]; 4];
                            for lane in 0..lanes {
                                let single = gather::<1>(&products[c + lane..], count * channels);
                                for i in 0..4 {
                                    sums[i][lane] = single[i][0];
                                }
                            }
                            sums
                        };
                        for (i, sum) in sums.iter().enumerate() {
                            let (down, right) = (i / 2, i % 2);
                            if down < rows && right < columns {
                                let place = first + (down * width + right) * channels + c;
                                for (out, sum) in output[place..place + lanes].iter_mut().zip(sum) {
                                    *out += sum;
                                }
                            }
                        }
                    }
                }
            },
        );
    }
}

type Lanes<const L: usize> = [f32; L];

#[inline(always)]
fn plus<const L: usize>(a: &Lanes<L>, b: &Lanes<L>) -> Lanes<L> {
    let mut sum = [0.0; L];
    for l in 0..L {
        sum[l] = a[l] + b[l];
    }
    sum
}

#[inline(always)]
fn minus<const L: usize>(a: &Lanes<L>, b: &Lanes<L>) -> Lanes<L> {
    let mut difference = [0.0; L];
    for l in 0..L {
        difference[l] = a[l] - b[l];
    }
    difference
}

/// `L` values from `at` on.
#[inline(always)]
fn lanes<const L: usize>(values: &[f32], at: usize) -> &Lanes<L> {
    match values[at..].first_chunk() {
        Some(lanes) => lanes,
        None => &[0.0; L], // never: callers stay inside
    }
}

/// Bᵀ · d · B of `L` channels from `c` on; elements are `stride` apart in `out`.
#[inline(always)]
fn transform<const L: usize>(pixels: &[&[f32]; ELEMENTS], c: usize, out: &mut [f32], stride: usize) {
    let mut rows = [[0.0; L]; ELEMENTS];
    for x in 0..4 {
        let [a, b] = [lanes::<L>(pixels[x], c), lanes(pixels[4 + x], c)];
        let [d, e] = [lanes(pixels[8 + x], c), lanes(pixels[12 + x], c)];
        rows[x] = minus(a, d);
        rows[4 + x] = plus(b, d);
        rows[8 + x] = minus(d, b);
        rows[12 + x] = minus(b, e);
    }
    for y in 0..4 {
        let [a, b, d, e] = [&rows[4 * y], &rows[4 * y + 1], &rows[4 * y + 2], &rows[4 * y + 3]];
        let elements = [minus(a, d), plus(b, d), minus(d, b), minus(b, e)];
        for (x, element) in elements.iter().enumerate() {
            out[(4 * y + x) * stride..][..L].copy_from_slice(element);
        }
    }
}

/// Aᵀ · m · A of `L` channels: the four outputs of a tile. Elements are `stride` apart in `products`.
#[inline(always)]
fn gather<const L: usize>(products: &[f32], stride: usize) -> [Lanes<L>; 4] {
    let mut rows = [[0.0; L]; 8];
    for x in 0..4 {
        let [a, b] = [lanes::<L>(products, x * stride), lanes(products, (4 + x) * stride)];
        let [d, e] = [lanes(products, (8 + x) * stride), lanes(products, (12 + x) * stride)];
        rows[x] = plus(&plus(a, b), d);
        rows[4 + x] = minus(&minus(b, d), e);
    }
    let mut sums = [[0.0; L]; 4];
    for y in 0..2 {
        let [a, b, d, e] = [&rows[4 * y], &rows[4 * y + 1], &rows[4 * y + 2], &rows[4 * y + 3]];
        sums[2 * y] = plus(&plus(a, b), d);
        sums[2 * y + 1] = minus(&minus(b, d), e);
    }
    sums
}
