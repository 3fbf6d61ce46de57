//! Pictures of 8 bits of what an attack found: written, read back, and shown to the network again.

use std::io::Write;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use serde::{Deserialize, Serialize};

use super::directory::RunDirectory;
use super::npy::AdversarialImages;
use super::recorder::Recorded;
use super::staged::{StagedFile, read_regular};
use super::summary::Spread;
use crate::attack::Criterion;
use crate::data::{Dataset, PngShape};
use crate::error::{Error, Result};
use crate::network::{Classifier, Session};

/// What became of the pictures.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PictureSummary {
    /// Adversarial images that were to become pictures.
    pub wanted: u64,
    /// Pictures that were written, read back, and are still adversarial.
    pub written: u64,
    /// Adversarial images for which none was found among those of 256 levels.
    pub not_found: u64,
    /// Pictures that were not adversarial any more when they were read back; they were removed.
    pub failed: u64,
    /// Distance of a picture over that of the adversarial image that it was made from.
    pub ratio: Option<Spread>,
    /// Mean number of gradients that the search on the lattice took for an image.
    pub gradients_mean: Option<f64>,
    /// Mean number of its forward passes, those of gradients included.
    pub forwards_mean: Option<f64>,
}

/// What is needed to write them.
#[derive(Clone, Copy)]
pub struct Pictures<'a> {
    /// The run, in whose folder `png` the search on the lattice was recorded.
    pub run: &'a RunDirectory,
    /// Where the pictures go; among those records if nowhere else.
    pub folder: Option<&'a Path>,
    /// The network.
    pub classifier: &'a dyn Classifier,
    /// The images that were attacked.
    pub data: &'a Dataset,
    /// How they are pictures.
    pub shape: PngShape,
    /// Whether a class was aimed at; if not, any wrong one will do.
    pub targeted: bool,
    /// Set to stop.
    pub cancelled: &'a AtomicBool,
}

/// Makes sure that `folder`, where pictures are to go, has none of another run.
///
/// # Errors
///
/// If it is not empty, or no folder.
pub fn check_picture_folder(folder: &Path) -> Result<()> {
    if !folder.exists() {
        return Ok(());
    }
    let mut entries = std::fs::read_dir(folder).map_err(Error::io("read", folder))?;
    if entries.next().is_none() {
        return Ok(());
    }
    Err(Error::Request(format!(
        "the folder {} is not empty; name another with --png, or empty it first",
        folder.display()
    )))
}

impl Pictures<'_> {
    /// Folder of the records, and of the pictures unless they go elsewhere.
    pub const FOLDER: &'static str = "png";

    /// Writes a picture for each image of `recorded`, what the search on the lattice found, in whose order
    /// `before` has the distances of the adversarial images that it began at.
    ///
    /// # Errors
    ///
    /// If something cannot be written or read.
    pub fn write(&self, recorded: &Recorded, before: &[f64], seed: u64) -> Result<PictureSummary> {
        let npy = self.run.path().join(Self::FOLDER).join("adversarial.npy");
        let images = AdversarialImages::open(&npy, recorded.rows.len(), self.data.shape())?;
        if let Some(folder) = self.folder {
            std::fs::create_dir_all(folder).map_err(Error::io("create the folder", folder))?;
        }
        let (mut session, mut image) = (self.classifier.session(), vec![0.0; self.data.image_len()]);
        let (mut ratios, mut failed) = (Vec::new(), 0);
        for (row, (of, before)) in recorded.rows.iter().zip(before).enumerate() {
            if self.cancelled.load(Ordering::Relaxed) {
                return Err(Error::Interrupted);
            }
            let Some((class, l2)) = of.adversarial_label.zip(of.l2) else { continue };
            images.read(row, &mut image)?;
            let name = format!("{}-{}-to-{class}.png", of.index, of.label);
            let criterion =
                if self.targeted { Criterion::Class(class) } else { Criterion::NotClass(of.label) };
            if self.write_one(&name, &image, criterion, session.as_mut())? {
                ratios.push(if *before > 0.0 { l2 / before } else { 1.0 });
            } else {
                failed += 1;
            }
        }
        let (wanted, written) = (recorded.rows.len() as u64, ratios.len() as u64);
        Ok(PictureSummary {
            wanted,
            written,
            not_found: wanted - written - failed,
            failed,
            ratio: Spread::of(&ratios, seed),
            gradients_mean: recorded.summary.gradients_mean,
            forwards_mean: recorded.summary.forwards_mean,
        })
    }

    /// Writes one picture and reads it back; removes it again if it is not adversarial.
    fn write_one(
        &self,
        name: &str,
        image: &[f32],
        criterion: Criterion,
        session: &mut dyn Session,
    ) -> Result<bool> {
        let (path, mut file) = if let Some(folder) = self.folder {
            (folder.join(name), StagedFile::create(&folder.join(name))?)
        } else {
            let inside = format!("{}/{name}", Self::FOLDER);
            (self.run.path().join(&inside), self.run.stage(&inside)?)
        };
        let encoded = self.shape.encode(image).map_err(|problem| unusable(&path, problem))?;
        file.write_all(&encoded).map_err(Error::io("write", &path))?;
        file.finish()?;
        let read = read_regular(&path).map_err(Error::io("read", &path))?;
        let read = self.shape.decode(&read).map_err(|problem| unusable(&path, problem))?;
        session.inputs(1).copy_from_slice(&read);
        let logits = session.forward()?;
        let is_met = criterion.is_met(logits)
            && criterion.is_class(self.classifier.sure_class_of(logits, criterion.left()));
        if !is_met {
            std::fs::remove_file(&path).map_err(Error::io("remove", &path))?;
        }
        Ok(is_met)
    }
}

fn unusable(path: &Path, problem: String) -> Error {
    Error::data(path.display().to_string(), problem)
}
