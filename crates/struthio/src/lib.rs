//! struthio finds the blind spots of neural networks: the smallest change of an image that makes a
//! classifier err, after Szegedy et al., *Intriguing properties of neural networks* (2013).
//!
//! Data flows one way: [`data`] → [`network`] → [`training`] → [`attack`] → [`run`]; [`transfer`] shows
//! what was made for one network to others, [`spectrum`] bounds what a network can amplify, and
//! [`paper`] repeats the paper's experiments on top of them all.
//!
//! # Example
//!
//! Train a small network, attack ten images, and look at the distances:
//!
//! ```
//! use std::sync::atomic::AtomicBool;
//! use struthio::attack::{Criterion, Example, Lanes, Lbfgs, Status, attack_all};
//! use struthio::data::{mnist_test, mnist_train};
//! use struthio::network::Architecture;
//! use struthio::training::{Recipe, train};
//!
//! let never = AtomicBool::new(false);
//! let architecture: Architecture = "fc10".parse()?;
//! let recipe = Recipe::for_architecture(&architecture, 0);
//! let network = train(&architecture, &mnist_train()?.range(0..1000)?, &recipe, 1, &never, &mut |_| {})?;
//!
//! let test = mnist_test()?;
//! let example = |i: usize| {
//!     let (image, label) = (test.image(i)?, test.label(i));
//!     Ok(Example { index: i, image, label, criterion: Criterion::NotClass(label) })
//! };
//! let lanes = Lanes { threads: 1, lanes: 10, budget: None, seed: 0 };
//! attack_all(&network, &Lbfgs::default(), lanes, 10, &example, &never, &mut |outcome| {
//!     if outcome.status == Status::Found {
//!         let found = outcome.adversarial.as_ref().unwrap();
//!         println!("image {}: {} → {} at L2 {:.3}", outcome.index, outcome.label, found.label, found.l2);
//!     }
//!     Ok(())
//! })?;
//! # Ok::<(), struthio::Error>(())
//! ```

pub mod attack;
pub mod data;
mod error;
pub mod network;
pub mod numeric;
pub mod paper;
pub mod run;
pub mod spectrum;
pub mod training;
pub mod transfer;
pub mod units;

pub use error::{Error, Result};

/// Lower-case hexadecimal digits of `bytes`.
pub(crate) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::new(), |mut digits, byte| {
        let _ = write!(digits, "{byte:02x}"); // writing to a string cannot fail
        digits
    })
}

/// Number of elements of an array of `shape`, unless that is too large for any.
pub(crate) fn element_count(shape: &[usize]) -> Option<usize> {
    shape.iter().try_fold(1_usize, |product, &length| product.checked_mul(length))
}

/// A pool of `threads` threads for data-parallel work.
pub(crate) fn thread_pool(threads: usize) -> Result<rayon::ThreadPool> {
    rayon::ThreadPoolBuilder::new()
        .num_threads(threads.max(1))
        .build()
        .map_err(|error| Error::Request(format!("cannot start {threads} threads: {error}")))
}
