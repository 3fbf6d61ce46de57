use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};

/// Rows read at once where their number does not matter.
const CHUNK: usize = 256;

/// Rows of f32 on disk, written in order and read again and again: what a layer gives for every image takes no
/// memory. The file has no name and goes when this does.
pub(super) struct Spool {
    file: File,
    folder: PathBuf,
    width: usize,
    rows: usize,
}

impl Spool {
    /// An empty spool of rows of `width` values in `folder`.
    pub fn new(folder: &Path, width: usize) -> Result<Self> {
        let file = tempfile::tempfile_in(folder).map_err(Error::io("write to", folder))?;
        Ok(Self { file, folder: folder.to_owned(), width, rows: 0 })
    }

    pub fn width(&self) -> usize {
        self.width
    }

    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Appends whole rows.
    pub fn append(&mut self, values: &[f32]) -> Result<()> {
        let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        self.file.write_all(&bytes).map_err(Error::io("write to", &self.folder))?;
        self.rows += values.len() / self.width.max(1);
        Ok(())
    }

    /// Some rows by their numbers.
    pub fn select(&mut self, rows: impl IntoIterator<Item = usize>) -> Result<BTreeMap<usize, Vec<f32>>> {
        let numbers: BTreeSet<usize> = rows.into_iter().collect();
        let mut bytes = vec![0; self.width * size_of::<f32>()];
        let mut selected = BTreeMap::new();
        for row in numbers {
            let place = SeekFrom::Start(row as u64 * bytes.len() as u64);
            let read = self.file.seek(place).and_then(|_| self.file.read_exact(&mut bytes));
            read.map_err(Error::io("read from", &self.folder))?;
            selected.insert(row, floats(&bytes).collect());
        }
        Ok(selected)
    }

    /// From the smallest to the largest value of every column.
    pub fn ranges(&mut self) -> Result<Vec<Range<f32>>> {
        let width = self.width;
        let mut ranges = vec![f32::INFINITY..f32::NEG_INFINITY; width];
        self.for_each(CHUNK, |_, values| {
            for row in values.chunks_exact(width) {
                for (range, &x) in ranges.iter_mut().zip(row) {
                    *range = range.start.min(x)..range.end.max(x);
                }
            }
        })?;
        Ok(ranges)
    }

    /// A spool of some of the columns, in this order.
    pub fn narrowed(mut self, columns: &[usize]) -> Result<Self> {
        if columns.iter().copied().eq(0..self.width) {
            return Ok(self);
        }
        let (width, mut narrow) = (self.width, Self::new(&self.folder, columns.len())?);
        let mut appended = Ok(());
        self.for_each(CHUNK, |_, values| {
            let rows = values.chunks_exact(width).flat_map(|row| columns.iter().map(|&column| row[column]));
            if appended.is_ok() {
                appended = narrow.append(&rows.collect::<Vec<_>>());
            }
        })?;
        appended?;
        narrow.rows = self.rows; // also where no column is left
        Ok(narrow)
    }

    /// Reads everything, `chunk` rows at a time: `visit` gets the number of the first row and the rows.
    pub fn for_each(&mut self, chunk: usize, mut visit: impl FnMut(usize, &[f32])) -> Result<()> {
        self.file.seek(SeekFrom::Start(0)).map_err(Error::io("read from", &self.folder))?;
        let mut bytes = vec![0; chunk * self.width * size_of::<f32>()];
        let mut values = vec![0.0; chunk * self.width];
        for first in (0..self.rows).step_by(chunk.max(1)) {
            let count = (self.rows - first).min(chunk) * self.width;
            let bytes = &mut bytes[..count * size_of::<f32>()];
            self.file.read_exact(bytes).map_err(Error::io("read from", &self.folder))?;
            values.iter_mut().zip(floats(bytes)).for_each(|(value, read)| *value = read);
            visit(first, &values[..count]);
        }
        Ok(())
    }
}

fn floats(bytes: &[u8]) -> impl Iterator<Item = f32> {
    bytes.as_chunks().0.iter().map(|&bytes| f32::from_le_bytes(bytes))
}
