//! The paper's attack: the smallest perturbation by box-constrained L-BFGS.

use super::boundary::{Crossing, Walk};
use super::oracle::{Oracle, Stop};
use super::penalty::{self, Solved};
use super::{Attack, Case, Criterion, Search};
use crate::numeric::vector;

/// How the smallest perturbation is looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SearchKind {
    /// Walks along the decision boundary to its closest point, one more of them from the minimiser of
    /// the penalty, and the paper's search where all that fails: nearly the same distances for a
    /// fraction of the gradients.
    Fast,
    /// The paper's: a search over the factor c of the penalty, an L-BFGS solve for each.
    Bisection,
}

/// The loss beside the penalty.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PenaltyLoss {
    /// Cross-entropy to the target, as in the paper.
    CrossEntropy,
    /// Smooth margin: by how much the target is behind.
    Margin,
}

/// Smallest L2 perturbation by box-constrained L-BFGS (Szegedy et al. 2013, section 4.1).
///
/// Untargeted, it is the minimum over targets: those whose linearised boundary is close come
/// first, and a target is given up once it cannot beat the best.
///
/// With [`SearchKind::Bisection`], c·‖r‖² + loss is minimised for a sequence of c: bracketed by
/// factors, then bisected in log c, each solve started from the nearest solved c. Success is not
/// monotone in c, so every point ever evaluated counts (the oracle keeps the closest), and the best
/// is polished by a short walk along the boundary. Note that c multiplies the distance, so the
/// smallest perturbation belongs to the *largest* c that succeeds.
#[derive(Debug, Clone, Copy)]
pub struct Lbfgs {
    /// How to search.
    pub search: SearchKind,
    /// The loss of penalty solves.
    pub loss: PenaltyLoss,
    /// How many targets are searched when any wrong class will do: those with the closest
    /// linearised boundary, among three times as many with the largest logits.
    pub max_targets: usize,
}

impl Default for Lbfgs {
    fn default() -> Self {
        Self { search: SearchKind::Fast, loss: PenaltyLoss::CrossEntropy, max_targets: 10 }
    }
}

impl Attack for Lbfgs {
    fn name(&self) -> &'static str {
        "lbfgs"
    }

    fn run<'a>(&'a self, oracle: &'a Oracle, case: &'a Case) -> Search<'a> {
        Box::pin(async move {
            let mut targets = self.targets(oracle, case).await?;
            if self.search == SearchKind::Fast {
                let mut at_rest = false;
                for target in &mut targets {
                    let start = target.first_step.clone();
                    at_rest = target.walk_from(start, oracle, at_rest).await?;
                }
                if let Some(best) = oracle.best_l2() {
                    at_rest = self.insure(oracle, case, &mut targets, best, at_rest).await?;
                }
                if at_rest {
                    return Ok(());
                }
                // No walk came to rest at the best point: the slow search takes over, for the
                // targets that promise most.
                targets.truncate(UNSETTLED_TARGETS);
            }
            for target in &mut targets {
                self.search_over_c(oracle, case, target).await?;
            }
            Ok(())
        })
    }
}

/// Targets of the search over c that follows walks which did not come to rest.
const UNSETTLED_TARGETS: usize = 3;

/// A class to aim for, and a first estimate of how far it is.
struct Target<'a> {
    class: usize,
    walk: Walk<'a>,
    first_step: Vec<f32>,
    distance: f64,
}

impl Target<'_> {
    /// Walks from `start`; tells whether the best point seen in the whole search is now one where a
    /// walk came to rest, given whether it was before.
    async fn walk_from(&mut self, start: Vec<f32>, oracle: &Oracle, at_rest: bool) -> Result<bool, Stop> {
        let best = oracle.best_l2();
        // The linearisation at the image is a rough estimate, and far too long where units saturate: only a
        // target that seems several times as far is skipped.
        if best.is_some_and(|best| self.distance > 4.0 * best) {
            return Ok(at_rest);
        }
        self.walk.give_up_beyond = best;
        let arrived = self.walk.walk(start).await?;
        let improved = oracle.best_l2().is_some_and(|now| best.is_none_or(|before| now < before));
        Ok(if improved { arrived } else { at_rest })
    }
}

