//! Eigenvalues of Hermitian matrices.

use super::simd::vectorised;
use super::tridiagonal;

const LANES: usize = 8;

/// A Hermitian matrix, its real and its imaginary part row by row; buffers for its eigenvalues are kept
/// from one matrix to the next.
#[derive(Debug, Clone, Default)]
pub(crate) struct Hermitian {
    pub n: usize,
    pub re: Vec<f64>,
    pub im: Vec<f64>,
    diagonal: Vec<f64>,
    squares: Vec<f64>,
}

/// One element a ← a − v·w* − w·v* (of each pair the column's and the row's), and what it adds to the sums
/// of its row and of its column.
#[inline(always)]
fn fused(
    [re, im]: [&mut f64; 2],
    (v, [vr, vi]): ([f64; 2], [f64; 2]),
    (w, [wr, wi]): ([f64; 2], [f64; 2]),
    (x, [xr, xi]): ([f64; 2], [f64; 2]),
    [row_re, row_im, column_re, column_im]: [&mut f64; 4],
) {
    let a = (-vr).mul_add(w[0], (-vi).mul_add(w[1], (-wr).mul_add(v[0], (-wi).mul_add(v[1], *re))));
    let b = (-vi).mul_add(w[0], vr.mul_add(w[1], (-wi).mul_add(v[0], wr.mul_add(v[1], *im))));
    (*re, *im) = (a, b);
    *row_re = a.mul_add(x[0], b.mul_add(-x[1], *row_re));
    *row_im = a.mul_add(x[1], b.mul_add(x[0], *row_im));
    *column_re = a.mul_add(xr, b.mul_add(xi, *column_re));
    *column_im = a.mul_add(xi, b.mul_add(-xr, *column_im));
}

/// Complex vectors of one length.
type Vector = [Vec<f64>; 2];

impl Hermitian {
    pub fn new(n: usize) -> Self {
        Self { n, re: vec![0.0; n * n], im: vec![0.0; n * n], ..Self::default() }
    }

    /// All eigenvalues, in no particular order; overwrites the matrix.
    pub fn eigenvalues(&mut self) -> &[f64] {
        self.diagonal.clear();
        self.squares.clear();
        vectorised(
            #[inline(always)]
            || self.reduce(),
        );
        tridiagonal::eigenvalues(&mut self.diagonal, &mut self.squares);
        &self.diagonal
    }

    /// Householder's reduction to tridiagonal form. The update of each step is put off until the next one
    /// multiplies by the matrix, so that it is read and written once per step.
    #[inline(always)]
    fn reduce(&mut self) {
        let n = self.n;
        let zeros = || -> Vector { [vec![0.0; n], vec![0.0; n]] };
        let (mut v, mut w, mut next, mut product) = (zeros(), zeros(), zeros(), zeros());
        for k in 0..n {
            // A ← A − v·w* − w·v* is due; column k is needed at once.
            let (v0, w0) = ([v[0][k], v[1][k]], [w[0][k], w[1][k]]);
            self.diagonal.push(self.re[k * n + k] - 2.0 * (v0[0] * w0[0] + v0[1] * w0[1]));
            if k + 1 == n {
                break;
            }
            let mut square = 0.0;
            for i in k + 1..n {
                let at = i * n + k;
                let re =
                    self.re[at] - (v[0][i] * w0[0] + v[1][i] * w0[1]) - (w[0][i] * v0[0] + w[1][i] * v0[1]);
                let im =
                    self.im[at] - (v[1][i] * w0[0] - v[0][i] * w0[1]) - (w[1][i] * v0[0] - w[0][i] * v0[1]);
                (next[0][i], next[1][i]) = (re, im);
                square += re * re + im * im;
            }
            self.squares.push(square);
            // I − β·u·u* takes the column to a multiple of the first unit vector.
            let norm = square.sqrt();
            let first = next[0][k + 1].hypot(next[1][k + 1]);
            let [re, im] =
                if first > 0.0 { [next[0][k + 1] / first, next[1][k + 1] / first] } else { [1.0, 0.0] };
            next[0][k + 1] += re * norm;
            next[1][k + 1] += im * norm;
            let beta = if square > 0.0 { 1.0 / (norm * (norm + first)) } else { 0.0 };
            product.iter_mut().for_each(|part| part[k + 1..].fill(0.0));
            for i in k + 1..n {
                self.update_row(k + 1, i, [&v, &w, &next], &mut product);
            }
            let [p, q] = &mut product;
            let inner: f64 = (k + 1..n).map(|i| p[i] * next[0][i] + q[i] * next[1][i]).sum();
            let half = 0.5 * beta * beta * inner;
            for i in k + 1..n {
                w[0][i] = half.mul_add(-next[0][i], beta * p[i]);
                w[1][i] = half.mul_add(-next[1][i], beta * q[i]);
            }
            std::mem::swap(&mut v, &mut next);
        }
    }

