//! A second, short search: the closest adversarial image among those of 256 levels.
//!
//! Rounding an adversarial image undoes its perturbation where that is shorter than half a level, and takes it
//! back over the boundary elsewhere. What is looked for instead is the closest point of the lattice beyond the
//! boundary as it is linearised near the point that is known, which [`Projection`] finds; the linearisation
//! there gives the next one.

mod projection;

use std::collections::BTreeMap;
use std::sync::Mutex;

use self::projection::{Bounds, Linearisation, Projection, distance};
use super::levels::{nearest_level, pixel_at};
use super::oracle::{Oracle, Stop};
use super::{Attack, Case, Criterion, Loss, Search, required_margin};
use crate::network::argmax;

/// Linearisations on the way to a first point.
const APPROACHES: usize = 8;
/// Shorter points that are looked for after that, and trials for each.
const REFINEMENTS: usize = 12;
const TRIALS: usize = 6;
/// By how much of the margin that is asked for linearisations should exceed it.
const SURPLUS: f64 = 0.05;
/// How far beyond the boundary the known perturbation is tried if linearisations lead nowhere: 1.05, 1.1, 1.2, …
/// times its length, and how often the first length that suffices is halved back.
const STRETCHES: usize = 10;
const HALVINGS: usize = 5;

/// Looks for the closest adversarial image whose pixels are multiples of 1/255, beginning at one that is known.
///
/// It must be told of the known one before a search begins: [`begin_at`](Self::begin_at). Everything that it asks the oracle about,
/// but the image itself, has 256 levels, and so has what it finds.
#[derive(Debug, Default)]
pub struct Lattice {
    starts: Mutex<BTreeMap<usize, Vec<f32>>>,
}

impl Lattice {
    /// The search for the image with this `index` will begin at `adversarial`.
    pub fn begin_at(&self, index: usize, adversarial: Vec<f32>) {
        self.starts.lock().unwrap_or_else(std::sync::PoisonError::into_inner).insert(index, adversarial);
    }

    fn start(&self, index: usize) -> Option<Vec<f32>> {
        self.starts.lock().unwrap_or_else(std::sync::PoisonError::into_inner).remove(&index)
    }
}

impl Attack for Lattice {
    fn name(&self) -> &'static str {
        "lattice"
    }

    fn is_confined(&self) -> bool {
        true
    }

    fn run<'a>(&'a self, oracle: &'a Oracle, case: &'a Case) -> Search<'a> {
        Box::pin(async move {
            let known = self.start(case.index).filter(|known| known.len() == case.image.len());
            let Some(known) = known else { return Ok(()) };
            let mut walk = Walk { oracle, case, rival: None };
            let found = match walk.approach(&known).await? {
                Some(found) => Some(found),
                None => walk.stretch(&known).await?,
            };
            match found {
                Some(found) => walk.refine(found).await,
                None => Ok(()),
            }
        })
    }
}

/// A point of the lattice that was looked at.
struct Place {
    is_met: bool,
    linearisation: Linearisation,
    /// The margin that is asked for there.
    required: f64,
}

struct Walk<'a> {
    oracle: &'a Oracle,
    case: &'a Case,
    /// The class whose boundary is crossed, as far as is known.
    rival: Option<usize>,
}

