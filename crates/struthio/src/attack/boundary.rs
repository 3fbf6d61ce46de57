//! Walking along the decision boundary to its point closest to the image.
//!
//! Where the distance to the boundary is smallest, the perturbation is the shortest one that
//! reaches the *linearised* boundary inside the box. So the point sought is a fixed point of the
//! map "linearise at r, project the image onto that" — DeepFool's step with the box taken into
//! account exactly — and Anderson acceleration finds it in a handful of gradients also where the
//! boundary is curved.

use std::collections::VecDeque;

use super::cut::{Cut, Slope};
use super::dual::project_onto_all;
use super::oracle::{Evaluation, Oracle, Stop};
use super::plane::{HalfSpace, PerturbationBox, Projection};
use super::{Case, Criterion, Loss, required_margin};
use crate::numeric::anderson::Anderson;
use crate::numeric::vector;

/// Aim this share beyond the margin that the criterion asks for: a few roundings of f32 logits.
const OVERSHOOT: f64 = 0.05;
/// Stop when a step changes less than this share of the perturbation: the distance is then off by
/// about the square of it.
const TOLERANCE: f64 = 2e-3;
/// Perturbations that differ by less than this share of their length lie in the same valley.
const SAME: f64 = 0.03;
const MAX_STEPS: usize = 16;
/// Forward passes that look for the boundary along a step.
const BISECTIONS: usize = 5;
/// Cuts remembered.
const MAX_CUTS: usize = 12;

/// The side of the boundary to be reached: `ahead` before every one of `behind`.
#[derive(Debug, Clone)]
pub(super) struct Crossing {
    pub ahead: usize,
    pub behind: Vec<usize>,
}

impl Crossing {
    /// The side of class `ahead` that meets the criterion of `case`.
    pub fn towards(ahead: usize, case: &Case) -> Self {
        let behind = match case.criterion {
            Criterion::NotClass(own) => vec![own],
            Criterion::Class(_) => (0..case.logits.len()).filter(|&j| j != ahead).collect(),
        };
        Self { ahead, behind }
    }
}

/// Follows one crossing.
pub(super) struct Walk<'a> {
    oracle: &'a Oracle,
    within: PerturbationBox<'a>,
    crossing: Crossing,
    /// The last known gradient of z(ahead) − z(behind[j]), for each j.
    gradients: Vec<Option<Slope>>,
    /// The margin gradient at the image.
    at_image: Option<Slope>,
}

/// How a walk ended.
#[derive(Debug, Clone, Copy)]
pub(super) struct WalkEnd {
    /// Distance from the image; infinite if the walk was given up or got nowhere.
    pub length: f64,
    /// Whether it stood still at a point of the boundary, to which it is then no shorter way nearby.
    pub is_settled: bool,
    /// Whether the margin is met there.
    pub is_crossed: bool,
    /// How many times as far as its last linearisation said the boundary was.
    pub linearisation_error: f64,
}

impl WalkEnd {
    const GIVEN_UP: Self =
        Self { length: f64::INFINITY, is_settled: false, is_crossed: false, linearisation_error: 1.0 };
}

impl<'a> Walk<'a> {
    pub fn new(oracle: &'a Oracle, case: &'a Case, crossing: Crossing) -> Self {
        let within = PerturbationBox { image: &case.image, lower: case.lower, upper: case.upper };
        let gradients = vec![None; crossing.behind.len()];
        Self { oracle, within, crossing, gradients, at_image: None }
    }

    /// Index into `behind` of the class that is hardest to overtake at these logits.
    fn hardest(&self, logits: &[f32]) -> usize {
        let behind = &self.crossing.behind;
        (0..behind.len())
            .reduce(|best, j| if logits[behind[j]] > logits[behind[best]] { j } else { best })
            .unwrap_or(0)
    }

    /// The cosine of the angle by which the margin gradient has turned since the image, of the first competitor that
    /// has one.
    pub fn turn(&self) -> f64 {
        let last = self.gradients.iter().flatten().next();
        self.at_image.as_ref().zip(last).map_or(1.0, |(first, last)| first.cosine(last))
    }

    /// The norm of the last known margin gradient, of the first competitor that has one.
    pub fn slope(&self) -> f64 {
        self.gradients.iter().flatten().next().map_or(0.0, Slope::steepness)
    }

    /// The loss whose gradient is that of z(ahead) − z(behind[j]).
    fn margin_loss(&self, j: usize) -> Loss {
        Loss::Difference { ahead: self.crossing.behind[j], behind: self.crossing.ahead }
    }

    /// How far `ahead` is before `behind[j]`.
    fn margin(&self, j: usize, logits: &[f32]) -> f64 {
        logits[self.crossing.ahead] as f64 - logits[self.crossing.behind[j]] as f64
    }

