use std::path::Path;

use super::perturbed::{AdversarialSource, PerturbedImage};
use crate::error::Result;
use crate::run::{AdversarialImages, RecordedRow};

/// The perturbations that an attack found, read back from its `adversarial.npy`.
#[derive(Debug)]
pub struct RecordedPerturbations {
    /// The images for which one was found.
    pub images: Vec<PerturbedImage>,
    rows: Vec<usize>,
    file: AdversarialImages,
}

impl RecordedPerturbations {
    /// Of the attack that left `recorded` in the folder `folder`, on images of `shape`.
    ///
    /// # Errors
    ///
    /// If the images cannot be read.
    pub fn open(folder: &Path, recorded: &[RecordedRow], shape: &[usize]) -> Result<Self> {
        let file = AdversarialImages::open(&folder.join("adversarial.npy"), recorded.len(), shape)?;
        let found = recorded.iter().enumerate().filter_map(|(i, row)| {
            let RecordedRow { index, label, adversarial_label, .. } = *row;
            Some((i, PerturbedImage { index, label, taken_for: adversarial_label? }))
        });
        let (rows, images) = found.unzip();
        Ok(Self { images, rows, file })
    }
}

impl AdversarialSource for RecordedPerturbations {
    fn write(&self, i: usize, out: &mut [f32]) -> Result<()> {
        self.file.read(self.rows[i], out)
    }
}
