//! Results of struthio as one HTML file.
//!
//! A page needs nothing besides itself: pictures, figures and style are inside, and no script runs.
//! It says nothing that may differ between two runs of the same command (seconds, threads, hosts are
//! in `timing.json`), so the same results give the same bytes.
//!
//! Sentences that conclude something are computed from the results they stand beside.

mod attack;
mod curve;
mod distribution;
mod drawing;
mod format;
mod gallery;
mod histogram;
mod logarithmic;
mod page;
mod picture;
mod provenance;
mod reproduce;
#[cfg(test)]
mod samples;
mod spectrum;
mod transfer;
mod units;

pub use attack::{AttackPage, attack_page};
pub use format::count;
pub use reproduce::reproduce_page;
pub use spectrum::{SpectrumPage, spectrum_page};
pub use transfer::{TransferPage, transfer_page};
pub use units::{UnitsPage, units_page};
