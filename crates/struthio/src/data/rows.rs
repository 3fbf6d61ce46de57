//! Images in files of rows of one length, read where they are.

use std::fs::{File, Metadata};
use std::io;
use std::time::SystemTime;

use super::element::{Element, Finish};
use super::store::{ImageSource, Pixels};
use crate::error::{Error, Result};

/// Rows, each the bytes of an image and perhaps something before it, in one file or several.
#[derive(Debug)]
pub(super) struct RowFile {
    files: Vec<Part>,
    /// Bytes of an image, and from one to the next.
    len: usize,
    stride: u64,
    element: Element,
    /// Nothing if the values are as they should be.
    finish: Option<Finish>,
}

/// Rows in one file.
#[derive(Debug)]
pub(super) struct Part {
    file: File,
    /// As messages call it.
    origin: String,
    /// Where the first of the rows is.
    start: u64,
    rows: usize,
    /// Number of the first in the whole set.
    index: usize,
    /// How the file was when it was opened, unless nobody else can change it.
    stamp: Option<Stamp>,
}

/// By what a file is known to be the same as before.
type Stamp = (u64, Option<SystemTime>);

fn stamp(about: &Metadata) -> Stamp {
    (about.len(), about.modified().ok())
}

impl Part {
    /// `rows` rows of `file` from the offset `start` on, of which the first has the number `index` in the whole set.
    pub fn new(file: File, origin: &str, start: u64, rows: usize, index: usize) -> Result<Self> {
        let about = file.metadata();
        let about = about.map_err(|error| Error::data(origin, format!("cannot be read: {error}")))?;
        Ok(Self { file, origin: origin.to_owned(), start, rows, index, stamp: Some(stamp(&about)) })
    }
}

impl RowFile {
    /// Images of `len` values each, `stride` bytes apart.
    pub fn new(files: Vec<Part>, element: Element, len: usize, stride: u64, finish: Finish) -> Self {
        Self { files, len: len * element.bytes(), stride, element, finish: Some(finish) }
    }

    /// Images of `len` values each, finished ones, in a file without a name.
    pub fn spooled(file: File, origin: &str, len: usize, floats: bool) -> Self {
        let element = if floats { Element::KEPT } else { Element::Byte };
        let origin = format!("{origin} (its temporary copy)");
        let part = Part { file, origin, start: 0, rows: usize::MAX, index: 0, stamp: None };
        let len = len * element.bytes();
        Self { files: vec![part], len, stride: len as u64, element, finish: None }
    }

    /// The values of image `i` as they are in the file.
    pub fn raw(&self, i: usize) -> Result<Pixels> {
        let mut row = i;
        for part in &self.files {
            if row < part.rows {
                return self.read_row(part, row);
            }
            row -= part.rows;
        }
        Err(Error::Request(format!("there is no image {i} in the files of the data")))
    }

    fn read_row(&self, part: &Part, row: usize) -> Result<Pixels> {
        let error = |problem: String| {
            Error::data(&part.origin, format!("image {} cannot be read: {problem}", part.index + row))
        };
        let mut bytes = vec![0; self.len];
        let read = read_at(&part.file, &mut bytes, part.start + row as u64 * self.stride);
        let unchanged = match part.stamp {
            Some(known) => {
                stamp(&part.file.metadata().map_err(|problem| error(problem.to_string()))?) == known
            }
            None => true,
        };
        if !unchanged {
            return Err(error("the file was changed since the command began".into()));
        }
        read.map_err(|problem| error(problem.to_string()))?;
        self.element.pixels(&bytes).map_err(error)
    }
}

impl ImageSource for RowFile {
    fn read(&self, i: usize) -> Result<Pixels> {
        let mut pixels = self.raw(i)?;
        if let Some(finish) = &self.finish {
            finish.apply(&mut pixels);
        }
        Ok(pixels)
    }
}

/// Reads from an offset on, whoever else reads the file.
#[cfg(unix)]
pub(super) fn read_at(file: &File, bytes: &mut [u8], at: u64) -> io::Result<()> {
    std::os::unix::fs::FileExt::read_exact_at(file, bytes, at)
}

/// Reads from an offset on, whoever else reads the file.
#[cfg(windows)]
pub(super) fn read_at(file: &File, mut bytes: &mut [u8], mut at: u64) -> io::Result<()> {
    while !bytes.is_empty() {
        match std::os::windows::fs::FileExt::seek_read(file, bytes, at)? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            read => {
                bytes = &mut bytes[read..];
                at += read as u64;
            }
        }
    }
    Ok(())
}
