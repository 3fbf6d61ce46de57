//! The largest singular value over all frequencies of a grid: single precision says where it may be,
//! double precision what it is there.

use std::collections::BTreeMap;

use rayon::prelude::*;

use super::circular::frequencies;
use super::symbol::Taps;
use crate::numeric::gemm::{Destination, multiply_transposed};
use crate::numeric::lanczos::{Found, Symmetric, complex_dot};
use crate::numeric::simd::vectorised;

/// Every how many frequencies along an axis the first look is taken.
const COARSE: usize = 4;
/// Relative residual at which an estimate is good enough.
const TOLERANCE: f64 = 3e-4;
/// Relative rounding of an estimate in single precision, generously.
const ROUNDING: f64 = 2e-5;
const STEPS: usize = 200;

/// The largest singular value of the symbol at the frequencies of a grid of `m` points.
///
/// Lanczos iteration at a frequency is given up when it cannot reach what was found on a coarser grid, and
/// what comes within its residual of the largest one is computed anew. As any iteration this approaches
/// the value from below, to a relative residual of 10⁻⁸.
pub(super) fn largest(taps: &Taps, m: [usize; 2]) -> f64 {
    let scale = taps.matrices.iter().flat_map(|(_, matrix)| matrix).fold(0.0_f64, |a, w| a.max(w.abs()));
    if scale == 0.0 || !scale.is_finite() {
        return scale;
    }
    let screen = Screen::new(taps, scale);
    let all: Vec<[f64; 2]> = frequencies(m, false).into_iter().map(|(theta, _)| theta).collect();
    let rows: Vec<Vec<[f64; 2]>> = all.chunk_by(|a, b| a[0] == b[0]).map(<[_]>::to_vec).collect();
    let coarse: Vec<Vec<[f64; 2]>> =
        rows.iter().step_by(COARSE).map(|row| row.iter().copied().step_by(COARSE).collect()).collect();
    let value = |estimates: &[Estimate]| estimates.iter().map(|e| e.found.value).fold(0.0, f64::max);
    let floor = value(&screen.estimates(&coarse, 0.0));
    let estimates = screen.estimates(&rows, floor);
    let best = value(&estimates);
    // What did not converge may be anything.
    let possible = estimates.par_iter().filter(|Estimate { found, .. }| {
        found.value * (1.0 + ROUNDING) + found.residual >= best || found.residual > TOLERANCE * found.value
    });
    possible.map(|estimate| norm_at(taps, estimate.theta)).reduce(|| 0.0, f64::max)
}

/// ‖A(θ)‖ in double precision.
fn norm_at(taps: &Taps, theta: [f64; 2]) -> f64 {
    let (n, k) = (taps.n, taps.k);
    let (mut re, mut im) = (vec![0.0; n * k], vec![0.0; n * k]);
    for (at, matrix) in &taps.matrices {
        let (sin, cos) = (at[0] as f64 * theta[0] + at[1] as f64 * theta[1]).sin_cos();
        re.iter_mut().zip(matrix).for_each(|(sum, w)| *sum += cos * w);
        im.iter_mut().zip(matrix).for_each(|(sum, w)| *sum += sin * w);
    }
    let (mut zr, mut zi) = (vec![0.0; k], vec![0.0; k]);
    let square = Symmetric::new(2 * n, n as u64).run(1e-8, 2 * n, |x, y| {
        // z = A*·x, y = A·z.
        zr.fill(0.0);
        zi.fill(0.0);
        for i in 0..n {
            add_conjugate((&re[i * k..][..k], &im[i * k..][..k]), [x[i], x[n + i]], (&mut zr, &mut zi));
        }
        for i in 0..n {
            (y[i], y[n + i]) = complex_dot(&re[i * k..][..k], &im[i * k..][..k], &zr, &zi);
        }
    });
    square.sqrt()
}

/// z ← z + x·a*
fn add_conjugate((re, im): (&[f64], &[f64]), x: [f64; 2], (zr, zi): (&mut [f64], &mut [f64])) {
    vectorised(
        #[inline(always)]
        || {
            for ((zr, zi), (re, im)) in zr.iter_mut().zip(zi).zip(re.iter().zip(im)) {
                *zr = x[0].mul_add(*re, x[1].mul_add(*im, *zr));
                *zi = x[1].mul_add(*re, (-x[0]).mul_add(*im, *zi));
            }
        },
    );
}

struct Estimate {
    theta: [f64; 2],
    /// Of A·A*, whose weights are scaled.
    found: Found,
}

/// G = A·A* in single precision, its coefficients ordered for going along a row of frequencies.
struct Screen {
    n: usize,
    zero: Vec<f32>,
    /// By the size of the lag along the row.
    lags: BTreeMap<i64, Vec<Lag>>,
}

struct Lag {
    /// Along the column, and whether the lag along the row is negative.
    at: i64,
    negative: bool,
    even: Vec<f32>,
    odd: Vec<f32>,
}

