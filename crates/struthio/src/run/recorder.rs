use std::path::Path;

use super::npy::NpyWriter;
use super::results::ResultsWriter;
use super::showcase::Triple;
use super::summary::{AttackSummary, Tally};
use crate::attack::Outcome;
use crate::error::Result;

/// Files the outcomes of one attack in the order of examples, and keeps what a report shows.
pub struct Recorder {
    attack: String,
    image_shape: Vec<usize>,
    results: ResultsWriter,
    targets: Option<ResultsWriter>,
    adversarial: NpyWriter,
    tally: Tally,
    gallery: Vec<Triple>,
}

/// What is left of an attack besides its files.
#[derive(Debug, Clone)]
pub struct Recorded {
    /// The figures.
    pub summary: AttackSummary,
    /// Root mean square of every perturbation found, in the order of examples.
    pub rms: Vec<f64>,
    /// For each class the first example found, by class.
    pub gallery: Vec<Triple>,
}

impl Recorder {
    /// Files in `folder` for `examples` images; with `per_target`, `targets.parquet` too.
    pub fn create(
        folder: &Path,
        examples: usize,
        image_shape: &[usize],
        attack: &str,
        per_target: bool,
    ) -> Result<Self> {
        let targets =
            if per_target { Some(ResultsWriter::create(&folder.join("targets.parquet"))?) } else { None };
        Ok(Self {
            attack: attack.into(),
            image_shape: image_shape.to_vec(),
            results: ResultsWriter::create(&folder.join("results.parquet"))?,
            targets,
            adversarial: NpyWriter::create(&folder.join("adversarial.npy"), examples, image_shape)?,
            tally: Tally::default(),
            gallery: Vec::new(),
        })
    }

    /// Files the outcomes of all searches for one image, whose pixels are `original`.
    pub fn record(&mut self, outcomes: &[Outcome], original: &[f32]) -> Result<()> {
        let Some(outcome) = Outcome::closest_of(outcomes) else { return Ok(()) };
        self.results.push(&outcome, &self.attack)?;
        if let Some(targets) = &mut self.targets {
            outcomes.iter().try_for_each(|outcome| targets.push(outcome, &self.attack))?;
        }
        self.tally.add(&outcome);
        let Some(found) = &outcome.adversarial else { return self.adversarial.push(original) };
        self.adversarial.push(&found.image)?;
        if self.gallery.iter().all(|triple| triple.label != outcome.label) {
            self.gallery.push(Triple {
                index: outcome.index,
                shape: self.image_shape.clone(),
                original: original.to_vec(),
                adversarial: found.image.clone(),
                label: outcome.label,
                adversarial_label: found.label,
                rms: found.rms,
            });
        }
        Ok(())
    }

    /// Completes the files. Intervals are drawn from the stream of `seed`.
    pub fn finish(mut self, seed: u64) -> Result<Recorded> {
        self.results.finish()?;
        self.adversarial.finish()?;
        if let Some(targets) = self.targets {
            targets.finish()?;
        }
        self.gallery.sort_by_key(|triple| triple.label);
        Ok(Recorded {
            summary: self.tally.summary(seed),
            rms: self.tally.rms().to_vec(),
            gallery: self.gallery,
        })
    }
}
