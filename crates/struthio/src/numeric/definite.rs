//! Proofs that a symmetric matrix is positive, by Cholesky decomposition.

use super::gemm::{Wide, add_product};
use super::simd::vectorised;

const BLOCK: usize = 32;

/// Whether the Cholesky decomposition of the symmetric `matrix` (n × n, of which the lower triangle is read
/// and overwritten by the factor) goes through.
///
/// If it does, no eigenvalue is below −[`allowance`]`(n)`·trace: the decomposition is exact for a matrix
/// that differs by less (Rump, *Verification of positive definiteness*, 2006), in whatever order it sums.
pub(crate) fn decomposes(n: usize, matrix: &mut [f64]) -> bool {
    let mut panel = Vec::new();
    for from in (0..n).step_by(BLOCK) {
        let width = BLOCK.min(n - from);
        let rest = from + width;
        if !decompose_block(n, from, width, matrix) {
            return false;
        }
        // Below the block, transposed: row j of the panel is column j of the factor.
        let rows = n - rest;
        panel.clear();
        panel.extend((0..width).flat_map(|j| (rest..n).map(move |i| i * n + from + j)).map(|at| matrix[at]));
        for j in 0..width {
            let (done, open) = panel.split_at_mut(j * rows);
            let column = &mut open[..rows];
            let factors = &matrix[(from + j) * n + from..][..=j];
            for (&factor, earlier) in factors.iter().zip(done.chunks_exact(rows.max(1))) {
                subtract(column, factor, earlier);
            }
            column.iter_mut().for_each(|value| *value /= factors[j]);
        }
        for (j, column) in panel.chunks_exact(rows.max(1)).enumerate() {
            (rest..n).zip(column).for_each(|(i, &value)| matrix[i * n + from + j] = value);
        }
        for at in (rest..n).step_by(4 * BLOCK) {
            let columns = (4 * BLOCK).min(n - at);
            let left = Wide { values: &panel[at - rest..], strides: [1, rows] };
            let right = Wide { values: &panel[at - rest..], strides: [rows, 1] };
            add_product([n - at, columns, width], left, right, -1.0, (&mut matrix[at * n + at..], n));
        }
    }
    true
}

/// Of the trace of a positive n × n matrix: how far rounding may take the decomposition's matrix from it.
pub(crate) fn allowance(n: usize) -> f64 {
    2.0 * (n as f64 + 4.0) * f64::EPSILON
}

fn decompose_block(n: usize, from: usize, width: usize, matrix: &mut [f64]) -> bool {
    for i in from..from + width {
        for j in from..=i {
            let products = (from..j).map(|k| matrix[i * n + k] * matrix[j * n + k]);
            let left = matrix[i * n + j] - products.sum::<f64>();
            matrix[i * n + j] = if i > j {
                left / matrix[j * n + j]
            } else if left > 0.0 && left.is_finite() {
                left.sqrt()
            } else {
                return false;
            };
        }
    }
    true
}

fn subtract(from: &mut [f64], factor: f64, values: &[f64]) {
    vectorised(
        #[inline(always)]
        || {
            for (out, &x) in from.iter_mut().zip(values) {
                *out = factor.mul_add(-x, *out);
            }
        },
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The second-difference matrix has the eigenvalues 2 − 2·cos(πk/(n + 1)).
    #[test]
    fn tells_which_side_of_the_smallest_eigenvalue() {
        for n in [1, 5, 31, 32, 33, 70, 200] {
            let smallest = 2.0 - 2.0 * (std::f64::consts::PI / (n as f64 + 1.0)).cos();
            for (shift, expected) in [(smallest * (1.0 - 1e-9), true), (smallest * (1.0 + 1e-9), false)] {
                let at = |i: usize| match (i / n).abs_diff(i % n) {
                    0 => 2.0 - shift,
                    1 => -1.0,
                    _ => 0.0,
                };
                let mut matrix: Vec<f64> = (0..n * n).map(at).collect();
                assert_eq!(decomposes(n, &mut matrix), expected, "{n}");
            }
        }
    }

    #[test]
    fn leaves_the_factor() {
        for n in [3, 32, 50, 70, 140] {
            // L·Lᵀ for a planted L.
            let planted = |i: usize, j: usize| match i.cmp(&j) {
                std::cmp::Ordering::Less => 0.0,
                std::cmp::Ordering::Equal => 2.0 + (i % 3) as f64,
                std::cmp::Ordering::Greater => ((i * 7 + j * 13) % 11) as f64 / 20.0 - 0.25,
            };
            let product = |i: usize, j: usize| (0..n).map(|k| planted(i, k) * planted(j, k)).sum();
            let mut matrix: Vec<f64> = (0..n * n).map(|at| product(at / n, at % n)).collect();
            assert!(decomposes(n, &mut matrix));
            for (i, j) in (0..n).flat_map(|i| (0..=i).map(move |j| (i, j))) {
                assert!((matrix[i * n + j] - planted(i, j)).abs() < 1e-9, "{n}: {i} {j}");
            }
        }
    }
}
