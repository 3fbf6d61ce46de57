use std::sync::atomic::{AtomicBool, Ordering};

use super::array_names::ArrayNames;
use super::classes::ClassNames;
use super::spec::Split;
use crate::error::{Error, Result};

/// How data is to be loaded: what it is for, and who hears of the progress.
#[derive(Clone, Copy)]
pub struct Loading<'a> {
    /// The split meant by plain `mnist`.
    pub split: Split,
    /// The model that is to take the images, if there is one yet.
    pub wanted: Option<Wanted<'a>>,
    /// Names of the classes, for folders and labels in words.
    pub names: Option<&'a ClassNames>,
    /// The arrays of an NPZ file, where they are not called as usual.
    pub arrays: ArrayNames<'a>,
    /// Whether every pixel x is to become 1 − x.
    pub inverted: bool,
    /// Whether files that cannot be used are refused instead of left out.
    pub strict: bool,
    /// Threads that decode images.
    pub threads: usize,
    /// Set to stop.
    pub cancelled: Option<&'a AtomicBool>,
    /// Told how many images of how many are decoded, from any thread.
    pub progress: &'a (dyn Fn(usize, usize) + Sync),
}

/// A model's input and output.
#[derive(Debug, Clone, Copy)]
pub struct Wanted<'a> {
    /// The model, as messages call it.
    pub model: &'a str,
    /// Shape of one input.
    pub shape: &'a [usize],
    /// How many classes it has; `None` if labels may be others than its classes.
    pub classes: Option<usize>,
}

impl Loading<'_> {
    /// Images as they are, decoded by one thread.
    #[must_use]
    pub fn new(split: Split) -> Self {
        Self {
            split,
            wanted: None,
            names: None,
            arrays: ArrayNames::default(),
            inverted: false,
            strict: false,
            threads: 1,
            cancelled: None,
            progress: &|_, _| {},
        }
    }

    /// Makes sure that the model knows the labels of arrays, before any image is read.
    pub(super) fn check_labels(&self, origin: &str, labels: &[u32]) -> Result<()> {
        let largest = labels.iter().max().map_or(0, |&label| label as usize);
        let from_one = labels.iter().all(|&label| label > 0);
        match self.wanted {
            Some(Wanted { model, classes: Some(classes), .. }) if largest >= classes => Err(Error::data(
                origin,
                format!(
                    "labels go up to {largest}, but {model} has {classes} classes (0 to {}){}",
                    classes.saturating_sub(1),
                    if from_one && largest == classes {
                        "; they seem to count from 1: subtract one from the labels"
                    } else {
                        ""
                    }
                ),
            )),
            _ => Ok(()),
        }
    }

    /// Makes sure that no arrays are named for data that have no names.
    pub(super) fn refuse_names(&self, origin: &str) -> Result<()> {
        if self.arrays == ArrayNames::default() {
            return Ok(());
        }
        Err(Error::data(
            origin,
            "--x and --y name arrays of an .npz file or columns of a Parquet file, and this is neither",
        ))
    }

    pub(super) fn check_cancelled(&self) -> Result<()> {
        match self.cancelled {
            Some(cancelled) if cancelled.load(Ordering::Relaxed) => Err(Error::Interrupted),
            _ => Ok(()),
        }
    }
}
