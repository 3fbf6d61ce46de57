//! Orthogonal matrices: random ones, their fractional powers, and eigenvectors. All in f64, n × n, row-major.

use rand_distr::{Distribution, StandardNormal};

use super::random::Stream;

/// Sweeps of Jacobi rotations; convergence is quadratic, ten are plenty.
const SWEEPS: usize = 30;

/// A matrix drawn from the uniform (Haar) distribution on O(n): Gaussian rows, orthonormalised in order.
pub(crate) fn haar(n: usize, draws: &mut Stream) -> Vec<f64> {
    let mut rows: Vec<f64> = (0..n * n).map(|_| StandardNormal.sample(draws)).collect();
    for i in 0..n {
        let (done, rest) = rows.split_at_mut(i * n);
        let row = &mut rest[..n];
        // Twice is enough for orthogonality to the last digits.
        for _ in 0..2 {
            for earlier in done.chunks_exact(n) {
                let share = dot(row, earlier);
                row.iter_mut().zip(earlier).for_each(|(x, &e)| *x -= share * e);
            }
        }
        let norm = dot(row, row).sqrt();
        row.iter_mut().for_each(|x| *x /= norm);
    }
    rows
}

/// A matrix drawn from the uniform distribution on SO(n): Haar on O(n), the last row turned round where the
/// determinant is −1.
pub(crate) fn haar_rotation(n: usize, draws: &mut Stream) -> Vec<f64> {
    let mut rows = haar(n, draws);
    if determinant_is_negative(&rows, n) {
        rows[(n - 1) * n..].iter_mut().for_each(|x| *x = -*x);
    }
    rows
}

/// The orthogonal matrix that does with the space orthogonal to `axis` what `block`, (n − 1) × (n − 1), does with
/// the first n − 1 coordinates, and leaves `axis` where it is. Of a Haar matrix it is uniform among all that do:
/// in place of the coordinates are conjugated by the reflection that takes the last one to `axis`.
pub(crate) fn about(axis: &[f64], block: &[f64]) -> Vec<f64> {
    let n = axis.len();
    let length = dot(axis, axis).sqrt();
    // The mirror's normal; the sign avoids cancellation, and −axis is left where it is just as well.
    let mut normal: Vec<f64> = axis.iter().map(|x| x / length).collect();
    normal[n - 1] += if normal[n - 1] < 0.0 { -1.0 } else { 1.0 };
    let square = dot(&normal, &normal);
    let reflect = |row: &mut [f64]| {
        let share = 2.0 * dot(row, &normal) / square;
        row.iter_mut().zip(&normal).for_each(|(x, n)| *x -= share * n);
    };
    let mut rows = vec![0.0; n * n];
    for (row, of) in rows.chunks_exact_mut(n).zip(block.chunks_exact((n - 1).max(1))) {
        row[..n - 1].copy_from_slice(of);
    }
    rows[n * n - 1] = 1.0;
    rows.chunks_exact_mut(n).for_each(reflect);
    let mut columns = transposed(&rows, n);
    columns.chunks_exact_mut(n).for_each(reflect);
    transposed(&columns, n)
}

fn transposed(matrix: &[f64], n: usize) -> Vec<f64> {
    (0..n * n).map(|i| matrix[i % n * n + i / n]).collect()
}

/// Whether the determinant of a regular matrix is negative, by elimination with pivots.
fn determinant_is_negative(matrix: &[f64], n: usize) -> bool {
    let mut rows: Vec<Vec<f64>> = matrix.chunks_exact(n).map(<[f64]>::to_vec).collect();
    let mut negative = false;
    for i in 0..n {
        let pivot = (i..n).max_by(|&a, &b| rows[a][i].abs().total_cmp(&rows[b][i].abs())).unwrap_or(i);
        negative ^= pivot != i;
        rows.swap(i, pivot);
        negative ^= rows[i][i] < 0.0;
        let (head, tail) = rows.split_at_mut(i + 1);
        for row in tail {
            let factor = row[i] / head[i][i];
            row[i..].iter_mut().zip(&head[i][i..]).for_each(|(x, &p)| *x -= factor * p);
        }
    }
    negative
}

/// A rotation of SO(n) in the planes that it turns, so that it can be turned by a part of its angles.
#[derive(Debug, Clone)]
pub(crate) struct Rotation {
    n: usize,
    /// Orthonormal rows: the planes in pairs, then for odd n the axis.
    rows: Vec<f64>,
    /// The angle of every plane, in (−π, π].
    angles: Vec<f64>,
}

