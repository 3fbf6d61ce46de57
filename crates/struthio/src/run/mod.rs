//! The run directory: what a command leaves behind.
//!
//! `manifest.json` says what was run on what, `results.parquet` has one row per example,
//! `adversarial.npy` the images, `summary.json` the figures, `timing.json` everything that may
//! differ between two runs of the same command. All other files are byte-identical from run to run.
//!
//! `SHA256SUMS` lists them, for `sha256sum -c`.
//!
//! The manifest is written first and `timing.json` last. In between, outcomes are appended to a
//! journal in a hidden folder, from which all other files are made; so a run that was stopped at any
//! moment continues where it was, and ends with the bytes of one that was not.

mod checksum;
mod directory;
mod journal;
mod manifest;
mod npy;
mod opening;
mod pictures;
mod recorder;
mod results;
mod showcase;
mod staged;
mod summary;
mod sums;

pub(crate) use checksum::checksum;
pub use directory::RunDirectory;
pub use manifest::{DataRecord, Manifest, ModelRecord, SCHEMA_VERSION, Timing};
pub use npy::{AdversarialImages, NpyWriter};
pub use opening::{Opened, Resume};
pub use pictures::{PictureSummary, Pictures, check_picture_folder};
pub use recorder::{Recorded, RecordedRow, Recorder, Recording};
pub use results::Measure;
pub use showcase::Triple;
pub use staged::StagedFile;
pub(crate) use staged::{read_regular, remove_abandoned, write_atomically};
pub use summary::{AttackSummary, CurvePoint, Spread, StatusCount};
