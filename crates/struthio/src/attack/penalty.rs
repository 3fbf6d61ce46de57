//! The paper's objective: minimise c·‖r‖² + loss(x + r, t) over the box.

use super::lbfgs::PenaltyLoss;
use super::oracle::{Oracle, Stop};
use super::{Case, Criterion, Loss};
use crate::numeric::lbfgs::{Bounds, Evaluation, Settings, minimise};
use crate::numeric::vector;

/// What a solve for one c came to.
#[derive(Debug, Clone)]
pub(super) struct Solved {
    /// The minimiser, an image.
    pub point: Vec<f32>,
    /// Whether it is adversarial.
    pub succeeded: bool,
    /// Its distance from the image.
    pub l2: f64,
}

/// Minimises c·‖r‖² + loss for one c, from `start`.
pub(super) async fn solve(
    oracle: &Oracle,
    case: &Case,
    target: usize,
    loss: PenaltyLoss,
    c: f64,
    start: Vec<f32>,
) -> Result<Solved, Stop> {
    let loss = match loss {
        PenaltyLoss::CrossEntropy => Loss::CrossEntropy(target),
        PenaltyLoss::Margin => Loss::Margin(target),
    };
    let objective = async |x: &[f32]| {
        let answer = oracle.gradient(x, loss).await?;
        let distance = vector::squared_distance(x, &case.image);
        let mut gradient = answer.gradient;
        let factor = (2.0 * c) as f32;
        for ((g, &x), &x0) in gradient.iter_mut().zip(x).zip(&case.image) {
            *g = factor.mul_add(x - x0, *g);
        }
        // At a minimum the two terms of the gradient cancel: either of them is the scale.
        let gradient_scale = 2.0 * c * distance.sqrt();
        Ok::<_, Stop>(Evaluation { value: answer.value + c * distance, gradient, gradient_scale })
    };
    let settings =
        Settings { memory: 6, tolerance: 1e-3, decrease: 1e-6, max_evaluations: 200, first_step: 0.1 };
    let bounds = Bounds { lower: case.lower, upper: case.upper };
    let minimum = minimise(start, bounds, settings, objective).await?;
    let logits = oracle.logits(&minimum).await?;
    let l2 = vector::squared_distance(&minimum, &case.image).sqrt();
    Ok(Solved {
        succeeded: Criterion::Class(target).is_met(&logits) || case.criterion.is_met(&logits),
        l2,
        point: minimum,
    })
}
