//! Random streams derived from a seed, a purpose and an index.
//!
//! A stream is never shared between examples, so what one example draws does not depend on which
//! others are processed, in which order, or by how many threads.

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use sha2::{Digest, Sha256};

/// The generator behind every random decision.
pub type Stream = ChaCha8Rng;

/// The stream for the `index`-th item of `purpose` under `seed`.
///
/// ```
/// use rand::Rng;
/// use struthio::numeric::random::stream;
///
/// let draw = |index| stream(0, "target", index).next_u64();
/// assert_eq!(draw(7), draw(7));
/// assert_ne!(draw(7), draw(8));
/// ```
#[must_use]
pub fn stream(seed: u64, purpose: &str, index: u64) -> Stream {
    let mut hash = Sha256::new();
    hash.update(seed.to_le_bytes());
    hash.update(index.to_le_bytes());
    hash.update(purpose.as_bytes());
    ChaCha8Rng::from_seed(hash.finalize().into())
}
