//! The nearest point of a half-space that also lies in a box.

use std::rc::Rc;

use crate::numeric::cholesky::{gram_matrix, solve_positive_definite};
use crate::numeric::simd::vectorised;
use crate::numeric::vector;

/// The half-space {s : ⟨normal, s⟩ ≥ offset} of perturbations s.
#[derive(Debug, Clone)]
pub(super) struct HalfSpace {
    pub normal: Rc<Vec<f32>>,
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
        vector::clamped_sum(self.image, perturbation, self.lower, self.upper)
    }
}

/// Result of a projection.
#[derive(Debug, Clone)]
pub(super) struct Projection {
    /// The perturbation.
    pub point: Vec<f32>,
    /// The multiplier of each half-space.
    pub multipliers: Vec<f64>,
    /// Whether the half-space is reached; if not, the point is as far into it as the box allows.
    pub reached: bool,
}

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
    let reached = dual.missing.iter().zip(half_spaces).all(|(&missing, h)| missing <= 1e-3 * h.offset.abs());
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

/// The perturbation of smallest norm in the half-space and the box, exactly.
///
/// It is clip(λ·normal) for one λ ≥ 0, and ⟨normal, clip(λ·normal)⟩ is a concave, increasing,
/// piecewise linear function of λ, so Newton's method approaches the root from below after the first
/// step and ends after finitely many; without a `guess` it starts from the λ of no box.
fn project(half_space: &HalfSpace, within: PerturbationBox<'_>, guess: Option<f64>) -> Projection {
    let HalfSpace { normal, offset } = half_space;
    let mut reached = *offset <= 0.0;
    // The box only shortens, so the root is never below that without it.
    let unboxed = offset / vector::squared_norm(normal);
    let mut multiplier = match guess {
        _ if reached || !unboxed.is_finite() => 0.0,
        Some(guess) if guess > 0.0 => guess,
        _ => unboxed,
    };
    for _ in 0..64 {
        let (value, slope) = value_and_slope(normal, multiplier, within);
        let missing = offset - value;
        reached |= missing <= 0.0 && missing >= -1e-6 * offset.abs();
        // Aims a few roundings of f32 beyond the plane.
        let step = (missing + 3e-7 * offset.abs()) / slope;
        let next = (multiplier + step).max(unboxed);
        if reached || !next.is_finite() {
            break;
        }
        multiplier = next;
    }
    Projection { point: clipped(normal, multiplier, within), multipliers: vec![multiplier], reached }
}

/// clip(multiplier · normal)
fn clipped(normal: &[f32], multiplier: f64, within: PerturbationBox<'_>) -> Vec<f32> {
    let multiplier = multiplier as f32;
    let mut point = vec![0.0; normal.len()];
    vectorised(
        #[inline(always)]
        || {
            for ((out, &g), &x) in point.iter_mut().zip(normal).zip(within.image) {
                *out = clip(multiplier * g, within.lower - x, within.upper - x);
            }
        },
    );
    point
}

/// ⟨normal, clip(multiplier · normal)⟩ and its derivative, taken on the side where more pixels move.
fn value_and_slope(normal: &[f32], multiplier: f64, within: PerturbationBox<'_>) -> (f64, f64) {
    const LANES: usize = 16;
    let multiplier = multiplier as f32;
    let (normals, normals_rest) = normal.as_chunks::<LANES>();
    let (images, images_rest) = within.image.as_chunks::<LANES>();
    // A pixel whose normal is zero adds nothing.
    let (mut last_normals, mut last_images) = ([0.0; LANES], [0.0; LANES]);
    last_normals[..normals_rest.len()].copy_from_slice(normals_rest);
    last_images[..images_rest.len()].copy_from_slice(images_rest);
    vectorised(
        #[inline(always)]
        || {
            let (mut value, mut slope) = ([0.0_f64; LANES], [0.0_f64; LANES]);
            let blocks = normals.iter().zip(images).chain([(&last_normals, &last_images)]);
            for (normal, image) in blocks {
                let (mut products, mut squares) = ([0.0_f32; LANES], [0.0_f32; LANES]);
                for lane in 0..LANES {
                    let g = normal[lane];
                    let s = multiplier * g;
                    let clipped = clip(s, within.lower - image[lane], within.upper - image[lane]);
                    products[lane] = g * clipped;
                    squares[lane] = if clipped == s { g * g } else { 0.0 };
                }
                for lane in 0..LANES {
                    value[lane] += products[lane] as f64;
                    slope[lane] += squares[lane] as f64;
                }
            }
            (value.iter().sum(), slope.iter().sum())
        },
    )
}

/// `s` limited to [low, high]; unlike [`f32::clamp`] it takes two instructions.
#[inline(always)]
fn clip(s: f32, low: f32, high: f32) -> f32 {
    let s = if s < low { low } else { s };
    if s > high { high } else { s }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn half_space(normal: &[f32], offset: f64) -> HalfSpace {
        HalfSpace { normal: Rc::new(normal.to_vec()), offset }
    }

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
            guess in 1e-3_f64..1e3,
        ) {
            let (image, normal): (Vec<f32>, Vec<f32>) = pixels.into_iter().unzip();
            let within = PerturbationBox { image: &image, lower: 0.0, upper: 1.0 };
            let farthest: Vec<f32> = image.iter().zip(&normal).map(|(&x, &g)| if g > 0.0 { 1.0 - x } else { -x }).collect();
            let reach = dot(&normal, &farthest);
            prop_assume!(reach > 1e-3);
            let half_space = half_space(&normal, share * reach);
            let found = project(&half_space, within, None);
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
            let guessed = project(&half_space, within, Some(guess * found.multipliers[0]));
            prop_assert!(guessed.reached);
            for (a, b) in guessed.point.iter().zip(&found.point) {
                prop_assert!((a - b).abs() <= 1e-5 * b.abs().max(1.0), "{a} {b}");
            }
            prop_assert!(own.sqrt() <= shortest.sqrt() * (1.0 + 1e-5) + 1e-6, "{} {}", own.sqrt(), shortest.sqrt());
        }
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

    #[test]
    fn says_when_the_box_is_too_small() {
        let image = [0.5, 0.0];
        let within = PerturbationBox { image: &image, lower: 0.0, upper: 1.0 };
        let found = project(&half_space(&[1.0, -1.0], 0.6), within, None);
        assert!(!found.reached);
        assert_eq!(found.point, [0.5, 0.0]);
        let found = project(&half_space(&[1.0, -1.0], -0.1), within, None);
        assert!(found.reached);
        assert_eq!(found.point, [0.0, 0.0]);
    }
}
