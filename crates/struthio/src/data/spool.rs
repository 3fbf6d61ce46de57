//! Pixels in a file without a name: what cannot be read in any order where it is.

use std::fs::File;
use std::io::{BufWriter, Write};

use super::rows::RowFile;
use super::store::Pixels;
use crate::error::{Error, Result};

/// Images that are written one after the other, to be read in any order. The file goes when nobody needs it.
pub(super) struct Spool {
    file: BufWriter<File>,
    origin: String,
    /// Bytes in the end.
    total: u64,
}

impl Spool {
    /// For the images of `origin`, which will take `total` bytes.
    pub fn new(origin: &str, total: u64) -> Result<Self> {
        let file = BufWriter::with_capacity(1 << 17, scratch_file(origin, total)?);
        Ok(Self { file, origin: origin.to_owned(), total })
    }

    /// Appends an image.
    pub fn push(&mut self, pixels: &Pixels) -> Result<()> {
        let written = match pixels {
            Pixels::Bytes(values) => self.file.write_all(values),
            Pixels::Floats(values) => {
                values.iter().try_for_each(|value| self.file.write_all(&value.to_le_bytes()))
            }
        };
        written.map_err(|error| no_room(&self.origin, self.total, &error))
    }

    /// The images, each of `len` values, which are floats or bytes.
    pub fn finish(self, len: usize, floats: bool) -> Result<RowFile> {
        let Self { file, origin, total } = self;
        let file = file.into_inner().map_err(|error| no_room(&origin, total, error.error()))?;
        Ok(RowFile::spooled(file, &origin, len, floats))
    }
}

/// A file without a name in the folder for temporary files, for `total` bytes of `origin`.
pub(super) fn scratch_file(origin: &str, total: u64) -> Result<File> {
    tempfile::tempfile().map_err(|error| no_room(origin, total, &error))
}

pub(super) fn no_room(origin: &str, total: u64, error: &std::io::Error) -> Error {
    let folder = std::env::temp_dir();
    Error::data(
        origin,
        format!(
            "its images need {} MB of temporary space, but {} cannot be written to: {error}; name another folder by the \
             environment variable TMPDIR, or take a range",
            total.div_ceil(1_000_000),
            folder.display()
        ),
    )
}