/// G for one θ₀: what is constant along the row, and the factors of cos(q·θ₁) and sin(q·θ₁) for each q, real
/// and imaginary.
struct Row {
    re: Vec<f32>,
    im: Vec<f32>,
    waves: Vec<(i64, [Vec<f32>; 4])>,
}

impl Screen {
    fn new(taps: &Taps, scale: f64) -> Self {
        let (n, k) = (taps.n, taps.k);
        let transposed: Vec<([i64; 2], Vec<f32>)> = taps
            .matrices
            .iter()
            .map(|(at, w)| (*at, (0..n * k).map(|i| (w[i % n * k + i / n] / scale) as f32).collect()))
            .collect();
        let mut pairs: BTreeMap<[i64; 2], Vec<[usize; 2]>> = BTreeMap::new();
        for (i, (s, _)) in transposed.iter().enumerate() {
            for (j, (t, _)) in transposed.iter().enumerate() {
                let lag = [s[0] - t[0], s[1] - t[1]];
                if lag >= [0, 0] {
                    pairs.entry(lag).or_default().push([i, j]);
                }
            }
        }
        let coefficients: Vec<([i64; 2], Vec<f32>)> = pairs
            .into_par_iter()
            .map(|(lag, pairs)| {
                let mut sum = vec![0.0; n * n];
                for [i, j] in pairs {
                    let (left, right) = (&transposed[i].1, &transposed[j].1);
                    multiply_transposed([n, n, k], left, right, &mut sum, Destination::Accumulate);
                }
                (lag, sum)
            })
            .collect();
        let mut screen = Self { n, zero: vec![0.0; n * n], lags: BTreeMap::new() };
        for (at, g) in coefficients {
            if at == [0, 0] {
                screen.zero = g;
                continue;
            }
            let with = |sign: f32| (0..n * n).map(|i| g[i] + sign * g[i % n * n + i / n]).collect();
            let lag = Lag { at: at[0], negative: at[1] < 0, even: with(1.0), odd: with(-1.0) };
            screen.lags.entry(at[1].abs()).or_default().push(lag);
        }
        screen
    }

    /// The largest eigenvalue at each frequency where it is above `floor`.
    fn estimates(&self, rows: &[Vec<[f64; 2]>], floor: f64) -> Vec<Estimate> {
        let n = self.n;
        let rows = rows.par_iter().flat_map(|row| {
            let coefficients = self.row(row[0][0]);
            let estimates = row.par_iter().map_init(
                || (vec![0.0; n * n], vec![0.0; n * n], vec![0.0; 4 * n]),
                |(re, im, vectors), &theta| {
                    coefficients.at(theta[1], re, im);
                    let found = Symmetric::new(2 * n, n as u64)
                        .run_above(floor, TOLERANCE, STEPS, |x, y| multiply(re, im, vectors, (x, y)));
                    found.map(|found| Estimate { theta, found })
                },
            );
            estimates.flatten().collect::<Vec<_>>()
        });
        rows.collect()
    }

    fn row(&self, theta: f64) -> Row {
        let zeros = || vec![0.0; self.n * self.n];
        let mut row = Row { re: self.zero.clone(), im: zeros(), waves: Vec::new() };
        for (&q, lags) in &self.lags {
            let mut waves = [zeros(), zeros(), zeros(), zeros()];
            for lag in lags {
                let (sin, cos) = (lag.at as f64 * theta).sin_cos();
                let sign = if lag.negative { -1.0 } else { 1.0 };
                // Of cos(a ± b) and sin(a ± b) for a along the column and b = q·θ₁.
                let [re, im, re_sin, im_sin] = &mut waves;
                let (re, im) = if q == 0 { (&mut row.re, &mut row.im) } else { (re, im) };
                add(re, cos, &lag.even);
                add(im, sin, &lag.odd);
                if q != 0 {
                    add(re_sin, -sign * sin, &lag.even);
                    add(im_sin, sign * cos, &lag.odd);
                }
            }
            if q != 0 {
                row.waves.push((q, waves));
            }
        }
        row
    }
}

impl Row {
    fn at(&self, theta: f64, re: &mut [f32], im: &mut [f32]) {
        re.copy_from_slice(&self.re);
        im.copy_from_slice(&self.im);
        for (q, [re_cos, im_cos, re_sin, im_sin]) in &self.waves {
            let (sin, cos) = (*q as f64 * theta).sin_cos();
            let (sin, cos) = (sin as f32, cos as f32);
            for (out, a, b) in [(&mut *re, re_cos, re_sin), (&mut *im, im_cos, im_sin)] {
                vectorised(
                    #[inline(always)]
                    || {
                        for (out, (a, b)) in out.iter_mut().zip(a.iter().zip(b)) {
                            *out = cos.mul_add(*a, sin.mul_add(*b, *out));
                        }
                    },
                );
            }
        }
    }
}

