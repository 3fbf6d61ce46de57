//! Lanczos iteration for largest eigenvalues and singular values, without orthogonalising anew: the
//! largest one converges nevertheless (Paige 1980).

use rand::RngExt;

use super::random::stream;
use super::simd::vectorised;
use super::tridiagonal;

/// Steps between two looks at the residual.
const LOOK: usize = 4;
/// How often a random start may have too little of an eigenvector.
const IMPROBABLE: f64 = 1e-8;

/// Iteration for the largest eigenvalue of a symmetric matrix.
#[derive(Debug)]
pub(crate) struct Symmetric {
    start: Vec<f64>,
}

impl Symmetric {
    pub fn new(n: usize, seed: u64) -> Self {
        let mut start: Vec<f64> = start(n, seed).into_iter().map(f64::from).collect();
        let norm = dot(&start, &start).sqrt(); // it is one in f32 only
        start.iter_mut().for_each(|v| *v /= norm);
        Self { start }
    }

    /// The largest eigenvalue of a matrix without negative ones that `multiply` applies, to a relative
    /// residual of `tolerance` or after `steps`.
    pub fn run(&mut self, tolerance: f64, steps: usize, multiply: impl FnMut(&[f64], &mut [f64])) -> f64 {
        self.run_above(0.0, tolerance, steps, multiply).map_or(0.0, |found| found.value)
    }

    /// The same, or `None` as soon as an eigenvalue above `floor` is out of the question.
    ///
    /// Of an eigenvector of length one with the eigenvalue λ, the iteration's vectors have the components
    /// c·pᵢ(λ), where c is that of the random start and pᵢ are the orthonormal polynomials of the iteration.
    /// Their squares sum to at most one, and pᵢ grows beyond its roots; so with Σpᵢ(floor)² large enough c
    /// would be improbably small: of a chance below 10⁻⁸ where eigenvalues are double, as those of a Hermitian
    /// matrix written as a real one are, and of 10⁻⁴ for a single one.
    pub fn run_above(
        &mut self,
        floor: f64,
        tolerance: f64,
        steps: usize,
        mut multiply: impl FnMut(&[f64], &mut [f64]),
    ) -> Option<Found> {
        let mut v = self.start.clone();
        let mut before = vec![0.0; v.len()];
        let mut product = vec![0.0; v.len()];
        let (mut diagonal, mut beside): (Vec<f64>, Vec<f64>) = (Vec::new(), Vec::new());
        let enough = v.len() as f64 / IMPROBABLE;
        // pᵢ and the one before, while no Ritz value is above the floor.
        let (mut polynomial, mut earlier, mut sum, mut below) = (1.0, 0.0, 1.0, floor > 0.0);
        for step in 1..=steps.max(1) {
            multiply(&v, &mut product);
            let alpha: f64 = dot(&v, &product);
            let last = beside.last().copied().unwrap_or(0.0);
            for ((p, v), b) in product.iter_mut().zip(&v).zip(&before) {
                *p -= alpha * v + last * b;
            }
            let beta = dot(&product, &product).sqrt();
            diagonal.push(alpha);
            let scale = diagonal.iter().copied().fold(0.0, f64::max);
            let ended = beta <= f64::EPSILON * scale || step == steps;
            if below && !ended {
                let next = ((floor - alpha) * polynomial - last * earlier) / beta;
                (earlier, polynomial) = (polynomial, next);
                sum += next * next;
                below = next > 0.0;
                if below && sum >= enough {
                    return None;
                }
            }
            if ended || step % (if below { 4 * LOOK } else { LOOK }) == 0 {
                let (value, component) = tridiagonal::largest(&diagonal, &beside);
                let found = Found { value: value.max(0.0), residual: beta * component };
                let converged = found.residual <= tolerance * found.value;
                // While it stays below the floor, there may be another eigenvalue that the start has little of.
                let doubtful = below && found.value + found.residual < floor;
                if ended || (converged && !doubtful) {
                    return Some(found);
                }
            }
            beside.push(beta);
            product.iter_mut().for_each(|p| *p /= beta);
            std::mem::swap(&mut before, &mut v);
            std::mem::swap(&mut v, &mut product);
        }
        None
    }
}

/// What an iteration found.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Found {
    /// The largest eigenvalue or singular value, from below.
    pub value: f64,
    /// ‖Av − λv‖ of the eigenpair; of the singular pair, ‖Aᵀu − σv‖.
    pub residual: f64,
}