impl Lbfgs {
    /// The classes to try, the closest linearised boundary first.
    async fn targets<'a>(&self, oracle: &'a Oracle, case: &'a Case) -> Result<Vec<Target<'a>>, Stop> {
        let all_but = |class: usize| (0..case.logits.len()).filter(move |&j| j != class);
        let mut candidates: Vec<Crossing> = match case.criterion {
            Criterion::Class(class) => vec![Crossing { ahead: class, behind: all_but(class).collect() }],
            Criterion::NotClass(class) => {
                all_but(class).map(|ahead| Crossing { ahead, behind: vec![class] }).collect()
            }
        };
        candidates.sort_by(|a, b| case.logits[b.ahead].total_cmp(&case.logits[a.ahead]));
        candidates.truncate(3 * self.max_targets.max(1));
        let mut targets = Vec::with_capacity(candidates.len());
        let mut flat = 0;
        for crossing in candidates {
            let class = crossing.ahead;
            let mut walk = Walk::new(oracle, case, crossing);
            match walk.survey(&case.logits).await {
                Ok(step) => {
                    let distance =
                        if step.reached { vector::squared_norm(&step.point).sqrt() } else { f64::INFINITY };
                    targets.push(Target { class, walk, first_step: step.point, distance });
                }
                Err(Stop::ZeroGradient) => flat += 1,
                Err(stop) => return Err(stop),
            }
        }
        if targets.is_empty() && flat > 0 {
            return Err(Stop::ZeroGradient);
        }
        targets.sort_by(|a, b| a.distance.total_cmp(&b.distance));
        targets.truncate(self.max_targets.max(1));
        Ok(targets)
    }

    /// Once more for the target with the closest linearised boundary, from elsewhere: from the
    /// minimiser of the paper's objective, for the c that suits the best distance so far.
    ///
    /// A walk that starts with a long step may end in a valley of the boundary that is not the
    /// lowest; L-BFGS goes there little by little from the image.
    async fn insure(
        &self,
        oracle: &Oracle,
        case: &Case,
        targets: &mut [Target<'_>],
        best: f64,
        at_rest: bool,
    ) -> Result<bool, Stop> {
        let Some(target) = targets.first_mut() else { return Ok(at_rest) };
        let c = self.balance(target.walk.slope(), best);
        let solved = penalty::solve(oracle, case, target.class, self.loss, c, case.image.clone()).await?;
        let at_rest = at_rest && oracle.best_l2().is_none_or(|now| now >= best);
        target.walk_from(vector::difference(&solved.point, &case.image), oracle, at_rest).await
    }

    /// The c for which the penalty balances the loss on the boundary at distance `l2`, where the
    /// difference of the two logits changes at the rate `slope`.
    fn balance(&self, slope: f64, l2: f64) -> f64 {
        // On the boundary the target has probability one half, so cross-entropy pulls half as hard.
        let pull = match self.loss {
            PenaltyLoss::CrossEntropy => 0.5 * slope,
            PenaltyLoss::Margin => slope,
        };
        pull / (2.0 * l2.max(1e-9))
    }

    /// The paper's search over c for one target.
    async fn search_over_c(&self, oracle: &Oracle, case: &Case, target: &mut Target<'_>) -> Result<(), Stop> {
        const FACTOR: f64 = 4.0;
        const TOLERANCE: f64 = 1.01;
        const MAX_SOLVES: usize = 28;
        let before = oracle.best_l2();
        let reach = if target.distance.is_finite() { target.distance } else { 1.0 };
        let mut c = self.balance(target.walk.slope(), reach);
        let (mut succeeds, mut fails): (Option<f64>, Option<f64>) = (None, None);
        let mut warm = case.image.clone();
        let mut best: Option<(f64, Solved)> = None;
        for _ in 0..MAX_SOLVES {
            let solved = penalty::solve(oracle, case, target.class, self.loss, c, warm.clone()).await?;
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
        target.walk.give_up_beyond = before;
        target.walk.walk(vector::difference(&solved.point, &case.image)).await?;
        if before.is_none_or(|before| oracle.best_l2().is_some_and(|now| now < before)) {
            oracle.record_c(c);
        }
        Ok(())
    }
}
