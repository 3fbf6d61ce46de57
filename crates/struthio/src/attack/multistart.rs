//! The fast search: walks along the decision boundary from many starts, or descents where it is too rugged for walks.

use rand::{Rng, RngExt};

use super::Case;
use super::breadth::is_steep;
use super::candidate::Candidate;
use super::descent::descend;
use super::oracle::{Oracle, Stop};
use super::wide;
use crate::numeric::random::stream;
use crate::numeric::vector;

/// Without a budget, restarts end after this many in a row that gained nothing: few where units saturate, since a
/// wide search may follow, and most where walks go astray.
const SMOOTH_PATIENCE: usize = 1;
const PATIENCE: usize = 2;
const RUGGED_PATIENCE: usize = 4;
/// A restart that shortens the perturbation by less than this share gained nothing.
pub(super) const GAIN: f64 = 1e-3;
/// Length of the noise that a restart adds to the best perturbation, in lengths of that; on held-out
/// images, half as much and twice as much found less on one network or the other.
const NOISE: f64 = 4.0;
/// A class whose boundary is more than this many times as far along the first step as the best is left out.
const FAR: f64 = 3.0;
/// The first restarts aim for this many classes: those whose walks ended closest.
const CONTENDERS: usize = 3;

/// Gradients of the first descent, and of the first that starts elsewhere; each further one takes more.
const FIRST_DESCENT: usize = 60;
const DESCENT: usize = 30;
const LONGER: usize = 5;
const LONGEST: usize = 100;
/// A walk whose end is more than this many times as far as the linearisation there said needs a descent to show
/// whether walks are of any use here, and they are not if one that starts at the end of a descent ends more than
/// this many times as far. On held-out images both are 1.07 and more for most images of a network with max
/// pooling and several layers of convolutions, and 1.02 and less for most of others.
const ASTRAY: f64 = 1.03;

