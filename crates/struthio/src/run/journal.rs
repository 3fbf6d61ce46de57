//! What an attack has found so far, image by image, on disk.

use std::fs::File;
use std::io::{BufRead, BufReader, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::checksum::checksum;
use crate::attack::Outcome;
use crate::error::{Error, Result};

/// All that is known of one image, but for the adversarial image itself.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Entry {
    /// Checksum of the image's row in `adversarial.npy`.
    pub image: u32,
    /// One outcome for each target.
    pub outcomes: Vec<Outcome>,
}

/// Entries in the order of images, one line of JSON each behind its checksum. An entry counts once
/// its whole line is there, so a process may end at any moment and lose nothing older.
pub(super) struct Journal {
    path: PathBuf,
    file: File,
}

impl Journal {
    /// Opens or makes the file at `path`.
    pub fn open(path: &Path) -> Result<Self> {
        let file = File::options().create(true).truncate(false).read(true).write(true).open(path);
        Ok(Self { path: path.to_owned(), file: file.map_err(Error::io("write", path))? })
    }

    /// Drops everything after the first entries that `is_valid` accepts, with their position;
    /// returns how many are left, and how many whole lines were dropped.
    pub fn keep_while(&mut self, mut is_valid: impl FnMut(usize, &Entry) -> bool) -> Result<(usize, usize)> {
        let (mut kept, mut len) = (0, 0);
        for (entry, bytes) in self.entries()? {
            if !is_valid(kept, &entry) {
                break;
            }
            kept += 1;
            len += bytes;
        }
        let dropped = self.lines_from(len).unwrap_or(0);
        let cut = self.file.set_len(len).and_then(|()| self.file.seek(SeekFrom::Start(len)));
        cut.map_err(Error::io("write", &self.path))?;
        Ok((kept, dropped))
    }

    /// Whole lines behind the first `len` bytes.
    fn lines_from(&mut self, len: u64) -> std::io::Result<usize> {
        self.file.seek(SeekFrom::Start(len))?;
        let (mut rest, mut line, mut lines) = (BufReader::new(&self.file), Vec::new(), 0);
        while rest.read_until(b'\n', &mut line)? > 0 {
            lines += usize::from(line.ends_with(b"\n"));
            line.clear();
        }
        Ok(lines)
    }

    /// The entries up to the first that is damaged or incomplete, with the length of their lines.
    pub fn entries(&self) -> Result<impl Iterator<Item = (Entry, u64)>> {
        let mut lines = BufReader::new(File::open(&self.path).map_err(Error::io("read", &self.path))?);
        let mut line = Vec::new();
        Ok(std::iter::from_fn(move || {
            line.clear();
            let bytes = lines.read_until(b'\n', &mut line).ok()?;
            Some((parse(&line)?, bytes as u64))
        }))
    }

    /// Appends an entry. It is safe from the end of this process, not yet from that of the machine.
    pub fn append(&mut self, entry: &Entry) -> Result<()> {
        let mut write = || -> std::io::Result<()> {
            let json = serde_json::to_string(entry)?;
            let line = format!("{:08x} {json}\n", checksum(json.as_bytes()));
            self.file.write_all(line.as_bytes())
        };
        write().map_err(Error::io("write", &self.path))
    }

    /// Makes what was written survive a power failure.
    pub fn sync(&self) -> Result<()> {
        self.file.sync_data().map_err(Error::io("write", &self.path))
    }
}

fn parse(line: &[u8]) -> Option<Entry> {
    let line = std::str::from_utf8(line.strip_suffix(b"\n")?).ok()?;
    let (expected, json) = line.split_once(' ')?;
    if u32::from_str_radix(expected, 16) != Ok(checksum(json.as_bytes())) {
        return None;
    }
    serde_json::from_str(json).ok()
}
