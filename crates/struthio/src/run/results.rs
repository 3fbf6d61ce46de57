//! `results.parquet`, and `targets.parquet` with the same columns.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use parquet::basic::Compression;
use parquet::data_type::{BoolType, ByteArray, ByteArrayType, DoubleType, Int32Type, Int64Type};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::{SerializedColumnWriter, SerializedFileWriter};
use parquet::schema::parser::parse_message_type;

use super::staged::StagedFile;
use crate::attack::{Adversarial, Outcome};
use crate::error::{Error, Result};

/// Examples per row group.
const ROW_GROUP: usize = 1024;

/// A column beside those of every attack: something measured at each image.
#[derive(Debug, Clone, Copy)]
pub struct Measure<'a> {
    /// Name of the column.
    pub name: &'static str,
    /// A value for each example, in their order.
    pub values: &'a [Option<f64>],
}

/// What a column holds, and where it comes from.
enum Column {
    Count(fn(&Row) -> u64),
    Class(fn(&Row) -> usize),
    MaybeClass(fn(&Row) -> Option<usize>),
    Text(fn(&Row) -> &str),
    Measure(fn(&Adversarial) -> Option<f64>),
    Flag(fn(&Adversarial) -> bool),
}

const COLUMNS: [(&str, Column); 15] = [
    ("index", Column::Count(|row| row.outcome.index as u64)),
    ("label", Column::Class(|row| row.outcome.label)),
    ("predicted", Column::MaybeClass(|row| row.outcome.predicted)),
    ("status", Column::Text(|row| row.outcome.status.as_str())),
    ("target", Column::MaybeClass(|row| row.outcome.target)),
    ("adversarial_label", Column::MaybeClass(|row| row.outcome.adversarial.as_ref().map(|a| a.label))),
    ("rms", Column::Measure(|a| Some(a.rms))),
    ("l2", Column::Measure(|a| Some(a.l2))),
    ("linf", Column::Measure(|a| Some(a.linf))),
    ("forwards", Column::Count(|row| row.outcome.forwards)),
    ("gradients", Column::Count(|row| row.outcome.gradients)),
    ("attack", Column::Text(|row| &row.attack)),
    ("c", Column::Measure(|a| a.c)),
    ("optimality_residual", Column::Measure(|a| a.optimality_residual)),
    ("survives_rounding", Column::Flag(|a| a.survives_rounding)),
];

/// An outcome without its image.
struct Row {
    outcome: Outcome,
    attack: String,
}

/// Writes outcomes as they come; the file appears when it is finished.
pub struct ResultsWriter<'a> {
    path: PathBuf,
    writer: SerializedFileWriter<StagedFile>,
    measures: &'a [Measure<'a>],
    rows: Vec<Row>,
    /// Rows of the row groups before.
    written: usize,
}

impl<'a> ResultsWriter<'a> {
    /// A table in `file`, with `measures` behind the columns that all tables have.
    pub fn create(file: StagedFile, measures: &'a [Measure<'a>]) -> Result<Self> {
        let path = &file.path().to_owned();
        let schema = parse_message_type(&schema(measures)).map_err(broken(path))?;
        let properties = WriterProperties::builder()
            .set_compression(Compression::UNCOMPRESSED)
            .set_created_by(format!("struthio {}", env!("CARGO_PKG_VERSION")))
            .build();
        let writer =
            SerializedFileWriter::new(file, Arc::new(schema), Arc::new(properties)).map_err(broken(path))?;
        Ok(Self { path: path.to_owned(), writer, measures, rows: Vec::new(), written: 0 })
    }

    /// Appends the row of `outcome`, found by the attack called `attack`.
    pub fn push(&mut self, outcome: &Outcome, attack: &str) -> Result<()> {
        let without_image = |found: &Adversarial| Adversarial { image: Vec::new(), ..found.clone() };
        let outcome =
            Outcome { adversarial: outcome.adversarial.as_ref().map(without_image), ..outcome.clone() };
        self.rows.push(Row { outcome, attack: attack.into() });
        if self.rows.len() == ROW_GROUP { self.write_row_group() } else { Ok(()) }
    }

    /// Makes the file appear.
    pub fn finish(mut self) -> Result<()> {
        if !self.rows.is_empty() {
            self.write_row_group()?;
        }
        self.writer.into_inner().map_err(broken(&self.path))?.finish()
    }

    fn write_row_group(&mut self) -> Result<()> {
        let rows = std::mem::take(&mut self.rows);
        let mut write = || -> Result<(), ParquetError> {
            let mut group = self.writer.next_row_group()?;
            for (_, column) in &COLUMNS {
                if let Some(mut writer) = group.next_column()? {
                    write_column(&mut writer, column, &rows)?;
                    writer.close()?;
                }
            }
            for measure in self.measures {
                if let Some(mut writer) = group.next_column()? {
                    let values = measure.values.iter().skip(self.written).copied();
                    write_doubles(&mut writer, values.chain(std::iter::repeat(None)).take(rows.len()))?;
                    writer.close()?;
                }
            }
            group.close().map(|_| ())
        };
        write().map_err(broken(&self.path))?;
        self.written += rows.len();
        Ok(())
    }
}