impl Rotation {
    /// Finds the planes of `q`, a matrix of SO(n): the eigenvectors of (Q + Qᵀ)/2 come in pairs with the
    /// eigenvalue cos θ, and span them.
    pub fn of(q: &[f64], n: usize) -> Self {
        let symmetric: Vec<f64> = q.iter().zip(transposed(q, n)).map(|(&a, b)| f64::midpoint(a, b)).collect();
        let (_, rows) = symmetric_eigen(symmetric, n);
        let angles = (0..n / 2)
            .map(|plane| {
                let (u, w) = (&rows[2 * plane * n..][..n], &rows[(2 * plane + 1) * n..][..n]);
                let (qu, qw) = (apply(q, u), apply(q, w));
                (dot(w, &qu) - dot(u, &qw)).atan2(dot(u, &qu) + dot(w, &qw))
            })
            .collect();
        Self { n, rows, angles }
    }

    /// Q^α, n × n: the identity for α = 0, Q for α = 1.
    pub fn power(&self, alpha: f64) -> Vec<f64> {
        let n = self.n;
        let mut power = vec![0.0; n * n];
        let mut add = |to: &[f64], from: &[f64], factor: f64| {
            for (row, &t) in power.chunks_exact_mut(n).zip(to) {
                row.iter_mut().zip(from).for_each(|(p, &f)| *p += factor * t * f);
            }
        };
        for (plane, angle) in self.angles.iter().enumerate() {
            let (u, w) = (&self.rows[2 * plane * n..][..n], &self.rows[(2 * plane + 1) * n..][..n]);
            let (sin, cos) = (alpha * angle).sin_cos();
            add(u, u, cos);
            add(w, w, cos);
            add(w, u, sin);
            add(u, w, -sin);
        }
        if n % 2 == 1 {
            let axis = &self.rows[(n - 1) * n..];
            add(axis, axis, 1.0);
        }
        power
    }
}

/// Eigenvalues of a symmetric matrix, ascending, and its orthonormal eigenvectors as rows: Jacobi's
/// rotations, until nothing is left beside the diagonal.
pub(crate) fn symmetric_eigen(mut a: Vec<f64>, n: usize) -> (Vec<f64>, Vec<f64>) {
    let mut vectors = vec![0.0; n * n];
    (0..n).for_each(|i| vectors[i * n + i] = 1.0);
    let size: f64 = a.iter().map(|x| x * x).sum::<f64>();
    for _ in 0..SWEEPS {
        let beside: f64 = (0..n * n).filter(|i| i / n != i % n).map(|i| a[i] * a[i]).sum();
        if beside <= 1e-30 * size {
            break;
        }
        for p in 0..n {
            for q in p + 1..n {
                let off = a[p * n + q];
                if off.abs() <= f64::MIN_POSITIVE {
                    continue;
                }
                let theta = (a[q * n + q] - a[p * n + p]) / (2.0 * off);
                let tangent = theta.signum() / (theta.abs() + theta.hypot(1.0));
                let cos = 1.0 / tangent.hypot(1.0);
                let sin = tangent * cos;
                turn(&mut a, n, (p, q), (cos, sin));
                // The rows hold what the columns get: the matrix stays symmetric.
                for k in 0..n {
                    let (kp, kq) = (a[k * n + p], a[k * n + q]);
                    a[k * n + p] = cos * kp - sin * kq;
                    a[k * n + q] = sin * kp + cos * kq;
                }
                turn(&mut vectors, n, (p, q), (cos, sin));
            }
        }
    }
    let mut order: Vec<usize> = (0..n).collect();
    order.sort_by(|&i, &j| a[i * n + i].total_cmp(&a[j * n + j]));
    let values = order.iter().map(|&i| a[i * n + i]).collect();
    (values, order.iter().flat_map(|&i| vectors[i * n..][..n].to_vec()).collect())
}

/// Rows p < q become cos·p − sin·q and sin·p + cos·q.
fn turn(matrix: &mut [f64], n: usize, (p, q): (usize, usize), (cos, sin): (f64, f64)) {
    let (head, tail) = matrix.split_at_mut(q * n);
    for (x, y) in head[p * n..][..n].iter_mut().zip(&mut tail[..n]) {
        (*x, *y) = (cos * *x - sin * *y, sin * *x + cos * *y);
    }
}

fn apply(matrix: &[f64], vector: &[f64]) -> Vec<f64> {
    matrix.chunks_exact(vector.len()).map(|row| dot(row, vector)).collect()
}

