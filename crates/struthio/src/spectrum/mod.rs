//! How far each layer, and the network, can amplify a disturbance (section 4.3 of the paper), and what
//! that certifies.
//!
//! A convolution has a gain in three senses: `circular`, on images that wrap around, exact; `zero_padded`,
//! as it is executed, by iteration and so from below; `upper`, proven for images of any size. The bound of
//! a network is their product, or lower where matrices in series are taken together.

mod certificate;
mod chain;
mod circular;
mod gram;
mod layer;
mod network;
mod peak;
mod symbol;
mod upper;

pub use certificate::{Certificates, certified_radius};
pub use circular::Spectrum;
pub use layer::{LayerGain, Settings, layer_gains};
pub use network::{bound, chained_bound, chained_value_bounds, value_bounds};

/// A pool of `threads` threads to compute gains in.
///
/// # Errors
///
/// If they cannot be started.
pub fn pool(threads: usize) -> crate::Result<rayon::ThreadPool> {
    crate::thread_pool(threads)
}