/// One walk for each candidate from its linearised boundary, descents to those that seem closest, then walks from
/// around the best point so far: basin hopping (Wales & Doye 1997), with a local search of a few gradients. A descent
/// follows the first walk that goes astray; where a walk from its end goes astray too, the other walks are left out,
/// and every other restart is a descent. A wide search follows where that is due, before the restarts if walks go astray
/// though units saturate.
///
/// A walk ends in the valley of the boundary it starts in, and a network of rectified units has
/// very many of them, nearly as low as the lowest.
pub(super) async fn search(
    oracle: &Oracle,
    case: &Case,
    candidates: &mut [Candidate<'_>],
) -> Result<(), Stop> {
    if first_walks(oracle, case, candidates).await? {
        if is_steep(case) {
            wide::search(oracle, case, candidates).await?;
        }
        return restart(oracle, case, candidates, true).await;
    }
    wide::contenders(oracle, case, candidates).await?;
    if oracle.has_budget() {
        wide::search(oracle, case, candidates).await?;
        return restart(oracle, case, candidates, false).await;
    }
    restart(oracle, case, candidates, false).await?;
    wide::search(oracle, case, candidates).await
}

/// Walks to every candidate that is not hopeless; returns whether walks were found to go astray.
async fn first_walks(oracle: &Oracle, case: &Case, candidates: &mut [Candidate<'_>]) -> Result<bool, Stop> {
    let mut goes_astray = None;
    for i in 0..candidates.len() {
        let candidate = &mut candidates[i];
        let best = oracle.best_l2();
        if goes_astray == Some(true) || candidate.is_hopeless(best) {
            continue;
        }
        let start = candidate.walk.shortened(&candidate.first_step).await?;
        let length = vector::squared_norm(&start).sqrt();
        if best.is_some_and(|best| length > FAR * best) {
            continue;
        }
        let end = candidate.walk_from(start, best, None).await?;
        if goes_astray.is_none() && end.linearisation_error > ASTRAY {
            goes_astray = Some(first_descent(oracle, case, candidates, i).await?);
        }
    }
    Ok(goes_astray == Some(true))
}

/// Walks from around the best perturbation, and where walks go astray descents in turn with them.
async fn restart(
    oracle: &Oracle,
    case: &Case,
    candidates: &mut [Candidate<'_>],
    goes_astray: bool,
) -> Result<(), Stop> {
    let patience = match (goes_astray, case.unit_steepness) {
        (true, _) => RUGGED_PATIENCE,
        (false, Some(_)) => SMOOTH_PATIENCE,
        (false, None) => PATIENCE,
    };
    let mut order: Vec<usize> = (0..candidates.len()).collect();
    order.sort_by(|&a, &b| candidates[a].end.total_cmp(&candidates[b].end));
    let mut random = stream(case.seed, "restart", case.index as u64);
    let mut idle = 0;
    let mut restarts = 0;
    while oracle.has_budget() || idle < patience {
        let Some(best) = oracle.best_perturbation() else { break };
        let before = vector::squared_norm(&best).sqrt();
        if !goes_astray || restarts % 2 == 1 {
            // Every other restart aims for the closest class; the longer it takes, the more others are tried.
            let contenders = (CONTENDERS + restarts / 8).min(order.len());
            let contender = if restarts % 2 == 0 { 0 } else { (restarts / 2) % contenders };
            let start = jumbled(&best, NOISE * before, &mut random);
            candidates[order[contender]].walk_from(start, Some(before), Some(&best)).await?;
        } else {
            let start = jumbled(&vec![0.0; best.len()], before, &mut random);
            let steps = (DESCENT + LONGER * restarts).min(LONGEST);
            descend(oracle, case, case.criterion, start, before, within_budget(oracle, steps)).await?;
        }
        let gained = oracle.best_l2().is_some_and(|after| after < (1.0 - GAIN) * before);
        idle = if gained { 0 } else { idle + 1 };
        restarts += 1;
    }
    Ok(())
}

/// Descends from the image after candidate `i` was walked to, and walks on from the end; returns whether that walk
/// went astray. The end of the walk becomes that of its class.
async fn first_descent(
    oracle: &Oracle,
    case: &Case,
    candidates: &mut [Candidate<'_>],
    i: usize,
) -> Result<bool, Stop> {
    let linearised = vector::squared_norm(&candidates[i].first_step).sqrt();
    let radius = oracle.best_l2().unwrap_or(linearised);
    let origin = vec![0.0; case.image.len()];
    descend(oracle, case, case.criterion, origin, radius, within_budget(oracle, FIRST_DESCENT)).await?;
    let (Some(start), Some(class)) = (oracle.best_perturbation(), oracle.best_class()) else {
        return Ok(false);
    };
    let Some(candidate) = candidates.iter_mut().find(|candidate| candidate.class == class) else {
        return Ok(false);
    };
    let length = vector::squared_norm(&start).sqrt();
    let end = candidate.walk_from(start, None, None).await?;
    candidate.end = candidate.end.min(length);
    Ok(end.length >= ASTRAY * length)
}

/// As many of the `steps` as the budget has left, since a descent narrows down towards its last; one at least,
/// with which a spent budget ends the search.
pub(super) fn within_budget(oracle: &Oracle, steps: usize) -> usize {
    oracle.remaining().map_or(steps, |left| steps.min(left as usize).max(1))
}

/// What forward passes can still do once the gradients are spent: goes along the best perturbation, and
/// along the steps to linearised boundaries where no walk has come to its end, until the image is adversarial, and
/// bisects the way.
pub(super) async fn settle(oracle: &Oracle, case: &Case, candidates: &[Candidate<'_>]) -> Result<(), Stop> {
    if let Some(best) = oracle.best_perturbation() {
        shorten(oracle, case, &best).await?;
    }
    for candidate in candidates.iter().filter(|candidate| !candidate.is_walked) {
        if !candidate.is_hopeless(oracle.best_l2()) {
            shorten(oracle, case, &candidate.first_step).await?;
        }
    }
    Ok(())
}

/// Looks along `direction` for the boundary, not farther than the best perturbation.
async fn shorten(oracle: &Oracle, case: &Case, direction: &[f32]) -> Result<(), Stop> {
    let at = |length: f64| -> Vec<f32> {
        let mut step = direction.to_vec();
        vector::scale(&mut step, length);
        vector::clamped_sum(&case.image, &step, case.lower, case.upper)
    };
    let norm = vector::squared_norm(direction).sqrt();
    let (mut short, mut length) = (0.0, oracle.best_l2().map_or(1.0, |best| best / norm));
    let mut tries = if oracle.best_l2().is_some() { 1 } else { 12 };
    while !case.criterion.is_met(&oracle.logits(&at(length)).await?) {
        tries -= 1;
        if tries == 0 {
            return Ok(());
        }
        (short, length) = (length, 1.5 * length);
    }
    for _ in 0..8 {
        let middle = 0.5 * (short + length);
        if case.criterion.is_met(&oracle.logits(&at(middle)).await?) {
            length = middle;
        } else {
            short = middle;
        }
    }
    Ok(())
}

/// `r` plus white noise of length `noise`.
pub(super) fn jumbled(r: &[f32], noise: f64, random: &mut impl Rng) -> Vec<f32> {
    let draws: Vec<f32> = r.iter().map(|_| random.random::<f32>() - 0.5).collect();
    let mut jumbled = r.to_vec();
    vector::add_scaled(&mut jumbled, noise / vector::squared_norm(&draws).sqrt().max(1e-9), &draws);
    jumbled
}
