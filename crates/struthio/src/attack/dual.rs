//! The nearest point of several half-spaces that also lies in a box.

use super::plane::{HalfSpace, PerturbationBox, Projection, clip, project};
use crate::numeric::cholesky::{gram_matrix, solve_positive_definite};
use crate::numeric::simd::vectorised;
use crate::numeric::vector;

/// The perturbation of smallest norm in all the half-spaces and the box; `guess` are multipliers
/// that may be close, one for each of the first half-spaces.
///
/// The solution is clip(Σ λₖ·normalₖ) for multipliers λ ≥ 0 that maximise a concave, piecewise
/// quadratic function; they are found by a projected Newton method over the multipliers that are
/// positive or want to be (Bertsekas 1982), which ends after a few steps.
pub(super) fn project_onto_all(
    half_spaces: &[&HalfSpace],
    within: PerturbationBox<'_>,
    guess: &[f64],
) -> Projection {
    if let [only] = half_spaces {
        return project(only, within, guess.first().copied());
    }
    let mut multipliers = guess.to_vec();
    multipliers.resize(half_spaces.len(), 0.0);
    let mut dual = Dual::at(half_spaces, within, multipliers).maximised(half_spaces, within);
    if !guess.is_empty() && !dual.is_solved(1e-3) {
        // Where the box holds every pixel the dual function is flat: it is never so at zero.
        dual = Dual::at(half_spaces, within, vec![0.0; half_spaces.len()]).maximised(half_spaces, within);
    }
    let is_met =
        |(&missing, h): (&f64, &&HalfSpace)| missing <= (1e-3 * h.offset.abs()).max(PRECISION * dual.scale);
    let reached = dual.missing.iter().zip(half_spaces).all(is_met);
    Projection { point: dual.point, multipliers: dual.multipliers, reached }
}

/// A point of the dual problem of a projection.
struct Dual {
    multipliers: Vec<f64>,
    point: Vec<f32>,
    /// offset − ⟨normal, point⟩ for each half-space: the gradient of the dual function.
    missing: Vec<f64>,
    value: f64,
    /// The largest |offset|.
    scale: f64,
}

/// How far from its half-space a point may be, as a share of the largest |offset|.
const PRECISION: f64 = 1e-5;

impl Dual {
    fn at(half_spaces: &[&HalfSpace], within: PerturbationBox<'_>, multipliers: Vec<f64>) -> Self {
        let mut point = vec![0.0; within.image.len()];
        for (half_space, &multiplier) in half_spaces.iter().zip(&multipliers).filter(|(_, m)| **m > 0.0) {
            vector::add_scaled(&mut point, multiplier, &half_space.normal);
        }
        vectorised(
            #[inline(always)]
            || {
                for (s, &x) in point.iter_mut().zip(within.image) {
                    *s = clip(*s, within.lower - x, within.upper - x);
                }
            },
        );
        let missing: Vec<f64> =
            half_spaces.iter().map(|h| h.offset - vector::dot(&h.normal, &point)).collect();
        let penalty: f64 = multipliers.iter().zip(&missing).map(|(m, v)| m * v).sum();
        let value = 0.5 * vector::squared_norm(&point) + penalty;
        let scale = half_spaces.iter().map(|h| h.offset.abs()).fold(0.0, f64::max);
        Self { multipliers, point, missing, value, scale }
    }

    /// The solution, or as close to it as Newton's method leads from here.
    fn maximised(mut self, half_spaces: &[&HalfSpace], within: PerturbationBox<'_>) -> Self {
        for _ in 0..40 {
            let active = self.active();
            if self.is_solved(PRECISION) || active.is_empty() {
                break;
            }
            let Some(step) = self.newton_step(half_spaces, within, &active) else { break };
            let Some(next) = self.line_search(half_spaces, within, &active, &step) else { break };
            self = next;
        }
        self
    }

