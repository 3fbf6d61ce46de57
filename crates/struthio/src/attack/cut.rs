//! Linearisations of the decision boundary.

use std::rc::Rc;

use super::plane::HalfSpace;
use crate::numeric::vector;

/// The gradient of a margin, divided by its largest entry: saturated units make it so small that its
/// square is zero in f32.
#[derive(Debug, Clone)]
pub(super) struct Slope {
    direction: Rc<Vec<f32>>,
    scale: f64,
}

impl Slope {
    pub fn of(mut gradient: Vec<f32>) -> Self {
        let scale = gradient.iter().map(|g| g.abs()).fold(0.0, f32::max);
        let scale = if scale > 0.0 { scale } else { 1.0 };
        gradient.iter_mut().for_each(|g| *g /= scale);
        Self { direction: Rc::new(gradient), scale: scale as f64 }
    }

    /// The half-space in which the aim is met, if it is exceeded by `excess` at `r` and this is the
    /// gradient everywhere.
    pub fn half_space(&self, r: &[f32], excess: f64) -> HalfSpace {
        let offset = vector::dot(&self.direction, r) - excess / self.scale;
        HalfSpace { normal: Rc::clone(&self.direction), offset }
    }

    /// The cosine of the angle to another gradient.
    pub fn cosine(&self, other: &Self) -> f64 {
        let norms = (vector::squared_norm(&self.direction) * vector::squared_norm(&other.direction)).sqrt();
        vector::dot(&self.direction, &other.direction) / norms.max(f64::MIN_POSITIVE)
    }

    /// Its length.
    pub fn steepness(&self) -> f64 {
        self.scale * vector::squared_norm(&self.direction).sqrt()
    }
}

/// A linearisation made at an earlier point.
///
/// Where the adversarial region is convex it lies inside every cut, and at a kink of the boundary —
/// `ReLU` networks have them everywhere — its closest point is held by several cuts at once, none of
/// which leads there alone.
#[derive(Debug)]
pub(super) struct Cut {
    pub behind: usize,
    pub half_space: HalfSpace,
    /// The margin grows by this for a unit of the half-space's offset, and at most by `steepness` for a
    /// unit of distance.
    scale: f64,
    pub steepness: f64,
    /// Where it was made, and by how much the aim was exceeded there.
    pub at: Vec<f32>,
    excess: f64,
}

impl Cut {
    /// Of the crossing before `behind`, made at `r`, where the aim is exceeded by `excess`.
    pub fn new(behind: usize, slope: &Slope, r: &[f32], excess: f64) -> Self {
        let half_space = slope.half_space(r, excess);
        Self { behind, half_space, scale: slope.scale, steepness: slope.steepness(), at: r.to_vec(), excess }
    }

    /// By how much the aim is exceeded at `r`, if this linearisation is right.
    pub fn predicted(&self, r: &[f32]) -> f64 {
        self.scale * (vector::dot(&self.half_space.normal, r) - self.half_space.offset)
    }

    /// Whether the margin where one of the two was made is larger than the other allows.
    pub fn contradicts(&self, other: &Self) -> bool {
        let slack = 1e-3 * vector::squared_distance(&self.at, &other.at).sqrt();
        self.excess > other.predicted(&self.at) + slack * other.steepness
            || other.excess > self.predicted(&other.at) + slack * self.steepness
    }
}