    /// Brings row `i` up to date from column `from` to the diagonal, and adds what it and, by symmetry,
    /// its column contribute to the product with `x`.
    #[inline(always)]
    fn update_row(&mut self, from: usize, i: usize, [v, w, x]: [&Vector; 3], product: &mut Vector) {
        let at = i * self.n;
        let [vr, vi] = [v[0][i], v[1][i]];
        let [wr, wi] = [w[0][i], w[1][i]];
        let [xr, xi] = [x[0][i], x[1][i]];
        let (mut sums_re, mut sums_im) = ([0.0; LANES], [0.0; LANES]);
        let [p, q] = product;
        {
            let (a_re, rest_re) = self.re[at + from..at + i].as_chunks_mut::<LANES>();
            let (a_im, rest_im) = self.im[at + from..at + i].as_chunks_mut::<LANES>();
            let chunks = |values| -> (&[[f64; LANES]], &[f64]) { <[f64]>::as_chunks(values) };
            let (v_re, v_im) = (chunks(&v[0][from..i]), chunks(&v[1][from..i]));
            let (w_re, w_im) = (chunks(&w[0][from..i]), chunks(&w[1][from..i]));
            let (x_re, x_im) = (chunks(&x[0][from..i]), chunks(&x[1][from..i]));
            let (p_all, p_rest) = p[from..i].as_chunks_mut::<LANES>();
            let (q_all, q_rest) = q[from..i].as_chunks_mut::<LANES>();
            let blocks = a_re.iter_mut().zip(a_im).zip(p_all).zip(q_all);
            let vectors =
                v_re.0.iter().zip(v_im.0).zip(w_re.0.iter().zip(w_im.0)).zip(x_re.0.iter().zip(x_im.0));
            for ((((re, im), p), q), (((v_re, v_im), (w_re, w_im)), (x_re, x_im))) in blocks.zip(vectors) {
                for l in 0..LANES {
                    let (v, w, x) = ([v_re[l], v_im[l]], [w_re[l], w_im[l]], [x_re[l], x_im[l]]);
                    let sums = [&mut sums_re[l], &mut sums_im[l], &mut p[l], &mut q[l]];
                    fused([&mut re[l], &mut im[l]], (v, [vr, vi]), (w, [wr, wi]), (x, [xr, xi]), sums);
                }
            }
            for l in 0..rest_re.len() {
                let (v, w, x) = ([v_re.1[l], v_im.1[l]], [w_re.1[l], w_im.1[l]], [x_re.1[l], x_im.1[l]]);
                let sums = [&mut sums_re[l], &mut sums_im[l], &mut p_rest[l], &mut q_rest[l]];
                fused([&mut rest_re[l], &mut rest_im[l]], (v, [vr, vi]), (w, [wr, wi]), (x, [xr, xi]), sums);
            }
        }
        let corner = &mut self.re[at + i];
        *corner -= 2.0 * (vr * wr + vi * wi);
        p[i] += *corner * xr + sums_re.iter().sum::<f64>();
        q[i] += *corner * xi + sums_im.iter().sum::<f64>();
    }

