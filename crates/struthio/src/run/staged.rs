use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

use crate::error::{Error, Result};

/// A file that gets its name only when it is complete; dropped before that, it is removed.
#[derive(Debug)]
pub struct StagedFile {
    temporary: NamedTempFile,
    path: PathBuf,
}

impl StagedFile {
    /// To become `path`, beside which it is made under a temporary name.
    ///
    /// What a killed process left of an earlier attempt is removed.
    pub fn create(path: &Path) -> Result<Self> {
        // Renaming would replace a device, and a link rather than what it leads to.
        let path = match std::fs::metadata(path) {
            Ok(kind) if !kind.is_file() => {
                return Err(Error::Request(format!(
                    "cannot write {}: it is not a regular file",
                    path.display()
                )));
            }
            Ok(_) => path.canonicalize().map_err(Error::io("write", path))?,
            Err(_) => path.to_owned(),
        };
        if !folder_of(&path).is_dir() {
            return Err(Error::Request(format!(
                "cannot write {}: there is no folder {}; make it first",
                path.display(),
                folder_of(&path).display()
            )));
        }
        remove_abandoned(&path);
        let create = || tempfile::Builder::new().prefix(&prefix(&path)).tempfile_in(folder_of(&path));
        let temporary = loop {
            let temporary = create().map_err(|error| Error::io("write", &path)(reason(&error)))?;
            // Tells `remove_abandoned` that somebody is at work here, unless it was quicker. Where
            // there are no locks it removes nothing.
            if temporary.as_file().lock().is_err() || temporary.path().exists() {
                break temporary;
            }
        };
        Ok(Self { temporary, path })
    }

    /// To become `path`, made as `temporary`, which nobody else writes to.
    pub(super) fn create_as(temporary: &Path, path: &Path) -> Result<Self> {
        let make = || -> std::io::Result<NamedTempFile> {
            if temporary.exists() {
                std::fs::remove_file(temporary)?;
            }
            let name = temporary.file_name().unwrap_or_default();
            tempfile::Builder::new().prefix(name).rand_bytes(0).tempfile_in(folder_of(temporary))
        };
        let temporary = make().map_err(Error::io("write", temporary))?;
        Ok(Self { temporary, path: path.to_owned() })
    }

    /// What it will be called.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Gives the file its name.
    pub fn finish(self) -> Result<()> {
        let Self { temporary, path } = self;
        let persist = || -> std::io::Result<()> {
            temporary.as_file().sync_all()?;
            make_readable(temporary.path())?;
            temporary.persist(&path)?;
            Ok(())
        };
        persist().map_err(Error::io("write", &path))
    }
}

impl Write for StagedFile {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.temporary.as_file_mut().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.temporary.as_file_mut().flush()
    }
}

/// Writes `bytes` to `path`: all of them or, if anything fails, nothing.
pub(crate) fn write_atomically(path: &Path, bytes: &[u8]) -> Result<()> {
    let mut file = StagedFile::create(path)?;
    file.write_all(bytes).map_err(Error::io("write", path))?;
    file.finish()
}

/// Removes what killed processes left beside `path` of their attempts to write it.
pub(crate) fn remove_abandoned(path: &Path) {
    let prefix = prefix(path);
    let Ok(entries) = std::fs::read_dir(folder_of(path)) else { return };
    for entry in entries.flatten() {
        let ours = entry.file_name().to_str().is_some_and(|name| name.starts_with(&prefix));
        if ours && File::open(entry.path()).is_ok_and(|file| file.try_lock().is_ok()) {
            let _ = std::fs::remove_file(entry.path()); // untidy at worst
        }
    }
}

/// An error of a temporary file without its name, which says nothing to anybody.
fn reason(error: &std::io::Error) -> std::io::Error {
    error.kind().into()
}

fn prefix(path: &Path) -> String {
    format!(".{}.struthio-", path.file_name().unwrap_or_default().to_string_lossy())
}

fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

/// Temporary files are private to their owner; results are as readable as any other file.
#[cfg(unix)]
fn make_readable(path: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o644))
}

#[cfg(not(unix))]
fn make_readable(_path: &Path) -> std::io::Result<()> {
    Ok(())
}

/// The bytes of the file `path`; an error for what is none, since reading a pipe would wait for ever.
pub(crate) fn read_regular(path: &Path) -> std::io::Result<Vec<u8>> {
    if std::fs::metadata(path)?.is_file() {
        return std::fs::read(path);
    }
    Err(std::io::Error::new(std::io::ErrorKind::InvalidInput, "it is not a regular file"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let entries = std::fs::read_dir(folder).expect("a folder");
        entries.map(|entry| entry.expect("an entry").file_name().display().to_string()).collect()
    }

    #[test]
    fn a_file_appears_whole_or_not_at_all() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("model.onnx");
        let mut file = StagedFile::create(&path).expect("created");
        file.write_all(b"half").expect("written");
        assert!(!path.exists());
        drop(file);
        assert!(names(folder.path()).is_empty());
        write_atomically(&path, b"whole").expect("written");
        assert_eq!(std::fs::read(&path).expect("there"), b"whole");
        assert_eq!(names(folder.path()), ["model.onnx"]);
    }

    #[test]
    fn temporary_names_stay_out_of_messages() {
        let folder = tempfile::tempdir().expect("a folder");
        let missing = folder.path().join("missing");
        let error =
            tempfile::Builder::new().prefix(".x.struthio-").tempfile_in(&missing).expect_err("missing");
        assert!(error.to_string().contains("struthio-"));
        assert!(!reason(&error).to_string().contains("struthio-"));
        let error = StagedFile::create(&missing.join("model.onnx")).expect_err("missing").to_string();
        assert!(error.contains("there is no folder") && !error.contains("struthio-"), "{error}");
    }

    #[test]
    fn what_was_abandoned_goes_and_what_is_in_use_stays() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("model.onnx");
        std::fs::write(folder.path().join(".model.onnx.struthio-abc123"), b"killed").expect("written");
        let in_use = StagedFile::create(&path).expect("created");
        write_atomically(&path, b"another's").expect("written");
        assert_eq!(names(folder.path()).len(), 2, "the file and the one in use");
        in_use.finish().expect("the last one wins");
        assert_eq!(names(folder.path()), ["model.onnx"]);
        assert!(std::fs::read(&path).expect("there").is_empty());
    }
}
