use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use super::cifar;
use super::dataset::Dataset;
use super::files::Files;
use super::folder;
use super::hub;
use super::imagenet;
use super::layout::Layout;
use super::loading::Loading;
use super::mnist::{mnist_test, mnist_train};
use super::part::Part;
use super::picture;
use crate::error::{Error, Result};

/// Which half of a data set that comes in two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Split {
    /// What networks learn from.
    Train,
    /// What they are judged on.
    Test,
}

/// A data set as named on the command line, possibly with a half-open range such as `[0..1000]`, `[5..]` or `[..5]`, or
/// the number of one image, `[7]`:
///
/// - `mnist`, `mnist:train`, `mnist:test`;
/// - an NPZ file with images `x` and labels `y`, or with other usual names;
/// - a pair `images.npy,labels.npy` or `images-idx3-ubyte,labels-idx1-ubyte` (IDX also as `.gz`);
/// - CIFAR-10 and CIFAR-100 as binary files, or their folder;
/// - a Parquet file with the bytes of images and labels, or a folder of them;
/// - a folder of pictures, in one sub-folder per class, or listed with their labels in
///   `labels.csv` (columns `file` and `label`), or beside each other, without labels;
/// - a single picture.
///
/// Pictures are PNG, JPEG, WebP, TIFF, BMP, GIF or PPM files, whatever they are called.
/// Arrays have the images along their first axis; `uint8` is divided by 255, floats must lie in \[0, 1\].
/// Images of a folder are brought to the size and colour the model wants: scaled so that they just
/// cover it, by Pillow's bilinear filter, and cut to the middle; grey is the luma of ITU-R 601.
///
/// ```
/// use struthio::data::{DataSpec, Loading, Split};
///
/// let spec: DataSpec = "mnist:test[10..20]".parse()?;
/// let examples = spec.load(&Loading::new(Split::Train))?;
/// assert_eq!((examples.len(), examples.index(0)), (10, 10));
/// # Ok::<(), struthio::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DataSpec {
    /// As it was typed, without the range.
    text: String,
    source: Source,
    part: Option<Part>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Source {
    Mnist(Option<Split>),
    Files(Files),
    Folder(PathBuf),
}

const EXPECTED: &str = "mnist, mnist:train, mnist:test, file.npz, images.npy,labels.npy, a pair of IDX files, CIFAR's binary files, Parquet with images, a picture, or a folder of pictures; each possibly with a range such as mnist:test[0..1000]";

impl DataSpec {
    /// Loads the data.
    pub fn load(&self, loading: &Loading<'_>) -> Result<Dataset> {
        let data = self.read(loading)?;
        let of_imagenet = loading.wanted.and_then(|wanted| wanted.classes) == Some(imagenet::COUNT);
        Ok(match loading.names {
            Some(names) => data.with_class_names(names.names().to_vec()),
            None if of_imagenet && data.class_names().is_empty() => {
                data.with_class_names(imagenet::names()).with_notes([imagenet::NOTE.to_owned()])
            }
            None => data,
        })
    }

    /// The shape of the images as they are, unless they are brought to whatever a model wants, as those of a
    /// folder are.
    pub fn image_shape(&self) -> Result<Option<Vec<usize>>> {
        if matches!(self.source, Source::Folder(_)) {
            return Ok(None);
        }
        let first = match self.part {
            Some(Part::Between(from, _) | Part::From(from) | Part::One(from)) => from,
            Some(Part::To(_)) | None => 0,
        };
        let one = Self { part: Some(Part::One(first)), ..self.clone() };
        Ok(Some(one.read(&Loading::new(Split::Test))?.shape().to_vec()))
    }

    fn read(&self, loading: &Loading<'_>) -> Result<Dataset> {
        if self.is_mnist() {
            loading.refuse_names(&self.text)?;
        }
        match &self.source {
            Source::Mnist(split) => {
                let whole = match split.unwrap_or(loading.split) {
                    Split::Train => mnist_train()?,
                    Split::Test => mnist_test()?,
                };
                let layout = Layout::of(whole.name(), whole.shape(), loading.wanted)?;
                let part = match self.part {
                    Some(part) => whole.range(Part::of(Some(part), whole.name(), whole.len())?)?,
                    None => whole,
                };
                loading.check_labels(part.name(), part.labels())?;
                Ok(part.arranged(layout, loading.inverted))
            }
            Source::Files(files) => files.load(&self.text, self.name(), self.part, loading),
            Source::Folder(path) => self.read_folder(path, loading),
        }
    }

    fn read_folder(&self, path: &Path, loading: &Loading<'_>) -> Result<Dataset> {
        if let Some((files, note)) = hub::files_of(path, loading.split)? {
            let data =
                hub::Shards::open(&files, loading.arrays, note)?.load(&self.text, self.part, loading)?;
            return Ok(data.named(self.name()));
        }
        loading.refuse_names(&self.text)?;
        if let Some(records) = cifar::of_folder(path, loading.split) {
            return Ok(records?.load(&self.text, self.part, loading)?.named(self.name()));
        }
        folder::load(path, self.name(), self.part, loading)
    }

