use std::time::{Duration, Instant};

use super::directory::RunDirectory;
use super::journal::{Entry, Journal};
use super::npy::GrowingNpy;
use super::results::{Measure, ResultsWriter};
use super::showcase::Triple;
use super::summary::{AttackSummary, Tally};
use crate::attack::{Outcome, Status};
use crate::data::Dataset;
use crate::error::{Error, Result};

/// Work that a power failure may cost.
const SYNC_EVERY: Duration = Duration::from_secs(1);

/// What is recorded, and where.
#[derive(Debug, Clone, Copy)]
pub struct Recording<'a> {
    /// Folder inside the run directory; empty for itself.
    pub folder: &'a str,
    /// Where the images come from.
    pub data: &'a Dataset,
    /// How many of them are attacked.
    pub examples: usize,
    /// Name of the attack.
    pub attack: &'a str,
    /// Whether `targets.parquet` is wanted too, with a row per target.
    pub per_target: bool,
    /// Further columns of `results.parquet`.
    pub measures: &'a [Measure<'a>],
}

/// Files the outcomes of one attack in the order of examples.
///
/// What is recorded is kept whatever happens to the process: another recorder of the same recording
/// goes on behind it. The files are made from it at the end, so they cannot tell how often the
/// attack was stopped.
pub struct Recorder<'a> {
    run: &'a RunDirectory,
    of: Recording<'a>,
    journal: Journal,
    images: GrowingNpy,
    done: usize,
    damaged: usize,
    synced: Instant,
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
    /// What was found, row by row of `adversarial.npy`.
    pub rows: Vec<RecordedRow>,
}

/// A row of a recording without its image.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RecordedRow {
    /// Index of the image in its data set.
    pub index: usize,
    /// Its class.
    pub label: usize,
    /// The class that the network gives to the adversarial image, if one was found.
    pub adversarial_label: Option<usize>,
    /// How the search ended.
    pub status: Status,
    /// Euclidean norm of the perturbation, if one was found.
    pub l2: Option<f64>,
}

impl<'a> Recorder<'a> {
    /// Begins or continues in `run`; whatever was damaged since, and all behind it, is dropped.
    pub fn open(run: &'a RunDirectory, of: Recording<'a>) -> Result<Self> {
        // A file that is missing is less to say than that all are.
        Self::begin(run, of).map_err(|error| run.check_presence().err().unwrap_or(error))
    }

    fn begin(run: &'a RunDirectory, of: Recording<'a>) -> Result<Self> {
        let growing = run.working(&of.file("adversarial.npy"))?;
        run.check_place(&of.file("adversarial.npy"))?;
        let finished = run.path().join(of.file("adversarial.npy"));
        if finished.exists() {
            // A process that was stopped while it completed the files; its work is checked like any.
            std::fs::rename(&finished, &growing).map_err(Error::io("move", &finished))?;
        }
        let mut images = GrowingNpy::open(&growing, of.examples, of.data.shape())?;
        let mut journal = Journal::open(&run.working(&of.file("outcomes.jsonl"))?)?;
        let rows = images.rows();
        let (done, dropped) = journal.keep_while(|i, entry| i < of.examples && images.has(i, entry.image))?;
        images.truncate(done)?;
        // An image is written before its outcome, so one without is no damage.
        let damaged = dropped.max(rows.saturating_sub(done + 1));
        Ok(Self { run, of, journal, images, done, damaged, synced: Instant::now() })
    }

    /// Images that had been recorded, but have to be attacked again because what was kept of them, or of
    /// one before them, was damaged.
    #[must_use]
    pub fn damaged(&self) -> usize {
        self.damaged
    }

    /// Images recorded so far.
    #[must_use]
    pub fn done(&self) -> usize {
        self.done
    }

    /// Records the outcomes of all searches for the next image.
    pub fn record(&mut self, outcomes: Vec<Outcome>) -> Result<()> {
        let Some(outcome) = Outcome::closest_of(&outcomes) else { return Ok(()) };
        let image = match outcome.adversarial {
            Some(found) => found.image,
            None => self.of.data.image_with_index(outcome.index)?,
        };
        let image = self.images.write(self.done, &image)?;
        self.journal.append(&Entry { image, outcomes })?;
        self.done += 1;
        if self.synced.elapsed() > SYNC_EVERY {
            self.run.check_presence()?;
            self.images.sync()?;
            self.journal.sync()?;
            self.synced = Instant::now();
        }
        Ok(())
    }

