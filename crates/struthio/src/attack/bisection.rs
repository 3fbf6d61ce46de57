//! The paper's search: an L-BFGS solve for each of a sequence of factors c.

use super::Case;
use super::candidate::Candidate;
use super::lbfgs::PenaltyLoss;
use super::oracle::{Oracle, Stop};
use super::penalty::{self, Solved};
use crate::numeric::vector;

/// c is bracketed by steps of this factor.
const FACTOR: f64 = 4.0;
/// The bracket is bisected until its ends differ by no more than this factor.
const TOLERANCE: f64 = 1.01;
const MAX_SOLVES: usize = 28;

/// The largest c whose minimiser is adversarial, for one candidate, and a walk along the boundary
/// from the closest minimiser.
pub(super) async fn search(
    oracle: &Oracle,
    case: &Case,
    candidate: &mut Candidate<'_>,
    loss: PenaltyLoss,
) -> Result<(), Stop> {
    let before = oracle.best_l2();
    let reach = if candidate.distance.is_finite() { candidate.distance } else { 1.0 };
    let mut c = balance(loss, candidate.walk.slope(), reach);
    let (mut succeeds, mut fails): (Option<f64>, Option<f64>) = (None, None);
    let mut warm = case.image.clone();
    let mut best: Option<(f64, Solved)> = None;
    for _ in 0..MAX_SOLVES {
        let solved = penalty::solve(oracle, case, candidate.class, loss, c, warm.clone()).await?;
        let beaten = before.is_some_and(|before| solved.l2 > 1.5 * before);
        if !solved.succeeded && beaten {
            break; // success needs a smaller c, hence a longer perturbation still
        }
        if solved.succeeded {
            succeeds = Some(c);
            if best.as_ref().is_none_or(|(_, best)| solved.l2 < best.l2) {
                best = Some((c, solved.clone()));
            }
        } else {
            fails = Some(c);
        }
        warm = solved.point;
        c = match (succeeds, fails) {
            (Some(low), Some(high)) if high / low <= TOLERANCE => break,
            (Some(low), Some(high)) => (low * high).sqrt(),
            (Some(low), None) => low * FACTOR,
            (None, Some(high)) => high / FACTOR,
            (None, None) => break,
        };
        if !(1e-12..1e12).contains(&c) {
            break;
        }
    }
    let Some((c, solved)) = best else { return Ok(()) };
    candidate.walk_from(vector::difference(&solved.point, &case.image), before, None).await?;
    if before.is_none_or(|before| oracle.best_l2().is_some_and(|now| now < before)) {
        oracle.record_c(c);
    }
    Ok(())
}

/// The c for which the penalty balances the loss on the boundary at distance `l2`, where the
/// difference of the two logits changes at the rate `slope`.
fn balance(loss: PenaltyLoss, slope: f64, l2: f64) -> f64 {
    // On the boundary the target has probability one half, so cross-entropy pulls half as hard.
    let pull = match loss {
        PenaltyLoss::CrossEntropy => 0.5 * slope,
        PenaltyLoss::Margin => slope,
    };
    pull / (2.0 * l2.max(1e-9))
}
