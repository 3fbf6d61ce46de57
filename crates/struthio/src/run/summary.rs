use serde::{Deserialize, Serialize};

use crate::attack::{Improvement, Outcome, Status, milestones};
use crate::numeric::random::stream;
use crate::numeric::statistics::{Interval, bootstrap_median, mean, quantile, wilson};

/// How many outcomes ended in a status.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StatusCount {
    /// `found`, `already_wrong`, …
    pub status: String,
    /// Number of examples.
    pub count: u64,
}

/// Mean, median and range of a quantity over the examples where an adversarial image was found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Spread {
    /// Arithmetic mean.
    pub mean: f64,
    /// Median.
    pub median: f64,
    /// 95 % bootstrap interval of the median.
    pub median_interval: Interval,
    /// Smallest value.
    pub min: f64,
    /// Largest value.
    pub max: f64,
}

impl Spread {
    /// `None` of nothing. Resamples are drawn from the stream of `seed`.
    #[must_use]
    pub fn of(values: &[f64], seed: u64) -> Option<Self> {
        Some(Self {
            mean: mean(values)?,
            median: quantile(values, 0.5)?,
            median_interval: bootstrap_median(values, &mut stream(seed, "bootstrap", 0))?,
            min: quantile(values, 0.0)?,
            max: quantile(values, 1.0)?,
        })
    }
}

/// The figures of an attack on many images.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AttackSummary {
    /// Examples looked at.
    pub examples: u64,
    /// Those that the network classified correctly, which are the ones attacked.
    pub attacked: u64,
    /// Number of examples in each status that occurs.
    pub statuses: Vec<StatusCount>,
    /// Share of the attacked examples for which an adversarial image was found.
    pub success_rate: Option<f64>,
    /// 95 % Wilson interval of it.
    pub success_interval: Option<Interval>,
    /// Root mean square of the perturbation over the pixels.
    pub rms: Option<Spread>,
    /// Euclidean norm of the perturbation.
    pub l2: Option<Spread>,
    /// Largest change of a pixel.
    pub linf: Option<Spread>,
    /// Adversarial images that still are adversarial after rounding to 256 levels.
    #[serde(default)]
    pub survive_rounding: u64,
    /// Attacked examples at which the gradient is zero, so that the search began at random points elsewhere.
    #[serde(default)]
    pub blind: u64,
    /// Median of one minus the cosine between perturbation and margin gradient.
    pub optimality_residual_median: Option<f64>,
    /// Mean number of gradients per attacked example.
    pub gradients_mean: Option<f64>,
    /// Mean number of forward passes per attacked example, those of gradients included.
    pub forwards_mean: Option<f64>,
    /// How close the searches were after how many gradients.
    pub curve: Vec<CurvePoint>,
}

/// Where the searches of all attacked examples stood after as many gradients each; one that had ended
/// by then counts with what it found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CurvePoint {
    /// Gradients per example, those of the verification aside.
    pub gradients: u64,
    /// Examples with an adversarial image by then.
    pub found: u64,
    /// Lower quartile, median and upper quartile of the root mean square of the perturbation, where
    /// examples without one are infinitely far; `None` stands for infinity.
    pub rms_quartiles: [Option<f64>; 3],
}

impl AttackSummary {
    /// How many examples ended in `status`.
    #[must_use]
    pub fn count(&self, status: Status) -> u64 {
        self.statuses.iter().filter(|entry| entry.status == status.as_str()).map(|entry| entry.count).sum()
    }
}

/// Collects outcomes without keeping their images.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    statuses: std::collections::BTreeMap<Status, u64>,
    rms: Vec<f64>,
    l2: Vec<f64>,
    linf: Vec<f64>,
    residuals: Vec<f64>,
    survivors: u64,
    blind: u64,
    /// Sums over the attacked examples.
    forwards: f64,
    gradients: f64,
    curve: Curve,
}

impl Tally {
    pub fn add(&mut self, outcome: &Outcome) {
        *self.statuses.entry(outcome.status).or_default() += 1;
        if outcome.status.is_attacked() {
            self.forwards += outcome.forwards as f64;
            self.gradients += outcome.gradients as f64;
            self.curve.add(&outcome.progress);
            self.blind += u64::from(outcome.blind);
        }
        if let Some(adversarial) = &outcome.adversarial {
            self.rms.push(adversarial.rms);
            self.l2.push(adversarial.l2);
            self.linf.push(adversarial.linf);
            self.survivors += u64::from(adversarial.survives_rounding);
            self.residuals.extend(adversarial.optimality_residual);
        }
    }

