//! struthio finds the blind spots of neural networks.
mod error;
pub mod data;
pub mod network;
pub mod numeric;
pub use error::{Error, Result};

/// Lower-case hexadecimal digits of `bytes`.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
