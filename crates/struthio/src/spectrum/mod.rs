//! How far each layer, and the network, can amplify a disturbance (section 4.3 of the paper), and what
//! that certifies.
//!
//! A convolution has a gain in three senses: `circular`, on images that wrap around; `zero_padded`,
//! as it is executed, by iteration and so from below; `upper`, proven for images of any size. The bound of
//! a network is their product, or lower where matrices in series are taken together.
//! The local gain at an image is a bound of the network's from below.

mod certificate;
mod chain;
mod circular;
mod gram;
mod layer;
mod local;
mod network;
mod peak;
mod study;
mod symbol;
mod upper;

pub use certificate::{Certificates, certified_radius};
pub use circular::Spectrum;
pub use layer::{LayerGain, Settings, layer_gains};
pub use local::{Surroundings, local_gain, surroundings};
pub use network::{bound, chained_bound, chained_value_bounds, value_bounds};
pub use study::{Bracket, Certified, Layer, NetworkGain, SingularValues, Study};

/// A pool of `threads` threads to compute gains in.
///
/// # Errors
///
/// If they cannot be started.
pub fn pool(threads: usize) -> crate::Result<rayon::ThreadPool> {
    crate::thread_pool(threads)
}
