//! Folders of images: one sub-folder per class, a table of labels, or pictures alone.

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use rayon::prelude::*;

use super::canvas::Canvas;
use super::changes::Changes;
use super::classes::{Numbered, Numbering, numbered};
use super::dataset::{Dataset, Pixels, check_range};
use super::listing::{Listing, name_in};
use super::loading::{Loading, Wanted};
use super::names::FileNames;
use super::picture;
use super::problems::{items, listed};
use crate::error::{Error, Result};

/// Loads the images in `range`, or all, of the folder or picture at `path`; the run calls the data `name`.
///
/// The index of an image is the place of its file in the listing, whatever becomes of the others: a file that is
/// damaged today and mended tomorrow moves nothing.
pub(super) fn load(
    path: &Path,
    name: String,
    range: Option<&Range<usize>>,
    loading: &Loading<'_>,
) -> Result<Dataset> {
    let origin = path.display().to_string();
    let listing = Listing::of(path)?;
    let rows = check_range(&origin, range, listing.files.len())?;
    let classes = loading.wanted.and_then(|wanted| wanted.classes);
    let numbered = numbered(&listing.classes, loading.names, classes)
        .map_err(|problem| Error::data(&origin, problem))?;
    if listing.is_labelled() {
        check_numbers(&listing, &rows, &numbered, loading.wanted)
            .map_err(|problem| Error::data(&origin, problem))?;
    }
    let files = &listing.files[rows.clone()];
    let canvas = Canvas::for_model(&origin, files, loading.wanted)?;
    let folder = if path.is_dir() { path } else { path.parent().unwrap_or(path) };
    let painted = paint(folder, &origin, files, &canvas, loading)?;
    let (mut names, mut labels, mut indices) = (FileNames::default(), Vec::new(), Vec::new());
    for i in rows.clone().filter(|i| painted.usable[i - rows.start]) {
        names.push(&name_in(folder, &listing.files[i]));
        labels.push(listing.labels.get(i).map_or(0, |&class| numbered.numbers[class]));
        indices.push(i);
    }
    let data = Dataset::part(origin, canvas.shape(), Pixels::Bytes(painted.pixels), labels, rows.start)?
        .of_files(names, indices)
        .named(name)
        .with_notes(listing.notes.iter().cloned())
        .with_notes(painted.notes);
    if !listing.is_labelled() {
        return Ok(data.with_notes(canvas.note).unlabelled());
    }
    Ok(data.with_notes(numbered.note).with_notes(canvas.note).with_class_names(numbered.names))
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

/// What the files became.
struct Painted {
    /// Of the usable ones, one after the other.
    pixels: Vec<u8>,
    /// Whether each file could be used.
    usable: Vec<bool>,
    notes: Vec<String>,
}

/// Decodes all files in parallel, each into its place, and leaves out those that cannot be, or refuses them.
fn paint(
    folder: &Path,
    origin: &str,
    files: &[PathBuf],
    canvas: &Canvas,
    loading: &Loading<'_>,
) -> Result<Painted> {
    let size = canvas.len();
    let total = size.checked_mul(files.len());
    let mut pixels = Vec::new();
    if total.is_none_or(|total| pixels.try_reserve_exact(total).is_err()) {
        let problem = format!("no memory for {} images of {size} bytes; take a range", files.len());
        return Err(Error::data(origin, problem));
    }
    pixels.resize(size * files.len(), 0);
    let done = AtomicUsize::new(0);
    let one = |(out, file): (&mut [u8], &PathBuf)| {
        if loading.check_cancelled().is_err() {
            return Err(String::new());
        }
        let painted = picture::read(file).map(|decoded| {
            let changes = Changes::of(&decoded, canvas);
            canvas.paint(decoded.picture, out);
            (changes, decoded.damage)
        });
        (loading.progress)(done.fetch_add(1, Ordering::Relaxed) + 1, files.len());
        painted
    };
    let pool = crate::thread_pool(loading.threads)?;
    let results: Vec<Result<(Changes, Option<String>), String>> =
        pool.install(|| pixels.par_chunks_mut(size).zip(files).map(one).collect());
    loading.check_cancelled()?;
    let usable: Vec<bool> = results.iter().map(Result::is_ok).collect();
    let notes =
        notes(folder, files, &results, loading.strict).map_err(|problem| Error::data(origin, problem))?;
    let mut kept = 0;
    for i in (0..files.len()).filter(|&i| usable[i]) {
        pixels.copy_within(i * size..(i + 1) * size, kept * size);
        kept += 1;
    }
    pixels.truncate(kept * size);
    Ok(Painted { pixels, usable, notes })
}

/// What has to be said about the files, or why they cannot be used at all.
fn notes(
    folder: &Path,
    files: &[PathBuf],
    results: &[Result<(Changes, Option<String>), String>],
    strict: bool,
) -> Result<Vec<String>, String> {
    let named = |i: usize, problem: &str| format!("{}: {problem}", name_in(folder, &files[i]));
    let (mut unusable, mut damaged, mut changes) = (Vec::new(), Vec::new(), Changes::default());
    for (i, result) in results.iter().enumerate() {
        match result {
            Err(problem) => unusable.push(named(i, problem)),
            Ok((changed, damage)) => {
                changes = changes.and(*changed);
                damaged.extend(damage.as_ref().map(|damage| named(i, damage)));
            }
        }
    }
    if unusable.len() == files.len() || (strict && !unusable.is_empty()) {
        return Err(listed("unusable image", &unusable));
    }
    if strict && !damaged.is_empty() {
        return Err(listed("damaged image", &damaged));
    }
    let mut notes = Vec::new();
    let mut say = |problems: &[String], one: &str, several: &str| match problems {
        [] => {}
        [only] => notes.push(format!("{one}: {only}")),
        _ => notes.push(format!("{} of {} files {several}:{}", problems.len(), files.len(), items(problems))),
    };
    say(
        &unusable,
        "a file cannot be used and is left out (--strict refuses it)",
        "cannot be used and are left out (--strict refuses them)",
    );
    say(&damaged, "a file is damaged but used", "are damaged but used");
    notes.extend(changes.notes(files.len() - unusable.len()));
    Ok(notes)
}
