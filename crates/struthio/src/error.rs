//! The library's error.

use std::fmt;
use std::path::{Path, PathBuf};

/// A result with the library's [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What went wrong, in words a user can act on.
///
/// Messages are lower-case and name the file, the tensor or the layer, what was found and what was
/// expected.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file or folder could not be read or written.
    #[error("cannot {action} {}", path.display())]
    Io {
        /// What was attempted: `read`, `write`, …
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The operating system's reason.
        source: std::io::Error,
    },
    /// A model cannot be used; all its problems at once.
    #[error("{origin}: {}", Problems(problems))]
    Model {
        /// File name or description of the model.
        origin: String,
        /// Every problem found.
        problems: Vec<String>,
    },
    /// A data set cannot be used.
    #[error("{origin}: {problem}")]
    Data {
        /// File name or specification of the data.
        origin: String,
        /// What is wrong with it, and what would be right.
        problem: String,
    },
    /// A request that cannot be fulfilled, such as a class the model does not have.
    #[error("{0}")]
    Request(String),
    /// The run was interrupted; what was finished is kept.
    #[error("interrupted")]
    Interrupted,
}

impl Error {
    /// For `map_err` on operations on the file or folder at `path`.
    pub fn io(action: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { action, path, source }
    }

    /// A model with a single problem.
    pub fn model(origin: impl Into<String>, problem: impl Into<String>) -> Self {
        Self::Model { origin: origin.into(), problems: vec![problem.into()] }
    }

    /// A data set that cannot be used.
    pub fn data(origin: impl Into<String>, problem: impl Into<String>) -> Self {
        Self::Data { origin: origin.into(), problem: problem.into() }
    }
}

/// One problem in a line, several as a list.
struct Problems<'a>(&'a [String]);

impl fmt::Display for Problems<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            [only] => f.write_str(only),
            several => {
                write!(f, "{} problems", several.len())?;
                several.iter().try_for_each(|problem| write!(f, "\n  - {problem}"))
            }
        }
    }
}
