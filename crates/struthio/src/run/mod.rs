//! The run directory: what a command leaves behind.
//!
//! `manifest.json` says what was run on what, `results.parquet` has one row per example,
//! `adversarial.npy` the images, `summary.json` the figures, `timing.json` everything that may
//! differ between two runs of the same command. All other files are byte-identical from run to run.

mod atomic;
mod directory;
mod manifest;
mod npy;
mod recorder;
mod results;
mod showcase;
mod summary;

pub use atomic::write_atomically;
pub use directory::{RunDirectory, StagedFile};
pub use manifest::{DataRecord, Manifest, ModelRecord, SCHEMA_VERSION, Timing};
pub use npy::{NpyWriter, write_npy};
pub use recorder::{Recorded, Recorder};
pub use results::ResultsWriter;
pub use showcase::Triple;
pub use summary::{AttackSummary, Spread, StatusCount};
