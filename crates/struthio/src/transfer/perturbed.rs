use std::fmt;

use super::matrix::Size;
use crate::data::Dataset;
use crate::error::Result;

/// An image for which something was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PerturbedImage {
    /// Index of the image in its data set.
    pub index: usize,
    /// Its class.
    pub label: usize,
    /// The wrong class that the network it was made for gives to the adversarial image.
    pub taken_for: usize,
}

/// Images, and for each an adversarial one, made for one network: a row of a transfer matrix.
#[derive(Clone, Copy)]
pub struct Perturbed<'a> {
    /// The network they were made for.
    pub made_for: &'a str,
    /// Which of the columns that is, if it is one of them.
    pub own: Option<usize>,
    /// Where the images come from.
    pub data: &'a Dataset,
    /// The images.
    pub images: &'a [PerturbedImage],
    /// The sizes in which the perturbations are shown.
    pub sizes: &'a [Size],
    /// Their adversarial images.
    pub adversarial: &'a dyn AdversarialSource,
}

/// Where adversarial images come from, one at a time.
pub trait AdversarialSource: Sync {
    /// Writes the i-th of them to `out`; called from several threads.
    fn write(&self, i: usize, out: &mut [f32]) -> Result<()>;
}

impl<F: Fn(usize, &mut [f32]) -> Result<()> + Sync> AdversarialSource for F {
    fn write(&self, i: usize, out: &mut [f32]) -> Result<()> {
        self(i, out)
    }
}

impl Perturbed<'_> {
    /// Writes the i-th image, and its adversarial image.
    pub(super) fn load(&self, i: usize, image: &mut [f32], adversarial: &mut [f32]) -> Result<()> {
        self.data.write_image_with_index(self.images[i].index, image)?;
        self.adversarial.write(i, adversarial)
    }
}

impl fmt::Debug for Perturbed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Perturbed")
            .field("made_for", &self.made_for)
            .field("data", &self.data.name())
            .field("images", &self.images.len())
            .finish_non_exhaustive()
    }
}

/// What leads from `image` to `other`.
pub(crate) fn difference(image: &[f32], other: &[f32]) -> Vec<f32> {
    image.iter().zip(other).map(|(x, y)| y - x).collect()
}
