use rayon::prelude::*;

use super::gram::Gram;
use super::symbol::Symbol;
use crate::network::ops::Kernel;
use crate::numeric::definite::{allowance, decomposes};
use crate::numeric::hermitian::Hermitian;

/// Points of the grid per degree: fewer for large matrices, of which each costs more.
const POINTS: [usize; 2] = [16, 8];
const LARGE: usize = 256;
/// Most points of a grid; a convolution of higher degree, far from any in use, is bounded by its elements.
const MOST: usize = 1 << 22;

/// A number that ‖A(θ)‖ exceeds at no frequency of any group, so that the convolution's gain exceeds it
/// for images of no size, wrapped around or padded by zeros.
pub(super) fn of_convolution(kernel: &Kernel<'_>) -> f64 {
    let groups = (0..kernel.groups).into_par_iter().map(|group| of_gram(&Symbol::of(kernel, group).gram()));
    groups.reduce(|| 0.0, f64::max)
}

/// The square root of a number that no eigenvalue of G(θ) exceeds.
///
/// At points of a grid this is proven by Cholesky decomposition. Between them: for any vector x,
/// p = x*·G(θ)·x is along each axis a trigonometric polynomial of degree L that is nowhere negative. Such a
/// p is at least cos²(Lδ/2) times its maximum at a distance of δ ≤ π/L from where it is largest (M. Riesz 1914, for
/// p less half of that), and some point of M is at most π/M away.
pub(super) fn of_gram(gram: &Gram) -> f64 {
    if gram.rounding == 0.0 {
        return 0.0; // there are no weights but zeros
    }
    let large = gram.n >= LARGE;
    let mut between = 1.0;
    let mut points = [1; 2];
    for (axis, points) in points.iter_mut().enumerate() {
        let degree = gram.degree[axis] / gram.step[axis];
        if degree > 0 {
            *points = POINTS[usize::from(large)] * degree;
            between /= (std::f64::consts::FRAC_PI_2 * degree as f64 / *points as f64).cos();
        }
    }
    let angle =
        |axis: usize, k: usize| std::f64::consts::TAU * k as f64 / (points[axis] * gram.step[axis]) as f64;
    // G at −θ is the conjugate of G at θ.
    let half = if points[0] > 1 { [points[0] / 2 + 1, points[1]] } else { [1, points[1] / 2 + 1] };
    let count = half[0].saturating_mul(half[1]);
    if count > MOST {
        return gram.by_elements.sqrt() * (1.0 + 1e-9);
    }
    let grid = || (0..count).into_par_iter().map(|i| [angle(0, i / half[1]), angle(1, i % half[1])]);
    let estimates = grid().map_init(
        || Hermitian::new(gram.n),
        |matrix, theta| {
            gram.at(theta, matrix);
            matrix.largest()
        },
    );
    let estimate = estimates.reduce(|| 0.0, f64::max);
    if !estimate.is_finite() {
        return f64::INFINITY;
    }
    let size = if gram.is_constant() { gram.n } else { 2 * gram.n };
    let noise = 2.0 * allowance(size) * size as f64 + 4.0 * f64::EPSILON;
    let mut slack = 1e-9;
    while slack < 1e3 {
        let limit = estimate * (1.0 + slack + noise) + gram.rounding;
        let proven = grid().map_init(
            || (Hermitian::new(gram.n), vec![0.0; size * size]),
            |(matrix, real), theta| {
                gram.at(theta, matrix);
                below(limit, matrix, gram.is_constant(), real)
            },
        );
        if proven.all(|holds| holds) {
            return (limit * (1.0 + noise) + gram.rounding).sqrt() * between * (1.0 + 1e-12);
        }
        slack *= 8.0;
    }
    f64::INFINITY
}

/// Whether limit·I − G decomposes, as a real matrix of twice the size unless G is real.
fn below(limit: f64, matrix: &Hermitian, is_real: bool, real: &mut [f64]) -> bool {
    let n = matrix.n;
    let size = if is_real { n } else { 2 * n };
    for i in 0..n {
        for j in 0..=i {
            let shift = if i == j { limit } else { 0.0 };
            real[i * size + j] = shift - matrix.re[i * n + j];
        }
        if !is_real {
            for j in 0..n {
                real[(n + i) * size + j] = -matrix.im[i * n + j];
                real[(n + i) * size + n + j] = real[i.max(j) * size + i.min(j)];
            }
        }
    }
    decomposes(size, real)
}