/// ⟨a, b⟩ in interleaved sums, so that vectors can be used.
fn dot(a: &[f64], b: &[f64]) -> f64 {
    let ((a, a_rest), (b, b_rest)) = (a.as_chunks::<8>(), b.as_chunks::<8>());
    let mut sums = [0.0; 8];
    for (a, b) in a.iter().zip(b) {
        for lane in 0..8 {
            sums[lane] += a[lane] * b[lane];
        }
    }
    sums.iter().sum::<f64>() + a_rest.iter().zip(b_rest).map(|(a, b)| a * b).sum::<f64>()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::numeric::random::stream;

    fn product(a: &[f64], b: &[f64], n: usize) -> Vec<f64> {
        (0..n * n).map(|i| (0..n).map(|k| a[i / n * n + k] * b[k * n + i % n]).sum()).collect()
    }

    fn distance(a: &[f64], b: &[f64]) -> f64 {
        a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max)
    }

    fn identity(n: usize) -> Vec<f64> {
        (0..n * n).map(|i| f64::from(i / n == i % n)).collect()
    }

    #[test]
    fn powers_of_a_rotation_are_rotations_and_exact_at_the_ends() {
        for n in [1, 2, 3, 10, 37, 128] {
            let q = haar_rotation(n, &mut stream(3, "test", n as u64));
            let rotation = Rotation::of(&q, n);
            assert!(distance(&rotation.power(0.0), &identity(n)) < 1e-12, "{n}");
            assert!(distance(&rotation.power(1.0), &q) < 1e-8, "{n}");
            for alpha in [0.1, 0.25, 0.5, 0.75, 1.0] {
                let power = rotation.power(alpha);
                assert!(distance(&product(&power, &transposed(&power, n), n), &identity(n)) < 1e-10, "{n}");
            }
            let half = rotation.power(0.5);
            assert!(distance(&product(&half, &half, n), &rotation.power(1.0)) < 1e-10, "{n}");
        }
    }

    /// What is left of a random matrix about an axis: the axis, lengths and angles, and in the space orthogonal to
    /// it the moments of the uniform distribution, of which the trace is 1 more than that of the block.
    #[test]
    fn matrices_about_an_axis_leave_it_alone() {
        for n in [2, 3, 5, 16] {
            let mut draws = stream(7, "test", n as u64);
            let axis: Vec<f64> = (0..n).map(|_| StandardNormal.sample(&mut draws)).collect();
            for axis in [axis.clone(), axis.iter().map(|x| -x).collect()] {
                let block = haar(n - 1, &mut draws);
                let q = about(&axis, &block);
                assert!(distance(&apply(&q, &axis), &axis) < 1e-13, "{n}");
                assert!(distance(&product(&q, &transposed(&q, n), n), &identity(n)) < 1e-13, "{n}");
                let trace = |q: &[f64], n: usize| (0..n).map(|i| q[i * n + i]).sum::<f64>();
                assert!((trace(&q, n) - trace(&block, n - 1) - 1.0).abs() < 1e-12, "{n}");
            }
        }
    }

    /// Traces of Haar matrices of SO(n) have mean 0 and variance 1 (Diaconis & Shahshahani 1994); entries have
    /// the variance 1/n.
    #[test]
    fn haar_matrices_have_the_moments_of_the_uniform_distribution() {
        let (n, count) = (6, 4000);
        let (mut traces, mut entries) = ([0.0; 2], [0.0; 2]);
        for i in 0..count {
            let q = haar_rotation(n, &mut stream(1, "test", i));
            let trace: f64 = (0..n).map(|i| q[i * n + i]).sum();
            let last = q[n * n - 1];
            for (sums, x) in [(&mut traces, trace), (&mut entries, last)] {
                sums[0] += x / count as f64;
                sums[1] += x * x / count as f64;
            }
        }
        assert!(traces[0].abs() < 0.06 && (traces[1] - 1.0).abs() < 0.1, "{traces:?}");
        assert!(entries[0].abs() < 0.03 && (entries[1] - 1.0 / 6.0).abs() < 0.02, "{entries:?}");
    }

    #[test]
    fn eigenvectors_of_a_known_matrix() {
        let (values, vectors) = symmetric_eigen(vec![2.0, 1.0, 1.0, 2.0], 2);
        assert!((values[0] - 1.0).abs() < 1e-14 && (values[1] - 3.0).abs() < 1e-14);
        assert!((vectors[2] - vectors[3]).abs() < 1e-14 && (vectors[0] + vectors[1]).abs() < 1e-14);
        let q = haar(20, &mut stream(5, "test", 0));
        let wanted: Vec<f64> = (0..20).map(|i| f64::from(i) - 7.0).collect();
        let scaled: Vec<f64> = (0..400).map(|i| wanted[i / 20] * q[i]).collect();
        let (values, _) = symmetric_eigen(product(&transposed(&q, 20), &scaled, 20), 20);
        assert!(distance(&values, &wanted) < 1e-10, "{values:?}");
    }
}
