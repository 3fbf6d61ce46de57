use serde::{Deserialize, Serialize};

use crate::attack::{Outcome, Status};
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
    /// Median of one minus the cosine between perturbation and margin gradient.
    pub optimality_residual_median: Option<f64>,
    /// Mean number of gradients per attacked example.
    pub gradients_mean: Option<f64>,
    /// Mean number of forward passes per attacked example, those of gradients included.
    pub forwards_mean: Option<f64>,
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
    forwards: Vec<f64>,
    gradients: Vec<f64>,
}

impl Tally {
    pub fn add(&mut self, outcome: &Outcome) {
        *self.statuses.entry(outcome.status).or_default() += 1;
        if outcome.status.is_attacked() {
            self.forwards.push(outcome.forwards as f64);
            self.gradients.push(outcome.gradients as f64);
        }
        if let Some(adversarial) = &outcome.adversarial {
            self.rms.push(adversarial.rms);
            self.l2.push(adversarial.l2);
            self.linf.push(adversarial.linf);
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
            optimality_residual_median: quantile(&self.residuals, 0.5),
            gradients_mean: mean(&self.gradients),
            forwards_mean: mean(&self.forwards),
        }
    }

    pub fn into_rms(self) -> Vec<f64> {
        self.rms
    }
}
