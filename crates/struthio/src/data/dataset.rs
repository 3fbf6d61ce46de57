use std::ops::Range;
use std::sync::OnceLock;

use sha2::{Digest, Sha256};

use super::classes::class_name;
use super::intake::outside;
use super::layout::Layout;
use super::names::FileNames;
use super::store::{Pixels, Store};
use crate::error::{Error, Result};

/// Images with labels, and where they stand in the set they come from.
///
/// Small sets are in memory. The images of others are read when they are asked for, so that a set takes no memory but
/// for its labels; reading then fails if a file has gone or is another one than before.
#[derive(Debug, Clone)]
pub struct Dataset {
    name: String,
    shape: Vec<usize>,
    images: Store,
    labels: Vec<u32>,
    /// Whether the labels are more than a placeholder.
    is_labelled: bool,
    first_index: usize,
    /// The indices of all images, ascending, if some between them are left out.
    indices: Vec<usize>,
    files: FileNames,
    notes: Vec<String>,
    class_names: Vec<String>,
    /// State of the hash behind shape and pixels, once it is known.
    hashed: OnceLock<Sha256>,
}

impl Dataset {
    /// A data set of images of `shape` called `name`.
    ///
    /// # Errors
    ///
    /// If the counts do not agree, there is no image, or a pixel is outside \[0, 1\].
    pub fn new(name: impl Into<String>, shape: Vec<usize>, pixels: Pixels, labels: Vec<u32>) -> Result<Self> {
        Self::part(name, shape, pixels, labels, 0)
    }

    /// Like [`new`](Self::new), for images of which the first has `first_index` in a larger set.
    pub(super) fn part(
        name: impl Into<String>,
        shape: Vec<usize>,
        pixels: Pixels,
        labels: Vec<u32>,
        first_index: usize,
    ) -> Result<Self> {
        let name = name.into();
        let size: usize = shape.iter().product();
        let count = pixels.len();
        if labels.is_empty() || size == 0 {
            return Err(Error::data(name, "there are no images"));
        }
        if count != size * labels.len() {
            return Err(Error::data(
                name,
                format!("{} labels, but {count} pixel values for images of shape {shape:?}", labels.len()),
            ));
        }
        if let Pixels::Floats(values) = &pixels
            && let Some(at) = values.iter().position(|v| !(0.0..=1.0).contains(v))
        {
            let span = values.iter().fold((f32::INFINITY, f32::NEG_INFINITY), |(low, high), &value| {
                (low.min(value), high.max(value)) // which pass over NaN
            });
            return Err(Error::data(name, outside(span, first_index + at / size, values[at])));
        }
        Ok(Self::of(name, shape, Store::Memory(pixels), labels, first_index))
    }

    /// Images and labels whose numbers agree, and nothing else that is known of them.
    fn of(name: String, shape: Vec<usize>, images: Store, labels: Vec<u32>, first_index: usize) -> Self {
        Self {
            name,
            shape,
            images,
            labels,
            is_labelled: true,
            first_index,
            indices: Vec::new(),
            files: FileNames::default(),
            notes: Vec::new(),
            class_names: Vec::new(),
            hashed: OnceLock::new(),
        }
    }

    /// Images of `shape` that have been looked at already: their pixels lie in \[0, 1\], and with the shape they hash to
    /// `hashed`. There is at least one.
    pub(super) fn surveyed(
        name: String,
        shape: Vec<usize>,
        images: Store,
        labels: Vec<u32>,
        first_index: usize,
        hashed: Sha256,
    ) -> Self {
        Self { hashed: OnceLock::from(hashed), ..Self::of(name, shape, images, labels, first_index) }
    }

    /// What the set is called in messages and manifests.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What a user has to know about how the images were read.
    #[must_use]
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// What the labels stand for, where they are words: those of the sub-folders, or of a table.
    #[must_use]
    pub fn class_names(&self) -> &[String] {
        &self.class_names
    }

    /// The same set under another name.
    pub(super) fn named(self, name: String) -> Self {
        Self { name, ..self }
    }

    /// What the class `number` is called: its name, or the number.
    #[must_use]
    pub fn class(&self, number: usize) -> String {
        class_name(&self.class_names, number)
    }