fn add(to: &mut [f32], factor: f64, values: &[f32]) {
    let factor = factor as f32;
    vectorised(
        #[inline(always)]
        || to.iter_mut().zip(values).for_each(|(to, v)| *to = factor.mul_add(*v, *to)),
    );
}

/// y = G·x for the Hermitian G of `re` and `im`; `vectors` is room for x and y in single precision.
fn multiply(re: &[f32], im: &[f32], vectors: &mut [f32], (x, y): (&[f64], &mut [f64])) {
    const ROWS: usize = 4;
    let n = x.len() / 2;
    let (xs, sums) = vectors.split_at_mut(2 * n);
    xs.iter_mut().zip(x).for_each(|(to, &from)| *to = from as f32);
    sums.fill(0.0);
    let (yr, yi) = sums.split_at_mut(n);
    let whole = n / ROWS * ROWS;
    vectorised(
        #[inline(always)]
        || {
            // Row i is the conjugate of column i.
            for i in (0..whole).step_by(ROWS) {
                let rows: [(&[f32], &[f32]); ROWS] =
                    std::array::from_fn(|r| (&re[(i + r) * n..][..n], &im[(i + r) * n..][..n]));
                let factors: [[f32; 2]; ROWS] = std::array::from_fn(|r| [xs[i + r], xs[n + i + r]]);
                let (yr, yi) = (&mut yr[..n], &mut yi[..n]);
                for c in 0..n {
                    let (mut a, mut b) = (yr[c], yi[c]);
                    for r in 0..ROWS {
                        let [p, q] = factors[r];
                        let (g, h) = (rows[r].0[c], rows[r].1[c]);
                        a = p.mul_add(g, q.mul_add(h, a));
                        b = q.mul_add(g, (-p).mul_add(h, b));
                    }
                    (yr[c], yi[c]) = (a, b);
                }
            }
            for i in whole..n {
                let [p, q] = [xs[i], xs[n + i]];
                for c in 0..n {
                    let (g, h) = (re[i * n + c], im[i * n + c]);
                    yr[c] = p.mul_add(g, q.mul_add(h, yr[c]));
                    yi[c] = q.mul_add(g, (-p).mul_add(h, yi[c]));
                }
            }
        },
    );
    y.iter_mut().zip(sums.iter()).for_each(|(to, &from)| *to = f64::from(from));
}

#[cfg(test)]
mod tests {
    use rand::RngExt;

    use super::*;
    use crate::network::ops::{Kernel, Tensor, Window};
    use crate::numeric::random::stream;
    use crate::spectrum::circular;
    use crate::spectrum::symbol::Symbol;

    /// Against all eigenvalues at all frequencies; on top of noise a wave that only some frequencies amplify.
    #[test]
    fn agrees_with_all_singular_values() {
        for (case, (shape, stride, size, wave, scale)) in [
            ([24, 20, 3, 3], 1, [9, 8], 0.0, 1.0),
            ([20, 40, 3, 3], 1, [14, 14], 0.3, 1e-20),
            ([40, 20, 3, 2], 2, [12, 10], 0.3, 1e20),
            ([33, 17, 1, 5], 1, [5, 30], 0.05, 1.0),
            ([18, 18, 3, 3], 1, [1, 1], 0.0, 1.0),
        ]
        .into_iter()
        .enumerate()
        {
            let mut draws = stream(case as u64, "peak", 0);
            let values = (0..shape.iter().product()).map(|i| {
                let wave = wave * f64::cos(2.0 * (i % shape[3]) as f64 + (i / shape[3] % shape[2]) as f64);
                (scale * (draws.random::<f64>() - 0.5 + wave)) as f32
            });
            let weight = Tensor { shape: shape.to_vec(), values: values.collect() };
            let mut window = Window::of([shape[2], shape[3]]);
            window.stride = [stride; 2];
            let kernel = Kernel { weight: &weight, window, groups: 1 };
            let expected = circular::spectrum(&kernel, size).values[0];
            let found = largest(&Symbol::of(&kernel, 0).oriented(), size.map(|n| n / stride));
            assert!((found / expected - 1.0).abs() < 1e-9, "{shape:?}: {found} {expected}");
        }
    }

    #[test]
    fn the_same_everywhere() {
        // One tap of three: each frequency has the singular values of its matrix, here 1 to 20.
        let (n, zeros) = (20, vec![0.0; 400]);
        let diagonal = (0..n * n).map(|i| if i / n == i % n { (i / n + 1) as f64 } else { 0.0 }).collect();
        let taps = Taps { n, k: n, matrices: vec![([0, 0], zeros.clone()), ([0, 1], diagonal)] };
        assert!((largest(&taps, [6, 6]) - 20.0).abs() < 1e-12);
        let nothing = Taps { n, k: n, matrices: vec![([0, 0], zeros.clone()), ([0, 1], zeros)] };
        assert_eq!(largest(&nothing, [6, 6]), 0.0);
    }
}
