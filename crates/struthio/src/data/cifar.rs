//! CIFAR-10 and CIFAR-100 as binary files: records of one or two labels and 3 × 32 × 32 bytes.

use std::fs::File;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::classes::ClassNames;
use super::dataset::Dataset;
use super::element::{Element, Finish};
use super::files::regular;
use super::intake::{Again, Intake};
use super::layout::Layout;
use super::loading::Loading;
use super::part::Part;
use super::rows::{self, RowFile, read_at};
use super::spec::Split;
use crate::error::{Error, Result};

const SHAPE: [usize; 3] = [3, 32, 32];
const LEN: usize = 3 * 32 * 32;

/// Why a Python pickle is not read, and what to do.
pub(super) const PICKLE: &str = "a Python pickle, which may run any program when it is read; of CIFAR take the binary version \
                                 (cifar-10-binary.tar.gz, cifar-100-binary.tar.gz), or save the arrays by numpy.savez";

/// Which of the two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Ten,
    Hundred,
}

impl Kind {
    const ALL: [Self; 2] = [Self::Ten, Self::Hundred];

    fn name(self) -> &'static str {
        if self == Self::Ten { "CIFAR-10" } else { "CIFAR-100" }
    }

    fn classes(self) -> u8 {
        if self == Self::Ten { 10 } else { 100 }
    }

    /// Bytes of labels before an image; the last of them is the class (of CIFAR-100 the fine one).
    fn labels(self) -> usize {
        if self == Self::Ten { 1 } else { 2 }
    }

    fn record(self) -> usize {
        self.labels() + LEN
    }

    /// The file of the names of the classes, beside the records.
    fn names(self) -> &'static str {
        if self == Self::Ten { "batches.meta.txt" } else { "fine_label_names.txt" }
    }

    /// The files of a part of the set.
    fn files(self, split: Split) -> Vec<String> {
        match (self, split) {
            (Self::Ten, Split::Train) => (1..=5).map(|i| format!("data_batch_{i}.bin")).collect(),
            (Self::Ten, Split::Test) => vec!["test_batch.bin".into()],
            (Self::Hundred, Split::Train) => vec!["train.bin".into()],
            (Self::Hundred, Split::Test) => vec!["test.bin".into()],
        }
    }
}

/// Files of records.
#[derive(Debug)]
pub(super) struct Records {
    kind: Kind,
    files: Vec<PathBuf>,
    note: Option<String>,
}

/// The records in the file at `path` of `length` bytes that begins with `start`, if it is called as such files are.
pub(super) fn of_file(path: &Path, start: &[u8], length: u64) -> Option<Result<Records>> {
    if !path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("bin")) || is_pickle(start) {
        return None;
    }
    let kind = Kind::ALL.into_iter().find(|kind| length > 0 && length.is_multiple_of(kind.record() as u64));
    Some(kind.map(|kind| Records { kind, files: vec![path.to_owned()], note: None }).ok_or_else(|| {
        let problem = format!(
            "{length} bytes are no whole number of records of CIFAR-10 ({} bytes each) or CIFAR-100 ({})",
            Kind::Ten.record(),
            Kind::Hundred.record()
        );
        Error::data(path.display().to_string(), problem)
    }))
}

/// The records in a folder as it is unpacked, if it is one; of `split`, or of the other if it has only that.
pub(super) fn of_folder(folder: &Path, split: Split) -> Option<Result<Records>> {
    let other = if split == Split::Test { Split::Train } else { Split::Test };
    for kind in Kind::ALL {
        for split in [split, other] {
            let files: Vec<PathBuf> = kind.files(split).iter().map(|name| folder.join(name)).collect();
            let files: Vec<PathBuf> = files.into_iter().filter(|file| file.is_file()).collect();
            // Other folders have files called test.bin, too.
            if files.is_empty() || (kind == Kind::Hundred && !folder.join(kind.names()).is_file()) {
                continue;
            }
            let names: Vec<String> = files
                .iter()
                .filter_map(|file| Some(file.file_name()?.to_string_lossy().into_owned()))
                .collect();
            let note = Some(format!("images are those of {} in {}", kind.name(), names.join(", ")));
            return Some(Ok(Records { kind, files, note }));
        }
    }
    let pickles = ["batches.meta", "data_batch_1", "test_batch"];
    let pickled = pickles.iter().filter(|name| folder.join(name).is_file()).count() > 1;
    pickled.then(|| Err(Error::data(folder.display().to_string(), format!("its files are each {PICKLE}"))))
}

