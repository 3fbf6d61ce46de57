use super::{Constant, Gain, OnnxNode, Op, Tangents, Tensor, Trace, only_input};
use crate::numeric::simd::vectorised;

/// Where a pixel of the result lies in the image, as ONNX names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Coordinates {
    /// (i + 1/2) / factor − 1/2: edges meet edges.
    HalfPixel,
    /// The same about the middle of the image, where factor and size do not agree.
    HalfPixelSymmetric,
    /// As [`HalfPixel`](Self::HalfPixel), and 0 where the result has one pixel.
    PytorchHalfPixel,
    /// i · (length − 1) / (new length − 1): the first and the last pixels meet.
    AlignCorners,
    /// i / factor.
    Asymmetric,
    /// (i + 1/2) / factor.
    TfHalfPixelForNn,
}

/// Which whole number stands for a coordinate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rounding {
    /// The nearest, of two the smaller.
    PreferFloor,
    /// The nearest, of two the larger.
    PreferCeil,
    /// The next smaller.
    Floor,
    /// The next larger.
    Ceil,
}

/// What stands between pixels.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Interpolation {
    /// One of them.
    Nearest(Rounding),
    /// A line from one to the next.
    Linear,
    /// Keys' cubic through four of them.
    Cubic {
        /// The slope that the weights have one pixel away: −0.75 or −0.5.
        slope: f32,
    },
}

/// How an image is sampled anew.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sampling {
    /// Between pixels.
    pub interpolation: Interpolation,
    /// Between result and image.
    pub coordinates: Coordinates,
    /// Whether every pixel counts where the image shrinks: the triangle of [`Interpolation::Linear`] is then as wide
    /// as two pixels of the result, as Pillow has it. The edges of both images meet.
    pub antialias: bool,
    /// Whether pixels outside of the image are left out, rather than taken from its edge, by cubics and
    /// antialiasing.
    pub inside: bool,
}

impl Sampling {
    /// Bilinear, antialiased: torchvision's and Pillow's.
    pub const SMOOTH: Self = Self {
        interpolation: Interpolation::Linear,
        coordinates: Coordinates::HalfPixel,
        antialias: true,
        inside: true,
    };
}

/// A pixel of the result along an axis: weights of consecutive pixels.
#[derive(Debug, Clone)]
struct Tap {
    start: usize,
    weights: Vec<f32>,
}

/// Images scaled to another height and width, channel by channel.
#[derive(Debug, Clone)]
pub struct Resize {
    input: [usize; 3],
    output: [usize; 3],
    /// For each row, and for each column of the result.
    taps: [Vec<Tap>; 2],
}

impl Resize {
    /// Most weights along both axes.
    const MOST: usize = 1 << 24;

    /// Images of shape `input` (channels, height, width) to height and width `size`; `factors` are the numbers by
    /// which coordinates are multiplied if they are not the ratios of the sizes.
    ///
    /// # Errors
    ///
    /// If there are no pixels or very many, or a factor is not positive.
    pub fn new(
        input: [usize; 3],
        size: [usize; 2],
        factors: Option<[f32; 2]>,
        sampling: Sampling,
    ) -> Result<Self, String> {
        let [channels, height, width] = input;
        let ratio = |axis: usize| size[axis] as f32 / input[axis + 1] as f32;
        let factors = factors.unwrap_or([ratio(0), ratio(1)]);
        if input.contains(&0) || size.contains(&0) {
            return Err(format!("there are no pixels in {input:?} or {size:?}"));
        }
        if let Some(bad) = factors.iter().find(|factor| !(factor.is_finite() && **factor > 0.0)) {
            return Err(format!("factors must be positive, found {bad}"));
        }
        let most = |axis: usize| size[axis].saturating_add(input[axis + 1]).saturating_mul(4);
        if most(0).saturating_add(most(1)) > Self::MOST {
            return Err(format!("an image of {height} × {width} to {} × {} is too large", size[0], size[1]));
        }
        let along = |axis: usize| taps(input[axis + 1], size[axis], factors[axis], sampling);
        Ok(Self { input, output: [channels, size[0], size[1]], taps: [along(0), along(1)] })
    }

