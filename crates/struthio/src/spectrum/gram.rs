use std::collections::BTreeMap;

use crate::numeric::gemm::{Wide, add_product};
use crate::numeric::hermitian::Hermitian;
use crate::numeric::simd::vectorised;

/// G(θ) = A(θ)·A(θ)* for A(θ) = Σₜ Aₜ·e^(i⟨t,θ⟩): a trigonometric polynomial whose coefficients are made
/// once, so that a frequency costs sums instead of a product.
///
/// Its eigenvalues are the squares of singular values. Rounding is 10⁻¹⁶ of the largest, so of a singular
/// value 10⁻⁸ of the largest one at worst.
#[derive(Debug)]
pub(super) struct Gram {
    pub n: usize,
    zero: Vec<f64>,
    lags: Vec<Lag>,
    /// Largest offset between two taps along each axis: the degree.
    pub degree: [usize; 2],
    /// Greatest common divisor of all offsets along each axis, 1 if there are none.
    pub step: [usize; 2],
    /// Bound of ‖computed G(θ) − G(θ)‖ for all θ.
    pub rounding: f64,
    /// Bound of ‖G(θ)‖ for all θ: the square of the sum of the taps' norms, by elements.
    pub by_elements: f64,
}

#[derive(Debug)]
struct Lag {
    at: [i64; 2],
    /// The coefficient plus its transpose.
    even: Vec<f64>,
    /// The coefficient minus its transpose.
    odd: Vec<f64>,
}

impl Gram {
    /// Of taps (offset, matrix of n × k).
    pub fn new([n, k]: [usize; 2], taps: &[([i64; 2], Vec<f64>)]) -> Self {
        let mut lags: BTreeMap<[i64; 2], Vec<f64>> = BTreeMap::new();
        lags.insert([0, 0], vec![0.0; n * n]);
        for (s, left) in taps {
            for (t, right) in taps {
                let lag = [s[0] - t[0], s[1] - t[1]];
                if lag < [0, 0] {
                    continue;
                }
                let sums = lags.entry(lag).or_insert_with(|| vec![0.0; n * n]);
                let left = Wide { values: left, strides: [k, 1] };
                let right = Wide { values: right, strides: [1, k] };
                add_product([n, n, k], left, right, 1.0, (sums, n));
            }
        }
        lags.retain(|&at, sums| at == [0, 0] || sums.iter().any(|&w| w != 0.0));
        let mut degree = [0_usize; 2];
        let mut step = [0_usize; 2];
        for lag in lags.keys() {
            for axis in 0..2 {
                let size = lag[axis].unsigned_abs() as usize;
                degree[axis] = degree[axis].max(size);
                step[axis] = greatest_common_divisor(step[axis], size);
            }
        }
        let norm = |matrix: &Vec<f64>| matrix.iter().map(|w| w * w).sum::<f64>().sqrt();
        let size = taps.iter().map(|(_, matrix)| norm(matrix)).sum::<f64>().powi(2);
        // Sums over k products of each pair of taps, then over lags, with angles that are rounded too.
        let terms = (k * taps.len() + 8 * lags.len() + 64) as f64;
        let zero = lags.remove(&[0, 0]).unwrap_or_default();
        let lags = lags.into_iter().map(|(at, g)| Lag::new(n, at, &g)).collect();
        let step = step.map(|s| s.max(1));
        Self { n, zero, lags, degree, step, rounding: 8.0 * terms * f64::EPSILON * size, by_elements: size }
    }

    /// Writes G at the frequency `theta` (row, column), in radians per pixel.
    pub fn at(&self, theta: [f64; 2], out: &mut Hermitian) {
        out.re.copy_from_slice(&self.zero);
        out.im.fill(0.0);
        for lag in &self.lags {
            let angle = lag.at[0] as f64 * theta[0] + lag.at[1] as f64 * theta[1];
            let (sin, cos) = angle.sin_cos();
            vectorised(
                #[inline(always)]
                || {
                    for (out, &g) in out.re.iter_mut().zip(&lag.even) {
                        *out = cos.mul_add(g, *out);
                    }
                    for (out, &g) in out.im.iter_mut().zip(&lag.odd) {
                        *out = sin.mul_add(g, *out);
                    }
                },
            );
        }
    }

    /// Whether G is the same, and real, at all frequencies.
    pub fn is_constant(&self) -> bool {
        self.lags.is_empty()
    }
}

impl Lag {
    fn new(n: usize, at: [i64; 2], g: &[f64]) -> Self {
        let with = |sign: f64| (0..n * n).map(|i| g[i] + sign * g[i % n * n + i / n]).collect();
        Self { at, even: with(1.0), odd: with(-1.0) }
    }
}

fn greatest_common_divisor(a: usize, b: usize) -> usize {
    if b == 0 { a } else { greatest_common_divisor(b, a % b) }
}
