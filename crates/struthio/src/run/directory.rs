use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

use serde::Serialize;
use tempfile::NamedTempFile;

use super::atomic::{self, write_atomically};
use crate::error::{Error, Result};

/// A folder that one command fills.
#[derive(Debug)]
pub struct RunDirectory {
    path: PathBuf,
    /// Keeps others out while the command runs: to them, the folder is not empty.
    _lock: NamedTempFile,
}

impl RunDirectory {
    /// Takes `path` for a run: made if it does not exist, refused if something is in it.
    pub fn create(path: &Path) -> Result<Self> {
        std::fs::create_dir_all(path).map_err(Error::io("create the folder", path))?;
        let mut entries = std::fs::read_dir(path).map_err(Error::io("read", path))?;
        if entries.next().is_some() {
            return Err(Error::Request(format!(
                "the folder {} is not empty; choose another with --out, or empty it first",
                path.display()
            )));
        }
        // Fails now rather than after the work if the folder cannot be written to, and, since the
        // name is always the same, if another command has just taken it.
        let lock = tempfile::Builder::new().prefix(".struthio-running").rand_bytes(0).tempfile_in(path);
        Ok(Self { path: path.to_owned(), _lock: lock.map_err(Error::io("write to", path))? })
    }

    /// The first of `runs/<stem>-1`, `runs/<stem>-2`, … that is free.
    pub fn create_numbered(stem: &str) -> Result<Self> {
        let runs = Path::new("runs");
        std::fs::create_dir_all(runs).map_err(Error::io("create the folder", runs))?;
        for number in 1..10_000 {
            let path = runs.join(format!("{stem}-{number}"));
            // Making the folder is what takes the number: another command may be doing the same.
            match std::fs::create_dir(&path) {
                Ok(()) => return Self::create(&path),
                Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(Error::io("create the folder", &path)(error)),
            }
        }
        Err(Error::Request(format!(
            "runs/{stem}-1 to runs/{stem}-9999 all exist; choose a folder with --out"
        )))
    }

    /// The folder.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A folder inside it.
    pub fn folder(&self, name: &str) -> Result<PathBuf> {
        let path = self.path.join(name);
        std::fs::create_dir_all(&path).map_err(Error::io("create the folder", &path))?;
        Ok(path)
    }

    /// Writes a file of JSON.
    pub fn write_json(&self, name: &str, value: &impl Serialize) -> Result<()> {
        let path = self.path.join(name);
        let mut bytes = serde_json::to_vec_pretty(value)
            .map_err(|error| Error::io("write", &path)(std::io::Error::other(error)))?;
        bytes.push(b'\n');
        write_atomically(&path, &bytes)
    }

    /// Writes a file.
    pub fn write(&self, name: &str, bytes: &[u8]) -> Result<()> {
        write_atomically(&self.path.join(name), bytes)
    }
}

/// A file that gets its name only when it is complete; dropped before that, it is removed.
#[derive(Debug)]
pub struct StagedFile {
    temporary: NamedTempFile,
    path: PathBuf,
}

impl StagedFile {
    /// To become `path`, in whose folder it is staged.
    pub fn create(path: &Path) -> Result<Self> {
        // Renaming would replace a device, and a link rather than what it leads to.
        let path = &match std::fs::metadata(path) {
            Ok(kind) if !kind.is_file() => {
                return Err(Error::Request(format!(
                    "cannot write {}: it is not a regular file",
                    path.display()
                )));
            }
            Ok(_) => path.canonicalize().map_err(Error::io("write", path))?,
            Err(_) => path.to_owned(),
        };
        let temporary = atomic::temporary_beside(path).map_err(Error::io("write", path))?;
        Ok(Self { temporary, path: path.to_owned() })
    }

    /// What it will be called.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Gives the file its name.
    pub fn finish(self) -> Result<()> {
        atomic::persist(self.temporary, &self.path).map_err(Error::io("write", &self.path))
    }

    fn file(&mut self) -> &mut File {
        self.temporary.as_file_mut()
    }
}

impl Write for StagedFile {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.file().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.file().flush()
    }
}
