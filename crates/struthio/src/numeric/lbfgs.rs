//! Limited-memory BFGS with a box, as an async routine: whoever evaluates may batch.
//!
//! Variables resting on a bound that the gradient pushes them against are held fixed for the
//! iteration; the others take the quasi-Newton direction of the two-loop recursion restricted to
//! them, and the step is projected back onto the box along the way (Bertsekas, *Projected Newton
//! methods for optimization problems with simple constraints*, 1982; Nocedal & Wright, *Numerical
//! Optimization*, algorithm 7.4). Vectors are f32, every inner product is summed in f64.

use std::collections::VecDeque;

use super::simd::vectorised;
use super::vector;

/// An interval that every coordinate is confined to.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    pub lower: f32,
    pub upper: f32,
}

/// What the objective answers at a point.
#[derive(Debug, Clone)]
pub(crate) struct Evaluation {
    pub value: f64,
    pub gradient: Vec<f32>,
    /// The gradient norm that counts as large here; convergence is relative to it.
    pub gradient_scale: f64,
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Settings {
    /// Curvature pairs kept.
    pub memory: usize,
    /// Stop once ‖projected gradient‖ ≤ tolerance × `gradient_scale`.
    pub tolerance: f64,
    /// Stop once five iterations in a row lower the value by less than this, relatively.
    pub decrease: f64,
    pub max_evaluations: usize,
    /// Length of the very first trial step.
    pub first_step: f64,
}

/// The point where the minimisation of `objective` over the box ends, from `start` (which must lie
/// inside).
pub(crate) async fn minimise<E>(
    start: Vec<f32>,
    bounds: Bounds,
    settings: Settings,
    mut objective: impl AsyncFnMut(&[f32]) -> Result<Evaluation, E>,
) -> Result<Vec<f32>, E> {
    let mut evaluations = 1;
    let mut here = objective(&start).await?;
    let mut point = start;
    let mut pairs = CurvaturePairs::new(settings.memory);
    let mut trial = vec![0.0; point.len()];
    let mut small_decreases = 0;

    loop {
        let free = free_gradient(&point, &here.gradient, bounds);
        let norm = vector::wide_dot(&free, &free).sqrt();
        if norm <= settings.tolerance * here.gradient_scale || norm == 0.0 {
            return Ok(point);
        }
        let mut direction = pairs.direction(&free);
        let mut slope = vector::wide_dot(&direction, &free);
        if slope.is_nan() || slope > -1e-10 * norm * vector::wide_dot(&direction, &direction).sqrt() {
            pairs.clear();
            direction = free.iter().map(|g| -g).collect();
            slope = -norm * norm;
        }
        let mut step = if pairs.is_empty() { settings.first_step / norm } else { 1.0 };

        let accepted = loop {
            if evaluations >= settings.max_evaluations {
                break None;
            }
            move_within(&point, step, &direction, bounds, &mut trial);
            let there = objective(&trial).await?;
            evaluations += 1;
            let linear = vector::wide_dot(&here.gradient, &vector::difference(&trial, &point));
            let noise = 4.0 * f32::EPSILON as f64 * here.value.abs();
            if there.value <= here.value + 1e-4 * linear + noise {
                break Some(there);
            }
            // Minimiser of the parabola through the value and slope here and the value there.
            let curvature = 2.0 * (there.value - here.value - step * slope);
            let parabola = -slope * step * step / curvature;
            step = if parabola.is_finite() { parabola.clamp(0.1 * step, 0.5 * step) } else { 0.1 * step };
            if step * slope.abs() < 1e-9 * here.value.abs().max(f64::MIN_POSITIVE) {
                break None;
            }
        };

        let Some(there) = accepted else {
            if evaluations >= settings.max_evaluations || pairs.is_empty() {
                return Ok(point);
            }
            pairs.clear(); // a kink or stale curvature: once more along the steepest descent
            continue;
        };
        let decrease = here.value - there.value;
        small_decreases =
            if decrease <= settings.decrease * here.value.abs() { small_decreases + 1 } else { 0 };
        pairs.push(vector::difference(&trial, &point), vector::difference(&there.gradient, &here.gradient));
        point.copy_from_slice(&trial);
        here = there;
        if small_decreases >= 5 {
            return Ok(point);
        }
    }
}

/// The gradient with the components zeroed that push a coordinate out of the box.
fn free_gradient(point: &[f32], gradient: &[f32], bounds: Bounds) -> Vec<f32> {
    let held = |x: f32, g: f32| (x <= bounds.lower && g > 0.0) || (x >= bounds.upper && g < 0.0);
    point.iter().zip(gradient).map(|(&x, &g)| if held(x, g) { 0.0 } else { g }).collect()
}

fn move_within(point: &[f32], step: f64, direction: &[f32], bounds: Bounds, out: &mut [f32]) {
    let step = step as f32;
    vectorised(
        #[inline(always)]
        || {
            for ((out, &x), &d) in out.iter_mut().zip(point).zip(direction) {
                *out = step.mul_add(d, x).clamp(bounds.lower, bounds.upper);
            }
        },
    );
}

/// The last few steps s and gradient changes y, which stand for the inverse Hessian.
struct CurvaturePairs {
    capacity: usize,
    pairs: VecDeque<(Vec<f32>, Vec<f32>)>,
}

impl CurvaturePairs {
    fn new(capacity: usize) -> Self {
        Self { capacity, pairs: VecDeque::with_capacity(capacity) }
    }

    fn is_empty(&self) -> bool {
        self.pairs.is_empty()
    }

    fn clear(&mut self) {
        self.pairs.clear();
    }

