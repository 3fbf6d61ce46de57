//! Files of arrays: one NPZ, or a pair of NPY or IDX files, told apart by their first bytes.

use std::fs::File;
use std::io::{BufReader, Read, Seek};
use std::ops::Range;
use std::path::{Path, PathBuf};

use flate2::read::MultiGzDecoder;
use zip::ZipArchive;

use super::array::{Array, Available, Element, Header};
use super::dataset::{Dataset, check_range};
use super::idx::idx_header;
use super::layout::Layout;
use super::loading::Loading;
use super::npy;
use crate::error::{Error, Result};

/// Deflate makes nothing smaller than by this factor.
const DEFLATE_FACTOR: u64 = 1032;
/// What a compressed file may have besides, in bytes.
const SLACK: u64 = 1024;

#[derive(Debug, Clone, Copy)]
enum Part {
    Images,
    Labels,
}

/// Where images and labels are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Files {
    /// An NPZ file with the arrays `x` and `y`.
    Archive(PathBuf),
    /// Two files of one array each.
    Pair { images: PathBuf, labels: PathBuf },
}

impl Files {
    /// Loads the images in `range`, or all; messages call the data `origin`, the run `name`.
    pub fn load(
        &self,
        origin: &str,
        name: String,
        range: Option<&Range<usize>>,
        loading: &Loading<'_>,
    ) -> Result<Dataset> {
        let (count, shape) = self.with(Part::Images, &mut |array| images_of(&array))?;
        let rows = check_range(origin, range, count)?;
        let layout = Layout::of(origin, &shape, loading.wanted)?;
        let labels = self.with(Part::Labels, &mut |array| {
            check_labels(&array, count)?;
            array.labels(&rows)
        })?;
        loading.check_labels(origin, &labels)?;
        loading.check_cancelled()?;
        let mut pixels = self.with(Part::Images, &mut |array| array.pixels(&rows))?;
        loading.check_cancelled()?;
        pixels.rearrange(&layout);
        Dataset::part(origin, layout.shape, pixels, labels, rows.start)
            .map(|data| data.named(name).with_notes(layout.note))
    }

    /// Hands one of the arrays to `use_array`.
    fn with<T>(&self, part: Part, use_array: &mut dyn FnMut(Array<'_>) -> Result<T>) -> Result<T> {
        match (self, part) {
            (Self::Archive(path), Part::Images) => with_member(path, "x", use_array),
            (Self::Archive(path), Part::Labels) => with_member(path, "y", use_array),
            (Self::Pair { images: path, .. }, Part::Images)
            | (Self::Pair { labels: path, .. }, Part::Labels) => use_array(open(path)?),
        }
    }
}

/// Number and shape of the images in an array.
fn images_of(array: &Array<'_>) -> Result<(usize, Vec<usize>)> {
    match array.shape() {
        [] | [_] => Err(Error::data(
            array.origin(),
            format!("images of shape {:?}; expected N × the shape of an image", array.shape()),
        )),
        shape if shape.contains(&0) => {
            Err(Error::data(array.origin(), format!("there are no images: the shape is {shape:?}")))
        }
        [count, shape @ ..] => Ok((*count, shape.to_vec())),
    }
}

fn check_labels(array: &Array<'_>, images: usize) -> Result<()> {
    let problem = match array.shape() {
        [count] | [count, 1] if *count == images => return Ok(()),
        [count] | [count, 1] => format!("{count} labels for {images} images; expected one for each"),
        shape => {
            format!("labels of shape {shape:?}; expected one whole number for each of the {images} images")
        }
    };
    Err(Error::data(array.origin(), problem))
}

/// A regular file and its length.
fn regular(path: &Path) -> Result<(File, u64)> {
    let about = std::fs::metadata(path).map_err(Error::io("read", path))?;
    if !about.is_file() {
        return Err(Error::data(path.display().to_string(), "not a regular file; expected an array"));
    }
    Ok((File::open(path).map_err(Error::io("read", path))?, about.len()))
}

/// The first bytes of a file.
fn first_bytes(file: &mut File, path: &Path) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let read = file.take(8).read_to_end(&mut bytes).and_then(|_| file.rewind());
    read.map_err(Error::io("read", path))?;
    Ok(bytes)
}

