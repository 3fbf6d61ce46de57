//! One pass over the images of a data set, before anything else happens to them.

use std::ops::Range;
use std::sync::Arc;

use sha2::Sha256;

use super::dataset::{Dataset, hash_of};
use super::element::{Finish, is_rounding};
use super::loading::Loading;
use super::spool::Spool;
use super::store::{ImageSource, Pixels, Store};
use crate::error::{Error, Result};

/// Largest set that is kept in memory, in bytes; pictures take longer to read again.
const IN_MEMORY: usize = 1 << 24;
const PICTURES_IN_MEMORY: usize = 1 << 26;
/// Images between two looks at whether to stop.
const EVERY: usize = 64;

/// Takes in images in their order: finds those that are outside \[0, 1\], hashes all, and keeps those that cannot be read
/// again where they are.
pub(super) struct Intake<'a> {
    origin: &'a str,
    loading: &'a Loading<'a>,
    finish: &'a Finish,
    /// Numbers of the images in the whole set.
    rows: Range<usize>,
    done: usize,
    hash: Sha256,
    span: Span,
    kept: Kept,
}

/// What it takes to read an image again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Again {
    /// It is a row of a file.
    Row,
    /// It has to be decoded.
    Decoding,
    /// It cannot be.
    Never,
}

/// What becomes of the images.
enum Kept {
    Memory(Pixels),
    Spool(Spool),
    /// They are read again where they are.
    There,
}

impl<'a> Intake<'a> {
    /// For images of `origin` with the numbers `rows`, whose values take `bytes` bytes each. `again` tells what it
    /// takes to read one a second time.
    pub fn new(
        origin: &'a str,
        rows: Range<usize>,
        bytes: usize,
        finish: &'a Finish,
        again: Again,
        loading: &'a Loading<'a>,
    ) -> Result<Self> {
        let (len, total) = (finish.layout.len(), finish.layout.len().saturating_mul(bytes));
        let total = total.saturating_mul(rows.len());
        let most = if again == Again::Decoding { PICTURES_IN_MEMORY } else { IN_MEMORY };
        let kept = if total <= most {
            Kept::Memory(if bytes == 1 {
                Pixels::Bytes(Vec::with_capacity(len * rows.len()))
            } else {
                Pixels::Floats(Vec::with_capacity(len * rows.len()))
            })
        } else if again != Again::Never {
            Kept::There
        } else {
            Kept::Spool(Spool::new(origin, total as u64)?)
        };
        let hash = hash_of(&finish.layout.shape);
        Ok(Self { origin, loading, finish, rows, done: 0, hash, span: Span::default(), kept })
    }

    /// Number of the next image in the whole set.
    pub fn next(&self) -> usize {
        self.rows.start + self.done
    }

    /// Takes in the next image, as it is in its file.
    pub fn add(&mut self, mut pixels: Pixels) -> Result<()> {
        if self.done.is_multiple_of(EVERY) {
            self.loading.check_cancelled()?;
            (self.loading.progress)(self.done, self.rows.len());
        }
        if let Pixels::Floats(values) = &pixels {
            self.span.add(self.next(), values);
        }
        self.done += 1;
        if self.span.first.is_some() {
            return Ok(()); // the rest is read for the message only
        }
        self.finish.apply(&mut pixels);
        pixels.hash(&mut self.hash);
        match &mut self.kept {
            Kept::Memory(all) => all.append(&pixels),
            Kept::Spool(spool) => spool.push(&pixels)?,
            Kept::There => {}
        }
        Ok(())
    }

    /// The data set with these labels, whose images are read again from `source` if they can be.
    pub fn finish(self, labels: Vec<u32>, source: Option<Arc<dyn ImageSource>>) -> Result<Dataset> {
        (self.loading.progress)(self.rows.len(), self.rows.len());
        if let Some(problem) = self.span.problem() {
            return Err(Error::data(self.origin, problem));
        }
        let floats = self.span.any;
        let images = match (self.kept, source) {
            (Kept::Memory(pixels), _) => Store::Memory(pixels),
            (Kept::Spool(spool), _) => Store::of(Arc::new(spool.finish(self.finish.layout.len(), floats)?)),
            (Kept::There, Some(source)) => Store::of(source),
            (Kept::There, None) => {
                return Err(Error::data(self.origin, "its images cannot be read a second time"));
            }
        };
        let shape = self.finish.layout.shape.clone();
        let data =
            Dataset::surveyed(self.origin.to_owned(), shape, images, labels, self.rows.start, self.hash);
        Ok(data.with_notes(self.span.note()).with_notes(self.finish.layout.note.clone()))
    }
}

