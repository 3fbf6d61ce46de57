//! struthio finds the blind spots of neural networks.
pub mod attack;
pub mod data;
mod error;
pub mod network;
pub mod numeric;
pub mod paper;
pub mod run;
pub mod training;
pub use error::{Error, Result};

/// Lower-case hexadecimal digits of `bytes`.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A pool of `threads` threads for data-parallel work.
pub(crate) fn thread_pool(threads: usize) -> Result<rayon::ThreadPool> {
    rayon::ThreadPoolBuilder::new()
        .num_threads(threads.max(1))
        .build()
        .map_err(|error| Error::Request(format!("cannot start {threads} threads: {error}")))
}
