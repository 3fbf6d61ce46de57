//! The nearest point of a half-space that also lies in a box.

use crate::numeric::cholesky::solve_positive_definite;
use crate::numeric::simd::vectorised;
use crate::numeric::vector;

/// The half-space {s : ⟨normal, s⟩ ≥ offset} of perturbations s.
#[derive(Debug, Clone)]
pub(super) struct HalfSpace {
    pub normal: Vec<f32>,
    pub offset: f64,
}

/// The box of perturbations that keep `image` inside [lower, upper].
#[derive(Debug, Clone, Copy)]
pub(super) struct PerturbationBox<'a> {
    pub image: &'a [f32],
    pub lower: f32,
    pub upper: f32,
}

impl PerturbationBox<'_> {
    /// The image plus a perturbation, inside the box to the last bit.
    pub fn apply(self, perturbation: &[f32]) -> Vec<f32> {
        let sum = |(&x, &s): (&f32, &f32)| (x + s).clamp(self.lower, self.upper);
        self.image.iter().zip(perturbation).map(sum).collect()
    }
}

/// Result of a projection.
#[derive(Debug, Clone)]
pub(super) struct Projection {
    /// The perturbation.
    pub point: Vec<f32>,
    /// Whether the half-space is reached; if not, the point is as far into it as the box allows.
    pub reached: bool,
}

/// The perturbation of smallest norm in all the half-spaces and the box.
///
/// The solution is clip(Σ λₖ·normalₖ) for multipliers λ ≥ 0 that maximise a concave, piecewise
/// quadratic function; they are found by a projected Newton method over the multipliers that are
/// positive or want to be (Bertsekas 1982), which ends after a few steps.
pub(super) fn project_onto_all(half_spaces: &[&HalfSpace], within: PerturbationBox<'_>) -> Projection {
    if let [only] = half_spaces {
        return project(only, within);
    }
    let mut dual = Dual::at(half_spaces, within, vec![0.0; half_spaces.len()]);
    for _ in 0..40 {
        let active = dual.active();
        if dual.is_solved() || active.is_empty() {
            break;
        }
        let Some(step) = dual.newton_step(half_spaces, within, &active) else { break };
        let Some(next) = dual.line_search(half_spaces, within, &active, &step) else { break };
        dual = next;
    }
    let reached = dual.missing.iter().zip(half_spaces).all(|(&missing, h)| missing <= 1e-3 * h.offset.abs());
    Projection { point: dual.point, reached }
}

/// A point of the dual problem of a projection.
struct Dual {
    multipliers: Vec<f64>,
    point: Vec<f32>,
    /// offset − ⟨normal, point⟩ for each half-space: the gradient of the dual function.
    missing: Vec<f64>,
    value: f64,
    tolerance: f64,
}

impl Dual {
    fn at(half_spaces: &[&HalfSpace], within: PerturbationBox<'_>, multipliers: Vec<f64>) -> Self {
        let mut pull = vec![0.0; within.image.len()];
        for (half_space, &multiplier) in half_spaces.iter().zip(&multipliers).filter(|(_, m)| **m > 0.0) {
            vector::add_scaled(&mut pull, multiplier, &half_space.normal);
        }
        let mut point = pull;
        vectorised(|| {
            for (s, &x) in point.iter_mut().zip(within.image) {
                *s = s.clamp(within.lower - x, within.upper - x);
            }
        });
        let missing: Vec<f64> =
            half_spaces.iter().map(|h| h.offset - vector::dot(&h.normal, &point)).collect();
        let penalty: f64 = multipliers.iter().zip(&missing).map(|(m, v)| m * v).sum();
        let value = 0.5 * vector::squared_norm(&point) + penalty;
        let largest = half_spaces.iter().map(|h| h.offset.abs()).fold(0.0, f64::max);
        Self { multipliers, point, missing, value, tolerance: 1e-6 * largest }
    }

    /// The half-spaces that hold the point, or should.
    fn active(&self) -> Vec<usize> {
        (0..self.missing.len())
            .filter(|&k| self.multipliers[k] > 0.0 || self.missing[k] > self.tolerance)
            .collect()
    }