    /// Whether this is a part of MNIST.
    #[must_use]
    pub fn is_mnist(&self) -> bool {
        matches!(self.source, Source::Mnist(_))
    }

    /// The part as it is typed, if there is one.
    fn suffix(&self) -> String {
        self.part.map_or_else(String::new, |part| part.to_string())
    }

    /// What a run calls the data: without the folders of this machine.
    fn name(&self) -> String {
        let name = match &self.source {
            Source::Mnist(_) => self.text.clone(),
            Source::Files(Files::One(path)) | Source::Folder(path) => file_name(path),
            Source::Files(Files::Pair { images, labels }) => {
                format!("{},{}", file_name(images), file_name(labels))
            }
        };
        format!("{name}{}", self.suffix())
    }
}

fn file_name(path: &Path) -> String {
    let whole = path.canonicalize();
    // A link has the name the user gave it; `.` has only that of what it leads to.
    let name = path.file_name().or_else(|| whole.as_ref().ok()?.file_name());
    name.map_or_else(|| path.display().to_string(), |name| name.to_string_lossy().into_owned())
}

impl fmt::Display for DataSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.text, self.suffix())
    }
}

impl FromStr for DataSpec {
    type Err = Error;

    /// Looks for files and folders too: a path that exists is never taken for one with a range.
    fn from_str(text: &str) -> Result<Self> {
        if let Some(source) = source(text) {
            return Ok(Self { text: text.to_owned(), source, part: None });
        }
        let (name, part) = match text.rfind('[').map(|at| text.split_at(at)) {
            Some((name, part)) if part.ends_with(']') || name.starts_with("mnist") => {
                (name, Some(part.parse().map_err(|problem: String| Error::data(text, problem))?))
            }
            _ => (text, None),
        };
        match source(name) {
            Some(source) => Ok(Self { text: name.to_owned(), source, part }),
            None => Err(unknown(name)),
        }
    }
}

/// The source called exactly so.
fn source(name: &str) -> Option<Source> {
    match name {
        "mnist" => return Some(Source::Mnist(None)),
        "mnist:train" => return Some(Source::Mnist(Some(Split::Train))),
        "mnist:test" => return Some(Source::Mnist(Some(Split::Test))),
        _ => {}
    }
    let path = Path::new(name);
    if path.is_dir() || picture::starts_as_picture(path) {
        return Some(Source::Folder(path.to_owned()));
    }
    if path.exists() {
        return Some(Source::Files(Files::One(path.to_owned())));
    }
    pairs(name)
        .find(|(images, labels)| images.exists() && labels.exists())
        .map(|(images, labels)| Source::Files(Files::Pair { images: images.into(), labels: labels.into() }))
}

/// Every way to read `name` as two paths with a comma between them.
fn pairs(name: &str) -> impl Iterator<Item = (&Path, &Path)> {
    name.match_indices(',').map(|(at, _)| (Path::new(&name[..at]), Path::new(&name[at + 1..])))
}

fn unknown(name: &str) -> Error {
    let missing: Vec<String> = pairs(name)
        .flat_map(|(images, labels)| [images, labels])
        .filter(|path| !path.exists())
        .map(|path| path.display().to_string())
        .collect();
    if name.matches(',').count() == 1 {
        let missing = missing.join(", nor ");
        let problem = format!("there is no file {missing}; expected images and labels, as in x.npy,y.npy");
        return Error::data(name, problem);
    }
    Error::Request(format!("there is no file, folder or data set '{name}'; expected {EXPECTED}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn round_trip() {
        for text in [
            "mnist",
            "mnist:train",
            "mnist:test[0..1000]",
            "mnist[5..6]",
            "mnist[5..]",
            "mnist[..6]",
            "mnist[7]",
        ] {
            assert_eq!(text.parse::<DataSpec>().expect("valid").to_string(), text);
        }
    }

    #[test]
    fn refusals_say_what_is_expected() {
        for (text, fragment) in [
            ("cifar", "there is no file, folder or data set"),
            ("mnist:validation", "there is no file, folder or data set"),
            ("mnist[5..5]", "empty"),
            ("mnist[7..5]", "empty"),
            ("mnist[..]", "[FROM..TO]"),
            ("mnist[0..5", "[FROM..TO]"),
            ("mnist[0..99999999999999999999999]", "[FROM..TO]"),
            ("pictures.npz", "there is no file, folder or data set"),
            ("x.npy,y.npy", "no file x.npy, nor y.npy"),
        ] {
            let message = text.parse::<DataSpec>().expect_err(text).to_string();
            assert!(message.contains(fragment), "{message}");
        }
        let beyond = "mnist:test[9990..10001]".parse::<DataSpec>().expect("valid");
        let beyond = beyond.load(&Loading::new(Split::Test));
        assert!(beyond.expect_err("beyond").to_string().contains("beyond the 10000 images"));
    }
}