/// Which values there are.
struct Span {
    any: bool,
    low: f32,
    high: f32,
    /// The first image outside \[0, 1\] by more than rounding, and its value there.
    first: Option<(usize, f32)>,
    /// Values outside by rounding, and in how many images.
    rounded: [usize; 2],
}

impl Default for Span {
    fn default() -> Self {
        Self { any: false, low: f32::INFINITY, high: f32::NEG_INFINITY, first: None, rounded: [0; 2] }
    }
}

impl Span {
    fn add(&mut self, image: usize, values: &[f32]) {
        self.any = true;
        for &value in values {
            // Comparisons with NaN are false.
            self.low = if value < self.low { value } else { self.low };
            self.high = if value > self.high { value } else { self.high };
        }
        if values.iter().all(|value| (0.0..=1.0).contains(value)) {
            return;
        }
        let mut rounded = 0;
        for &value in values {
            if is_rounding(value) {
                rounded += 1;
            } else if !(0.0..=1.0).contains(&value) {
                self.first.get_or_insert((image, value));
            }
        }
        self.rounded[0] += rounded;
        self.rounded[1] += usize::from(rounded > 0);
    }

    fn note(&self) -> Option<String> {
        let [values, images] = self.rounded;
        (values > 0).then(|| {
            format!(
                "{values} pixel value{} in {images} image{} outside [0, 1] by less than 1e-6, as rounding does, and clipped",
                if values == 1 { "" } else { "s" },
                if images == 1 { if values == 1 { " is" } else { " are" } } else { "s are" },
            )
        })
    }

    fn problem(&self) -> Option<String> {
        let (image, value) = self.first?;
        Some(outside((self.low, self.high), image, value))
    }
}

/// Says which values there are besides those of \[0, 1\], from the least to the largest (NaN aside), of which `image` has
/// the first, `value`; and what may have happened.
pub(super) fn outside((low, high): (f32, f32), image: usize, value: f32) -> String {
    let span = if low > high { "nothing but NaN".into() } else { format!("values from {low} to {high}") };
    let cause = if value.is_nan() {
        "NaN is no pixel; look for a division by zero where the images were made"
    } else if low >= -1e-6 && high > 2.0 && high <= 255.0 {
        "these look like levels from 0 to 255: divide them by 255, or save them as uint8, which is divided by 255"
    } else if low >= -1e-6 && high <= 2.0 {
        "these look like an overshoot, such as of resizing: clip them to [0, 1]"
    } else if low >= -1.000_001 && high <= 1.000_001 {
        "these look like pixels of [-1, 1]: give them as x / 2 + 0.5, and the model --mean 0.5 --std 0.5"
    } else if high <= 30.0 {
        "these look normalised: give the pixels before the normalisation, which --normalize or --mean and --std does"
    } else {
        "only uint8 is divided by 255; scale floats to [0, 1] before a normalisation, which --mean and --std can do"
    };
    format!("pixel values must lie in [0, 1], found {span}; image {image} has {value}. {}", capital(cause))
}

fn capital(words: &str) -> String {
    let mut letters = words.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn likely_causes_are_named() {
        for ((low, high), value, fragment) in [
            ((0.0, 255.0), 17.0, "levels from 0 to 255: divide"),
            ((-1.0, 1.0), -0.5, "--mean 0.5 --std 0.5"),
            ((-2.1, 2.6), 2.6, "look normalised"),
            ((0.0, 1.02), 1.02, "overshoot"),
            ((-2.5, 255.0), 255.0, "only uint8"),
            ((0.0, 1.0), f32::NAN, "NaN is no pixel"),
        ] {
            let message = outside((low, high), 3, value).to_lowercase();
            assert!(message.contains(&fragment.to_lowercase()), "{message}");
        }
    }
}
