//! Parquet files with the bytes of PNG or JPEG images, as data hubs ship them: a column `image` and a column `label`,
//! in one file or in a folder of shards.

use std::fs::File;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use parquet::basic::Compression;
use parquet::column::reader::{ColumnReader, ColumnReaderImpl};
use parquet::data_type::{ByteArray, DataType};
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::schema::types::SchemaDescriptor;
use serde_json::Value;

use super::array_names::ArrayNames;
use super::canvas::Canvas;
use super::classes::numbered;
use super::dataset::Dataset;
use super::element::Finish;
use super::files::regular;
use super::intake::{Again, Intake};
use super::layout::Layout;
use super::loading::Loading;
use super::names::FileNames;
use super::pages::{check_footer, check_pages};
use super::paint::{Painter, TOGETHER};
use super::part::Part;
use super::picture;
use super::spec::Split;
use super::store::Pixels;
use crate::error::{Error, Result};

/// What a Parquet file begins and ends with.
pub(super) const MAGIC: &[u8] = b"PAR1";
/// Columns of images and of labels, in the order in which they are looked for.
const IMAGES: [&str; 5] = ["image", "img", "images", "picture", "photo"];
const LABELS: [&str; 7] = ["label", "labels", "fine_label", "target", "class", "digit", "coarse_label"];
/// No row takes less than a bit.
const ROWS_PER_BYTE: u64 = 8;
/// A file below this length is not believed to have more than [`UNPACKED_OF_SMALL`] bytes in a column.
const SMALL_FILE: u64 = 1 << 20;
const UNPACKED_OF_SMALL: u64 = 32 << 20;

/// Takes the bytes of images, with their file and the number that the first has there.
type Visit<'a> = &'a mut dyn FnMut(&Shard, usize, &[Option<ByteArray>]) -> Result<()>;

/// Files of rows, in their order.
pub(super) struct Shards {
    files: Vec<Shard>,
    images: String,
    labels: String,
    note: Option<String>,
}

struct Shard {
    origin: String,
    reader: SerializedFileReader<File>,
    /// Places of the two columns.
    images: usize,
    labels: usize,
}

/// The Parquet files in `folder` or in its folder `data`; those of `split` if their names tell.
pub(super) fn files_of(folder: &Path, split: Split) -> Result<Option<(Vec<PathBuf>, Option<String>)>> {
    let mut all = Vec::new();
    for folder in [folder.to_owned(), folder.join("data")] {
        if all.is_empty() && folder.is_dir() {
            let entries = std::fs::read_dir(&folder).map_err(Error::io("read", &folder))?;
            for entry in entries {
                let path = entry.map_err(Error::io("read", &folder))?.path();
                if path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("parquet")) {
                    all.push(path);
                }
            }
        }
    }
    if all.is_empty() {
        return Ok(None);
    }
    all.sort_unstable();
    let named = |name: &str| -> Vec<PathBuf> {
        let fits = |path: &&PathBuf| {
            path.file_name().is_some_and(|file| file.to_string_lossy().to_lowercase().starts_with(name))
        };
        all.iter().filter(fits).cloned().collect()
    };
    let order = if split == Split::Test { ["test", "val", "train"] } else { ["train", "val", "test"] };
    let chosen = order.into_iter().map(|name| (name, named(name))).find(|(_, files)| !files.is_empty());
    Ok(Some(match chosen {
        Some((name, files)) if files.len() < all.len() => {
            let note = format!(
                "images are those of the {} of {} Parquet files called {name}…",
                files.len(),
                all.len()
            );
            (files, Some(note))
        }
        _ => (all, None),
    }))
}

impl Shards {
    /// Opens `files`, of which all have the same columns.
    pub fn open(files: &[PathBuf], asked: ArrayNames<'_>, note: Option<String>) -> Result<Self> {
        let (mut shards, mut chosen) = (Vec::new(), None);
        for path in files {
            let (file, length) = regular(path)?;
            let origin = path.display().to_string();
            let error = |problem: String| Error::data(&origin, problem);
            let pages = file.try_clone().map_err(Error::io("read", path))?;
            check_footer(&pages, length).map_err(error)?;
            let reader = guarded(|| SerializedFileReader::new(file))
                .map_err(|problem| error(format!("damaged Parquet file: {problem}")))?;
            let schema = reader.metadata().file_metadata().schema_descr();
            let [images, labels] = match chosen.take() {
                Some(names) => names,
                None => choose(schema, asked).map_err(error)?,
            };
            let place = |name: &str| place(schema, name).map_err(error);
            let (image, label) = (place(&images)?, place(&labels)?);
            check(&reader, &pages, length, [image, label]).map_err(error)?;
            chosen = Some([images, labels]);
            shards.push(Shard { origin, reader, images: image, labels: label });
        }
        let [images, labels] = chosen.unwrap_or_default();
        Ok(Self { files: shards, images, labels, note })
    }