    /// Calls `each` for every weight: of a row or column of the result and one of the image.
    #[inline(always)]
    fn each(taps: &[Tap], mut each: impl FnMut(usize, usize, f32)) {
        for (to, tap) in taps.iter().enumerate() {
            tap.weights.iter().enumerate().for_each(|(i, &weight)| each(to, tap.start + i, weight));
        }
    }

    /// The weights along an axis of length `from` as a matrix, `from` × the number of taps.
    fn matrix(taps: &[Tap], from: usize) -> Tensor {
        let mut values = vec![0.0; from * taps.len()];
        Self::each(taps, |to, at, weight| values[at * taps.len() + to] += weight);
        Tensor { shape: vec![from, taps.len()], values }
    }
}

/// The taps of all pixels of a side scaled from `from` to `to` pixels.
fn taps(from: usize, to: usize, factor: f32, sampling: Sampling) -> Vec<Tap> {
    let last = from as isize - 1;
    let tap = |at: usize| {
        if sampling.antialias && to < from {
            return triangle(from, to, at, sampling.inside);
        }
        let x = coordinate(at as f32, from as f32, to as f32, factor, sampling.coordinates);
        match sampling.interpolation {
            Interpolation::Nearest(rounding) => {
                let nearest = match rounding {
                    Rounding::PreferFloor => (x - 0.5).ceil(),
                    Rounding::PreferCeil => (x + 0.5).floor(),
                    Rounding::Floor => x.floor(),
                    Rounding::Ceil => x.ceil(),
                };
                Tap { start: (nearest as isize).clamp(0, last) as usize, weights: vec![1.0] }
            }
            Interpolation::Linear => {
                let x = x.clamp(0.0, last as f32);
                let part = x - x.floor();
                gathered(x as isize, &[1.0 - part, part], last)
            }
            Interpolation::Cubic { slope } => {
                let part = x - x.floor();
                let mut weights = [1.0 + part, part, 1.0 - part, 2.0 - part].map(|d| cubic(d, slope));
                let first = x.floor() as isize - 1;
                if sampling.inside {
                    let outside = |i: usize| !(0..=last).contains(&(first + i as isize));
                    (0..4).filter(|&i| outside(i)).for_each(|i| weights[i] = 0.0);
                    let sum: f32 = weights.iter().sum();
                    weights = weights.map(|weight| weight / sum);
                }
                gathered(first, &weights, last)
            }
        }
    };
    (0..to).map(tap).collect()
}

/// Weights of the pixels from `first` on, those outside of 0 to `last` counted for the edge.
fn gathered(first: isize, weights: &[f32], last: isize) -> Tap {
    let place = |i: usize| (first + i as isize).clamp(0, last) as usize;
    let (start, end) = (place(0), place(weights.len() - 1));
    let mut inside = vec![0.0; end - start + 1];
    weights.iter().enumerate().for_each(|(i, weight)| inside[place(i) - start] += weight);
    Tap { start, weights: inside }
}

/// Where pixel `at` of `to` lies among `from`, in f32 as other runtimes compute it.
fn coordinate(at: f32, from: f32, to: f32, factor: f32, coordinates: Coordinates) -> f32 {
    match coordinates {
        Coordinates::PytorchHalfPixel | Coordinates::AlignCorners if to <= 1.0 => 0.0,
        Coordinates::HalfPixel | Coordinates::PytorchHalfPixel => (at + 0.5) / factor - 0.5,
        Coordinates::HalfPixelSymmetric => {
            let centre = 0.5 * from;
            centre * (1.0 - to / (factor * from)) + (at + 0.5) / factor - 0.5
        }
        Coordinates::AlignCorners => at * (from - 1.0) / (to - 1.0),
        Coordinates::Asymmetric => at / factor,
        Coordinates::TfHalfPixelForNn => (at + 0.5) / factor,
    }
}

