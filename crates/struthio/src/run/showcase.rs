use crate::attack::Outcome;
use crate::data::Dataset;
use crate::error::Result;

/// An image, its adversarial version, and what the network says: for the pictures of a report.
#[derive(Debug, Clone, PartialEq)]
pub struct Triple {
    /// Index of the image in its data set.
    pub index: usize,
    /// Shape: height × width, or channels × height × width.
    pub shape: Vec<usize>,
    /// The image, pixels in \[0, 1\].
    pub original: Vec<f32>,
    /// The adversarial image.
    pub adversarial: Vec<f32>,
    /// The image's class.
    pub label: usize,
    /// The class the network gives to the adversarial image.
    pub adversarial_label: usize,
    /// Root mean square of the perturbation.
    pub rms: f64,
}

impl Triple {
    /// Of an image of `data` for which `adversarial` was found.
    pub(super) fn of(outcome: &Outcome, data: &Dataset, adversarial: Vec<f32>) -> Result<Option<Self>> {
        let Some(found) = &outcome.adversarial else { return Ok(None) };
        Ok(Some(Self {
            index: outcome.index,
            shape: data.shape().to_vec(),
            original: data.image_with_index(outcome.index)?,
            adversarial,
            label: outcome.label,
            adversarial_label: found.label,
            rms: found.rms,
        }))
    }
}
