//! Is a single unit more meaningful than a random direction? The paper's first property (section 3), shown
//! and then measured.
//!
//! Activations φ(x) of a layer are collected in one pass (`activations.rs`) and kept on disk (`spool.rs`).
//! Directions of the space they live in (`directions.rs`) are judged by the images that maximise ⟨φ(x), v⟩
//! (`top.rs`): how alike those are (`coherence.rs`), and by images made for that (`maximise.rs`). The natural
//! basis stands against bases drawn at random (`judge.rs`, `comparison.rs`), and the outcome is a sentence
//! (`verdict.rs`). Finished layers are kept on disk until all are (`kept.rs`).

mod activations;
mod analysis;
mod coherence;
mod comparison;
mod directions;
mod judge;
mod kept;
mod layer;
mod maximise;
mod project;
mod result;
mod spool;
mod top;
mod verdict;

pub use activations::Pooling;
pub use analysis::{Options, analyse};
pub use coherence::{Coherence, Measure, RARE};
pub use comparison::{Comparison, Dose};
pub use directions::Kind;
pub use layer::Layer;
pub use result::{Direction, LayerResult, Shown};
pub use verdict::Verdict;