    /// The same set with names for its labels.
    pub(crate) fn with_class_names(self, class_names: Vec<String>) -> Self {
        Self { class_names, ..self }
    }

    /// The same images with other labels, as many as there are images.
    pub(crate) fn labelled(self, labels: Vec<u32>) -> Self {
        Self { labels, is_labelled: true, class_names: Vec::new(), ..self }
    }

    /// The same set, whose labels mean nothing.
    pub(super) fn unlabelled(self) -> Self {
        Self { is_labelled: false, ..self }
    }

    /// The same set, whose images come from `files` and have these `indices`, which ascend.
    pub(super) fn of_files(self, files: FileNames, indices: Vec<usize>) -> Self {
        let consecutive = indices.iter().zip(self.first_index..).all(|(&index, expected)| index == expected);
        Self { files, indices: if consecutive { Vec::new() } else { indices }, ..self }
    }

    /// The same set with more to know about it.
    pub(crate) fn with_notes(mut self, notes: impl IntoIterator<Item = String>) -> Self {
        self.notes.extend(notes);
        self
    }

    /// Images that are in memory in the shape that a model wants, with every pixel x as 1 − x if `inverted`.
    pub(super) fn arranged(mut self, layout: Layout, inverted: bool) -> Self {
        if let Store::Memory(pixels) = &mut self.images {
            pixels.rearrange(&layout);
            if inverted {
                pixels.invert();
            }
        }
        self.shape = layout.shape;
        self.hashed = OnceLock::new();
        self.with_notes(layout.note)
    }

    /// Shape of one image.
    #[must_use]
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// Number of pixel values of one image.
    #[must_use]
    pub fn image_len(&self) -> usize {
        self.shape.iter().product()
    }

    /// Number of images.
    #[must_use]
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Never true: an empty set cannot be made.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    /// Whether the data came with labels. Images alone have the class 0 until a network has given them one.
    #[must_use]
    pub fn is_labelled(&self) -> bool {
        self.is_labelled
    }

    /// Index of image `i` in the whole set that this may be a part of: for a folder the place of its file among all
    /// that were listed, unusable ones included.
    #[must_use]
    pub fn index(&self, i: usize) -> usize {
        self.indices.get(i).copied().unwrap_or(self.first_index + i)
    }

    /// The file that image `i` comes from, within its folder; `None` for images of arrays.
    #[must_use]
    pub fn file(&self, i: usize) -> Option<&str> {
        self.files.get(i)
    }

    /// Which image has `index` in the whole set.
    fn place(&self, index: usize) -> usize {
        if self.indices.is_empty() {
            return index - self.first_index;
        }
        self.indices.binary_search(&index).unwrap_or(self.len())
    }

    /// The class of image `i`.
    #[must_use]
    pub fn label(&self, i: usize) -> usize {
        self.labels[i] as usize
    }

    /// The class of the image that has `index` in the whole set.
    ///
    /// # Panics
    ///
    /// If it is not in this part of the set.
    #[must_use]
    pub fn label_with_index(&self, index: usize) -> usize {
        self.label(self.place(index))
    }

    pub(super) fn labels(&self) -> &[u32] {
        &self.labels
    }

    /// The largest label plus one.
    #[must_use]
    pub fn classes(&self) -> usize {
        self.labels.iter().max().map_or(0, |&label| label as usize + 1)
    }

    /// Writes image `i` into `out`, which has [`image_len`](Self::image_len) values.
    ///
    /// # Errors
    ///
    /// If it has to be read from a file, and cannot be.
    pub fn write_image(&self, i: usize, out: &mut [f32]) -> Result<()> {
        self.images.write(i, out)
    }

    /// Writes the images `rows` into `out`, one after the other.
    ///
    /// # Errors
    ///
    /// If one has to be read from a file, and cannot be.
    pub fn write_images(&self, rows: impl IntoIterator<Item = usize>, out: &mut [f32]) -> Result<()> {
        rows.into_iter()
            .zip(out.chunks_exact_mut(self.image_len()))
            .try_for_each(|(i, out)| self.write_image(i, out))
    }