impl Walk<'_> {
    /// The class that competes with the criterion's at these logits.
    fn rival(&self, logits: &[f32]) -> usize {
        let (Criterion::NotClass(class) | Criterion::Class(class)) = self.case.criterion;
        let mut others = logits.to_vec();
        others[class] = f32::NEG_INFINITY;
        argmax(&others).unwrap_or(class)
    }

    /// The margin and its gradient at `levels`.
    async fn look(&mut self, levels: Vec<u8>) -> Result<Place, Stop> {
        let point = pixels(&levels);
        loop {
            let rival = match self.rival {
                Some(rival) => rival,
                None => self.rival(&self.oracle.logits(&point).await?),
            };
            let loss = match self.case.criterion {
                Criterion::NotClass(own) => Loss::Difference { ahead: rival, behind: own },
                Criterion::Class(class) => Loss::Difference { ahead: class, behind: rival },
            };
            let evaluation = self.oracle.gradient(&point, loss).await?;
            let found = self.rival(&evaluation.logits);
            self.rival = Some(found);
            if found != rival {
                continue; // of the class that is ahead here there is no gradient yet
            }
            let required = required_margin(&evaluation.logits);
            let excess = self.case.criterion.margin(&evaluation.logits) - required;
            // The loss falls as the margin grows.
            let slope = evaluation.gradient.iter().map(|&g| -f64::from(g) / 255.0).collect();
            let criterion = self.case.criterion;
            let is_met = criterion.is_met(&evaluation.logits) && criterion.is_class(evaluation.class);
            return Ok(Place { is_met, linearisation: Linearisation { levels, excess, slope }, required });
        }
    }

    async fn is_met(&self, levels: &[u8]) -> Result<bool, Stop> {
        self.oracle.is_adversarial(&pixels(levels)).await
    }

    fn distance(&self, levels: &[u8]) -> f64 {
        distance(&self.case.image, levels)
    }

    /// Rounds every pixel of `known` up or down as the boundary, linearised again and again, demands.
    async fn approach(&mut self, known: &[f32]) -> Result<Option<Place>, Stop> {
        let bounds = Bounds::beside(known);
        let mut place = self.look(known.iter().map(|&pixel| nearest_level(pixel)).collect()).await?;
        let mut best = None;
        let mut beyond = 0.0;
        for _ in 0..APPROACHES {
            let aim = beyond + SURPLUS * place.required;
            let next = Projection::new(&self.case.image, &place.linearisation, &bounds, aim);
            let stands = next.levels == place.linearisation.levels;
            let (was_met, excess) = (place.is_met, place.linearisation.excess);
            if was_met {
                self.keep(&mut best, place);
            }
            if stands && (was_met || !next.reached) {
                return Ok(best);
            }
            // Where linearisations promise too much, more is asked of them.
            beyond = if was_met { 0.5 * beyond } else { beyond + 0.5 * (-excess).max(0.0) };
            place = self.look(next.levels).await?;
        }
        if place.is_met {
            self.keep(&mut best, place);
        }
        Ok(best)
    }

    /// Keeps `place` if it is closer than the best.
    fn keep(&self, best: &mut Option<Place>, place: Place) {
        let far = |place: &Place| self.distance(&place.linearisation.levels);
        if best.as_ref().is_none_or(|best| far(&place) < far(best)) {
            *best = Some(place);
        }
    }

    /// Lengthens the known perturbation until what is left of it after rounding suffices.
    async fn stretch(&mut self, known: &[f32]) -> Result<Option<Place>, Stop> {
        let at = |factor: f64| -> Vec<u8> {
            let pixels = self.case.image.iter().zip(known);
            let moved = pixels.map(|(&x, &k)| f64::from(x) + factor * (f64::from(k) - f64::from(x)));
            moved.map(|pixel| nearest_level(pixel as f32)).collect()
        };
        let (mut short, mut long) = (1.0, 1.05);
        for step in 0.. {
            if self.is_met(&at(long)).await? {
                break;
            }
            if step == STRETCHES {
                return Ok(None);
            }
            (short, long) = (long, 1.0 + 2.0 * (long - 1.0));
        }
        for _ in 0..HALVINGS {
            let middle = 0.5 * (short + long);
            if self.is_met(&at(middle)).await? { long = middle } else { short = middle }
        }
        let levels = at(long);
        self.look(levels).await.map(Some)
    }

    /// Goes on to closer points, a level at a time for each pixel, until none is found.
    async fn refine(&mut self, mut best: Place) -> Result<(), Stop> {
        for _ in 0..REFINEMENTS {
            match self.closer(&best).await? {
                Some(place) => best = place,
                None => break,
            }
        }
        Ok(())
    }

    /// A closer point than `best`, if one is found near it.
    async fn closer(&mut self, best: &Place) -> Result<Option<Place>, Stop> {
        let from = &best.linearisation;
        let mut bounds = Bounds::around(&from.levels);
        let mut beyond = 0.0;
        for trial in 0..TRIALS {
            let aim = beyond + SURPLUS * best.required;
            let next = Projection::new(&self.case.image, from, &bounds, aim);
            if self.distance(&next.levels) >= self.distance(&from.levels) {
                return Ok(None);
            }
            let place = self.look(next.levels.clone()).await?;
            if place.is_met {
                return Ok(Some(place));
            }
            // First more is asked of the linearisation, then only the most promising pixels may move.
            if trial < 2 {
                beyond += 1.2 * (-place.linearisation.excess).max(0.0);
            } else {
                bounds.hold_all_but_half(&self.case.image, from, &next);
            }
        }
        Ok(None)
    }
}

fn pixels(levels: &[u8]) -> Vec<f32> {
    levels.iter().map(|&level| pixel_at(level)).collect()
}
