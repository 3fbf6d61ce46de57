use std::ops::Range;
use std::sync::OnceLock;

use sha2::{Digest, Sha256};

use super::classes::class_name;
use super::layout::Layout;
use super::names::FileNames;
use crate::error::{Error, Result};

/// Pixel values of all images, one after the other.
#[derive(Debug, Clone, PartialEq)]
pub enum Pixels {
    /// Grey levels; 0 stands for 0.0 and 255 for 1.0.
    Bytes(Vec<u8>),
    /// Values in \[0, 1\].
    Floats(Vec<f32>),
}

impl Pixels {
    pub(super) fn rearrange(&mut self, layout: &Layout) {
        match self {
            Self::Bytes(values) => layout.apply(values),
            Self::Floats(values) => layout.apply(values),
        }
    }
}

/// Images with labels, and where they stand in the set they come from.
#[derive(Debug, Clone)]
pub struct Dataset {
    name: String,
    shape: Vec<usize>,
    pixels: Pixels,
    labels: Vec<u32>,
    /// Whether the labels are more than a placeholder.
    is_labelled: bool,
    first_index: usize,
    /// The indices of all images, ascending, if some between them are left out.
    indices: Vec<usize>,
    files: FileNames,
    notes: Vec<String>,
    class_names: Vec<String>,
    fingerprint: OnceLock<String>,
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
        let count = match &pixels {
            Pixels::Bytes(values) => values.len(),
            Pixels::Floats(values) => values.len(),
        };
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
            return Err(Error::data(name, outside(values, at, first_index + at / size)));
        }
        Ok(Self {
            name,
            shape,
            pixels,
            labels,
            is_labelled: true,
            first_index,
            indices: Vec::new(),
            files: FileNames::default(),
            notes: Vec::new(),
            class_names: Vec::new(),
            fingerprint: OnceLock::new(),
        })
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
        let (class_names, fingerprint) = (Vec::new(), OnceLock::new());
        Self { labels, is_labelled: true, class_names, fingerprint, ..self }
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

    /// Images in the shape that a model wants.
    pub(super) fn arranged(mut self, layout: Layout) -> Self {
        self.pixels.rearrange(&layout);
        self.shape = layout.shape;
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
    pub fn write_image(&self, i: usize, out: &mut [f32]) {
        let size = self.image_len();
        let span = i * size..(i + 1) * size;
        match &self.pixels {
            Pixels::Bytes(values) => {
                for (out, &byte) in out.iter_mut().zip(&values[span]) {
                    *out = byte as f32 / 255.0;
                }
            }
            Pixels::Floats(values) => out.copy_from_slice(&values[span]),
        }
    }

    /// Image `i`.
    #[must_use]
    pub fn image(&self, i: usize) -> Vec<f32> {
        let mut image = vec![0.0; self.image_len()];
        self.write_image(i, &mut image);
        image
    }

    /// The image that has `index` in the whole set.
    ///
    /// # Panics
    ///
    /// If it is not in this part of the set.
    #[must_use]
    pub fn image_with_index(&self, index: usize) -> Vec<f32> {
        self.image(self.place(index))
    }

    /// Writes the image that has `index` in the whole set into `out`.
    ///
    /// # Panics
    ///
    /// If it is not in this part of the set.
    pub fn write_image_with_index(&self, index: usize, out: &mut [f32]) {
        self.write_image(self.place(index), out);
    }

    /// The images `rows` of this set, in that order, as a set of its own called `name`, in which they are
    /// numbered from zero.
    ///
    /// # Errors
    ///
    /// If there are none, or one is beyond the last image.
    pub fn select(&self, name: impl Into<String>, rows: &[usize]) -> Result<Self> {
        fn pick<T: Copy>(values: &[T], rows: &[usize], size: usize) -> Vec<T> {
            rows.iter().flat_map(|&i| &values[i * size..(i + 1) * size]).copied().collect()
        }
        if let Some(beyond) = rows.iter().find(|&&i| i >= self.len()) {
            let problem = format!("there is no image {beyond} among the {} images", self.len());
            return Err(Error::data(&self.name, problem));
        }
        let size = self.image_len();
        let pixels = match &self.pixels {
            Pixels::Bytes(values) => Pixels::Bytes(pick(values, rows, size)),
            Pixels::Floats(values) => Pixels::Floats(pick(values, rows, size)),
        };
        let selected = Self::new(name, self.shape.clone(), pixels, pick(&self.labels, rows, 1))?;
        Ok(Self { is_labelled: self.is_labelled, files: self.files.pick(rows.iter().copied()), ..selected })
    }

    /// The part of the set with indices in `range`, which keep their numbers.
    pub fn range(&self, range: Range<usize>) -> Result<Self> {
        let Range { start: from, end: to } = check_range(&self.name, Some(&range), self.len())?;
        let size = self.image_len();
        let pixels = match &self.pixels {
            Pixels::Bytes(values) => Pixels::Bytes(values[from * size..to * size].to_vec()),
            Pixels::Floats(values) => Pixels::Floats(values[from * size..to * size].to_vec()),
        };
        Ok(Self {
            name: format!("{}[{from}..{to}]", self.name),
            shape: self.shape.clone(),
            pixels,
            labels: self.labels[from..to].to_vec(),
            is_labelled: self.is_labelled,
            first_index: self.first_index + from,
            indices: self.indices.get(from..to).map_or_else(Vec::new, <[usize]>::to_vec),
            files: self.files.pick(from..to),
            notes: self.notes.clone(),
            class_names: self.class_names.clone(),
            fingerprint: OnceLock::new(),
        })
    }

    /// SHA-256 of shape, pixels and labels, computed once.
    #[must_use]
    pub fn fingerprint(&self) -> &str {
        self.fingerprint.get_or_init(|| self.compute_fingerprint())
    }

    fn compute_fingerprint(&self) -> String {
        let mut hash = Sha256::new();
        hash.update(format!("{:?}", self.shape));
        match &self.pixels {
            Pixels::Bytes(values) => hash.update(values),
            Pixels::Floats(values) => values.iter().for_each(|value| hash.update(value.to_le_bytes())),
        }
        self.labels.iter().for_each(|label| hash.update(label.to_le_bytes()));
        crate::hex(&hash.finalize())
    }
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

/// Says which values there are besides those of \[0, 1\]; the first of them is at `at`, in `image`.
fn outside(values: &[f32], at: usize, image: usize) -> String {
    let numbers = || values.iter().copied().filter(|value| !value.is_nan());
    let (low, high) = (numbers().fold(f32::INFINITY, f32::min), numbers().fold(f32::NEG_INFINITY, f32::max));
    let span = if low > high { "nothing but NaN".into() } else { format!("values from {low} to {high}") };
    format!(
        "pixel values must lie in [0, 1], found {span}; image {image} has {}. Only uint8 is divided by 255; \
         scale floats to [0, 1] before a normalisation, which --mean and --std can do",
        values[at]
    )
}