/// Opens the array in an NPY or IDX file.
fn open(path: &Path) -> Result<Array<'static>> {
    let (mut file, length) = regular(path)?;
    let origin = path.display().to_string();
    let start = first_bytes(&mut file, path)?;
    if start.is_empty() {
        return Err(Error::data(origin, "the file is empty"));
    }
    let refuse = |problem: String| Error::data(&origin, problem);
    let mut data = BufReader::new(file);
    if start.starts_with(npy::MAGIC) {
        let (header, before) = npy::header(&mut data).map_err(refuse)?;
        let available = Available::Exactly(length.saturating_sub(before));
        return Array::new(origin, header, Box::new(data), available);
    }
    if start.starts_with(&[0x1f, 0x8b]) {
        let mut data = MultiGzDecoder::new(data);
        let (shape, _) = idx_header(&mut data).map_err(refuse)?;
        let available = Available::AtMost(length.saturating_mul(DEFLATE_FACTOR).saturating_add(SLACK));
        return Array::new(origin, Header { shape, element: Element::Byte }, Box::new(data), available);
    }
    if start.starts_with(&[0, 0]) {
        let (shape, before) = idx_header(&mut data).map_err(refuse)?;
        let available = Available::Exactly(length.saturating_sub(before));
        return Array::new(origin, Header { shape, element: Element::Byte }, Box::new(data), available);
    }
    let found = String::from_utf8_lossy(&start).escape_debug().to_string();
    Err(refuse(format!("neither a NumPy array (.npy) nor an IDX file; it starts with '{found}'")))
}

/// Opens the array called `name` in an NPZ file.
fn with_member<T>(path: &Path, name: &str, use_array: &mut dyn FnMut(Array<'_>) -> Result<T>) -> Result<T> {
    let (mut file, length) = regular(path)?;
    let whole = path.display().to_string();
    let start = first_bytes(&mut file, path)?;
    if !start.starts_with(b"PK") {
        return Err(Error::data(whole, not_an_archive(&start)));
    }
    let damaged = |error: &dyn std::fmt::Display| Error::data(&whole, format!("damaged NPZ file: {error}"));
    let mut archive = ZipArchive::new(BufReader::new(file)).map_err(|error| damaged(&error))?;
    let member = format!("{name}.npy");
    if archive.index_for_name(&member).is_none() {
        return Err(Error::data(&whole, missing_member(&archive, name)));
    }
    let mut data = archive.by_name(&member).map_err(|error| damaged(&error))?;
    let (size, compressed) = (data.size(), data.compressed_size());
    if compressed > length || size > compressed.saturating_mul(DEFLATE_FACTOR).saturating_add(SLACK) {
        let problem = format!(
            "array '{name}' claims {size} bytes in {compressed} compressed ones of a file of {length}; no such array exists"
        );
        return Err(Error::data(whole, problem));
    }
    let origin = format!("{whole}, array '{name}'");
    let (header, before) = npy::header(&mut data).map_err(|problem| Error::data(&origin, problem))?;
    use_array(Array::new(origin, header, Box::new(data), Available::Exactly(size.saturating_sub(before)))?)
}

fn not_an_archive(start: &[u8]) -> String {
    let what = if start.is_empty() {
        "the file is empty".to_owned()
    } else if start.starts_with(npy::MAGIC) {
        "a NumPy array without labels; give images and labels as images.npy,labels.npy".to_owned()
    } else if start.starts_with(&[0, 0, 8]) || start.starts_with(&[0x1f, 0x8b]) {
        "one IDX file; give images and labels as images-idx3-ubyte,labels-idx1-ubyte".to_owned()
    } else {
        format!("not an NPZ file; it starts with '{}'", String::from_utf8_lossy(start).escape_debug())
    };
    format!("{what} (expected an .npz with the arrays x and y)")
}

fn missing_member<R: Read + Seek>(archive: &ZipArchive<R>, name: &str) -> String {
    let mut found: Vec<String> =
        archive.file_names().flatten().map(|name| name.trim_end_matches(".npy").to_owned()).collect();
    found.sort_unstable();
    found.truncate(10);
    let found = if found.is_empty() { "none".to_owned() } else { found.join(", ") };
    format!("there is no array '{name}'; expected images as x and labels as y, found {found}")
}
