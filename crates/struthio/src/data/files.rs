//! Files of arrays: one NPZ, or a pair of NPY or IDX files, told apart by their first bytes.

use std::fs::File;
use std::io::{BufReader, Read, Seek};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use flate2::read::MultiGzDecoder;

use super::array::{Array, Available, Header, Place};
use super::array_names::choose;
use super::cifar;
use super::dataset::Dataset;
use super::element::{Element, Finish};
use super::hub;
use super::idx::idx_header;
use super::intake::{Again, Intake};
use super::labels;
use super::layout::Layout;
use super::loading::Loading;
use super::npy;
use super::npz::{Archive, DEFLATE_FACTOR, SLACK};
use super::part::Part;
use super::rows::{self, RowFile};
use super::store::ImageSource;
use crate::element_count;
use crate::error::{Error, Result};

/// Most values that an image may have.
const MOST_VALUES: usize = 1 << 24;

/// Where images and labels are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Files {
    /// An NPZ file, or another one of images and labels.
    One(PathBuf),
    /// Two files of one array each.
    Pair { images: PathBuf, labels: PathBuf },
}

impl Files {
    /// Loads a part of the images, or all; messages call the data `origin`, the run `name`.
    pub fn load(
        &self,
        origin: &str,
        name: String,
        part: Option<Part>,
        loading: &Loading<'_>,
    ) -> Result<Dataset> {
        let data = match self {
            Self::One(path) => load_one(path, origin, part, loading),
            Self::Pair { images, labels } => {
                loading.refuse_names(origin)?;
                load(origin, part, loading, &mut |which, use_array| {
                    use_array(open(if which == Which::Images { images } else { labels })?)
                })
            }
        };
        data.map(|data| data.named(name))
    }
}

