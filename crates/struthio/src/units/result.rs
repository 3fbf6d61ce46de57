use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::coherence::{Coherence, Measure};
use super::comparison::{Comparison, Dose};
use super::directions::Kind;
use super::verdict::{Verdict, swing};
use crate::numeric::statistics;

/// One direction and its images.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Direction {
    /// Where it comes from.
    pub kind: Kind,
    /// Of a unit its number in the layer, else the place in its set.
    pub number: usize,
    /// The images that maximise ⟨φ(x), v⟩, largest first: places in the data set.
    pub top: Vec<usize>,
    /// Images that are left out of them although ⟨φ(x), v⟩ is that of the last one.
    pub tied: usize,
    /// Images among the top ones that are there by chance: those with the value of the last one, if others with it
    /// are left out.
    pub by_chance: usize,
    /// How coherent it is.
    pub coherence: Coherence,
    /// An image made to maximise ⟨φ(x), v⟩, for directions that are shown.
    pub made: Option<Vec<f32>>,
}

/// Means over the directions of one kind, of one set where sets are drawn.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Shown {
    /// Which directions.
    pub kind: Kind,
    /// How many.
    pub directions: usize,
    /// Share of different images among all their top images: 1 if no two directions share one.
    pub distinct: f64,
    /// Means of the measures of [`Coherence`].
    pub label_entropy: f64,
    /// See [`Coherence::purity`].
    pub purity: f64,
    /// See [`Coherence::pixel_distance`].
    pub pixel_distance: f64,
    /// See [`Coherence::feature_distance`].
    pub feature_distance: Option<f64>,
    /// See [`Coherence::best_auc`].
    pub best_auc: Option<f64>,
    /// See [`Coherence::selectivity`].
    pub selectivity: Option<f64>,
    /// See [`Coherence::sparsity`].
    pub sparsity: Option<f64>,
}

/// What was found out about a layer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LayerResult {
    /// Name of the layer.
    pub layer: String,
    /// Kind of its op.
    pub op: String,
    /// Shape of its activations.
    pub shape: Vec<usize>,
    /// Whether these are the logits.
    pub logits: bool,
    /// Number of its units.
    pub units: usize,
    /// How many were looked at to find those that are judged.
    pub examined: usize,
    /// How many vary with the image and are judged.
    pub live: usize,
    /// Whether units are ranked by what comes before the nonlinearity, which has the same order without ties.
    #[serde(default)]
    pub ranked_before: bool,
    /// Whether an activation of those is negative.
    pub negative: bool,
    /// What the comparisons are about.
    pub measure: Measure,
    /// The conclusion.
    pub verdict: Verdict,
    /// Units against each other kind.
    pub comparisons: Vec<Comparison>,
    /// From the units to random bases.
    pub dose: Vec<Dose>,
    /// Means of all measures by kind.
    pub kinds: Vec<Shown>,
    /// Every direction of one set of each kind, in a file of their own.
    #[serde(skip)]
    pub directions: Vec<Direction>,
}

impl LayerResult {
    /// Directions of `kind` whose last images were chosen among equals.
    #[must_use]
    pub fn tied(&self, kind: Kind) -> usize {
        self.directions.iter().filter(|direction| direction.kind == kind && direction.tied > 0).count()
    }

    /// Share of the top images of directions of `kind` that are there by chance.
    #[must_use]
    pub fn chance(&self, kind: Kind) -> f64 {
        let of = || self.directions.iter().filter(|direction| direction.kind == kind);
        let chosen: usize = of().map(|direction| direction.top.len()).sum();
        of().map(|direction| direction.by_chance).sum::<usize>() as f64 / chosen.max(1) as f64
    }

    /// How much the mean over directions of `kind` could change by other choices among ties.
    pub(super) fn swing(&self, kind: Kind) -> f64 {
        if self.measure != Measure::LabelEntropy {
            return f64::INFINITY;
        }
        let of = self.directions.iter().filter(|direction| direction.kind == kind);
        statistics::mean(&of.map(|of| swing(of.by_chance, of.top.len())).collect::<Vec<_>>()).unwrap_or(0.0)
    }

    /// Different images among the top ones of all directions of `kind`.
    #[must_use]
    pub fn distinct(&self, kind: Kind) -> usize {
        distinct(self.directions.iter().filter(|direction| direction.kind == kind))
    }

    /// Directions of `kind` that a picture has room for.
    #[must_use]
    pub fn sample(&self, kind: Kind) -> Vec<&Direction> {
        let all: Vec<&Direction> =
            self.directions.iter().filter(|direction| direction.kind == kind).collect();
        sampled(all.len()).into_iter().map(|i| all[i]).collect()
    }

    /// Directions of `kind` to be told apart: as many that [`sample`](Self::sample) leaves out, or those if they are
    /// all there are.
    #[must_use]
    pub fn unseen(&self, kind: Kind) -> Vec<&Direction> {
        let shown = self.sample(kind);
        let is_new = |direction: &&Direction| direction.kind == kind && !shown.contains(direction);
        let rest: Vec<&Direction> = self.directions.iter().filter(is_new).collect();
        if rest.len() < shown.len() {
            return shown;
        }
        sampled(rest.len()).into_iter().map(|i| rest[i]).collect()
    }

    /// The units against directions of `kind`; `None` where nothing could be compared.
    #[must_use]
    pub fn comparison(&self, kind: Kind) -> Option<&Comparison> {
        self.comparisons.iter().find(|comparison| comparison.against == kind)
    }
}

fn distinct<'a>(directions: impl Iterator<Item = &'a Direction>) -> usize {
    directions.flat_map(|direction| &direction.top).collect::<BTreeSet<_>>().len()
}

/// Which of so many directions are shown: some at even steps.
pub(super) fn sampled(directions: usize) -> Vec<usize> {
    const ROWS: usize = 6;
    let rows = ROWS.min(directions);
    (0..rows).map(|row| row * directions / rows).collect()
}

impl Shown {
    pub(super) fn of(kind: Kind, directions: &[Direction]) -> Self {
        let all = || directions.iter().filter(|direction| direction.kind == kind);
        let of: Vec<&Coherence> = all().map(|direction| &direction.coherence).collect();
        let chosen: usize = all().map(|direction| direction.top.len()).sum();
        let mean = |value: fn(&Coherence) -> f64| of.iter().map(|c| value(c)).sum::<f64>() / of.len() as f64;
        let some = |value: fn(&Coherence) -> Option<f64>| {
            let known: Vec<f64> = of.iter().filter_map(|c| value(c)).collect();
            statistics::mean(&known)
        };
        Self {
            kind,
            directions: of.len(),
            distinct: distinct(all()) as f64 / chosen.max(1) as f64,
            label_entropy: mean(|c| c.label_entropy),
            purity: mean(|c| c.purity),
            pixel_distance: mean(|c| c.pixel_distance),
            feature_distance: some(|c| c.feature_distance),
            best_auc: some(|c| c.best_auc),
            selectivity: some(|c| c.selectivity),
            sparsity: some(|c| c.sparsity),
        }
    }
}