    /// The largest eigenvalue of a matrix that has none below zero, by Lanczos iteration to a relative
    /// residual of 10⁻⁸: never above it but for rounding.
    pub fn largest(&mut self) -> f64 {
        const SMALL: usize = 48;
        let n = self.n;
        if n <= SMALL {
            return self.eigenvalues().iter().copied().fold(0.0, f64::max);
        }
        let mut lanczos = super::lanczos::Symmetric::new(2 * n, n as u64);
        // As a real matrix of twice the size every eigenvalue is there twice, which does not matter here.
        let Self { re, im, .. } = &*self;
        lanczos.run(1e-8, 2 * n, |x, y| {
            let (xr, xi) = x.split_at(n);
            let (yr, yi) = y.split_at_mut(n);
            for i in 0..n {
                let (row_re, row_im) = (&re[i * n..][..n], &im[i * n..][..n]);
                (yr[i], yi[i]) = super::lanczos::complex_dot(row_re, row_im, xr, xi);
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::numeric::random::stream;
    use rand::RngExt;

    /// I − 2·u·u* turns a diagonal matrix into a full one with the same eigenvalues.
    #[test]
    fn finds_planted_eigenvalues() {
        for n in [1, 2, 3, 8, 9, 30, 65] {
            let mut draws = stream(0, "hermitian", n as u64);
            let mut planted: Vec<f64> = (0..n).map(|_| draws.random::<f64>()).collect();
            let mut matrix = Hermitian::new(n);
            (0..n).for_each(|i| matrix.re[i * n + i] = planted[i]);
            for _ in 0..3 {
                let mut u: Vec<[f64; 2]> =
                    (0..n).map(|_| [draws.random(), draws.random::<f64>() - 0.5]).collect();
                let norm = u.iter().flatten().map(|x| x * x).sum::<f64>().sqrt();
                u.iter_mut().flatten().for_each(|x| *x /= norm);
                // Left and right: A − 2·u·(u*A), then A − 2·(A·u)·u*.
                let old = matrix.clone();
                for j in 0..n {
                    let column = |i: usize| [old.re[i * n + j], old.im[i * n + j]];
                    let product = |i: usize| {
                        let ([a, b], [c, d]) = (u[i], column(i));
                        [a * c + b * d, a * d - b * c]
                    };
                    let sum = (0..n).map(product).fold([0.0; 2], |s, p| [s[0] + p[0], s[1] + p[1]]);
                    for (i, [a, b]) in u.iter().enumerate() {
                        matrix.re[i * n + j] -= 2.0 * (a * sum[0] - b * sum[1]);
                        matrix.im[i * n + j] -= 2.0 * (a * sum[1] + b * sum[0]);
                    }
                }
                let old = matrix.clone();
                for i in 0..n {
                    let product = |j: usize| {
                        let ([a, b], [c, d]) = (u[j], [old.re[i * n + j], old.im[i * n + j]]);
                        [a * c - b * d, a * d + b * c]
                    };
                    let sum = (0..n).map(product).fold([0.0; 2], |s, p| [s[0] + p[0], s[1] + p[1]]);
                    for (j, [a, b]) in u.iter().enumerate() {
                        matrix.re[i * n + j] -= 2.0 * (sum[0] * a + sum[1] * b);
                        matrix.im[i * n + j] -= 2.0 * (sum[1] * a - sum[0] * b);
                    }
                }
            }
            planted.sort_by(f64::total_cmp);
            let largest = matrix.clone().largest();
            assert!((largest - planted[n - 1]).abs() < 1e-10, "{n}: {largest} {}", planted[n - 1]);
            let mut found = matrix.eigenvalues().to_vec();
            found.sort_by(f64::total_cmp);
            for (found, planted) in found.iter().zip(&planted) {
                assert!((found - planted).abs() < 1e-12, "{n}: {found} {planted}");
            }
        }
    }
}