/// The antialiased bilinear filter: Pillow's where what is outside of the image is left out.
fn triangle(from: usize, to: usize, at: usize, inside: bool) -> Tap {
    let scale = from as f64 / to as f64;
    let centre = (at as f64 + 0.5) * scale;
    let ends = [centre - scale + 0.5, centre + scale + 0.5].map(|end| end.floor() as isize);
    let [start, end] = if inside { ends.map(|end| end.clamp(0, from as isize)) } else { ends };
    let height = |i: isize| (1.0 - ((i as f64 - centre + 0.5) / scale).abs()).max(0.0);
    let sum: f64 = (start..end).map(height).sum();
    let weights: Vec<f32> = (start..end).map(|i| (height(i) / sum) as f32).collect();
    gathered(start, &weights, from as isize - 1)
}

/// Keys' cubic at a distance below two.
fn cubic(d: f32, a: f32) -> f32 {
    if d <= 1.0 {
        ((a + 2.0) * d - (a + 3.0)) * d * d + 1.0
    } else {
        ((a * d - 5.0 * a) * d + 8.0 * a) * d - 4.0 * a
    }
}

#[inline(always)]
fn add(weight: f32, values: &[f32], sums: &mut [f32]) {
    sums.iter_mut().zip(values).for_each(|(sum, &x)| *sum = x.mul_add(weight, *sum));
}