    /// By how much the margin before `behind[j]` exceeds the required one and the share `overshoot` of it.
    fn excess(&self, j: usize, logits: &[f32], overshoot: f64) -> f64 {
        self.margin(j, logits) - (1.0 + overshoot) * required_margin(logits)
    }

    /// The half-spaces of the linearisation at perturbation `r`, where the logits are `logits`, for
    /// a margin that exceeds the required one by the share `overshoot`.
    fn linearised(&self, r: &[f32], logits: &[f32], overshoot: f64) -> Vec<HalfSpace> {
        let known = self.gradients.iter().enumerate();
        known
            .filter_map(|(j, slope)| Some(slope.as_ref()?.half_space(r, self.excess(j, logits, overshoot))))
            .collect()
    }

    /// The shortest perturbation that meets all of `half_spaces`, given a guess of the multipliers.
    fn project(&self, half_spaces: &[HalfSpace], guess: &[f64]) -> Projection {
        project_onto_all(&half_spaces.iter().collect::<Vec<_>>(), self.within, guess)
    }

    /// Adds the linearisation at `r` of the crossing before `behind[j]` to `cuts`, and removes those that
    /// do not go with it.
    fn remember(&self, cuts: &mut VecDeque<Cut>, j: usize, r: &[f32], logits: &[f32]) {
        let Some(slope) = &self.gradients[j] else { return };
        let new = Cut::new(j, slope, r, self.excess(j, logits, OVERSHOOT));
        cuts.retain(|old| old.behind != j || !new.contradicts(old));
        if cuts.len() == MAX_CUTS {
            cuts.pop_front();
        }
        cuts.push_back(new);
    }

    /// The shortest perturbation that meets `here`, the linearisation at `r`, and those of `cuts` made near
    /// its own projection `without` them that this would violate; `None` if it violates none.
    fn project_with_cuts(
        &self,
        here: &[HalfSpace],
        cuts: &VecDeque<Cut>,
        r: &[f32],
        without: &Projection,
    ) -> Option<Projection> {
        // Two points between which a walk hops are as far apart as its steps are long.
        let reach = 2.25 * vector::squared_distance(&without.point, r);
        let is_near = |cut: &Cut| vector::squared_distance(&cut.at, &without.point) < reach;
        let mut others: Vec<&Cut> = cuts.iter().collect();
        let mut planes: Vec<&HalfSpace> = here.iter().collect();
        let mut found = None;
        for _ in 0..4 {
            let point = &found.as_ref().unwrap_or(without).point;
            let slack = -1e-3 * vector::squared_norm(point).sqrt();
            let is_violated = |cut: &Cut| cut.predicted(point) < slack * cut.steepness;
            let (more, rest): (Vec<&Cut>, Vec<&Cut>) =
                others.into_iter().partition(|cut| is_violated(cut) && is_near(cut));
            if more.is_empty() {
                break;
            }
            others = rest;
            planes.extend(more.into_iter().map(|cut| &cut.half_space));
            let guess = &found.as_ref().unwrap_or(without).multipliers;
            let next = project_onto_all(&planes, self.within, guess);
            if !next.reached {
                break; // the cuts cannot all hold
            }
            found = Some(next);
        }
        found
    }

    /// Looks at the image itself, where the logits are `logits`, and returns the first step.
    pub async fn survey(&mut self, logits: &[f32]) -> Result<Projection, Stop> {
        let j = self.hardest(logits);
        let evaluation = self.oracle.gradient(self.within.image, self.margin_loss(j)).await?;
        if evaluation.gradient.iter().all(|&g| g == 0.0) {
            return Err(Stop::ZeroGradient);
        }
        self.gradients[j] = Some(Slope::of(evaluation.gradient));
        self.at_image.clone_from(&self.gradients[j]);
        let origin = vec![0.0; self.within.image.len()];
        Ok(self.project(&self.linearised(&origin, logits, OVERSHOOT), &[]))
    }