    /// Keeps the pair unless its curvature is not safely positive.
    fn push(&mut self, s: Vec<f32>, y: Vec<f32>) {
        if vector::wide_dot(&s, &y) > 1e-10 * vector::wide_dot(&y, &y) {
            if self.pairs.len() == self.capacity {
                self.pairs.pop_front();
            }
            self.pairs.push_back((s, y));
        }
    }

    /// −H·g by the two-loop recursion over the coordinates where `gradient` is not zero.
    fn direction(&self, gradient: &[f32]) -> Vec<f32> {
        let mut q: Vec<f32> = gradient.to_vec();
        let mut used = Vec::with_capacity(self.pairs.len());
        for (s, y) in self.pairs.iter().rev() {
            let [sy, yy, sq] = restricted_products(gradient, s, y, &q);
            if sy <= 1e-10 * yy {
                continue;
            }
            let alpha = sq / sy;
            subtract_restricted(gradient, alpha, y, &mut q);
            used.push((s, y, sy, yy, alpha));
        }
        if let Some((_, _, sy, yy, _)) = used.first() {
            vector::scale(&mut q, sy / yy);
        }
        for (s, y, sy, _, alpha) in used.into_iter().rev() {
            // `q` vanishes off the free coordinates, so this product is restricted already.
            let beta = vector::wide_dot(y, &q) / sy;
            subtract_restricted(gradient, beta - alpha, s, &mut q);
        }
        vector::scale(&mut q, -1.0);
        q
    }
}

/// ⟨s, y⟩, ⟨y, y⟩ and ⟨s, q⟩ over the coordinates where `mask` is not zero.
fn restricted_products(mask: &[f32], s: &[f32], y: &[f32], q: &[f32]) -> [f64; 3] {
    const LANES: usize = 16;
    vectorised(
        #[inline(always)]
        || {
            let mut sums = [[0.0_f64; LANES]; 3];
            let chunks = mask.chunks(LANES).zip(s.chunks(LANES)).zip(y.chunks(LANES).zip(q.chunks(LANES)));
            for ((mask, s), (y, q)) in chunks {
                for lane in 0..mask.len() {
                    let free = if mask[lane] == 0.0 { 0.0 } else { 1.0 };
                    let (s, y) = (s[lane] as f64 * free, y[lane] as f64 * free);
                    sums[0][lane] += s * y;
                    sums[1][lane] += y * y;
                    sums[2][lane] += s * q[lane] as f64;
                }
            }
            sums.map(|lanes| lanes.iter().sum())
        },
    )
}

fn subtract_restricted(mask: &[f32], alpha: f64, x: &[f32], q: &mut [f32]) {
    let alpha = alpha as f32;
    vectorised(
        #[inline(always)]
        || {
            for ((q, &x), &mask) in q.iter_mut().zip(x).zip(mask) {
                let free = if mask == 0.0 { 0.0 } else { 1.0 };
                *q = (-alpha * free).mul_add(x, *q);
            }
        },
    );
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::numeric::ready::block_on;
    use std::convert::Infallible;

    const SETTINGS: Settings =
        Settings { memory: 6, tolerance: 1e-6, decrease: 0.0, max_evaluations: 500, first_step: 0.1 };

    /// A convex quadratic ½ Σ aᵢ (xᵢ − cᵢ)² has its box-constrained minimum at clamp(c).
    #[test]
    fn separable_quadratic_in_a_box() {
        let n = 50;
        let a: Vec<f64> = (0..n).map(|i| 1.0 + (i % 13) as f64 * 10.0).collect();
        let c: Vec<f64> = (0..n).map(|i| (i as f64 - 25.0) / 15.0).collect();
        let objective = async |x: &[f32]| {
            let residual = |i: usize| x[i] as f64 - c[i];
            Ok::<_, Infallible>(Evaluation {
                value: (0..n).map(|i| 0.5 * a[i] * residual(i).powi(2)).sum(),
                gradient: (0..n).map(|i| (a[i] * residual(i)) as f32).collect(),
                gradient_scale: 1.0,
            })
        };
        let bounds = Bounds { lower: 0.0, upper: 1.0 };
        let minimum = block_on(minimise(vec![0.5; n], bounds, SETTINGS, objective)).expect("infallible");
        for (x, c) in minimum.iter().zip(&c) {
            assert!((*x as f64 - c.clamp(0.0, 1.0)).abs() < 1e-4, "{x} {c}");
        }
    }

    /// Rosenbrock's valley: the minimum (1, 1) without a box, (0.5, 0.25) when x ≤ 0.5.
    #[test]
    fn rosenbrock() {
        let objective = async |p: &[f32]| {
            let (x, y) = (p[0] as f64, p[1] as f64);
            Ok::<_, Infallible>(Evaluation {
                value: (1.0 - x).powi(2) + 100.0 * (y - x * x).powi(2),
                gradient: vec![
                    (-2.0 * (1.0 - x) - 400.0 * x * (y - x * x)) as f32,
                    (200.0 * (y - x * x)) as f32,
                ],
                gradient_scale: 1.0,
            })
        };
        for (upper, expected) in [(f32::INFINITY, [1.0, 1.0]), (0.5, [0.5, 0.25])] {
            let bounds = Bounds { lower: -2.0, upper };
            let settings = Settings { tolerance: 1e-4, ..SETTINGS };
            let minimum =
                block_on(minimise(vec![-1.2, 0.4], bounds, settings, objective)).expect("infallible");
            for (x, e) in minimum.iter().zip(expected) {
                assert!((x - e).abs() < 1e-2, "{minimum:?}");
            }
        }
    }
}
