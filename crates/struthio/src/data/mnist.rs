use std::io::Read;

use flate2::read::GzDecoder;
use sha2::{Digest, Sha256};
use struthio_mnist::{EmbeddedFile, TEST_IMAGES, TEST_LABELS, TRAIN_IMAGES, TRAIN_LABELS};

use super::dataset::Dataset;
use super::idx::{IdxArray, parse_idx};
use super::store::Pixels;
use crate::error::{Error, Result};

/// The 60,000 training images of MNIST, 1 × 28 × 28.
///
/// ```
/// let train = struthio::data::mnist_train()?;
/// assert_eq!((train.len(), train.shape(), train.label(0)), (60_000, &[1, 28, 28][..], 5));
/// # Ok::<(), struthio::Error>(())
/// ```
pub fn mnist_train() -> Result<Dataset> {
    load("mnist:train", TRAIN_IMAGES, TRAIN_LABELS)
}

/// The 10,000 test images of MNIST, 1 × 28 × 28.
pub fn mnist_test() -> Result<Dataset> {
    load("mnist:test", TEST_IMAGES, TEST_LABELS)
}

fn load(name: &str, images: EmbeddedFile, labels: EmbeddedFile) -> Result<Dataset> {
    let images = unpack(name, images)?;
    let labels = unpack(name, labels)?;
    let shape = [&[1], images.shape.get(1..).unwrap_or_default()].concat();
    Dataset::new(
        name,
        shape,
        Pixels::Bytes(images.values),
        labels.values.into_iter().map(u32::from).collect(),
    )
}

fn unpack(name: &str, file: EmbeddedFile) -> Result<IdxArray> {
    let damaged = |what: String| Error::data(name, format!("the embedded {} is damaged: {what}", file.name));
    if crate::hex(&Sha256::digest(file.bytes)) != file.sha256 {
        return Err(damaged("its SHA-256 is not the recorded one".into()));
    }
    let mut bytes = Vec::new();
    GzDecoder::new(file.bytes).read_to_end(&mut bytes).map_err(|error| damaged(error.to_string()))?;
    parse_idx(&bytes).map_err(damaged)
}
