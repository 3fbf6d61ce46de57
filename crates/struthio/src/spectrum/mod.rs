//! How far each layer, and the network, can amplify a disturbance (section 4.3 of the paper), and what
//! that certifies.
//!
//! A convolution has a gain in three senses: `circular`, on images that wrap around, exact; `zero_padded`,
//! as it is executed, by iteration and so from below; `upper`, proven for images of any size.

mod certificate;
mod circular;
mod gram;
mod layer;
mod network;
mod symbol;
mod upper;

pub use certificate::{Certificates, certified_radius};
pub use circular::Spectrum;
pub use layer::{LayerGain, Settings, layer_gains};
pub use network::{bound, value_bounds};

/// A pool of `threads` threads to compute gains in.
///
/// # Errors
///
/// If they cannot be started.
pub fn pool(threads: usize) -> crate::Result<rayon::ThreadPool> {
    crate::thread_pool(threads)
}
