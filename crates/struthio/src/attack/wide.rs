//! The wide search: descents to single classes, where the linearisation at the image says little.
//!
//! Saturated units have tiny gradients, and what these say about the boundary is wrong: the closest class may seem far
//! and a far one close, and walks along linearisations end at the wrong place. Descents on a sphere take steps of a
//! length of their own and follow the gradient from the image on, however small it is.

use rand::Rng;

use super::bisection;
use super::breadth::{Breadth, hardly_swings};
use super::candidate::{Candidate, linearised};
use super::descent::descend;
use super::lbfgs::PenaltyLoss;
use super::multistart::{GAIN, jumbled, within_budget};
use super::oracle::{Oracle, Stop};
use super::{Case, Criterion};
use crate::numeric::random::stream;
use crate::numeric::vector;

/// Descents to contenders: to so many classes at most, that seem at most this many times as far as the best, with so
/// many gradients each.
const CONTENDERS: usize = 3;
const CONTENDS: f64 = 1.3;
const BRIEF: usize = 30;
/// The best is about where the linearisation at the image said if it is within these shares of that.
const AS_SAID: std::ops::Range<f64> = 0.75..1.05;

/// Gradients of a descent of the wide search, and of a thorough one.
const STEPS: usize = 60;
const THOROUGH_STEPS: usize = 120;
/// Rounds of descents from noise, whose lengths in lengths of the best perturbation take turns.
const ROUNDS: usize = 20;
const NOISE: [f64; 4] = [0.5, 2.0, 1.0, 4.0];
/// They end after so many in a row that gained nothing.
const PATIENCE: usize = 2;

/// Descends to the classes that seem closest, unless the linearisation at the image was about right, or the units are
/// known to be about linear that far.
pub(super) async fn contenders(
    oracle: &Oracle,
    case: &Case,
    candidates: &mut [Candidate<'_>],
) -> Result<(), Stop> {
    if hardly_swings(oracle, case) {
        return Ok(());
    }
    let mut random = stream(case.seed, "contender", case.index as u64);
    for i in closest(candidates).into_iter().take(CONTENDERS) {
        if !leaves(oracle, 2 * BRIEF) {
            break; // little is better spent on walks
        }
        let best = oracle.best_l2().unwrap_or(f64::INFINITY);
        let settled = candidates.iter().map(|candidate| candidate.settled).fold(f64::INFINITY, f64::min);
        if AS_SAID.contains(&(best / linearised(candidates))) && settled < 1.001 * best {
            break;
        }
        if candidates[i].seems_at() <= CONTENDS * best {
            descend_to(oracle, case, &mut candidates[i], BRIEF, 0.0, &mut random).await?;
        }
    }
    Ok(())
}

/// Descends to every class, then from around the image to those that seem closest, until nothing is gained; as widely
/// as the image seems to need, and with a budget as that allows.
pub(super) async fn search(
    oracle: &Oracle,
    case: &Case,
    candidates: &mut [Candidate<'_>],
) -> Result<(), Stop> {
    let best = oracle.best_l2().unwrap_or(f64::INFINITY);
    let breadth = Breadth::due(oracle, case, candidates);
    let mut random = stream(case.seed, "wide", case.index as u64);
    if breadth == Breadth::Narrow
        || (breadth == Breadth::Pilot && !pilot_gains(oracle, case, candidates).await?)
    {
        return Ok(());
    }
    let is_thorough = breadth == Breadth::Thorough;
    let says_nothing = linearised(candidates).is_infinite();
    let steps = if is_thorough { THOROUGH_STEPS } else { STEPS };
    for i in closest(candidates) {
        descend_to(oracle, case, &mut candidates[i], steps, 0.0, &mut random).await?;
    }
    if is_thorough || says_nothing {
        for i in closest(candidates) {
            bisection::search(oracle, case, &mut candidates[i], PenaltyLoss::CrossEntropy).await?;
        }
    }
    let gained = oracle.best_l2().is_none_or(|after| after <= (1.0 - GAIN) * best);
    let patience = match breadth {
        Breadth::Thorough => 2 * PATIENCE,
        Breadth::Rounds if says_nothing => 2 * PATIENCE,
        // What every class could not shorten, noise hardly ever does.
        Breadth::Rounds if gained => PATIENCE,
        _ => return Ok(()),
    };
    rounds(oracle, case, candidates, steps, patience, &mut random).await
}

/// Descends from noise to the classes that seem closest, until so many rounds in a row gain nothing.
async fn rounds(
    oracle: &Oracle,
    case: &Case,
    candidates: &mut [Candidate<'_>],
    steps: usize,
    patience: usize,
    random: &mut impl Rng,
) -> Result<(), Stop> {
    let mut idle = 0;
    for round in 0..ROUNDS {
        let before = oracle.best_l2().unwrap_or(f64::INFINITY);
        // Every other round tries more classes.
        let (classes, within) = if round % 2 == 0 { (CONTENDERS, CONTENDS) } else { (candidates.len(), 2.0) };
        for i in closest(candidates).into_iter().take(classes) {
            if candidates[i].seems_at() <= within * before {
                let noise = NOISE[round % NOISE.len()];
                descend_to(oracle, case, &mut candidates[i], steps, noise, random).await?;
            }
        }
        let gained = oracle.best_l2().is_some_and(|after| after < (1.0 - GAIN) * before);
        idle = if gained { 0 } else { idle + 1 };
        if idle >= patience {
            break;
        }
    }
    Ok(())
}

/// Whether a descent to whatever class comes first shortens the best perturbation; walks on from its end if it does.
async fn pilot_gains(oracle: &Oracle, case: &Case, candidates: &mut [Candidate<'_>]) -> Result<bool, Stop> {
    let Some(best) = oracle.best_l2() else { return Ok(true) };
    let end = descend(oracle, case, case.criterion, vec![0.0; case.image.len()], best, BRIEF).await?;
    if oracle.best_l2().is_none_or(|after| after >= (1.0 - GAIN) * best) {
        return Ok(false);
    }
    let class = oracle.best_class();
    if let Some(candidate) = candidates.iter_mut().find(|candidate| Some(candidate.class) == class) {
        candidate.end = candidate.end.min(vector::squared_norm(&end).sqrt());
        candidate.walk_from(end, oracle.best_l2(), None).await?;
    }
    Ok(true)
}

/// Whether so many gradients may still be spent.
fn leaves(oracle: &Oracle, gradients: usize) -> bool {
    oracle.remaining().is_none_or(|left| left >= gradients as u64)
}

/// Indices of candidates, those that seem closest first.
fn closest(candidates: &[Candidate<'_>]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..candidates.len()).collect();
    order.sort_by(|&a, &b| candidates[a].seems_at().total_cmp(&candidates[b].seems_at()));
    order
}

/// Descends to the class of `candidate` from white noise as long as `noise` times the best perturbation, and walks on
/// from the end.
async fn descend_to(
    oracle: &Oracle,
    case: &Case,
    candidate: &mut Candidate<'_>,
    steps: usize,
    noise: f64,
    random: &mut impl Rng,
) -> Result<(), Stop> {
    let radius = oracle.best_l2().unwrap_or(1.0);
    let start = jumbled(&vec![0.0; case.image.len()], noise * radius, random);
    let goal = Criterion::Class(candidate.class);
    let r = descend(oracle, case, goal, start, radius, within_budget(oracle, steps)).await?;
    candidate.end = candidate.end.min(vector::squared_norm(&r).sqrt());
    candidate.walk_from(r, oracle.best_l2(), None).await?;
    Ok(())
}