/// Loads what is in a single file.
fn load_one(path: &Path, origin: &str, part: Option<Part>, loading: &Loading<'_>) -> Result<Dataset> {
    let (mut file, length) = regular(path)?;
    let start = first_bytes(&mut file, path)?;
    if start.starts_with(hub::MAGIC) {
        return hub::Shards::open(&[path.to_owned()], loading.arrays, None)?.load(origin, part, loading);
    }
    if !start.starts_with(b"PK") {
        loading.refuse_names(origin)?;
        if let Some(set) = cifar::of_file(path, &start, length) {
            return set.and_then(|set| set.load(origin, part, loading));
        }
        return Err(Error::data(path.display().to_string(), not_an_archive(&start)));
    }
    let mut archive = Archive::new(path, file, length)?;
    let chosen = choose(&archive.names(), loading.arrays, loading.split);
    let chosen = chosen.map_err(|problem| Error::data(path.display().to_string(), problem))?;
    let data = load(origin, part, loading, &mut |which, use_array| {
        archive.with(if which == Which::Images { &chosen.images } else { &chosen.labels }, use_array)
    })?;
    Ok(data.with_notes(chosen.note))
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Which {
    Images,
    Labels,
}

/// Takes an array.
type UseArray<'a> = &'a mut dyn FnMut(Array<'_>) -> Result<()>;

/// Loads a part of the images in arrays, each of which `with` hands over when it is asked for.
fn load(
    origin: &str,
    part: Option<Part>,
    loading: &Loading<'_>,
    with: &mut dyn FnMut(Which, UseArray<'_>) -> Result<()>,
) -> Result<Dataset> {
    let (mut shape, mut element) = (Vec::new(), Element::Byte);
    with(Which::Images, &mut |array| {
        (shape, element) = (images_of(&array)?, array.element());
        Ok(())
    })?;
    let (count, shape) = (shape[0], &shape[1..]);
    let rows = Part::of(part, origin, count)?;
    let finish = Finish { layout: Layout::of(origin, shape, loading.wanted)?, inverted: loading.inverted };
    let (mut numbers, mut note) = (Vec::new(), None);
    with(Which::Labels, &mut |array| {
        (numbers, note) = labels::read(array, count, &rows)?;
        Ok(())
    })?;
    loading.check_labels(origin, &numbers)?;
    let mut data = None;
    with(Which::Images, &mut |mut array| {
        let source = source(&mut array, rows.start, count, &finish)?;
        let again = if source.is_some() { Again::Row } else { Again::Never };
        let mut intake = Intake::new(origin, rows.clone(), element.pixel_bytes(), &finish, again, loading)?;
        let whole = array.origin().to_owned();
        array.each_row(&rows, &mut |bytes| {
            let pixels = element.pixels(bytes);
            let at = intake.next();
            intake.add(pixels.map_err(|problem| Error::data(&whole, format!("image {at} {problem}")))?)
        })?;
        data = Some(intake.finish(std::mem::take(&mut numbers), source)?);
        Ok(())
    })?;
    let data = data.ok_or_else(|| Error::data(origin, "there are no images"))?;
    let levels = matches!(element, Element::Integer { .. })
        .then(|| format!("images of type {} are divided by 255, as uint8 is", element.name()));
    Ok(data.with_notes(note).with_notes(levels))
}

/// Where the images of an array are read from the number `first` on, if they can be read in any order.
fn source(
    array: &mut Array<'_>,
    first: usize,
    count: usize,
    finish: &Finish,
) -> Result<Option<Arc<dyn ImageSource>>> {
    let Some((file, start)): Option<Place> = array.take_place() else { return Ok(None) };
    let (element, len) = (array.element(), array.shape()[1..].iter().product::<usize>());
    let stride = (len * element.bytes()) as u64;
    let part = rows::Part::new(file, array.origin(), start + first as u64 * stride, count - first, first)?;
    Ok(Some(Arc::new(RowFile::new(vec![part], element, len, stride, finish.clone()))))
}

/// The shape of an array of images.
fn images_of(array: &Array<'_>) -> Result<Vec<usize>> {
    match array.shape() {
        [] | [_] => Err(Error::data(
            array.origin(),
            format!("images of shape {:?}; expected N × the shape of an image", array.shape()),
        )),
        shape if shape.contains(&0) => {
            Err(Error::data(array.origin(), format!("there are no images: the shape is {shape:?}")))
        }
        shape if element_count(&shape[1..]).is_none_or(|values| values > MOST_VALUES) => Err(Error::data(
            array.origin(),
            format!("images of shape {:?}; more than {MOST_VALUES} values are not taken", &shape[1..]),
        )),
        shape => Ok(shape.to_vec()),
    }
}

/// A regular file and its length.
pub(super) fn regular(path: &Path) -> Result<(File, u64)> {
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
    let again = file.try_clone().map_err(Error::io("read", path))?;
    let mut data = BufReader::with_capacity(1 << 16, file);
    if start.starts_with(npy::MAGIC) {
        let (header, before) = npy::header(&mut data).map_err(refuse)?;
        let available = Available::Exactly(length.saturating_sub(before));
        return Ok(Array::new(origin, header, Box::new(data), available)?.at(Some((again, before))));
    }
    let of_bytes = |shape| Header { shape, element: Element::Byte, fortran: false };
    if start.starts_with(&[0x1f, 0x8b]) {
        let mut data = MultiGzDecoder::new(data);
        let (shape, _) = idx_header(&mut data).map_err(refuse)?;
        let most = length.saturating_mul(DEFLATE_FACTOR).saturating_add(SLACK);
        return Array::new(origin, of_bytes(shape), Box::new(data), Available::AtMost(most));
    }
    if start.starts_with(&[0, 0]) {
        let (shape, before) = idx_header(&mut data).map_err(refuse)?;
        let available = Available::Exactly(length.saturating_sub(before));
        return Ok(Array::new(origin, of_bytes(shape), Box::new(data), available)?.at(Some((again, before))));
    }
    if cifar::is_pickle(&start) {
        return Err(refuse(cifar::PICKLE.to_owned()));
    }
    let found = String::from_utf8_lossy(&start).escape_debug().to_string();
    Err(refuse(format!("neither a NumPy array (.npy) nor an IDX file; it starts with '{found}'")))
}

fn not_an_archive(start: &[u8]) -> String {
    let what = if start.is_empty() {
        "the file is empty".to_owned()
    } else if start.starts_with(npy::MAGIC) {
        "a NumPy array without labels; give images and labels as images.npy,labels.npy".to_owned()
    } else if start.starts_with(&[0, 0, 8]) || start.starts_with(&[0x1f, 0x8b]) {
        "one IDX file; give images and labels as images-idx3-ubyte,labels-idx1-ubyte".to_owned()
    } else if cifar::is_pickle(start) {
        cifar::PICKLE.to_owned()
    } else {
        format!("not an NPZ file; it starts with '{}'", String::from_utf8_lossy(start).escape_debug())
    };
    format!("{what} (expected an .npz with images and labels, such as the arrays x and y)")
}
