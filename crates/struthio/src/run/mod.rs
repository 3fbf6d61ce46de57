//! The run directory.

mod atomic;

pub use atomic::write_atomically;