impl Op for Resize {
    fn kind(&self) -> &'static str {
        "Resize"
    }

    fn output_shape(&self, inputs: &[&[usize]]) -> Result<Vec<usize>, String> {
        if only_input(inputs)? != self.input {
            return Err(format!("it was made for images of shape {:?}", self.input));
        }
        Ok(self.output.to_vec())
    }

    fn forward(&self, _rows: usize, inputs: &[&[f32]], output: &mut [f32]) {
        let ([channels, height, width], [_, _, columns]) = (self.input, self.output);
        let (line, narrow) = (width * channels, columns * channels);
        let [down, across] = &self.taps;
        let mut rows = vec![0.0; height * narrow];
        let images = inputs[0].chunks_exact(height * line);
        vectorised(
            #[inline(always)]
            || {
                for (image, output) in images.zip(output.chunks_exact_mut(down.len() * narrow)) {
                    rows.fill(0.0);
                    for (from, to) in image.chunks_exact(line).zip(rows.chunks_exact_mut(narrow)) {
                        Self::each(
                            across,
                            #[inline(always)]
                            |x, at, weight| {
                                add(
                                    weight,
                                    &from[at * channels..][..channels],
                                    &mut to[x * channels..][..channels],
                                );
                            },
                        );
                    }
                    output.fill(0.0);
                    Self::each(
                        down,
                        #[inline(always)]
                        |y, at, weight| {
                            add(weight, &rows[at * narrow..][..narrow], &mut output[y * narrow..][..narrow]);
                        },
                    );
                }
            },
        );
    }

    fn tangent(&self, along: Tangents<'_>, output_tangent: &mut [f32]) {
        self.forward(along.rows, along.tangents, output_tangent);
    }

    fn backward(&self, trace: Trace<'_>, _input: usize, input_gradient: &mut [f32]) {
        let ([channels, height, width], [_, _, columns]) = (self.input, self.output);
        let (line, narrow) = (width * channels, columns * channels);
        let [down, across] = &self.taps;
        let mut rows = vec![0.0; height * narrow];
        let gradients = trace.output_gradient.chunks_exact(down.len() * narrow);
        vectorised(
            #[inline(always)]
            || {
                for (gradient, into) in gradients.zip(input_gradient.chunks_exact_mut(height * line)) {
                    rows.fill(0.0);
                    Self::each(
                        down,
                        #[inline(always)]
                        |y, at, weight| {
                            add(
                                weight,
                                &gradient[y * narrow..][..narrow],
                                &mut rows[at * narrow..][..narrow],
                            );
                        },
                    );
                    into.fill(0.0);
                    for (from, to) in rows.chunks_exact(narrow).zip(into.chunks_exact_mut(line)) {
                        Self::each(
                            across,
                            #[inline(always)]
                            |x, at, weight| {
                                add(
                                    weight,
                                    &from[x * channels..][..channels],
                                    &mut to[at * channels..][..channels],
                                );
                            },
                        );
                    }
                }
            },
        );
    }

    fn gain(&self) -> Gain<'_> {
        // √(largest sum of a row · largest sum of a column) of the weights along each axis.
        let bound = |axis: usize| {
            let mut sums = vec![0.0_f64; self.input[axis + 1]];
            Self::each(&self.taps[axis], |_, at, weight| sums[at] += f64::from(weight.abs()));
            let of_tap = |tap: &Tap| tap.weights.iter().map(|w| f64::from(w.abs())).sum::<f64>();
            let row = self.taps[axis].iter().map(of_tap).fold(0.0, f64::max);
            (row * sums.into_iter().fold(0.0, f64::max)).sqrt()
        };
        Gain::AtMost(bound(0) * bound(1) * (1.0 + 1e-9))
    }

    /// As products with the weights along each axis: no version of ONNX has all ways of sampling.
    fn to_onnx(&self) -> Vec<OnnxNode> {
        let product = |axis: usize, name| OnnxNode {
            op_type: "MatMul",
            attributes: Vec::new(),
            constants: vec![(name, Constant::Floats(Self::matrix(&self.taps[axis], self.input[axis + 1])))],
        };
        let turned = || OnnxNode {
            op_type: "Transpose",
            attributes: vec![("perm", super::Attribute::Integers(vec![0, 1, 3, 2]))],
            constants: Vec::new(),
        };
        vec![product(1, "columns"), turned(), product(0, "rows"), turned()]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The products of the ONNX form, on channels that are stored last.
    #[test]
    fn products_with_the_weights_do_the_same() {
        let (input, size) = ([2, 5, 4], [3, 7]);
        for interpolation in [Interpolation::Linear, Interpolation::Cubic { slope: -0.75 }] {
            let antialias = interpolation == Interpolation::Linear;
            let sampling = Sampling { interpolation, antialias, ..Sampling::SMOOTH };
            let op = Resize::new(input, size, None, sampling).expect("sizes");
            let image: Vec<f32> = (0..40_u32).map(|i| (i * 37 % 23) as f32).collect();
            let mut output = vec![0.0; 42];
            op.forward(1, &[&image], &mut output);
            let constant = |part: usize| match op.to_onnx()[part].constants[0].1.clone() {
                Constant::Floats(tensor) => tensor,
                Constant::Integers(_) | Constant::Indices { .. } => panic!("weights"),
            };
            let (columns, rows) = (constant(0), constant(2));
            for (i, &found) in output.iter().enumerate() {
                let (channel, x, y) = (i % 2, i / 2 % 7, i / 14);
                let places = (0..20).map(|at| (at / 4, at % 4));
                let term = |(r, c): (usize, usize)| {
                    rows.values[r * 3 + y] * columns.values[c * 7 + x] * image[(r * 4 + c) * 2 + channel]
                };
                let expected: f32 = places.map(term).sum();
                assert!((found - expected).abs() < 1e-4, "{found} {expected}");
            }
        }
    }

    #[test]
    fn nothing_is_made_of_nothing_or_too_much() {
        assert!(Resize::new([1, 0, 4], [2, 2], None, Sampling::SMOOTH).is_err());
        assert!(Resize::new([1, 4, 4], [1 << 24, 1], None, Sampling::SMOOTH).is_err());
        assert!(Resize::new([1, 4, 4], [2, 2], Some([0.5, f32::NAN]), Sampling::SMOOTH).is_err());
    }
}