/// The largest singular value of the matrix that `forward` applies to vectors of `inputs` and `backward`,
/// transposed, to vectors of `outputs` values, to a relative residual of `tolerance` or after `steps`
/// (Golub and Kahan 1965).
pub(crate) fn largest_singular_value(
    [inputs, outputs]: [usize; 2],
    (tolerance, steps): (f64, usize),
    mut forward: impl FnMut(&[f32], &mut [f32]),
    mut backward: impl FnMut(&[f32], &mut [f32]),
) -> Found {
    let mut v = start(inputs, 0);
    let (mut u, mut next_u) = (vec![0.0; outputs], vec![0.0; outputs]);
    let mut next_v = vec![0.0; inputs];
    // B·Bᵀ for the bidiagonal B.
    let (mut diagonal, mut beside): (Vec<f64>, Vec<f64>) = (Vec::new(), Vec::new());
    let mut beta = 0.0;
    let mut found = Found { value: 0.0, residual: 0.0 };
    for step in 1..=steps.max(1) {
        forward(&v, &mut next_u);
        let alpha = step_from(&mut next_u, beta, &u);
        std::mem::swap(&mut u, &mut next_u);
        if let Some(last) = diagonal.last_mut() {
            *last += beta * beta;
            beside.push(alpha * beta);
        }
        diagonal.push(alpha * alpha);
        let scale = diagonal.iter().copied().fold(0.0, f64::max).sqrt();
        if !(alpha.is_finite() && beta.is_finite()) {
            return Found { value: f64::NAN, residual: f64::NAN };
        }
        if scale == 0.0 {
            return found;
        }
        backward(&u, &mut next_v);
        beta = step_from(&mut next_v, alpha, &v);
        std::mem::swap(&mut v, &mut next_v);
        let ended = alpha.min(beta) <= 1e-7 * scale;
        if ended || step % LOOK == 0 || step == steps {
            let (square, component) = tridiagonal::largest(&diagonal, &beside);
            found = Found { value: square.max(0.0).sqrt(), residual: beta * component };
            if ended || found.residual <= tolerance * found.value {
                break;
            }
        }
    }
    found
}

/// y ← (y − β·x) / ‖y − β·x‖; returns the norm.
fn step_from(y: &mut [f32], beta: f64, x: &[f32]) -> f64 {
    super::vector::add_scaled(y, -beta, x);
    let norm = super::vector::wide_dot(y, y).sqrt();
    if norm > 0.0 {
        super::vector::scale(y, 1.0 / norm);
    }
    norm
}

fn start(n: usize, seed: u64) -> Vec<f32> {
    let mut draws = stream(seed, "spectrum", n as u64);
    let mut start: Vec<f32> = (0..n).map(|_| draws.random::<f32>() - 0.5).collect();
    step_from(&mut start, 0.0, &vec![0.0; n]);
    start
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    vectorised(
        #[inline(always)]
        || {
            let (a, a_rest) = a.as_chunks::<16>();
            let (b, b_rest) = b.as_chunks::<16>();
            let mut sums = [0.0; 16];
            for (a, b) in a.iter().zip(b) {
                (0..16).for_each(|l| sums[l] = a[l].mul_add(b[l], sums[l]));
            }
            sums.iter().sum::<f64>() + a_rest.iter().zip(b_rest).map(|(a, b)| a * b).sum::<f64>()
        },
    )
}

/// Σ (aᵢ + i·bᵢ)·(xᵢ + i·yᵢ)
pub(crate) fn complex_dot(a: &[f64], b: &[f64], x: &[f64], y: &[f64]) -> (f64, f64) {
    (dot(a, x) - dot(b, y), dot(a, y) + dot(b, x))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_diagonal_matrix() {
        let at = |i: usize| 1.0 + (i as f32 * 0.37).sin();
        let largest = (0..200).map(at).fold(0.0, f32::max) as f64;
        let scale = |x: &[f32], y: &mut [f32]| (0..200).for_each(|i| y[i] = at(i) * x[i]);
        let found = largest_singular_value([200, 200], (1e-6, 400), scale, scale);
        assert!((found.value - largest).abs() < 1e-6 && found.residual < 1e-4, "{found:?} {largest}");
        let value =
            Symmetric::new(200, 0).run(1e-9, 400, |x, y| (0..200).for_each(|i| y[i] = at(i) as f64 * x[i]));
        assert!((value - largest).abs() < 1e-9);
    }

    #[test]
    fn what_cannot_be_above_is_given_up() {
        let at = |i: usize| 1.0 + (i as f64 * 0.37).sin();
        let largest = (0..300).map(at).fold(0.0, f64::max);
        for (floor, expected) in [(0.5, true), (0.999, true), (1.001, false), (1.05, false), (9.0, false)] {
            let mut steps = 0;
            let found = Symmetric::new(300, 0).run_above(floor * largest, 1e-6, 300, |x, y| {
                steps += 1;
                (0..300).for_each(|i| y[i] = at(i) * x[i]);
            });
            assert!(found.is_none() || (found.expect("just seen").value / largest - 1.0).abs() < 1e-5);
            assert!(found.is_some() || !expected, "{floor}");
            assert!(floor < 1.04 || (found.is_none() && steps < 60), "{floor}: {steps}");
        }
    }

    #[test]
    fn nothing_and_one() {
        let zero = |_: &[f32], y: &mut [f32]| y.fill(0.0);
        assert_eq!(largest_singular_value([3, 2], (1e-6, 10), zero, zero).value, 0.0);
        let three = |x: &[f32], y: &mut [f32]| y[0] = 3.0 * x[0];
        let found = largest_singular_value([1, 1], (1e-6, 10), three, three);
        assert!((found.value - 3.0).abs() < 1e-6 && found.residual < 1e-5);
    }
}
