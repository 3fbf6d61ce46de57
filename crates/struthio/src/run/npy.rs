use std::fs::File;
use std::io::{BufWriter, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use npyz::WriterBuilder;

use super::checksum::checksum;
use super::staged::StagedFile;
use crate::error::{Error, Result};

/// Writes a `NumPy` array of f32 row by row; nothing is visible until it is finished.
pub struct NpyWriter {
    file: BufWriter<StagedFile>,
    rows_due: usize,
    row_len: usize,
    done: usize,
}

impl NpyWriter {
    /// An array of `rows` rows of `row_shape` in `file`.
    pub fn create(file: StagedFile, rows: usize, row_shape: &[usize]) -> Result<Self> {
        let mut file = BufWriter::new(file);
        let header = header(rows, row_shape);
        header
            .and_then(|header| file.write_all(&header))
            .map_err(|error| Error::io("write", file.get_ref().path())(error))?;
        Ok(Self { file, rows_due: rows, row_len: row_shape.iter().product(), done: 0 })
    }

    /// Appends one row.
    pub fn push(&mut self, row: &[f32]) -> Result<()> {
        debug_assert_eq!(row.len(), self.row_len);
        self.done += 1;
        let mut write = || row.iter().try_for_each(|value| self.file.write_all(&value.to_le_bytes()));
        write().map_err(|error| Error::io("write", self.file.get_ref().path())(error))
    }

    /// Makes the file appear, once all rows are there.
    pub fn finish(self) -> Result<()> {
        debug_assert_eq!(self.done, self.rows_due);
        let path = self.file.get_ref().path().to_owned();
        let staged = self.file.into_inner().map_err(|error| Error::io("write", &path)(error.into_error()))?;
        staged.finish()
    }
}

/// A `NumPy` array of f32 that grows row by row, over several processes if need be.
pub(super) struct GrowingNpy {
    path: PathBuf,
    file: File,
    header_len: u64,
    row_bytes: Vec<u8>,
}

impl GrowingNpy {
    /// Opens or makes the file at `path`, which will have `rows` rows of `row_shape`.
    pub fn open(path: &Path, rows: usize, row_shape: &[usize]) -> Result<Self> {
        let open = || -> std::io::Result<(File, u64)> {
            let mut file = File::options().create(true).truncate(false).read(true).write(true).open(path)?;
            let header = header(rows, row_shape)?;
            let mut found = vec![0; header.len()];
            if file.read_exact(&mut found).is_err() || found != header {
                file.set_len(0)?;
                file.rewind()?;
                file.write_all(&header)?;
            }
            Ok((file, header.len() as u64))
        };
        let (file, header_len) = open().map_err(Error::io("write", path))?;
        let row_bytes = vec![0; size_of::<f32>() * row_shape.iter().product::<usize>()];
        Ok(Self { path: path.to_owned(), file, header_len, row_bytes })
    }

    /// Writes row `i`; returns its checksum.
    pub fn write(&mut self, i: usize, row: &[f32]) -> Result<u32> {
        for (bytes, value) in self.row_bytes.chunks_exact_mut(size_of::<f32>()).zip(row) {
            bytes.copy_from_slice(&value.to_le_bytes());
        }
        let written = self.seek(i).and_then(|()| self.file.write_all(&self.row_bytes));
        written.map_err(Error::io("write", &self.path))?;
        Ok(checksum(&self.row_bytes))
    }

    /// Rows that are there.
    pub fn rows(&self) -> usize {
        let len = self.file.metadata().map_or(0, |metadata| metadata.len());
        (len.saturating_sub(self.header_len) / (self.row_bytes.len() as u64).max(1)) as usize
    }

    /// Whether row `i` is there and has this checksum.
    pub fn has(&mut self, i: usize, expected: u32) -> bool {
        self.load(i).is_ok() && checksum(&self.row_bytes) == expected
    }

    /// Row `i`.
    pub fn read(&mut self, i: usize) -> Result<Vec<f32>> {
        self.load(i).map_err(Error::io("read", &self.path))?;
        let values = self.row_bytes.as_chunks::<4>().0.iter();
        Ok(values.map(|bytes| f32::from_le_bytes(*bytes)).collect())
    }

    /// Drops everything after the first `rows` rows.
    pub fn truncate(&self, rows: usize) -> Result<()> {
        self.file.set_len(self.offset(rows)).map_err(Error::io("write", &self.path))
    }

    /// Makes what was written survive a power failure.
    pub fn sync(&self) -> Result<()> {
        self.file.sync_data().map_err(Error::io("write", &self.path))
    }

    /// Moves the complete file to `place`.
    pub fn finish(self, place: &Path) -> Result<()> {
        self.sync()?;
        std::fs::rename(&self.path, place).map_err(Error::io("write", place))
    }

    fn load(&mut self, i: usize) -> std::io::Result<()> {
        self.seek(i)?;
        self.file.read_exact(&mut self.row_bytes)
    }

    fn seek(&mut self, i: usize) -> std::io::Result<()> {
        self.file.seek(SeekFrom::Start(self.offset(i))).map(|_| ())
    }

    fn offset(&self, i: usize) -> u64 {
        self.header_len + i as u64 * self.row_bytes.len() as u64
    }
}

/// The images of a finished recording, read one at a time, from any thread.
#[derive(Debug)]
pub struct AdversarialImages {
    path: PathBuf,
    file: Mutex<File>,
    header_len: u64,
    row_len: usize,
}

impl AdversarialImages {
    /// Opens the `adversarial.npy` at `path`, which has `rows` rows of `row_shape`.
    ///
    /// # Errors
    ///
    /// If it cannot be read, or is not such a file.
    pub fn open(path: &Path, rows: usize, row_shape: &[usize]) -> Result<Self> {
        let row_len = row_shape.iter().product::<usize>();
        let open = || -> std::io::Result<(File, u64)> {
            let (mut file, header) = (File::open(path)?, header(rows, row_shape)?);
            let mut found = vec![0; header.len()];
            file.read_exact(&mut found)?;
            let len = header.len() as u64 + (rows * row_len * size_of::<f32>()) as u64;
            if found != header || file.metadata()?.len() != len {
                let what = format!("it is not an array of {rows} images of shape {row_shape:?}");
                return Err(std::io::Error::new(std::io::ErrorKind::InvalidData, what));
            }
            Ok((file, header.len() as u64))
        };
        let (file, header_len) = open().map_err(Error::io("read", path))?;
        Ok(Self { path: path.to_owned(), file: Mutex::new(file), header_len, row_len })
    }

    /// Writes the image of `row` to `out`.
    pub fn read(&self, row: usize, out: &mut [f32]) -> Result<()> {
        let mut bytes = vec![0; self.row_len * size_of::<f32>()];
        let offset = self.header_len + (row * bytes.len()) as u64;
        let mut file = self.file.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let read = file.seek(SeekFrom::Start(offset)).and_then(|_| file.read_exact(&mut bytes));
        read.map_err(Error::io("read", &self.path))?;
        for (value, bytes) in out.iter_mut().zip(bytes.as_chunks::<4>().0) {
            *value = f32::from_le_bytes(*bytes);
        }
        Ok(())
    }
}

fn header(rows: usize, row_shape: &[usize]) -> std::io::Result<Vec<u8>> {
    let shape: Vec<u64> = std::iter::once(rows).chain(row_shape.iter().copied()).map(|d| d as u64).collect();
    let options = npyz::WriteOptions::<f32>::new().default_dtype().shape(&shape);
    options.writer(Vec::new()).write_header_only()
}