    /// Loads a part of the images, or all; messages call them `origin`.
    pub fn load(&self, origin: &str, part: Option<Part>, loading: &Loading<'_>) -> Result<Dataset> {
        let count = self.files.iter().map(Shard::rows).sum();
        if count == 0 {
            return Err(Error::data(origin, "there are no images"));
        }
        let rows = Part::of(part, origin, count)?;
        let (labels, names, note) = self.labels(origin, &rows, loading)?;
        loading.check_labels(origin, &labels)?;
        let canvas = self.canvas(origin, loading)?;
        let finish =
            Finish { layout: Layout::of(origin, &canvas.shape(), None)?, inverted: loading.inverted };
        let mut intake = Intake::new(origin, rows.clone(), 1, &finish, Again::Never, loading)?;
        let mut painter = Painter::new(&canvas, loading)?;
        let (mut usable, mut indices, mut at) = (Vec::new(), Vec::new(), rows.start);
        self.each_images(&rows, &mut |shard, first, images| {
            let read = |bytes: &Option<ByteArray>| {
                picture::decode(bytes.as_ref().ok_or("there is no image in this row")?.data())
            };
            let file = Path::new(&shard.origin).file_name().unwrap_or_default().display();
            let name = |i: usize| format!("{file}, row {}", first + i);
            painter.paint(images, &read, &name, &mut |i, pixels| {
                usable.push(labels[at - rows.start + i]);
                indices.push(at + i);
                intake.add(Pixels::Bytes(pixels))
            })?;
            at += images.len();
            Ok(())
        })?;
        let notes = painter.notes().map_err(|problem| Error::data(origin, problem))?;
        let columns = format!("images are the column '{}' and labels '{}'", self.images, self.labels);
        Ok(intake
            .finish(usable, None)?
            .of_files(FileNames::default(), indices)
            .with_notes(self.note.clone())
            .with_notes([columns])
            .with_notes(note)
            .with_notes(canvas.note)
            .with_notes(notes)
            .with_class_names(names))
    }

    fn canvas(&self, origin: &str, loading: &Loading<'_>) -> Result<Canvas> {
        let first = || {
            let mut first = None;
            let found = self.each_images(&(0..1), &mut |_, _, images| {
                first = images.iter().flatten().find_map(|bytes| picture::decode(bytes.data()).ok());
                Ok(())
            });
            found.ok().and(first)
        };
        Canvas::for_model(origin, first, loading.wanted)
    }

    /// The labels of `rows`, what they are called, and what there is to say about them.
    fn labels(
        &self,
        origin: &str,
        rows: &Range<usize>,
        loading: &Loading<'_>,
    ) -> Result<(Vec<u32>, Vec<String>, Option<String>)> {
        let (mut words, mut all) = (Vec::new(), 0);
        let mut numbers = Vec::new();
        for shard in &self.files {
            shard.each(shard.labels, &(0..shard.rows()), &mut |first, reader, count| {
                let error = |i: usize, what: &str| {
                    Error::data(
                        &shard.origin,
                        format!(
                            "the label in row {} is {what}; labels are whole numbers from 0, or words",
                            first + i
                        ),
                    )
                };
                for (i, label) in shard.labels_of(reader, count)?.into_iter().enumerate() {
                    match label {
                        Label::Number(number) if rows.contains(&(all + i)) => {
                            let number = u32::try_from(number);
                            numbers.push(number.map_err(|_| error(i, "negative or huge"))?);
                        }
                        Label::Number(_) => {}
                        Label::Word(word) => words.push(word),
                        Label::Missing => return Err(error(i, "missing")),
                    }
                }
                all += count;
                Ok(())
            })?;
        }
        if words.is_empty() {
            return Ok((numbers, self.class_names().unwrap_or_default(), None));
        }
        let mut all = words.clone();
        all.sort_unstable();
        all.dedup();
        let classes = loading.wanted.and_then(|wanted| wanted.classes);
        let found = numbered(&all, loading.names, classes).map_err(|problem| Error::data(origin, problem))?;
        let number = |word: &String| all.binary_search(word).map_or(0, |place| found.numbers[place]);
        let numbers = words.get(rows.clone()).unwrap_or_default().iter().map(number).collect();
        Ok((numbers, found.names, found.note))
    }

