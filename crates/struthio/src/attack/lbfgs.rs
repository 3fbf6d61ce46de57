//! The paper's attack: the smallest perturbation by box-constrained L-BFGS.

use super::candidate::Candidate;
use super::oracle::{Oracle, Stop};
use super::{Attack, Case, Search, bisection, blind, multistart};

/// How the smallest perturbation is looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SearchKind {
    /// Walks along the decision boundary to its closest point, from several starts, and the paper's
    /// search where none of them arrives: shorter perturbations for a fraction of the gradients.
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
/// With [`SearchKind::Fast`], a budget of gradients is spent to the end, on one start after another;
/// without a budget the search ends after a few starts in a row that gained nothing.
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
            let mut candidates = match Candidate::survey(oracle, case, self.max_targets.max(1)).await {
                Err(Stop::ZeroGradient) => return without_gradient(oracle, case).await,
                surveyed => surveyed?,
            };
            if self.search == SearchKind::Fast {
                let searched = multistart::search(oracle, case, &mut candidates).await;
                if searched == Err(Stop::Budget) {
                    multistart::settle(oracle, case, &candidates).await?;
                }
                searched?;
                if oracle.best_l2().is_some() {
                    return Ok(());
                }
                candidates.truncate(UNREACHED);
            }
            for candidate in &mut candidates {
                bisection::search(oracle, case, candidate, self.loss).await?;
            }
            Ok(())
        })
    }
}

/// Where the gradient at the image is zero, only random points can help.
async fn without_gradient(oracle: &Oracle, case: &Case) -> Result<(), Stop> {
    oracle.record_blind();
    match blind::search(oracle, case).await {
        Ok(()) | Err(Stop::Budget) if oracle.best_l2().is_none() => Err(Stop::ZeroGradient),
        ended => ended,
    }
}

/// Where no walk reaches any class, the paper's search tries those that seem closest.
const UNREACHED: usize = 3;
