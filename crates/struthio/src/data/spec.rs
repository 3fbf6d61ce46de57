use std::fmt;
use std::ops::Range;
use std::str::FromStr;

use super::dataset::Dataset;
use super::mnist::{mnist_test, mnist_train};
use crate::error::{Error, Result};

/// Which half of a data set that comes in two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Split {
    /// What networks learn from.
    Train,
    /// What they are judged on.
    Test,
}

/// A data set as named on the command line: `mnist`, `mnist:train`, `mnist:test`, each possibly
/// with a half-open range such as `mnist:test[0..1000]`.
///
/// ```
/// use struthio::data::{DataSpec, Split};
///
/// let spec: DataSpec = "mnist:test[10..20]".parse()?;
/// let examples = spec.load(Split::Train)?;
/// assert_eq!((examples.len(), examples.index(0)), (10, 10));
/// # Ok::<(), struthio::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DataSpec {
    split: Option<Split>,
    range: Option<Range<usize>>,
}

impl DataSpec {
    /// Loads the data; `default` is the split meant by plain `mnist`.
    pub fn load(&self, default: Split) -> Result<Dataset> {
        let whole = match self.split.unwrap_or(default) {
            Split::Train => mnist_train()?,
            Split::Test => mnist_test()?,
        };
        match &self.range {
            Some(range) => whole.range(range.clone()),
            None => Ok(whole),
        }
    }
}

impl fmt::Display for DataSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.split {
            None => "mnist",
            Some(Split::Train) => "mnist:train",
            Some(Split::Test) => "mnist:test",
        })?;
        match &self.range {
            Some(Range { start, end }) => write!(f, "[{start}..{end}]"),
            None => Ok(()),
        }
    }
}

impl FromStr for DataSpec {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let refuse = |problem: &str| Err(Error::data(text, problem));
        let (name, range) = match text.split_once('[') {
            None => (text, None),
            Some((name, rest)) => {
                let ends = rest.strip_suffix(']').and_then(|inside| inside.split_once(".."));
                let Some((Ok(from), Ok(to))) =
                    ends.map(|(from, to)| (from.trim().parse(), to.trim().parse()))
                else {
                    return refuse("a range is written [FROM..TO] with whole numbers, such as [0..1000]");
                };
                (name, Some(from..to))
            }
        };
        let split = match name {
            "mnist" => None,
            "mnist:train" => Some(Split::Train),
            "mnist:test" => Some(Split::Test),
            other => {
                let extension = other.rsplit('.').next().unwrap_or_default().to_ascii_lowercase();
                let file =
                    std::path::Path::new(other).exists() || ["npz", "npy"].contains(&extension.as_str());
                return refuse(if file {
                    "files and folders as data are not in this version yet; expected mnist, mnist:train or mnist:test"
                } else {
                    "unknown data; expected mnist, mnist:train or mnist:test, possibly with a range such as mnist:test[0..1000]"
                });
            }
        };
        if let Some(Range { start, end }) = range
            && start >= end
        {
            return refuse("the range is empty; it is half-open, so [0..1] is the first image");
        }
        Ok(Self { split, range })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn round_trip() {
        for text in ["mnist", "mnist:train", "mnist:test[0..1000]", "mnist[5..6]"] {
            assert_eq!(text.parse::<DataSpec>().expect("valid").to_string(), text);
        }
    }

    #[test]
    fn refusals_say_what_is_expected() {
        for (text, fragment) in [
            ("cifar", "unknown data"),
            ("mnist:validation", "unknown data"),
            ("mnist[5..5]", "empty"),
            ("mnist[7..5]", "empty"),
            ("mnist[..5]", "[FROM..TO]"),
            ("mnist[0..5", "[FROM..TO]"),
            ("mnist[0..99999999999999999999999]", "[FROM..TO]"),
            ("pictures.npz", "not in this version"),
        ] {
            let message = text.parse::<DataSpec>().expect_err(text).to_string();
            assert!(message.contains(fragment), "{message}");
        }
        let beyond = "mnist:test[9990..10001]".parse::<DataSpec>().expect("valid").load(Split::Test);
        assert!(beyond.expect_err("beyond").to_string().contains("beyond the 10000 images"));
    }
}
