//! How widely to search beyond the walks: by the swing of the units, or by signs that the linearisation misleads.
//!
//! The swing of a perturbation is its length times the steepness of the units
//! ([`unit_steepness`](crate::network::Classifier::unit_steepness)): if all of it pushed one typical unit, it would
//! push it that many times its scale. It tells best of what was tried which images are hard.

use super::Case;
use super::candidate::{Candidate, FirstWalk, linearised};
use super::oracle::Oracle;

/// Units of this steepness saturate everywhere: a thorough search is due from this swing on.
const STEEP: f64 = 12.0;
const THOROUGH_SWING: f64 = 5.0;
/// Where units are less steep, a pilot decides from this swing on, and every class is tried from this one on.
const PILOT_SWING: f64 = 9.0;
const CLASSES_SWING: f64 = 21.0;
/// With a budget, rounds take place if so many gradients are left, and a thorough search if so many.
const ROUNDS_BUDGET: u64 = 300;
const THOROUGH_BUDGET: u64 = 3000;

/// The linearisation at the image misleads if a walk ended, or the best is, this many times as far as it said, …
const WALK_BEYOND: f64 = 4.0;
const BEST_BEYOND: f64 = 1.5;
/// … or the margin gradient turned by more than the angle with this cosine, …
const TURNED: f64 = 0.1;
/// … or the best is at less than this share of it, …
const BEST_BEFORE: f64 = 0.3;
/// … or a walk did not cross the boundary though it ended at less than this share of the best.
const MISSED: f64 = 0.8;

/// How widely to search.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Breadth {
    /// Not at all.
    Narrow,
    /// Every class once if a single descent shortens the perturbation.
    Pilot,
    /// Every class once.
    Classes,
    /// Every class, then from noise if that shortened the perturbation.
    Rounds,
    /// Every class by long descents and by the search over c, then from noise.
    Thorough,
}

impl Breadth {
    /// What is due once `candidates` were walked to.
    pub fn due(oracle: &Oracle, case: &Case, candidates: &[Candidate<'_>]) -> Self {
        let best = oracle.best_l2().unwrap_or(f64::INFINITY);
        match oracle.remaining() {
            Some(left) => Self::with_budget(is_steep(case), left),
            None => Self::without_budget(case.unit_steepness, best, is_misled(candidates, best)),
        }
    }

    fn with_budget(is_steep: bool, left: u64) -> Self {
        match left {
            THOROUGH_BUDGET.. if is_steep => Self::Thorough,
            ROUNDS_BUDGET.. => Self::Rounds,
            _ => Self::Narrow,
        }
    }

    fn without_budget(steepness: Option<f64>, best: f64, is_misled: bool) -> Self {
        // Infinite where nothing was found.
        let swing = steepness.map_or(0.0, |steepness| steepness * best);
        match steepness {
            Some(STEEP..) if swing >= THOROUGH_SWING => Self::Thorough,
            _ if swing >= CLASSES_SWING && best.is_finite() => Self::Classes,
            _ if swing >= PILOT_SWING && best.is_finite() => Self::Pilot,
            _ if is_misled => Self::Rounds,
            _ => Self::Narrow,
        }
    }
}

/// Whether units saturate wherever a perturbation leads.
pub(super) fn is_steep(case: &Case) -> bool {
    matches!(case.unit_steepness, Some(STEEP..))
}

/// Whether units are known to be about linear as far as the best perturbation goes.
pub(super) fn hardly_swings(oracle: &Oracle, case: &Case) -> bool {
    let swing = case.unit_steepness.zip(oracle.best_l2()).map(|(steepness, best)| steepness * best);
    !is_steep(case) && swing.is_some_and(|swing| swing < PILOT_SWING)
}

/// Whether the linearisation at the image said so little that the best may be far from the closest.
fn is_misled(candidates: &[Candidate<'_>], best: f64) -> bool {
    let linearised = linearised(candidates);
    let is_misleading = |candidate: &Candidate<'_>| match candidate.first {
        Some(FirstWalk { is_crossed: false, length, turn }) => length < MISSED * best || turn < TURNED,
        Some(FirstWalk { length, turn, .. }) => {
            turn < TURNED || (candidate.distance.is_finite() && length > WALK_BEYOND * candidate.distance)
        }
        None => false,
    };
    best.is_infinite()
        || best > BEST_BEYOND * linearised
        || best < BEST_BEFORE * linearised
        || candidates.iter().any(is_misleading)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn follows_from_the_swing() {
        let none = f64::INFINITY;
        for (steepness, best, is_misled, due) in [
            (Some(20.0), 0.2, true, Breadth::Rounds),
            (Some(20.0), 0.2, false, Breadth::Narrow),
            (Some(20.0), 0.25, false, Breadth::Thorough),
            (Some(20.0), none, true, Breadth::Thorough),
            (Some(10.0), 0.5, false, Breadth::Narrow),
            (Some(10.0), 0.9, true, Breadth::Pilot),
            (Some(10.0), 2.1, false, Breadth::Classes),
            (Some(10.0), none, true, Breadth::Rounds),
            (None, 100.0, false, Breadth::Narrow),
            (None, 0.1, true, Breadth::Rounds),
        ] {
            let found = Breadth::without_budget(steepness, best, is_misled);
            assert_eq!(found, due, "{steepness:?} {best} {is_misled}");
        }
    }

    #[test]
    fn a_budget_is_spent_on_what_it_can_pay() {
        assert_eq!(Breadth::with_budget(true, 299), Breadth::Narrow);
        assert_eq!(Breadth::with_budget(true, 300), Breadth::Rounds);
        assert_eq!(Breadth::with_budget(false, 10_000), Breadth::Rounds);
        assert_eq!(Breadth::with_budget(true, 10_000), Breadth::Thorough);
    }
}
