//! Where the pixels of a data set are: in memory, or somewhere they are read from, image by image.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use sha2::{Digest, Sha256};

use super::layout::Layout;
use crate::error::Result;

/// Pixel values of all images, one after the other.
#[derive(Debug, Clone, PartialEq)]
pub enum Pixels {
    /// Grey levels; 0 stands for 0.0 and 255 for 1.0.
    Bytes(Vec<u8>),
    /// Values in \[0, 1\].
    Floats(Vec<f32>),
}

impl Pixels {
    /// Number of values.
    pub(super) fn len(&self) -> usize {
        match self {
            Self::Bytes(values) => values.len(),
            Self::Floats(values) => values.len(),
        }
    }

    pub(super) fn rearrange(&mut self, layout: &Layout) {
        match self {
            Self::Bytes(values) => layout.apply(values),
            Self::Floats(values) => layout.apply(values),
        }
    }

    /// Every pixel x becomes 1 − x.
    pub(super) fn invert(&mut self) {
        match self {
            Self::Bytes(values) => values.iter_mut().for_each(|value| *value = 255 - *value),
            Self::Floats(values) => values.iter_mut().for_each(|value| *value = 1.0 - *value),
        }
    }

    /// Adds the values to what is hashed.
    pub(super) fn hash(&self, hash: &mut Sha256) {
        /// Bytes made at a time.
        const CHUNK: usize = 1024;
        match self {
            Self::Bytes(values) => hash.update(values),
            Self::Floats(values) => {
                let mut bytes = [0; 4 * CHUNK];
                for values in values.chunks(CHUNK) {
                    let bytes = &mut bytes[..4 * values.len()];
                    let places = bytes.as_chunks_mut::<4>().0.iter_mut();
                    places.zip(values).for_each(|(place, value)| *place = value.to_le_bytes());
                    hash.update(&*bytes);
                }
            }
        }
    }

    /// Appends what another has, if it is of the same kind.
    pub(super) fn append(&mut self, other: &Self) {
        match (self, other) {
            (Self::Bytes(values), Self::Bytes(more)) => values.extend_from_slice(more),
            (Self::Floats(values), Self::Floats(more)) => values.extend_from_slice(more),
            (values, _) if values.len() == 0 => *values = other.clone(),
            _ => debug_assert!(false, "bytes and floats in one array"),
        }
    }

    fn write(&self, span: Range<usize>, out: &mut [f32]) {
        match self {
            Self::Bytes(values) => {
                for (out, &byte) in out.iter_mut().zip(&values[span]) {
                    *out = byte as f32 / 255.0;
                }
            }
            Self::Floats(values) => out.copy_from_slice(&values[span]),
        }
    }

    /// The values at `places`, each of `size` values.
    fn pick(&self, places: impl Iterator<Item = usize>, size: usize) -> Self {
        fn pick<T: Copy>(values: &[T], places: impl Iterator<Item = usize>, size: usize) -> Vec<T> {
            places.flat_map(|i| &values[i * size..(i + 1) * size]).copied().collect()
        }
        match self {
            Self::Bytes(values) => Self::Bytes(pick(values, places, size)),
            Self::Floats(values) => Self::Floats(pick(values, places, size)),
        }
    }
}

/// Images that are read one at a time, from any thread.
pub(super) trait ImageSource: fmt::Debug + Send + Sync {
    /// The pixels of image `i`.
    ///
    /// # Errors
    ///
    /// Which file cannot be read, or is another one than before.
    fn read(&self, i: usize) -> Result<Pixels>;
}

/// The pixels of a data set.
#[derive(Debug, Clone)]
pub(super) enum Store {
    Memory(Pixels),
    /// Image i is number `rows[i]` of the source.
    Source {
        source: Arc<dyn ImageSource>,
        rows: Rows,
    },
}

/// Some images of a source.
#[derive(Debug, Clone)]
pub(super) enum Rows {
    From(usize),
    These(Arc<[usize]>),
}

impl Rows {
    fn get(&self, i: usize) -> usize {
        match self {
            Self::From(first) => first + i,
            Self::These(rows) => rows[i],
        }
    }
}

impl Store {
    /// All images of a source.
    pub fn of(source: Arc<dyn ImageSource>) -> Self {
        Self::Source { source, rows: Rows::From(0) }
    }

    /// Writes image `i`.
    pub fn write(&self, i: usize, out: &mut [f32]) -> Result<()> {
        match self {
            Self::Memory(pixels) => pixels.write(i * out.len()..(i + 1) * out.len(), out),
            Self::Source { source, rows } => source.read(rows.get(i))?.write(0..out.len(), out),
        }
        Ok(())
    }

    /// Adds `count` images to what is hashed.
    pub fn hash(&self, count: usize, hash: &mut Sha256) -> Result<()> {
        match self {
            Self::Memory(pixels) => pixels.hash(hash),
            Self::Source { source, rows } => {
                for i in 0..count {
                    source.read(rows.get(i))?.hash(hash);
                }
            }
        }
        Ok(())
    }

    /// The images in `range`, of `size` values each.
    pub fn part(&self, size: usize, range: Range<usize>) -> Self {
        match self {
            Self::Memory(pixels) => Self::Memory(pixels.pick(range, size)),
            Self::Source { source, rows: Rows::From(first) } => {
                Self::Source { source: Arc::clone(source), rows: Rows::From(first + range.start) }
            }
            Self::Source { source, rows: Rows::These(rows) } => {
                Self::Source { source: Arc::clone(source), rows: Rows::These(rows[range].into()) }
            }
        }
    }

    /// The images `chosen`, in that order.
    pub fn select(&self, size: usize, chosen: &[usize]) -> Self {
        match self {
            Self::Memory(pixels) => Self::Memory(pixels.pick(chosen.iter().copied(), size)),
            Self::Source { source, rows } => Self::Source {
                source: Arc::clone(source),
                rows: Rows::These(chosen.iter().map(|&i| rows.get(i)).collect()),
            },
        }
    }
}
