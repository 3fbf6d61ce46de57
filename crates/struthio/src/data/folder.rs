//! Folders of images: one sub-folder per class, or a table of labels.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use rayon::prelude::*;

use super::canvas::Canvas;
use super::classes::numbered;
use super::dataset::Dataset;
use super::loading::Loading;
use super::part::Part;
use super::picture::Picture;
use super::problems::listed;
use super::store::Pixels;
use super::table;
use crate::error::{Error, Result};

/// The table of labels in a folder without sub-folders for the classes.
const TABLE: &str = "labels.csv";

/// The images of a folder, which have not been read yet.
#[derive(Default)]
struct Listing {
    files: Vec<PathBuf>,
    /// One per file.
    labels: Vec<String>,
    /// Labels there are, images or not.
    classes: Vec<String>,
    notes: Vec<String>,
}

/// Loads a part of the images, or all, of the folder at `path`; the run calls the data `name`.
pub(super) fn load(path: &Path, name: String, part: Option<Part>, loading: &Loading<'_>) -> Result<Dataset> {
    let origin = path.display().to_string();
    let table = path.join(TABLE);
    let listing = if table.exists() { by_table(path, &table)? } else { by_folders(path)? };
    if listing.files.is_empty() {
        let beside = entries(path)?.iter().filter(|file| is_image(file)).count();
        let problem = format!(
            "{}; expected PNG or JPEG files in one sub-folder per class, or beside a {TABLE} with the columns file,label",
            if beside > 0 {
                format!("there are no images in sub-folders, but {beside} beside them")
            } else {
                "there are no images".to_owned()
            }
        );
        return Err(Error::data(origin, problem));
    }
    let rows = Part::of(part, &origin, listing.files.len())?;
    let labels = numbered(&listing.labels[rows.clone()], &listing.classes, loading.names)
        .map_err(|problem| Error::data(&origin, problem))?;
    loading.check_labels(&origin, &labels.labels)?;
    let files = &listing.files[rows.clone()];
    let canvas = Canvas::for_model(&origin, &files[0], loading.wanted)?;
    let (mut pixels, note) = decode(path, files, &canvas, loading)?;
    if loading.inverted {
        pixels.iter_mut().for_each(|level| *level = 255 - *level);
    }
    let data = Dataset::part(origin, canvas.shape(), Pixels::Bytes(pixels), labels.labels, rows.start)?;
    Ok(data
        .named(name)
        .with_notes(listing.notes)
        .with_notes(labels.note)
        .with_notes(canvas.note)
        .with_notes(note)
        .with_class_names(labels.names))
}

/// Images in sub-folders, in the order of their paths.
fn by_folders(path: &Path) -> Result<Listing> {
    let (mut listing, mut left_out, mut empty) = (Listing::default(), 0, Vec::new());
    for folder in entries(path)? {
        if !folder.is_dir() {
            left_out += 1;
            continue;
        }
        let Some(class) = folder.file_name().and_then(OsStr::to_str).map(str::to_owned) else {
            return Err(Error::data(folder.display().to_string(), "the name of a class must be valid UTF-8"));
        };
        let (images, others): (Vec<_>, Vec<_>) =
            entries(&folder)?.into_iter().partition(|file| is_image(file));
        left_out += others.len();
        if images.is_empty() {
            empty.push(class.clone());
        }
        listing.labels.extend(images.iter().map(|_| class.clone()));
        listing.files.extend(images);
        listing.classes.push(class);
    }
    if left_out > 0 {
        listing.notes.push(format!(
            "{}: left out what is neither a PNG nor a JPEG file of a class: {left_out} in number",
            path.display()
        ));
    }
    if !empty.is_empty() && !listing.files.is_empty() {
        empty.truncate(10);
        listing.notes.push(format!("{}: no images of {}", path.display(), empty.join(", ")));
    }
    Ok(listing)
}

/// What is in a folder, sorted by name, but for what is hidden.
fn entries(folder: &Path) -> Result<Vec<PathBuf>> {
    let unreadable = |error| Error::io("read", folder)(error);
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(unreadable)? {
        let entry = entry.map_err(unreadable)?;
        if !entry.file_name().to_string_lossy().starts_with('.') {
            paths.push(entry.path());
        }
    }
    paths.sort_unstable();
    Ok(paths)
}

fn is_image(path: &Path) -> bool {
    let extension = path.extension().and_then(OsStr::to_str).unwrap_or_default();
    ["png", "jpg", "jpeg"].iter().any(|known| extension.eq_ignore_ascii_case(known))
}

/// Images in the order of a table.
fn by_table(path: &Path, table: &Path) -> Result<Listing> {
    let origin = table.display().to_string();
    let rows = table::parse(&table::read(table, "file,label")?, ["file", "label"])
        .map_err(|problems| Error::data(&origin, listed("not a table of labels", &problems)))?;
    let labels: Vec<String> = rows.iter().map(|[_, label]| label.clone()).collect();
    let files = rows.iter().map(|[file, _]| path.join(file)).collect();
    Ok(Listing { files, classes: labels.clone(), labels, notes: Vec::new() })
}

/// Decodes all files in parallel, each into its place, and says if they lose their colour; names all that cannot be.
fn decode(
    folder: &Path,
    files: &[PathBuf],
    canvas: &Canvas,
    loading: &Loading<'_>,
) -> Result<(Vec<u8>, Option<String>)> {
    let size = canvas.len();
    let origin = folder.display().to_string();
    let total = size.checked_mul(files.len());
    let mut pixels = Vec::new();
    if total.is_none_or(|total| pixels.try_reserve_exact(total).is_err()) {
        let problem = format!("no memory for {} images of {size} bytes; take a range", files.len());
        return Err(Error::data(origin, problem));
    }
    pixels.resize(size * files.len(), 0);
    let (done, coloured) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let one = |(out, file): (&mut [u8], &PathBuf)| {
        loading.check_cancelled().ok()?;
        let painted = Picture::read(file).map(|picture| {
            coloured.fetch_add(usize::from(picture.channels == 3), Ordering::Relaxed);
            canvas.paint(picture, out);
        });
        (loading.progress)(done.fetch_add(1, Ordering::Relaxed) + 1, files.len());
        let name = file.strip_prefix(folder).unwrap_or(file).display();
        painted.err().map(|problem| format!("{name}: {problem}"))
    };
    let pool = crate::thread_pool(loading.threads)?;
    let problems: Vec<String> =
        pool.install(|| pixels.par_chunks_mut(size).zip(files).filter_map(one).collect());
    loading.check_cancelled()?;
    if !problems.is_empty() {
        return Err(Error::data(origin, listed("unusable image", &problems)));
    }
    let note = (canvas.is_grey() && coloured.load(Ordering::Relaxed) > 0).then(|| {
        format!(
            "{} of {} images have three channels and were turned to grey",
            coloured.load(Ordering::Relaxed),
            files.len()
        )
    });
    Ok((pixels, note))
}