    fn is_solved(&self) -> bool {
        let pairs = self.multipliers.iter().zip(&self.missing);
        pairs
            .into_iter()
            .all(|(&m, &v)| if m > 0.0 { v.abs() <= self.tolerance } else { v <= self.tolerance })
    }

    /// Solves for the change of the active multipliers, over the pixels that are free to move.
    fn newton_step(
        &self,
        half_spaces: &[&HalfSpace],
        within: PerturbationBox<'_>,
        active: &[usize],
    ) -> Option<Vec<f64>> {
        let starting = self.multipliers.iter().all(|&m| m == 0.0);
        let free: Vec<f32> = self
            .point
            .iter()
            .zip(within.image)
            .map(|(&s, &x)| f32::from(starting || (s > within.lower - x && s < within.upper - x)))
            .collect();
        let masked: Vec<Vec<f32>> = active
            .iter()
            .map(|&k| half_spaces[k].normal.iter().zip(&free).map(|(g, f)| g * f).collect())
            .collect();
        let mut matrix: Vec<Vec<f64>> =
            masked.iter().map(|a| masked.iter().map(|b| vector::dot(a, b)).collect()).collect();
        let largest = (0..active.len()).map(|i| matrix[i][i]).fold(0.0, f64::max);
        for (i, row) in matrix.iter_mut().enumerate() {
            row[i] += 1e-9 * largest + f64::MIN_POSITIVE;
        }
        solve_positive_definite(matrix, active.iter().map(|&k| self.missing[k]).collect())
    }

