//! The nearest point of a half-space that also lies in a box.

use crate::numeric::simd::vectorised;

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
/// With one half-space the result is exact. With several it comes from cyclic ascent on the dual
/// (Hildreth's method with a box): one multiplier at a time is chosen so that its half-space is
/// just met.
pub(super) fn project_onto_all(half_spaces: &[HalfSpace], within: PerturbationBox<'_>) -> Projection {
    if let [only] = half_spaces {
        return project(only, within);
    }
    let size = within.image.len();
    let mut multipliers = vec![0.0; half_spaces.len()];
    let mut pull = vec![0.0_f64; size];
    for _ in 0..60 {
        let mut change = 0.0_f64;
        for (half_space, multiplier) in half_spaces.iter().zip(&mut multipliers) {
            let new = ascend(half_space, *multiplier, &pull, within);
            let step = new - *multiplier;
            for (p, &g) in pull.iter_mut().zip(&half_space.normal) {
                *p += step * g as f64;
            }
            change = change.max(step.abs() / new.abs().max(f64::MIN_POSITIVE));
            *multiplier = new;
        }
        if change < 1e-6 {
            break;
        }
    }
    let point: Vec<f32> = (0..size).map(|i| clip(pull[i], within, i) as f32).collect();
    let reached = half_spaces.iter().all(|half_space| {
        let value = crate::numeric::vector::dot(&half_space.normal, &point);
        value >= half_space.offset - 1e-3 * half_space.offset.abs()
    });
    Projection { point, reached }
}

fn clip(value: f64, within: PerturbationBox<'_>, i: usize) -> f64 {
    value.clamp((within.lower - within.image[i]) as f64, (within.upper - within.image[i]) as f64)
}

/// The multiplier ≥ 0 of one half-space that just meets it, given the pull of all of them with the
/// present one.
fn ascend(half_space: &HalfSpace, present: f64, pull: &[f64], within: PerturbationBox<'_>) -> f64 {
    let HalfSpace { normal, offset } = half_space;
    let value = |multiplier: f64| -> f64 {
        let shift = multiplier - present;
        (0..pull.len()).map(|i| normal[i] as f64 * clip(pull[i] + shift * normal[i] as f64, within, i)).sum()
    };
    if value(0.0) >= *offset {
        return 0.0;
    }
    let norm = crate::numeric::vector::squared_norm(normal);
    let (mut low, mut high) = (0.0, present.max(offset.abs() / norm.max(f64::MIN_POSITIVE)));
    let mut doublings = 0;
    while value(high) < *offset {
        if doublings == 40 {
            return high; // the box does not reach this far
        }
        doublings += 1;
        low = high;
        high *= 2.0;
    }
    for _ in 0..50 {
        let middle = 0.5 * (low + high);
        if value(middle) < *offset { low = middle } else { high = middle }
    }
    high
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
        let found = project_onto_all(&half_spaces, within);
        assert!(found.reached);
        for s in found.point {
            assert!((s - 0.5).abs() < 1e-4, "{s}");
        }
        let slack = [
            HalfSpace { normal: vec![1.0, 0.0], offset: 0.25 },
            HalfSpace { normal: vec![0.0, 1.0], offset: -1.0 },
        ];
        assert_eq!(project_onto_all(&slack, within).point, project(&slack[0], within).point);
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