    /// Makes the files, once all images are recorded. Intervals are drawn from the stream of `seed`.
    pub fn finish(mut self, seed: u64) -> Result<Recorded> {
        let table =
            |name: &str, measures| ResultsWriter::create(self.run.stage(&self.of.file(name))?, measures);
        let mut results = table("results.parquet", self.of.measures)?;
        let mut targets = if self.of.per_target { Some(table("targets.parquet", &[])?) } else { None };
        let mut tally = Tally::default();
        let mut gallery: Vec<Triple> = Vec::new();
        let mut rows = Vec::with_capacity(self.of.examples);
        for (Entry { outcomes, .. }, _) in self.journal.entries()? {
            let Some(outcome) = Outcome::closest_of(&outcomes) else { continue };
            results.push(&outcome, self.of.attack)?;
            if let Some(targets) = &mut targets {
                outcomes.iter().try_for_each(|outcome| targets.push(outcome, self.of.attack))?;
            }
            tally.add(&outcome);
            if outcome.adversarial.is_some() && gallery.iter().all(|triple| triple.label != outcome.label) {
                let adversarial = self.images.read(rows.len())?;
                gallery.extend(Triple::of(&outcome, self.of.data, adversarial)?);
            }
            rows.push(RecordedRow {
                index: outcome.index,
                label: outcome.label,
                adversarial_label: outcome.adversarial.as_ref().map(|found| found.label),
                status: outcome.status,
                l2: outcome.adversarial.as_ref().map(|found| found.l2),
            });
        }
        if rows.len() != self.of.examples {
            return Err(Error::Request(format!(
                "{}: {} of {} outcomes could be read back; continue the run with --resume",
                self.run.path().display(),
                rows.len(),
                self.of.examples
            )));
        }
        results.finish()?;
        targets.map_or(Ok(()), ResultsWriter::finish)?;
        self.images.finish(&self.run.path().join(self.of.file("adversarial.npy")))?;
        gallery.sort_by_key(|triple| triple.label);
        Ok(Recorded { summary: tally.summary(seed), rms: tally.into_rms(), gallery, rows })
    }
}

impl Recording<'_> {
    /// A file's name within the run directory.
    fn file(&self, name: &str) -> String {
        if self.folder.is_empty() { name.into() } else { format!("{}/{name}", self.folder) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attack::{Adversarial, Status};
    use crate::data::Pixels;
    use crate::run::{Manifest, Opened, Resume};

    fn outcome(index: usize) -> Outcome {
        let found = Adversarial {
            image: vec![0.1 * index as f32; 4],
            label: 1,
            // Neither has a short decimal form.
            rms: 0.1 + 0.2 * index as f64,
            l2: (2.0 + index as f64).sqrt(),
            linf: f64::MIN_POSITIVE,
            c: None,
            optimality_residual: Some(1.0 / 3.0),
            survives_rounding: index.is_multiple_of(2),
        };
        let adversarial = (index % 3 != 2).then_some(found);
        let status = if adversarial.is_some() { Status::Found } else { Status::AlreadyWrong };
        let (label, predicted) = (index % 2, Some(index % 2));
        let progress = Vec::new();
        let gradients = 5;
        Outcome {
            index,
            label,
            predicted,
            status,
            target: None,
            adversarial,
            forwards: 7,
            gradients,
            blind: false,
            progress,
        }
    }

    /// Records images up to each of `stops` with a recorder of its own.
    fn files(stops: &[usize]) -> (Vec<Vec<u8>>, Vec<f64>, Vec<Triple>) {
        let folder = tempfile::tempdir().expect("a folder");
        let pixels = Pixels::Bytes((0..40).collect());
        let data = Dataset::new("ten", vec![2, 2], pixels, vec![0, 1, 0, 1, 0, 1, 0, 1, 0, 1]);
        let data = data.and_then(|ten| ten.range(2..10)).expect("eight images");
        let measures = [Measure { name: "extra", values: &[Some(0.5); 8] }];
        let of = Recording {
            folder: "a/b",
            data: &data,
            examples: 8,
            attack: "test",
            per_target: true,
            measures: &measures,
        };
        let mut recorded = None;
        for &stop in stops {
            let manifest = Manifest::new(vec!["test".into()], 0);
            let opened = Opened::at(folder.path(), manifest, Resume::Asked).expect("opened");
            let Opened::Unfinished(run) = opened else { panic!("complete") };
            let mut recorder = Recorder::open(&run, of).expect("opened");
            for index in 2 + recorder.done()..2 + stop {
                recorder.record(vec![outcome(index)]).expect("recorded");
            }
            if stop == 8 {
                recorded = Some(recorder.finish(0).expect("finished"));
            }
        }
        let names = ["results.parquet", "targets.parquet", "adversarial.npy"];
        let bytes = names.map(|name| std::fs::read(folder.path().join("a/b").join(name)).expect("a file"));
        let recorded = recorded.expect("the last stop is the end");
        (bytes.into(), recorded.rms, recorded.gallery)
    }

    #[test]
    fn stops_leave_no_trace() {
        let (bytes, rms, gallery) = files(&[8]);
        let expected: Vec<f64> = (2..10).filter_map(|index| Some(outcome(index).adversarial?.rms)).collect();
        assert_eq!(rms, expected);
        assert_eq!(gallery.iter().map(|triple| triple.index).collect::<Vec<_>>(), [4, 3]);
        assert_eq!(gallery[0].adversarial, [0.4; 4]);
        assert_eq!(gallery[0].original[0], 16.0 / 255.0);
        for stops in [&[0, 8][..], &[3, 5, 8], &[1, 2, 3, 4, 8, 8, 8]] {
            assert!(files(stops) == (bytes.clone(), rms.clone(), gallery.clone()), "{stops:?}");
        }
    }
}
