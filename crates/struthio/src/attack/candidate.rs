//! The classes a search may aim for, and how far each of them seems to be.

use super::boundary::{Crossing, Walk, WalkEnd};
use super::oracle::{Oracle, Stop};
use super::{Case, Criterion};
use crate::numeric::vector;

/// The linearisation at the image is a rough estimate, and far too long where units saturate: only
/// a candidate that seems this many times as far as the best is skipped.
const HOPELESS: f64 = 4.0;

/// How the first walk to a class ended, if it got anywhere.
#[derive(Debug, Clone, Copy)]
pub(super) struct FirstWalk {
    /// Distance of the end from the image.
    pub length: f64,
    /// Whether the boundary was crossed there.
    pub is_crossed: bool,
    /// The cosine of the angle between the margin gradients at the image and there.
    pub turn: f64,
}

/// A class to aim for.
pub(super) struct Candidate<'a> {
    pub class: usize,
    pub walk: Walk<'a>,
    /// The shortest perturbation that reaches the boundary as linearised at the image.
    pub first_step: Vec<f32>,
    /// Its length; infinite if the box is too small for it.
    pub distance: f64,
    /// Whether a walk has come to its end.
    pub is_walked: bool,
    /// Distance of the closest end of a walk or descent; infinite if none got anywhere.
    pub end: f64,
    /// Distance of the closest end at which a walk stood still.
    pub settled: f64,
    /// How the first walk ended.
    pub first: Option<FirstWalk>,
}

impl<'a> Candidate<'a> {
    /// The candidates of `case`, at most `max`, those with the closest linearised boundary first,
    /// among three times as many with the largest logits.
    ///
    /// # Errors
    ///
    /// [`Stop::ZeroGradient`] if no candidate has a gradient.
    pub async fn survey(oracle: &'a Oracle, case: &'a Case, max: usize) -> Result<Vec<Self>, Stop> {
        let classes = match case.criterion {
            Criterion::Class(class) => vec![class],
            Criterion::NotClass(own) => (0..case.logits.len()).filter(|&class| class != own).collect(),
        };
        let mut crossings: Vec<Crossing> =
            classes.into_iter().map(|class| Crossing::towards(class, case)).collect();
        crossings.sort_by(|a, b| case.logits[b.ahead].total_cmp(&case.logits[a.ahead]));
        crossings.truncate(max.saturating_mul(3));
        let mut candidates = Vec::with_capacity(crossings.len());
        let mut flat = 0;
        for crossing in crossings {
            let class = crossing.ahead;
            let mut walk = Walk::new(oracle, case, crossing);
            match walk.survey(&case.logits).await {
                Ok(step) => {
                    let distance =
                        if step.reached { vector::squared_norm(&step.point).sqrt() } else { f64::INFINITY };
                    candidates.push(Self {
                        class,
                        walk,
                        first_step: step.point,
                        distance,
                        is_walked: false,
                        end: f64::INFINITY,
                        settled: f64::INFINITY,
                        first: None,
                    });
                }
                Err(Stop::ZeroGradient) => flat += 1,
                Err(Stop::Budget) if flat > 0 || !candidates.is_empty() => break,
                Err(stop) => return Err(stop),
            }
        }
        if candidates.is_empty() && flat > 0 {
            return Err(Stop::ZeroGradient);
        }
        candidates.sort_by(|a, b| a.distance.total_cmp(&b.distance));
        candidates.truncate(max);
        Ok(candidates)
    }

    /// Walks from perturbation `r`, as [`Walk::walk`] does, and keeps the end.
    pub async fn walk_from(
        &mut self,
        r: Vec<f32>,
        give_up_beyond: Option<f64>,
        known: Option<&[f32]>,
    ) -> Result<WalkEnd, Stop> {
        let end = self.walk.walk(r, give_up_beyond, known).await?;
        if !self.is_walked && end.length.is_finite() {
            let WalkEnd { length, is_crossed, .. } = end;
            self.first = Some(FirstWalk { length, is_crossed, turn: self.walk.turn() });
        }
        self.is_walked = true;
        self.end = self.end.min(end.length);
        if end.is_settled {
            self.settled = self.settled.min(end.length);
        }
        Ok(end)
    }

    /// How far the boundary to this class seems to be: from walks, if any came to an end, or else linearised.
    pub fn seems_at(&self) -> f64 {
        if self.end.is_finite() { self.end } else { self.distance }
    }

    /// Whether the boundary to this class is surely farther than `best`.
    pub fn is_hopeless(&self, best: Option<f64>) -> bool {
        best.is_some_and(|best| self.distance > HOPELESS * best)
    }
}

/// How far the closest linearised boundary is; infinite if no step in the box reaches one.
pub(super) fn linearised(candidates: &[Candidate<'_>]) -> f64 {
    candidates.iter().map(|candidate| candidate.distance).fold(f64::INFINITY, f64::min)
}
