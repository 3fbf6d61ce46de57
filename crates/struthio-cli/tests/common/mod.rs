//! Running the real command in a temporary folder.
#![allow(dead_code, reason = "each test file uses a part of this")]

#[cfg(unix)]
pub mod stopping;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tempfile::TempDir;

/// A folder with a cache of its own, to run commands in.
pub struct Sandbox {
    folder: TempDir,
}

impl Sandbox {
    pub fn new() -> Self {
        Self { folder: tempfile::tempdir().expect("a temporary folder") }
    }

    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// `struthio` with `arguments`, to be run in this folder.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_struthio"));
        command.args(arguments).current_dir(self.path()).env("XDG_CACHE_HOME", self.path().join("cache"));
        command
    }

    /// Runs `struthio` with `arguments` in this folder.
    pub fn struthio(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().expect("the command starts")
    }

    /// Like [`struthio`](Self::struthio), which must succeed; returns standard output.
    pub fn succeed(&self, arguments: &[&str]) -> String {
        let output = self.struthio(arguments);
        let (out, err) = (text(&output.stdout), text(&output.stderr));
        assert_eq!(output.status.code(), Some(0), "{arguments:?}\n{out}\n{err}");
        out
    }

    /// Like [`struthio`](Self::struthio), which must end in an error; returns the message.
    pub fn fail(&self, arguments: &[&str]) -> String {
        let output = self.struthio(arguments);
        let (out, err) = (text(&output.stdout), text(&output.stderr));
        assert_eq!(output.status.code(), Some(2), "{arguments:?}\n{out}\n{err}");
        assert!(err.starts_with("error: "), "{arguments:?}\n{err}");
        assert!(!err.contains("panicked"), "{arguments:?}\n{err}");
        err
    }
}

pub fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// A file of the library's fixtures.
pub fn fixture(name: &str) -> String {
    let path: PathBuf = Path::new(env!("CARGO_MANIFEST_DIR")).join("../struthio/tests/fixtures").join(name);
    path.display().to_string()
}

/// Every file of a run but `timing.json`, by its path.
pub fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in std::fs::read_dir(&next).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.file_name().is_some_and(|name| name != "timing.json") {
                let name = path.strip_prefix(folder).expect("inside").display().to_string();
                found.insert(name, std::fs::read(&path).expect("readable"));
            }
        }
    }
    found
}