    /// The names of the classes, which data hubs put beside the schema.
    fn class_names(&self) -> Option<Vec<String>> {
        let about = self.files.first()?.reader.metadata().file_metadata().key_value_metadata()?;
        let about = about.iter().find(|entry| entry.key == "huggingface")?.value.as_ref()?;
        let about: Value = serde_json::from_str(about).ok()?;
        let names = about["info"]["features"][&self.labels]["names"].as_array()?;
        names.iter().map(|name| name.as_str().map(str::to_owned)).collect()
    }

    /// Hands the bytes of the images in `rows` to `visit`, some at a time, with their file and the number that the first
    /// has there.
    fn each_images(&self, rows: &Range<usize>, visit: Visit<'_>) -> Result<()> {
        let mut before = 0;
        for shard in &self.files {
            let here = rows.start.saturating_sub(before)..rows.end.saturating_sub(before).min(shard.rows());
            before += shard.rows();
            shard.each(shard.images, &here, &mut |first, reader, count| {
                let ColumnReader::ByteArrayColumnReader(reader) = reader else {
                    return Err(Error::data(&shard.origin, "the column of images has no bytes"));
                };
                visit(
                    shard,
                    first,
                    &values(reader, count, shard.depth(shard.images)).map_err(|p| shard.broken(p))?,
                )
            })?;
        }
        Ok(())
    }
}

/// A label as it is in its file.
enum Label {
    Number(i64),
    Word(String),
    Missing,
}

impl Shard {
    fn rows(&self) -> usize {
        usize::try_from(self.reader.metadata().file_metadata().num_rows()).unwrap_or(0)
    }

    /// How many of the things around a value of a column may be missing, itself included.
    fn depth(&self, column: usize) -> i16 {
        self.reader.metadata().file_metadata().schema_descr().column(column).max_def_level()
    }

    fn broken(&self, problem: impl std::fmt::Display) -> Error {
        Error::data(&self.origin, format!("damaged Parquet file: {problem}"))
    }

    /// Lets `visit` read the `rows` of a column, some at a time: it is given the number of the first of them, and how
    /// many it has to read.
    fn each(
        &self,
        column: usize,
        rows: &Range<usize>,
        visit: &mut dyn FnMut(usize, &mut ColumnReader, usize) -> Result<()>,
    ) -> Result<()> {
        let mut before = 0;
        for group in 0..self.reader.num_row_groups() {
            let group =
                guarded(|| self.reader.get_row_group(group)).map_err(|problem| self.broken(problem))?;
            let count = usize::try_from(group.metadata().num_rows()).unwrap_or(0);
            let here = rows.start.max(before)..rows.end.min(before + count);
            if !here.is_empty() {
                let reader = guarded(|| group.get_column_reader(column));
                let mut reader = reader.map_err(|problem| self.broken(problem))?;
                guarded(|| skip(&mut reader, here.start - before)).map_err(|problem| self.broken(problem))?;
                for first in here.clone().step_by(TOGETHER) {
                    visit(first, &mut reader, TOGETHER.min(here.end - first))?;
                }
            }
            before += count;
        }
        Ok(())
    }

    fn labels_of(&self, reader: &mut ColumnReader, count: usize) -> Result<Vec<Label>> {
        let depth = self.depth(self.labels);
        let number = |value: Option<i64>| value.map_or(Label::Missing, Label::Number);
        let labels = match reader {
            ColumnReader::Int64ColumnReader(reader) => {
                values(reader, count, depth).map(|values| values.into_iter().map(number).collect())
            }
            ColumnReader::Int32ColumnReader(reader) => values(reader, count, depth)
                .map(|values| values.into_iter().map(|value| number(value.map(i64::from))).collect()),
            ColumnReader::BoolColumnReader(reader) => values(reader, count, depth)
                .map(|values| values.into_iter().map(|value| number(value.map(i64::from))).collect()),
            ColumnReader::ByteArrayColumnReader(reader) => values(reader, count, depth).map(|values| {
                let word = |value: ByteArray| value.as_utf8().ok().map(str::to_owned);
                let word =
                    |value: Option<ByteArray>| value.and_then(word).map_or(Label::Missing, Label::Word);
                values.into_iter().map(word).collect()
            }),
            _ => {
                return Err(Error::data(
                    &self.origin,
                    "its labels are of a type that is none of whole numbers or words",
                ));
            }
        };
        labels.map_err(|problem| self.broken(problem))
    }
}

fn skip(reader: &mut ColumnReader, rows: usize) -> parquet::errors::Result<usize> {
    match reader {
        _ if rows == 0 => Ok(0),
        ColumnReader::Int64ColumnReader(reader) => reader.skip_records(rows),
        ColumnReader::Int32ColumnReader(reader) => reader.skip_records(rows),
        ColumnReader::BoolColumnReader(reader) => reader.skip_records(rows),
        ColumnReader::ByteArrayColumnReader(reader) => reader.skip_records(rows),
        _ => Ok(0),
    }
}

