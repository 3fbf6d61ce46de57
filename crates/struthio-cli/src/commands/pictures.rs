//! Adversarial images as pictures of 8 bits that are adversarial, too.

use std::path::Path;

use anyhow::{Result, bail};
use struthio::attack::{Attack, Criterion, Example, Lanes, Lattice};
use struthio::data::{Dataset, PngShape};
use struthio::network::Classifier;
use struthio::run::{
    AdversarialImages, Measure, PictureSummary, Pictures, Recorded, RecordedRow, Recorder, Recording,
    RunDirectory, check_picture_folder,
};

use super::searches::Jobs;
use crate::context::{Context, LoadedModel};

/// Gradients that the search on the lattice takes for an image, more or less.
const EXPECTED: f64 = 12.0;

/// How the images of `data` are pictures; refuses those that are none, and a folder with others in it.
pub fn shape(folder: Option<&Path>, data: &Dataset, resumed: bool) -> Result<PngShape> {
    if let Some(folder) = folder.filter(|_| !resumed) {
        check_picture_folder(folder)?;
    }
    let Some(shape) = PngShape::of(data.shape()) else {
        bail!(
            "--png: images of shape {:?} are no pictures; expected height × width, or with one or three channels, first \
             or last. Data in such a shape will do, even if the model takes a flat vector",
            data.shape()
        )
    };
    Ok(shape)
}

/// What is to become pictures.
pub struct MakePictures<'a> {
    pub model: &'a LoadedModel,
    pub data: &'a Dataset,
    pub recorded: &'a Recorded,
    /// Whether a class was aimed at.
    pub targeted: bool,
    pub lanes: Lanes,
    pub shape: PngShape,
    /// Where they go, if not into the folder of the run.
    pub folder: Option<&'a Path>,
}

impl MakePictures<'_> {
    /// Searches, writes, reads back; says how many there are.
    pub fn make(&self, context: &Context, directory: &RunDirectory) -> Result<PictureSummary> {
        let found: Vec<(usize, RecordedRow)> = self.recorded.rows.iter().copied().enumerate().collect();
        let found: Vec<(usize, RecordedRow)> =
            found.into_iter().filter(|(_, row)| row.adversarial_label.is_some()).collect();
        let before: Vec<Option<f64>> = found.iter().map(|(_, row)| row.l2).collect();
        let searched = self.search(context, directory, &found, &before)?;
        let pictures = Pictures {
            run: directory,
            folder: self.folder,
            classifier: &self.model.network,
            data: self.data,
            shape: self.shape,
            targeted: self.targeted,
            cancelled: &context.cancelled,
        };
        let before: Vec<f64> = before.into_iter().flatten().collect();
        let summary = pictures.write(&searched, &before, context.seed)?;
        let folder = self.folder.map_or_else(|| directory.path().join(Pictures::FOLDER), Path::to_owned);
        context.printer.done(&format!(
            "{} of {} pictures are in {}",
            summary.written,
            summary.wanted,
            folder.display()
        ));
        Ok(summary)
    }

    /// Looks for the closest adversarial image of 256 levels for each of those `found`.
    fn search(
        &self,
        context: &Context,
        directory: &RunDirectory,
        found: &[(usize, RecordedRow)],
        before: &[Option<f64>],
    ) -> Result<Recorded> {
        let lattice = Lattice::default();
        let of = Recording {
            folder: Pictures::FOLDER,
            data: self.data,
            examples: found.len(),
            attack: lattice.name(),
            per_target: false,
            measures: &[Measure { name: "l2_before_rounding", values: before }],
        };
        let mut recorder = Recorder::open(directory, of)?;
        let file = directory.path().join("adversarial.npy");
        let images = AdversarialImages::open(&file, self.recorded.rows.len(), self.data.shape())?;
        let first = recorder.done();
        let example = |job: usize| {
            let (at, row) = found[first + job];
            let mut adversarial = vec![0.0; self.data.image_len()];
            images.read(at, &mut adversarial)?;
            lattice.begin_at(row.index, adversarial);
            let criterion = match row.adversarial_label {
                Some(class) if self.targeted => Criterion::Class(class),
                _ => Criterion::NotClass(row.label),
            };
            let image = self.data.image_with_index(row.index)?;
            Ok(Example { index: row.index, image, label: row.label, criterion })
        };
        let jobs = Jobs {
            name: &format!("pictures {}", self.model.stem()),
            classifier: &self.model.network as &dyn Classifier,
            attack: &lattice,
            lanes: self.lanes,
            images: found.len(),
            searches: 1,
            expected: EXPECTED,
            example: &example,
        };
        jobs.record(context, &mut recorder)?;
        Ok(recorder.finish(context.seed)?)
    }
}

/// What became of the pictures, in a line.
pub fn text(of: &PictureSummary) -> String {
    let mut line =
        format!("{} of {} pictures written, read back, and still adversarial", of.written, of.wanted);
    for (count, what) in [(of.not_found, "not found"), (of.failed, "lost when read back")] {
        if count > 0 {
            line = format!("{line}, {count} {what}");
        }
    }
    if let (Some(ratio), Some(gradients)) = (&of.ratio, of.gradients_mean) {
        line = format!(
            "{line}:\n{:.3} times as far in the mean, {gradients:.1} gradients per picture",
            ratio.mean
        );
    }
    line
}