    /// The half-spaces that hold the point, or should.
    fn active(&self) -> Vec<usize> {
        (0..self.missing.len())
            .filter(|&k| self.multipliers[k] > 0.0 || self.missing[k] > PRECISION * self.scale)
            .collect()
    }

    fn is_solved(&self, precision: f64) -> bool {
        let tolerance = precision * self.scale;
        let mut pairs = self.multipliers.iter().zip(&self.missing);
        pairs.all(|(&m, &v)| if m > 0.0 { v.abs() <= tolerance } else { v <= tolerance })
    }

    /// Solves for the change of the active multipliers, over the pixels that are free to move.
    fn newton_step(
        &self,
        half_spaces: &[&HalfSpace],
        within: PerturbationBox<'_>,
        active: &[usize],
    ) -> Option<Vec<f64>> {
        let starting = self.multipliers.iter().all(|&m| m == 0.0);
        let mut free = vec![0.0; self.point.len()];
        vectorised(
            #[inline(always)]
            || {
                for ((free, &s), &x) in free.iter_mut().zip(&self.point).zip(within.image) {
                    let held = s <= within.lower - x || s >= within.upper - x;
                    *free = if held && !starting { 0.0 } else { 1.0 };
                }
            },
        );
        let masked: Vec<Vec<f32>> =
            active.iter().map(|&k| vector::product(&half_spaces[k].normal, &free)).collect();
        let mut matrix = gram_matrix(&masked);
        let largest = (0..active.len()).map(|i| matrix[i][i]).fold(0.0, f64::max);
        for (i, row) in matrix.iter_mut().enumerate() {
            row[i] += 1e-9 * largest + f64::MIN_POSITIVE;
        }
        solve_positive_definite(matrix, active.iter().map(|&k| self.missing[k]).collect())
    }

    /// The farthest of a few shorter and shorter steps that raises the dual function; `None` also
    /// where the whole step would raise it by nothing but rounding.
    fn line_search(
        &self,
        half_spaces: &[&HalfSpace],
        within: PerturbationBox<'_>,
        active: &[usize],
        step: &[f64],
    ) -> Option<Self> {
        let gain: f64 = active.iter().zip(step).map(|(&k, change)| self.missing[k] * change).sum();
        if gain <= 1e-8 * self.value.abs() {
            return None;
        }
        (0..12).map(|halvings| 0.5_f64.powi(halvings)).find_map(|length| {
            let mut multipliers = self.multipliers.clone();
            for (&k, change) in active.iter().zip(step) {
                multipliers[k] = (multipliers[k] + length * change).max(0.0);
            }
            let next = Self::at(half_spaces, within, multipliers);
            (next.value > self.value).then_some(next)
        })
    }
}

#[cfg(test)]
mod tests {
    use std::rc::Rc;

    use super::*;

    fn half_space(normal: &[f32], offset: f64) -> HalfSpace {
        HalfSpace { normal: Rc::new(normal.to_vec()), offset }
    }

    /// Two half-spaces in the plane whose corner, (0.5, 0.5), is the nearest common point.
    #[test]
    fn meets_the_corner_of_two_half_spaces() {
        let image = [0.0, 0.0];
        let within = PerturbationBox { image: &image, lower: 0.0, upper: 1.0 };
        let half_spaces = [half_space(&[1.0, 0.2], 0.6), half_space(&[0.2, 1.0], 0.6)];
        for guess in [&[][..], &[0.3], &[0.1, 2.0], &[5.0, 5.0]] {
            let found = project_onto_all(&half_spaces.iter().collect::<Vec<_>>(), within, guess);
            assert!(found.reached);
            for s in found.point {
                assert!((s - 0.5).abs() < 1e-4, "{s} from {guess:?}");
            }
        }
        let slack = [half_space(&[1.0, 0.0], 0.25), half_space(&[0.0, 1.0], -1.0)];
        assert_eq!(
            project_onto_all(&slack.iter().collect::<Vec<_>>(), within, &[]).point,
            project(&slack[0], within, None).point
        );
    }
}
