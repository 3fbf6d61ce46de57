use std::io::{BufWriter, Write};
use std::path::Path;

use npyz::WriterBuilder;

use super::directory::StagedFile;
use crate::error::{Error, Result};

/// Writes a `NumPy` array of f32 row by row; nothing is visible until it is finished.
pub struct NpyWriter {
    file: BufWriter<StagedFile>,
    rows_due: usize,
    row_len: usize,
    done: usize,
}

impl NpyWriter {
    /// An array of `rows` rows of `row_shape` at `path`.
    pub fn create(path: &Path, rows: usize, row_shape: &[usize]) -> Result<Self> {
        let file = BufWriter::new(StagedFile::create(path)?);
        let shape: Vec<u64> =
            std::iter::once(rows).chain(row_shape.iter().copied()).map(|d| d as u64).collect();
        let file = npyz::WriteOptions::<f32>::new()
            .default_dtype()
            .shape(&shape)
            .writer(file)
            .write_header_only()
            .map_err(Error::io("write", path))?;
        Ok(Self { file, rows_due: rows, row_len: row_shape.iter().product(), done: 0 })
    }

    /// Appends one row.
    pub fn push(&mut self, row: &[f32]) -> Result<()> {
        debug_assert_eq!(row.len(), self.row_len);
        self.done += 1;
        let path = self.file.get_ref().path().to_owned();
        let mut write = || row.iter().try_for_each(|value| self.file.write_all(&value.to_le_bytes()));
        write().map_err(Error::io("write", &path))
    }

    /// Makes the file appear, once all rows are there.
    pub fn finish(self) -> Result<()> {
        debug_assert_eq!(self.done, self.rows_due);
        let path = self.file.get_ref().path().to_owned();
        let staged = self.file.into_inner().map_err(|error| Error::io("write", &path)(error.into_error()))?;
        staged.finish()
    }
}

/// Writes `values` as a `NumPy` array of `shape`.
pub fn write_npy(path: &Path, shape: &[usize], values: &[f32]) -> Result<()> {
    let (rows, row_shape) = shape.split_first().map_or((1, &[][..]), |(rows, rest)| (*rows, rest));
    let mut writer = NpyWriter::create(path, rows, row_shape)?;
    for row in values.chunks(row_shape.iter().product::<usize>().max(1)) {
        writer.push(row)?;
    }
    writer.finish()
}
