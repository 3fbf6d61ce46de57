//! Running the real command in a temporary folder.
#![allow(dead_code, reason = "each test file uses a part of this")]

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