    /// Walks from perturbation `r` to the closest point of the boundary that can be reached from there.
    /// Given up once it cannot end closer than `give_up_beyond`, or goes where the end of an earlier
    /// one, `known`, is.
    pub async fn walk(
        &mut self,
        mut r: Vec<f32>,
        give_up_beyond: Option<f64>,
        known: Option<&[f32]>,
    ) -> Result<WalkEnd, Stop> {
        // Linearisations at earlier points of this walk that nothing has contradicted.
        let mut cuts = VecDeque::new();
        let mut anderson = Anderson::new(5);
        let mut damping = 1.0;
        let mut best: Option<(f64, Vec<f32>, Projection)> = None;
        let mut j = 0;
        let mut setbacks = 0;
        let mut rough = false;
        let mut previous = f64::INFINITY;
        let mut guess = Vec::new();
        let mut stands_still = false;
        for _ in 0..MAX_STEPS {
            let here = self.within.apply(&r);
            let evaluation = self.oracle.gradient(&here, self.margin_loss(j)).await?;
            let Evaluation { gradient, logits, .. } = evaluation;
            self.gradients[j] = Some(Slope::of(gradient));
            r = vector::difference(&here, self.within.image);
            self.remember(&mut cuts, j, &r, &logits);
            let hardest = self.hardest(&logits);
            if self.gradients[hardest].is_none() {
                j = hardest; // a competitor not seen before: ask about it at the same point
                continue;
            }
            let half_spaces = self.linearised(&r, &logits, OVERSHOOT);
            let free = self.project(&half_spaces, &guess);
            guess.clone_from(&free.multipliers);
            let free_length = vector::squared_norm(&free.point).sqrt();
            let held = if rough { self.project_with_cuts(&half_spaces, &cuts, &r, &free) } else { None };
            let held_by_cuts = held.is_some();
            let projection = held.unwrap_or(free);
            let length = vector::squared_norm(&projection.point).sqrt();
            let change = vector::squared_distance(&projection.point, &r).sqrt();
            let relative = if length > 0.0 { change / length } else { 0.0 };
            let surely_longer =
                free_length * (1.0 - relative.min(0.5)) > give_up_beyond.unwrap_or(f64::INFINITY);
            if surely_longer {
                return Ok(WalkEnd::GIVEN_UP);
            }
            let is_known = |known| vector::squared_distance(&projection.point, known).sqrt() < SAME * length;
            if relative < 0.3 && known.is_some_and(is_known) {
                return Ok(WalkEnd::GIVEN_UP);
            }
            rough |= relative > 0.7 * previous;
            previous = relative;
            stands_still = relative <= TOLERANCE && hardest == j;
            j = hardest;
            let mut is_best = false;
            match &best {
                Some((least, from, image)) if relative > 2.0 * least => {
                    // The map expands here: shorter steps from the best point.
                    setbacks += 1;
                    if setbacks > 4 {
                        break;
                    }
                    damping *= 0.5;
                    anderson.restart();
                    r = vector::blend(from, &image.point, damping);
                    continue;
                }
                Some((least, ..)) if relative >= *least => {}
                _ => is_best = true,
            }
            let damped = (damping < 1.0).then(|| vector::blend(&r, &projection.point, damping));
            let target = damped.as_deref().unwrap_or(&projection.point);
            let next = if held_by_cuts {
                anderson.restart();
                target.to_vec()
            } else {
                anderson.next(&r, target)
            };
            if is_best {
                best = Some((relative, r, projection));
            }
            if stands_still {
                break;
            }
            r = next;
        }
        let Some((.., projection)) = best else { return Ok(WalkEnd::GIVEN_UP) };
        let expected = vector::squared_norm(&projection.point).sqrt();
        let (length, is_crossed) = self.cross(projection).await?;
        Ok(WalkEnd {
            length,
            is_settled: stands_still && is_crossed,
            is_crossed,
            linearisation_error: length / expected.max(f64::MIN_POSITIVE),
        })
    }

    /// Settles just beyond the boundary, near the end of a walk: corrects the last projection along the normal, a few
    /// times at most, until the margin is met and hardly exceeded. Returns the length, and whether the margin is met.
    async fn cross(&self, projection: Projection) -> Result<(f64, bool), Stop> {
        let mut logits = self.oracle.logits(&self.within.apply(&projection.point)).await?;
        let Projection { mut point, mut multipliers, .. } = projection;
        let margin = |logits: &[f32]| self.margin(self.hardest(logits), logits);
        for attempt in 0..6 {
            let required = required_margin(&logits);
            if (required..=(1.0 + 4.0 * OVERSHOOT) * required).contains(&margin(&logits)) {
                break;
            }
            let overshoot = OVERSHOOT * f64::from(1 << attempt);
            let half_spaces = self.linearised(&point, &logits, overshoot);
            Projection { point, multipliers, .. } = self.project(&half_spaces, &multipliers);
            logits = self.oracle.logits(&self.within.apply(&point)).await?;
        }
        Ok((vector::squared_norm(&point).sqrt(), margin(&logits) >= required_margin(&logits)))
    }

    /// The shortest multiple of `step` that was found to reach the boundary, by bisection; all of it if that does not.
    pub async fn shortened(&self, step: &[f32]) -> Result<Vec<f32>, Stop> {
        let at = |share: f64| {
            let mut shorter = step.to_vec();
            vector::scale(&mut shorter, share);
            shorter
        };
        let (mut short, mut reached) = (0.0, 1.0);
        let mut share = 1.0;
        for _ in 0..BISECTIONS {
            let logits = self.oracle.logits(&self.within.apply(&at(share))).await?;
            if self.margin(self.hardest(&logits), &logits) >= 0.0 {
                reached = share;
            } else if share == 1.0 {
                break;
            } else {
                short = share;
            }
            share = 0.5 * (short + reached);
        }
        Ok(at(reached))
    }
}