/// What `work` gives. The crate panics where pages contradict each other, as when a dictionary is missing, which no
/// check can tell before; what is half read is not used any more.
fn guarded<T>(work: impl FnOnce() -> parquet::errors::Result<T>) -> parquet::errors::Result<T> {
    let contradiction = || parquet::errors::ParquetError::General("its pages contradict each other".into());
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_| Err(contradiction()))
}

/// The next `count` values of a column in which `depth` levels may be missing.
fn values<T: DataType>(
    reader: &mut ColumnReaderImpl<T>,
    count: usize,
    depth: i16,
) -> parquet::errors::Result<Vec<Option<T::T>>> {
    let (mut there, mut levels) = (Vec::new(), Vec::new());
    let (read, _, _) = guarded(|| reader.read_records(count, Some(&mut levels), None, &mut there))?;
    if read != count {
        return Err(parquet::errors::ParquetError::General(format!("{read} rows in place of {count}")));
    }
    if depth == 0 {
        return Ok(there.into_iter().map(Some).collect());
    }
    let mut there = there.into_iter();
    Ok(levels.into_iter().map(|level| if level == depth { there.next() } else { None }).collect())
}

/// Which columns are images and labels: the usual ones, or those that are `asked` for.
fn choose(schema: &SchemaDescriptor, asked: ArrayNames<'_>) -> Result<[String; 2], String> {
    let found: Vec<&str> = schema.root_schema().get_fields().iter().map(|field| field.name()).collect();
    let find = |asked: Option<&str>, usual: &[&str], what: &str, option: &str| {
        let known: Vec<&str> = asked.map_or_else(|| usual.to_vec(), |asked| vec![asked]);
        let name = known.iter().find_map(|name| found.iter().find(|found| *found == name));
        name.map(ToString::to_string).ok_or_else(|| {
            format!(
                "there is no column of {what} called {}; found {}; name one with {option} NAME",
                known.join(" or "),
                found.join(", ")
            )
        })
    };
    Ok([find(asked.x, &IMAGES, "images", "--x")?, find(asked.y, &LABELS, "labels", "--y")?])
}

/// The place of the column `name` among those that hold values: itself, or the `bytes` inside it.
fn place(schema: &SchemaDescriptor, name: &str) -> Result<usize, String> {
    let inside = format!("{name}.bytes");
    let place = schema.columns().iter().position(|column| {
        let path = column.path().string();
        (path == name || path == inside) && column.max_rep_level() == 0
    });
    place
        .ok_or_else(|| format!("the column '{name}' has neither values nor 'bytes' inside, one for each row"))
}

/// Makes sure that a file can be what it says, and that its columns can be read.
fn check(
    reader: &SerializedFileReader<File>,
    file: &File,
    length: u64,
    columns: [usize; 2],
) -> Result<(), String> {
    let about = reader.metadata();
    let rows = u64::try_from(about.file_metadata().num_rows()).unwrap_or(u64::MAX);
    let in_groups =
        about.row_groups().iter().map(|group| u64::try_from(group.num_rows()).unwrap_or(u64::MAX));
    if rows > length.saturating_mul(ROWS_PER_BYTE) || in_groups.fold(0, u64::saturating_add) != rows {
        return Err(format!("{rows} rows cannot be in {length} bytes, or are not in its row groups"));
    }
    let mut all_packed = 0_u64;
    let most = if length < SMALL_FILE { UNPACKED_OF_SMALL } else { u64::MAX };
    for group in about.row_groups() {
        for column in columns {
            let about = group.column(column);
            let compression = about.compression();
            if !matches!(compression, Compression::UNCOMPRESSED | Compression::SNAPPY | Compression::GZIP(_))
            {
                let name = compression.to_string();
                return Err(format!(
                    "it is compressed by {name}; only snappy and gzip are read: write it anew, as by \
                     pyarrow.parquet.write_table(table, path, compression='snappy')"
                ));
            }
            let start = about.dictionary_page_offset().unwrap_or(about.data_page_offset());
            let (Ok(start), Ok(packed)) = (u64::try_from(start), u64::try_from(about.compressed_size()))
            else {
                return Err("damaged Parquet file: a column begins or ends before its file".into());
            };
            all_packed = all_packed.saturating_add(packed);
            let end = start.saturating_add(packed);
            if end > length || all_packed > length {
                return Err(format!("damaged Parquet file: its columns end beyond its {length} bytes"));
            }
            check_pages(file, [start, end], matches!(compression, Compression::GZIP(_)), most)?;
        }
    }
    Ok(())
}