fn broken(path: &Path) -> impl FnOnce(ParquetError) -> Error {
    let explain = Error::io("write", path);
    |error| explain(std::io::Error::other(error))
}

/// The schema in Parquet's own notation.
fn schema(measures: &[Measure<'_>]) -> String {
    let mut fields: String = COLUMNS
        .iter()
        .map(|(name, column)| match column {
            Column::Count(_) => format!("required int64 {name};\n"),
            Column::Class(_) => format!("required int32 {name};\n"),
            Column::MaybeClass(_) => format!("optional int32 {name};\n"),
            Column::Text(_) => format!("required binary {name} (UTF8);\n"),
            Column::Measure(_) => format!("optional double {name};\n"),
            Column::Flag(_) => format!("optional boolean {name};\n"),
        })
        .collect();
    fields.extend(measures.iter().map(|measure| format!("optional double {};\n", measure.name)));
    format!("message results {{\n{fields}}}")
}

fn write_column(
    writer: &mut SerializedColumnWriter<'_>,
    column: &Column,
    rows: &[Row],
) -> Result<(), ParquetError> {
    match column {
        Column::Count(value) => {
            let values: Vec<i64> = rows.iter().map(|row| value(row) as i64).collect();
            writer.typed::<Int64Type>().write_batch(&values, None, None)?;
        }
        Column::Class(value) => {
            let values: Vec<i32> = rows.iter().map(|row| value(row) as i32).collect();
            writer.typed::<Int32Type>().write_batch(&values, None, None)?;
        }
        Column::MaybeClass(value) => {
            let (values, levels) = present(rows.iter().map(|row| value(row).map(|class| class as i32)));
            writer.typed::<Int32Type>().write_batch(&values, Some(&levels), None)?;
        }
        Column::Text(value) => {
            let values: Vec<ByteArray> = rows.iter().map(|row| ByteArray::from(value(row))).collect();
            writer.typed::<ByteArrayType>().write_batch(&values, None, None)?;
        }
        Column::Measure(value) => {
            write_doubles(writer, rows.iter().map(|row| row.outcome.adversarial.as_ref().and_then(value)))?;
        }
        Column::Flag(value) => {
            let (values, levels) =
                present(rows.iter().map(|row| row.outcome.adversarial.as_ref().map(value)));
            writer.typed::<BoolType>().write_batch(&values, Some(&levels), None)?;
        }
    }
    Ok(())
}

fn write_doubles(
    writer: &mut SerializedColumnWriter<'_>,
    values: impl Iterator<Item = Option<f64>>,
) -> Result<(), ParquetError> {
    let (values, levels) = present(values);
    writer.typed::<DoubleType>().write_batch(&values, Some(&levels), None)?;
    Ok(())
}

/// The values that are there, and for each row whether one is.
fn present<T>(values: impl Iterator<Item = Option<T>>) -> (Vec<T>, Vec<i16>) {
    let mut levels = Vec::new();
    let values = values.inspect(|value| levels.push(i16::from(value.is_some()))).flatten().collect();
    (values, levels)
}

#[cfg(test)]
mod tests {
    use parquet::file::reader::{FileReader, SerializedFileReader};
    use parquet::record::RowAccessor;

    use super::*;
    use crate::attack::Status;

    #[test]
    fn measures_follow_their_rows_through_row_groups() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("results.parquet");
        let values: Vec<Option<f64>> =
            (0..1030).map(|i| (i % 3 != 0).then_some(f64::from(i) / 7.0)).collect();
        let measures = [Measure { name: "extra", values: &values }];
        let mut writer =
            ResultsWriter::create(StagedFile::create(&path).expect("a file"), &measures).expect("a table");
        for index in 0..1030 {
            let outcome = Outcome {
                index,
                label: 0,
                predicted: None,
                status: Status::AlreadyWrong,
                target: None,
                adversarial: None,
                forwards: 1,
                gradients: 0,
                blind: false,
                progress: Vec::new(),
            };
            writer.push(&outcome, "test").expect("written");
        }
        writer.finish().expect("written");
        let reader = SerializedFileReader::new(std::fs::File::open(&path).expect("there")).expect("a table");
        let rows: Vec<_> = reader.get_row_iter(None).expect("rows").collect::<Result<_, _>>().expect("rows");
        let last = COLUMNS.len();
        let found: Vec<Option<f64>> = rows.iter().map(|row| row.get_double(last).ok()).collect();
        assert!(found == values);
        assert_eq!(rows[0].get_column_iter().last().expect("columns").0, "extra");
    }
}