    /// The farthest of a few shorter and shorter steps that raises the dual function.
    fn line_search(
        &self,
        half_spaces: &[&HalfSpace],
        within: PerturbationBox<'_>,
        active: &[usize],
        step: &[f64],
    ) -> Option<Self> {
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

/// The perturbation of smallest norm in the half-space and the box, exactly.
///
/// It is clip(λ·normal) for one λ ≥ 0, and ⟨normal, clip(λ·normal)⟩ is a concave, increasing,
/// piecewise linear function of λ, so Newton's method from λ = 0 approaches the root from below and
/// ends after finitely many steps.
pub(super) fn project(half_space: &HalfSpace, within: PerturbationBox<'_>) -> Projection {
    let HalfSpace { normal, offset } = half_space;
    let mut multiplier = 0.0;
    let mut reached = *offset <= 0.0;
    if !reached {
        for _ in 0..64 {
            let (value, slope) = value_and_slope(normal, multiplier, within);
            let missing = offset - value;
            if missing <= 1e-9 * offset.abs() {
                reached = true;
                break;
            }
            let step = missing / slope;
            if !(slope > 0.0 && step.is_finite()) {
                break;
            }
            multiplier += step;
        }
    }
    Projection { point: clipped(normal, multiplier, within), reached }
}

/// clip(multiplier · normal)
fn clipped(normal: &[f32], multiplier: f64, within: PerturbationBox<'_>) -> Vec<f32> {
    let mut point = vec![0.0; normal.len()];
    vectorised(|| {
        for ((out, &g), &x) in point.iter_mut().zip(normal).zip(within.image) {
            let s = multiplier * g as f64;
            *out = s.clamp((within.lower - x) as f64, (within.upper - x) as f64) as f32;
        }
    });
    point
}

/// ⟨normal, clip(multiplier · normal)⟩ and its right derivative.
fn value_and_slope(normal: &[f32], multiplier: f64, within: PerturbationBox<'_>) -> (f64, f64) {
    const LANES: usize = 16;
    let (lower, upper) = (within.lower, within.upper);
    vectorised(|| {
        let (mut value, mut slope) = ([0.0_f64; LANES], [0.0_f64; LANES]);
        for (normal, image) in normal.chunks(LANES).zip(within.image.chunks(LANES)) {
            for lane in 0..normal.len() {
                let g = normal[lane] as f64;
                let (low, high) = ((lower - image[lane]) as f64, (upper - image[lane]) as f64);
                let s = multiplier * g;
                value[lane] += g * s.clamp(low, high);
                // At λ = 0 a pixel on its bound moves only if the normal points into the box.
                let moves = if g > 0.0 { s < high } else { s > low };
                slope[lane] += if moves { g * g } else { 0.0 };
            }
        }
        (value.iter().sum(), slope.iter().sum())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn dot(a: &[f32], b: &[f32]) -> f64 {
        a.iter().zip(b).map(|(&a, &b)| a as f64 * b as f64).sum()
    }

    proptest! {
        /// Against bisection on the multiplier, and the variational inequality of a projection:
        /// no feasible point is shorter.
        #[test]
        fn is_the_shortest_feasible_point(
            pixels in prop::collection::vec((0.0_f32..=1.0, -2.0_f32..2.0), 1..40),
            share in 0.01_f64..0.99,
        ) {
            let (image, normal): (Vec<f32>, Vec<f32>) = pixels.into_iter().unzip();
            let within = PerturbationBox { image: &image, lower: 0.0, upper: 1.0 };
            let farthest: Vec<f32> = image.iter().zip(&normal).map(|(&x, &g)| if g > 0.0 { 1.0 - x } else { -x }).collect();
            let reach = dot(&normal, &farthest);
            prop_assume!(reach > 1e-3);
            let half_space = HalfSpace { normal: normal.clone(), offset: share * reach };
            let found = project(&half_space, within);
            prop_assert!(found.reached);
            prop_assert!((dot(&normal, &found.point) - half_space.offset).abs() < 1e-5 * reach.max(1.0));
            for (&s, &x) in found.point.iter().zip(&image) {
                prop_assert!(s >= -x - 1e-6 && s <= 1.0 - x + 1e-6);
            }
            let (mut low, mut high) = (0.0_f64, 1e9_f64);
            for _ in 0..200 {
                let middle = 0.5 * (low + high);
                if value_and_slope(&normal, middle, within).0 < half_space.offset { low = middle } else { high = middle }
            }
            let shortest: f64 = clipped(&normal, high, within).iter().map(|&s| (s as f64).powi(2)).sum();
            let own: f64 = found.point.iter().map(|&s| (s as f64).powi(2)).sum();
            prop_assert!(own.sqrt() <= shortest.sqrt() * (1.0 + 1e-5) + 1e-6, "{} {}", own.sqrt(), shortest.sqrt());
        }
    }

    /// Two half-spaces in the plane whose corner, (0.5, 0.5), is the nearest common point.
    #[test]
    fn meets_the_corner_of_two_half_spaces() {
        let image = [0.0, 0.0];
        let within = PerturbationBox { image: &image, lower: 0.0, upper: 1.0 };
        let half_spaces = [
            HalfSpace { normal: vec![1.0, 0.2], offset: 0.6 },
            HalfSpace { normal: vec![0.2, 1.0], offset: 0.6 },
        ];
        let found = project_onto_all(&half_spaces.iter().collect::<Vec<_>>(), within);
        assert!(found.reached);
        for s in found.point {
            assert!((s - 0.5).abs() < 1e-4, "{s}");
        }
        let slack = [
            HalfSpace { normal: vec![1.0, 0.0], offset: 0.25 },
            HalfSpace { normal: vec![0.0, 1.0], offset: -1.0 },
        ];
        assert_eq!(
            project_onto_all(&slack.iter().collect::<Vec<_>>(), within).point,
            project(&slack[0], within).point
        );
    }

    #[test]
    fn says_when_the_box_is_too_small() {
        let image = [0.5, 0.0];
        let within = PerturbationBox { image: &image, lower: 0.0, upper: 1.0 };
        let found = project(&HalfSpace { normal: vec![1.0, -1.0], offset: 0.6 }, within);
        assert!(!found.reached);
        assert_eq!(found.point, [0.5, 0.0]);
        let found = project(&HalfSpace { normal: vec![1.0, -1.0], offset: -0.1 }, within);
        assert!(found.reached);
        assert_eq!(found.point, [0.0, 0.0]);
    }
}