    pub fn summary(&self, seed: u64) -> AttackSummary {
        let count = |status| self.statuses.get(&status).copied().unwrap_or(0);
        let examples: u64 = self.statuses.values().sum();
        let attacked =
            Status::ALL.iter().filter(|status| status.is_attacked()).map(|&status| count(status)).sum();
        let found = count(Status::Found);
        AttackSummary {
            examples,
            attacked,
            statuses: Status::ALL
                .iter()
                .filter(|status| count(**status) > 0)
                .map(|&status| StatusCount { status: status.as_str().into(), count: count(status) })
                .collect(),
            success_rate: (attacked > 0).then(|| found as f64 / attacked as f64),
            success_interval: wilson(found, attacked),
            rms: Spread::of(&self.rms, seed),
            l2: Spread::of(&self.l2, seed),
            linf: Spread::of(&self.linf, seed),
            survive_rounding: self.survivors,
            blind: self.blind,
            optimality_residual_median: quantile(&self.residuals, 0.5),
            gradients_mean: (attacked > 0).then(|| self.gradients / attacked as f64),
            forwards_mean: (attacked > 0).then(|| self.forwards / attacked as f64),
            curve: self.curve.points(),
        }
    }

    pub fn into_rms(self) -> Vec<f64> {
        self.rms
    }
}

/// For every milestone that mattered, the distance of each attacked example by then. Kept in f32: one
/// value per milestone and example is the most that grows with the number of examples.
#[derive(Debug, Default)]
struct Curve {
    milestones: Vec<(u64, Vec<f32>)>,
}

impl Curve {
    fn add(&mut self, progress: &[Improvement]) {
        let last = progress.last().map_or(1, |last| last.gradients);
        let reached = |milestones: &[(u64, Vec<f32>)]| milestones.last().map_or(0, |(m, _)| *m);
        while reached(&self.milestones) < last {
            // Up to now nothing changed beyond the last milestone.
            let next = milestones().nth(self.milestones.len()).unwrap_or(u64::MAX);
            let by_then = self.milestones.last().map_or_else(Vec::new, |(_, rms)| rms.clone());
            self.milestones.push((next, by_then));
        }
        for (milestone, rms) in &mut self.milestones {
            let by_then = progress.iter().take_while(|step| step.gradients <= *milestone).last();
            rms.push(by_then.map_or(f32::INFINITY, |step| step.rms as f32));
        }
    }

    fn points(&self) -> Vec<CurvePoint> {
        self.milestones
            .iter()
            .map(|(gradients, rms)| {
                let distances: Vec<f64> = rms.iter().map(|&rms| f64::from(rms)).collect();
                // There is no mean of something and infinity.
                let quartile = |k: usize| quantile(&distances, k as f64 / 4.0).filter(|rms| rms.is_finite());
                CurvePoint {
                    gradients: *gradients,
                    found: rms.iter().filter(|rms| rms.is_finite()).count() as u64,
                    rms_quartiles: [1, 2, 3].map(quartile),
                }
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn improvements(steps: &[(u64, f64)]) -> Vec<Improvement> {
        steps.iter().map(|&(gradients, rms)| Improvement { gradients, rms }).collect()
    }

    #[test]
    fn a_curve_counts_what_was_known_by_then() {
        let mut curve = Curve::default();
        curve.add(&improvements(&[(2, 0.5), (5, 0.25)]));
        curve.add(&improvements(&[]));
        curve.add(&improvements(&[(1, 0.75), (12, 0.5)]));
        let points = curve.points();
        let known: Vec<_> = points.iter().map(|p| (p.gradients, p.found, p.rms_quartiles)).collect();
        // Halfway between neighbours; with infinity there is nothing halfway.
        let expected = [
            (1, 1, [None, None, None]),
            (2, 2, [Some(0.625), Some(0.75), None]),
            (3, 2, [Some(0.625), Some(0.75), None]),
            (4, 2, [Some(0.625), Some(0.75), None]),
            (6, 2, [Some(0.5), Some(0.75), None]),
            (8, 2, [Some(0.5), Some(0.75), None]),
            (12, 2, [Some(0.375), Some(0.5), None]),
        ];
        assert_eq!(known, expected);
        assert_eq!(Curve::default().points(), []);
    }
}
