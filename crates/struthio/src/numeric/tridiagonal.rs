//! Eigenvalues of symmetric tridiagonal matrices.

/// All eigenvalues of the matrix with `diagonal` and the squares `squares` of what is beside it, in no
/// particular order: the QL algorithm without square roots (Pal, Walker and Kahan; LAPACK's `dsterf`).
///
/// The error is a few units of rounding of the largest eigenvalue.
pub(crate) fn eigenvalues(diagonal: &mut [f64], squares: &mut [f64]) {
    const MOST: usize = 60;
    let n = diagonal.len();
    let sizes = diagonal.iter().map(|d| d.abs()).chain(squares.iter().map(|s| s.sqrt()));
    let negligible = (f64::EPSILON * sizes.fold(0.0, f64::max)).powi(2);
    for l in 0..n {
        for _ in 0..MOST {
            let m = (l..n - 1).find(|&m| squares[m] <= negligible).unwrap_or(n - 1);
            if m == l {
                break;
            }
            let root = squares[l].sqrt();
            let half = (diagonal[l + 1] - diagonal[l]) / (2.0 * root);
            let shift = diagonal[l] - root / (half + half.hypot(1.0).copysign(half));
            let (mut c, mut s) = (1.0, 0.0);
            let mut gamma = diagonal[m] - shift;
            let mut p = gamma * gamma;
            for i in (l..m).rev() {
                let beside = squares[i];
                let r = p + beside;
                if i != m - 1 {
                    squares[i + 1] = s * r;
                }
                let old_c = c;
                (c, s) = (p / r, beside / r);
                let old_gamma = gamma;
                gamma = c * (diagonal[i] - shift) - s * old_gamma;
                diagonal[i + 1] = old_gamma + (diagonal[i] - gamma);
                p = if c == 0.0 { old_c * beside } else { gamma * gamma / c };
            }
            squares[l] = s * p;
            diagonal[l] = shift + gamma;
        }
    }
}

/// The largest eigenvalue and the magnitude of the last component of its eigenvector of length one, of the
/// matrix with `diagonal` and `beside`.
pub(crate) fn largest(diagonal: &[f64], beside: &[f64]) -> (f64, f64) {
    let n = diagonal.len();
    let mut values = diagonal.to_vec();
    eigenvalues(&mut values, &mut beside.iter().map(|e| e * e).collect::<Vec<_>>());
    let value = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    // Inverse iteration just above it, where the matrix (shift − T) is positive.
    let scale = diagonal.iter().chain(beside).fold(f64::MIN_POSITIVE, |scale, x| scale.max(x.abs()));
    let shift = value + 16.0 * f64::EPSILON * scale;
    let mut vector = vec![1.0; n];
    let mut pivots = vec![0.0; n];
    for i in 0..n {
        let before = if i == 0 { 0.0 } else { beside[i - 1] * beside[i - 1] / pivots[i - 1] };
        pivots[i] = (shift - diagonal[i] - before).max(f64::EPSILON * scale);
    }
    for _ in 0..3 {
        for i in 1..n {
            vector[i] += beside[i - 1] / pivots[i - 1] * vector[i - 1];
        }
        vector[n - 1] /= pivots[n - 1];
        for i in (0..n - 1).rev() {
            vector[i] = (vector[i] + beside[i] * vector[i + 1]) / pivots[i];
        }
        let norm = vector.iter().map(|v| v * v).sum::<f64>().sqrt();
        vector.iter_mut().for_each(|v| *v /= norm);
    }
    (value, vector[n - 1].abs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn second_differences() {
        for n in [1, 2, 7, 100] {
            let expected = |k: usize| 2.0 - 2.0 * (std::f64::consts::PI * k as f64 / (n as f64 + 1.0)).cos();
            let mut values = vec![2.0; n];
            eigenvalues(&mut values, &mut vec![1.0; n - 1]);
            values.sort_by(f64::total_cmp);
            values
                .iter()
                .enumerate()
                .for_each(|(k, value)| assert!((value - expected(k + 1)).abs() < 1e-13, "{n}"));
            let (value, last) = largest(&vec![2.0; n], &vec![-1.0; n - 1]);
            assert!((value - expected(n)).abs() < 1e-13);
            let component = (2.0 / (n as f64 + 1.0)).sqrt()
                * (std::f64::consts::PI * n as f64 * n as f64 / (n as f64 + 1.0)).sin().abs();
            assert!((last - component).abs() < 1e-6, "{n}: {last} {component}");
        }
    }

    #[test]
    fn what_is_zero_already() {
        let mut values = vec![0.0, 3.0, 0.0, -1.0];
        eigenvalues(&mut values, &mut [0.0, 0.0, 0.0]);
        assert_eq!(values, [0.0, 3.0, 0.0, -1.0]);
    }
}
