//! Walking along the decision boundary to its point closest to the image.
//!
//! Where the distance to the boundary is smallest, the perturbation is the shortest one that
//! reaches the *linearised* boundary inside the box. So the point sought is a fixed point of the
//! map "linearise at r, project the image onto that" — DeepFool's step with the box taken into
//! account exactly — and Anderson acceleration finds it in a handful of gradients also where the
//! boundary is curved.

use super::oracle::{Evaluation, Oracle, Stop};
use super::plane::{HalfSpace, PerturbationBox, Projection, project_onto_all};
use super::{Case, Loss, required_margin};
use crate::numeric::anderson::Anderson;
use crate::numeric::vector;

/// Aim a little beyond the margin that the criterion asks for.
const AIM: f64 = 1.02;
/// Stop when a step changes less than this share of the perturbation: the distance is then off by
/// about the square of it.
const TOLERANCE: f64 = 2e-3;
const MAX_STEPS: usize = 40;

/// The side of the boundary to be reached: `ahead` before every one of `behind`.
#[derive(Debug, Clone)]
pub(super) struct Crossing {
    pub ahead: usize,
    pub behind: Vec<usize>,
}

/// Follows one crossing.
pub(super) struct Walk<'a> {
    oracle: &'a Oracle,
    within: PerturbationBox<'a>,
    crossing: Crossing,
    /// The last known gradient of z(ahead) − z(behind[j]), for each j.
    gradients: Vec<Option<Vec<f32>>>,
    /// The walk is given up once it cannot end closer than this.
    pub give_up_beyond: Option<f64>,
}

impl<'a> Walk<'a> {
    pub fn new(oracle: &'a Oracle, case: &'a Case, crossing: Crossing) -> Self {
        let within = PerturbationBox { image: &case.image, lower: case.lower, upper: case.upper };
        let gradients = vec![None; crossing.behind.len()];
        Self { oracle, within, crossing, gradients, give_up_beyond: None }
    }

    /// Index into `behind` of the class that is hardest to overtake at these logits.
    fn hardest(&self, logits: &[f32]) -> usize {
        let behind = &self.crossing.behind;
        (0..behind.len())
            .reduce(|best, j| if logits[behind[j]] > logits[behind[best]] { j } else { best })
            .unwrap_or(0)
    }

    fn loss(&self, j: usize) -> Loss {
        Loss::Difference { ahead: self.crossing.ahead, behind: self.crossing.behind[j] }
    }

    /// Notes an answer about `loss(j)`.
    fn learn(&mut self, j: usize, evaluation: &Evaluation) {
        self.gradients[j] = Some(evaluation.gradient.iter().map(|g| -g).collect());
    }

    /// The half-spaces of the linearisation at perturbation `r`, where the logits are `logits`.
    fn linearised(&self, r: &[f32], logits: &[f32]) -> Vec<HalfSpace> {
        let aim = AIM * required_margin(logits);
        let ahead = logits[self.crossing.ahead] as f64;
        let known = self.gradients.iter().zip(&self.crossing.behind);
        known
            .filter_map(|(normal, &behind)| {
                let normal = normal.clone()?;
                let margin = ahead - logits[behind] as f64;
                let offset = aim - margin + vector::dot(&normal, r);
                Some(HalfSpace { normal, offset })
            })
            .collect()
    }

    /// Looks at the image itself, where the logits are `logits`, and returns the first step.
    pub async fn survey(&mut self, logits: &[f32]) -> Result<Projection, Stop> {
        let j = self.hardest(logits);
        let evaluation = self.oracle.gradient(self.within.image, self.loss(j)).await?;
        if evaluation.gradient.iter().all(|&g| g == 0.0) {
            return Err(Stop::ZeroGradient);
        }
        self.learn(j, &evaluation);
        Ok(project_onto_all(&self.linearised(&vec![0.0; self.within.image.len()], logits), self.within))
    }

    /// Walks from perturbation `r` to the closest point of the boundary that can be reached from there.
    pub async fn walk(&mut self, mut r: Vec<f32>) -> Result<(), Stop> {
        let mut anderson = Anderson::new(5);
        let mut damping = 1.0;
        let mut best: Option<(f64, Vec<f32>, Projection)> = None;
        let mut j = 0;
        let mut setbacks = 0;
        for step in 0..MAX_STEPS {
            let here = self.within.apply(&r);
            let evaluation = self.oracle.gradient(&here, self.loss(j)).await?;
            self.learn(j, &evaluation);
            r = here.iter().zip(self.within.image).map(|(p, x)| p - x).collect();
            let hardest = self.hardest(&evaluation.logits);
            if self.gradients[hardest].is_none() {
                j = hardest; // a competitor not seen before: ask about it at the same point
                continue;
            }
            let projection = project_onto_all(&self.linearised(&r, &evaluation.logits), self.within);
            let length = vector::squared_norm(&projection.point).sqrt();
            let change = vector::squared_distance(&projection.point, &r).sqrt();
            let relative = if length > 0.0 { change / length } else { 0.0 };
            let surely_longer =
                length * (1.0 - relative.min(0.5)) > self.give_up_beyond.unwrap_or(f64::INFINITY);
            if step >= 2 && surely_longer {
                return Ok(());
            }
            let settled = relative <= TOLERANCE && hardest == j;
            j = hardest;
            match &best {
                Some((least, from, image)) if relative > 2.0 * least => {
                    // The map expands here (a sharp bend or a kink): shorter steps from the best point.
                    setbacks += 1;
                    if setbacks > 4 {
                        break;
                    }
                    damping *= 0.5;
                    anderson.restart();
                    r = blend(from, &image.point, damping);
                    continue;
                }
                Some((least, ..)) if relative >= *least => {}
                _ => best = Some((relative, r.clone(), projection.clone())),
            }
            if settled {
                break;
            }
            let target = if damping < 1.0 { blend(&r, &projection.point, damping) } else { projection.point };
            r = anderson.next(&r, &target);
        }
        match best {
            Some((.., projection)) => self.cross(projection).await,
            None => Ok(()),
        }
    }

    /// Settles just beyond the boundary, near the end of a walk: corrects the last projection
    /// along the normal until the margin is met and hardly exceeded.
    async fn cross(&self, projection: Projection) -> Result<(), Stop> {
        let mut logits = self.oracle.logits(&self.within.apply(&projection.point)).await?;
        let mut point = projection.point;
        for _ in 0..6 {
            let required = required_margin(&logits);
            let ahead = logits[self.crossing.ahead] as f64;
            let margin =
                self.crossing.behind.iter().map(|&b| ahead - logits[b] as f64).fold(f64::INFINITY, f64::min);
            if margin >= required && margin <= 1.2 * required {
                break;
            }
            point = project_onto_all(&self.linearised(&point, &logits), self.within).point;
            logits = self.oracle.logits(&self.within.apply(&point)).await?;
        }
        Ok(())
    }
}

fn blend(a: &[f32], b: &[f32], share: f64) -> Vec<f32> {
    let share = share as f32;
    a.iter().zip(b).map(|(&a, &b)| share.mul_add(b - a, a)).collect()
}
