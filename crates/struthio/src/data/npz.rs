//! Arrays in NPZ files, which are ZIP archives of NPY files.

use std::fs::File;
use std::io::BufReader;
use std::path::Path;

use zip::{CompressionMethod, ZipArchive};

use super::array::{Array, Available};
use super::npy;
use crate::error::{Error, Result};

/// Deflate makes nothing smaller than by this factor.
pub(super) const DEFLATE_FACTOR: u64 = 1032;
/// What a compressed file may have besides, in bytes.
pub(super) const SLACK: u64 = 1024;

/// An NPZ file.
pub(super) struct Archive {
    zip: ZipArchive<BufReader<File>>,
    /// The same file.
    file: File,
    origin: String,
    /// Bytes of the whole file.
    length: u64,
}

impl Archive {
    /// The archive in `file`, which is at `path` and has `length` bytes.
    pub fn new(path: &Path, file: File, length: u64) -> Result<Self> {
        let origin = path.display().to_string();
        let reader = file.try_clone().map_err(Error::io("read", path))?;
        let zip = ZipArchive::new(BufReader::with_capacity(1 << 16, reader));
        let zip = zip.map_err(|error| damaged(&origin, &error))?;
        Ok(Self { zip, file, origin, length })
    }

    /// What its arrays are called.
    pub fn names(&self) -> Vec<String> {
        let files = self.zip.file_names().flatten();
        files.filter_map(|name| name.strip_suffix(".npy").map(str::to_owned)).collect()
    }

    /// Hands the array called `name` to `use_array`.
    pub fn with<T>(&mut self, name: &str, use_array: &mut dyn FnMut(Array<'_>) -> Result<T>) -> Result<T> {
        let whole = self.origin.clone();
        let file = self.file.try_clone().map_err(Error::io("read", Path::new(&whole)))?;
        let member = format!("{name}.npy");
        let mut data = self.zip.by_name(&member).map_err(|error| damaged(&whole, &error))?;
        let (size, compressed) = (data.size(), data.compressed_size());
        if compressed > self.length || size > compressed.saturating_mul(DEFLATE_FACTOR).saturating_add(SLACK)
        {
            let problem = format!(
                "array '{name}' claims {size} bytes in {compressed} compressed ones of a file of {}; no such array exists",
                self.length
            );
            return Err(Error::data(whole, problem));
        }
        let stored = data.compression() == CompressionMethod::Stored && !data.encrypted();
        let start = data.data_start().filter(|_| stored);
        let origin = format!("{whole}, array '{name}'");
        let (header, before) = npy::header(&mut data).map_err(|problem| Error::data(&origin, problem))?;
        let available = Available::Exactly(size.saturating_sub(before));
        let array = Array::new(origin, header, Box::new(data), available)?;
        use_array(array.at(start.map(|start| (file, start + before))))
    }
}

fn damaged(origin: &str, error: &dyn std::fmt::Display) -> Error {
    Error::data(origin, format!("damaged NPZ file: {error}"))
}