/// Whether a file that begins so is one of Python's pickles.
pub(super) fn is_pickle(start: &[u8]) -> bool {
    matches!(start, [0x80, 2..=5, ..] | [b'(', b'd', b'p', ..])
}

impl Records {
    /// Loads a part of the images, or all; messages call them `origin`.
    pub fn load(self, origin: &str, part: Option<Part>, loading: &Loading<'_>) -> Result<Dataset> {
        let record = self.kind.record() as u64;
        let (mut parts, mut counted, mut count) = (Vec::new(), Vec::new(), 0);
        for path in &self.files {
            let (file, length) = regular(path)?;
            let name = path.display().to_string();
            if length == 0 || !length.is_multiple_of(record) {
                let problem = format!("{length} bytes are no whole number of records of {record} bytes");
                return Err(Error::data(name, problem));
            }
            let images = usize::try_from(length / record).unwrap_or(usize::MAX);
            counted.push((file.try_clone().map_err(Error::io("read", path))?, name.clone(), images));
            parts.push(rows::Part::new(file, &name, self.kind.labels() as u64, images, count)?);
            count += images;
        }
        let rows = Part::of(part, origin, count)?;
        let labels = self.labels(&counted, &rows)?;
        loading.check_labels(origin, &labels)?;
        let layout = Layout::of(origin, &SHAPE, loading.wanted)?;
        let finish = Finish { layout, inverted: loading.inverted };
        let source = RowFile::new(parts, Element::Byte, LEN, record, finish.clone());
        let mut intake = Intake::new(origin, rows.clone(), 1, &finish, Again::Row, loading)?;
        for i in rows.clone() {
            intake.add(source.raw(i)?)?;
        }
        let source = Skipped { source, first: rows.start };
        let data = intake.finish(labels, Some(Arc::new(source)))?.with_notes(self.note.clone());
        Ok(match self.class_names() {
            Some(names) => data.with_class_names(names),
            None => data,
        })
    }

    /// The labels of the images in `rows`.
    fn labels(&self, files: &[(File, String, usize)], rows: &Range<usize>) -> Result<Vec<u32>> {
        let (mut labels, mut index) = (Vec::with_capacity(rows.len()), 0);
        for (file, name, images) in files {
            for i in (0..*images).filter(|i| rows.contains(&(index + i))) {
                let mut bytes = [0; 2];
                let bytes = &mut bytes[..self.kind.labels()];
                read_at(file, bytes, (i * self.kind.record()) as u64)
                    .map_err(Error::io("read", Path::new(name)))?;
                let label = bytes[bytes.len() - 1];
                if label >= self.kind.classes() {
                    let problem = format!(
                        "the label of image {} is {label}, but {} has {} classes; the file is damaged or something else",
                        index + i,
                        self.kind.name(),
                        self.kind.classes()
                    );
                    return Err(Error::data(name, problem));
                }
                labels.push(u32::from(label));
            }
            index += images;
        }
        Ok(labels)
    }

    /// The names of the classes, if they lie beside the records.
    fn class_names(&self) -> Option<Vec<String>> {
        let names = ClassNames::read(&self.files.first()?.with_file_name(self.kind.names())).ok()?;
        (names.names().len() == usize::from(self.kind.classes())).then(|| names.names().to_vec())
    }
}

/// Images from the one with the number `first` on.
#[derive(Debug)]
struct Skipped {
    source: RowFile,
    first: usize,
}

impl super::store::ImageSource for Skipped {
    fn read(&self, i: usize) -> Result<super::store::Pixels> {
        self.source.read(self.first + i)
    }
}