    /// Image `i`.
    ///
    /// # Errors
    ///
    /// If it has to be read from a file, and cannot be.
    pub fn image(&self, i: usize) -> Result<Vec<f32>> {
        let mut image = vec![0.0; self.image_len()];
        self.write_image(i, &mut image)?;
        Ok(image)
    }

    /// The image that has `index` in the whole set.
    ///
    /// # Errors
    ///
    /// If it has to be read from a file, and cannot be.
    ///
    /// # Panics
    ///
    /// If it is not in this part of the set.
    pub fn image_with_index(&self, index: usize) -> Result<Vec<f32>> {
        self.image(self.place(index))
    }

    /// Writes the image that has `index` in the whole set into `out`.
    ///
    /// # Errors
    ///
    /// If it has to be read from a file, and cannot be.
    ///
    /// # Panics
    ///
    /// If it is not in this part of the set.
    pub fn write_image_with_index(&self, index: usize, out: &mut [f32]) -> Result<()> {
        self.write_image(self.place(index), out)
    }

    /// The images `rows` of this set, in that order, as a set of its own called `name`, in which they are
    /// numbered from zero.
    ///
    /// # Errors
    ///
    /// If there are none, or one is beyond the last image.
    pub fn select(&self, name: impl Into<String>, rows: &[usize]) -> Result<Self> {
        let name = name.into();
        if let Some(beyond) = rows.iter().find(|&&i| i >= self.len()) {
            let problem = format!("there is no image {beyond} among the {} images", self.len());
            return Err(Error::data(&self.name, problem));
        }
        if rows.is_empty() {
            return Err(Error::data(name, "there are no images"));
        }
        Ok(Self {
            name,
            shape: self.shape.clone(),
            images: self.images.select(self.image_len(), rows),
            labels: rows.iter().map(|&i| self.labels[i]).collect(),
            is_labelled: self.is_labelled,
            first_index: 0,
            indices: Vec::new(),
            files: self.files.pick(rows.iter().copied()),
            notes: Vec::new(),
            class_names: Vec::new(),
            hashed: OnceLock::new(),
        })
    }

    /// The part of the set with indices in `range`, which keep their numbers.
    pub fn range(&self, range: Range<usize>) -> Result<Self> {
        let Range { start: from, end: to } = check_range(&self.name, Some(&range), self.len())?;
        Ok(Self {
            name: format!("{}[{from}..{to}]", self.name),
            shape: self.shape.clone(),
            images: self.images.part(self.image_len(), from..to),
            labels: self.labels[from..to].to_vec(),
            is_labelled: self.is_labelled,
            first_index: self.first_index + from,
            indices: self.indices.get(from..to).map_or_else(Vec::new, <[usize]>::to_vec),
            files: self.files.pick(from..to),
            notes: self.notes.clone(),
            class_names: self.class_names.clone(),
            hashed: OnceLock::new(),
        })
    }

    /// SHA-256 of shape, pixels and labels.
    ///
    /// # Errors
    ///
    /// If an image has to be read from a file, and cannot be.
    pub fn fingerprint(&self) -> Result<String> {
        let mut hash = if let Some(hashed) = self.hashed.get() {
            hashed.clone()
        } else {
            let mut hash = hash_of(&self.shape);
            self.images.hash(self.len(), &mut hash)?;
            self.hashed.get_or_init(|| hash).clone()
        };
        self.labels.iter().for_each(|label| hash.update(label.to_le_bytes()));
        Ok(crate::hex(&hash.finalize()))
    }
}

/// The hash of a data set before its pixels: of the shape of an image.
pub(super) fn hash_of(shape: &[usize]) -> Sha256 {
    let mut hash = Sha256::new();
    hash.update(format!("{shape:?}"));
    hash
}

/// The part `range` of `count` images, all of them if there is none.
pub(super) fn check_range(name: &str, range: Option<&Range<usize>>, count: usize) -> Result<Range<usize>> {
    let Some(&Range { start: from, end: to }) = range else { return Ok(0..count) };
    if from >= to {
        return Err(Error::data(name, format!("the range {from}..{to} is empty")));
    }
    if to > count {
        return Err(Error::data(name, format!("the range {from}..{to} reaches beyond the {count} images")));
    }
    Ok(from..to)
}
