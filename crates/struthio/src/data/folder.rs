//! Folders of images: one sub-folder per class, a table of labels, or pictures alone.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sha2::{Digest, Sha256};

use super::canvas::Canvas;
use super::classes::{Numbered, Numbering, numbered};
use super::dataset::Dataset;
use super::element::Finish;
use super::intake::{Again, Intake};
use super::layout::Layout;
use super::listing::{Listing, name_in};
use super::loading::{Loading, Wanted};
use super::names::FileNames;
use super::paint::{Painter, TOGETHER, painted};
use super::part::Part;
use super::picture;
use super::store::{ImageSource, Pixels};
use crate::error::{Error, Result};

/// Loads a part of the images, or all, of the folder or picture at `path`; the run calls the data `name`.
///
/// The index of an image is the place of its file in the listing, whatever becomes of the others: a file that is
/// damaged today and mended tomorrow moves nothing. All pictures are decoded once, to find those that are damaged; of
/// many, none is kept, and each is decoded again when it is asked for.
pub(super) fn load(path: &Path, name: String, part: Option<Part>, loading: &Loading<'_>) -> Result<Dataset> {
    let origin = path.display().to_string();
    let listing = Listing::of(path)?;
    let rows = Part::of(part, &origin, listing.files.len())?;
    let classes = loading.wanted.and_then(|wanted| wanted.classes);
    let numbered = numbered(&listing.classes, loading.names, classes)
        .map_err(|problem| Error::data(&origin, problem))?;
    if listing.is_labelled() {
        check_numbers(&listing, &rows, &numbered, loading.wanted)
            .map_err(|problem| Error::data(&origin, problem))?;
    }
    let first = || listing.files[rows.clone()].iter().find_map(|file| picture::read(file).ok());
    let canvas = Canvas::for_model(&origin, first, loading.wanted)?;
    let folder = if path.is_dir() { path } else { path.parent().unwrap_or(path) };
    let label = |i: usize| listing.labels.get(i).map_or(0, |&class| numbered.numbers[class]);
    let data = survey((folder, &origin), &listing.files, rows, &label, &canvas, loading)?;
    let data = data.named(name).with_notes(listing.notes.iter().cloned());
    if !listing.is_labelled() {
        return Ok(data.with_notes(canvas.note).unlabelled());
    }
    Ok(data.with_notes(numbered.note).with_notes(canvas.note).with_class_names(numbered.names))
}

/// Looks at all `rows` of `files` once, and makes a data set of the usable ones.
fn survey(
    (folder, origin): (&Path, &str),
    files: &[PathBuf],
    rows: Range<usize>,
    label: &dyn Fn(usize) -> u32,
    canvas: &Canvas,
    loading: &Loading<'_>,
) -> Result<Dataset> {
    let finish = Finish { layout: Layout::of(origin, &canvas.shape(), None)?, inverted: loading.inverted };
    let mut intake = Intake::new(origin, rows.clone(), 1, &finish, Again::Decoding, loading)?;
    let mut painter = Painter::new(canvas, loading)?;
    let mut pictures = Pictures::new(folder, canvas.clone(), loading.inverted);
    let (mut labels, mut indices) = (Vec::new(), Vec::new());
    for first in rows.clone().step_by(TOGETHER) {
        let some = &files[first..(first + TOGETHER).min(rows.end)];
        let name = |i: usize| name_in(folder, &some[i]);
        painter.paint(some, &|file| picture::read(file), &name, &mut |i, pixels| {
            pictures.push(&some[i], &pixels);
            labels.push(label(first + i));
            indices.push(first + i);
            intake.add(Pixels::Bytes(pixels))
        })?;
    }
    let notes = painter.notes().map_err(|problem| Error::data(origin, problem))?;
    let names = pictures.names.clone();
    let data = intake.finish(labels, Some(Arc::new(pictures)))?;
    Ok(data.of_files(names, indices).with_notes(notes))
}

/// Pictures that are decoded when they are asked for.
#[derive(Debug)]
struct Pictures {
    folder: PathBuf,
    names: FileNames,
    /// Those whose path is another one than their name in the folder.
    elsewhere: BTreeMap<usize, PathBuf>,
    /// By which the pixels of each are known again.
    digests: Vec<u64>,
    canvas: Canvas,
    inverted: bool,
}

impl Pictures {
    fn new(folder: &Path, canvas: Canvas, inverted: bool) -> Self {
        let (names, elsewhere, digests) = (FileNames::default(), BTreeMap::new(), Vec::new());
        Self { folder: folder.to_owned(), names, elsewhere, digests, canvas, inverted }
    }

    /// The picture in `file`, which has these `pixels` on the canvas.
    fn push(&mut self, file: &Path, pixels: &[u8]) {
        let name = name_in(&self.folder, file);
        if self.folder.join(&name) != file {
            self.elsewhere.insert(self.digests.len(), file.to_owned());
        }
        self.names.push(&name);
        self.digests.push(digest(pixels));
    }
}

/// The beginning of the SHA-256.
fn digest(pixels: &[u8]) -> u64 {
    Sha256::digest(pixels).iter().take(8).fold(0, |digest, &byte| digest << 8 | u64::from(byte))
}

impl ImageSource for Pictures {
    fn read(&self, i: usize) -> Result<Pixels> {
        let name = self.names.get(i).unwrap_or_default();
        let path = self.elsewhere.get(&i).cloned().unwrap_or_else(|| self.folder.join(name));
        let error = |problem: &str| Error::data(path.display().to_string(), problem);
        let decoded = picture::read(&path).map_err(|problem| {
            error(&format!(
                "the picture could be read when the command began, and cannot any more: {problem}"
            ))
        })?;
        let pixels = painted(decoded, &self.canvas);
        if self.digests.get(i) != Some(&digest(&pixels)) {
            return Err(error("the picture was changed since the command began"));
        }
        let mut pixels = Pixels::Bytes(pixels);
        if self.inverted {
            pixels.invert();
        }
        Ok(pixels)
    }
}

/// Makes sure that the model knows the labels of `rows`, before any image is read.
fn check_numbers(
    listing: &Listing,
    rows: &Range<usize>,
    numbered: &Numbered,
    wanted: Option<Wanted<'_>>,
) -> Result<(), String> {
    let Some(Wanted { model, classes: Some(classes), .. }) = wanted else { return Ok(()) };
    let number = |i: &usize| numbered.numbers[listing.labels[*i]] as usize;
    let Some(largest) = rows.clone().max_by_key(number).filter(|i| number(i) >= classes) else {
        return Ok(());
    };
    let (class, largest, word) = (listing.class_of(largest), number(&largest), listing.class);
    let has = format!("{model} has {classes} classes (0 to {})", classes.saturating_sub(1));
    let remedy = format!(
        "--classes FILE with the names of the {word}s, one per line in the order of the model, sets another order"
    );
    Err(match numbered.numbering {
        Numbering::Themselves => {
            let smallest = numbered.numbers.iter().min().copied().unwrap_or(0);
            let from_one = smallest == 1 && largest == classes;
            format!(
                "the {word}s are named {smallest} to {largest} and stand for themselves, but {has}; {}{remedy}",
                if from_one { "they seem to be counted from 1: " } else { "" }
            )
        }
        _ => format!(
            "the {word} '{class}' has number {largest} of {} in sorted order, but {has}; {remedy}",
            listing.classes.len()
        ),
    })
}
