//! The nearest point of a half-space that also lies in a box.

use std::rc::Rc;

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

/// The perturbation of smallest norm in the half-space and the box, exactly.
///
/// It is clip(λ·normal) for one λ ≥ 0, and ⟨normal, clip(λ·normal)⟩ is a concave, increasing,
/// piecewise linear function of λ, so Newton's method approaches the root from below after the first
/// step and ends after finitely many; without a `guess` it starts from the λ of no box.
pub(super) fn project(half_space: &HalfSpace, within: PerturbationBox<'_>, guess: Option<f64>) -> Projection {
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
pub(super) fn clip(s: f32, low: f32, high: f32) -> f32 {
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
