//! Attacks: async searches over one image each, batched by the lanes they run in.
//!
//! An [`Attack`] sees one image and an [`Oracle`]. Awaiting the oracle is where batching happens:
//! each worker thread polls many searches, collects one question from each, and answers them all
//! with one forward and one backward pass. Because the network engine computes every row with the
//! same bits whatever stands beside it, an outcome depends on the image and the seed alone.

mod bisection;
mod blind;
mod boundary;
mod breadth;
mod candidate;
mod criterion;
mod cut;
mod descent;
mod dual;
mod effort;
mod lanes;
mod lattice;
mod lbfgs;
mod levels;
mod multistart;
mod oracle;
mod outcome;
mod penalty;
mod plane;
mod plausibility;
mod queue;
mod target;
mod verify;
mod wide;

pub use crate::network::Loss;
pub use criterion::{Criterion, required_margin};
pub use effort::{Effort, Watch};
pub use lanes::{Example, Lanes, attack_all, attack_all_watched};
pub use lattice::Lattice;
pub use lbfgs::{Lbfgs, PenaltyLoss, SearchKind};
pub use levels::{nearest_level, pixel_at, rounded};
pub use oracle::{Evaluation, Oracle, Stop};
pub use outcome::{Adversarial, Improvement, Outcome, Status, milestones};
pub use plausibility::FirstLook;
pub use target::Target;

use std::pin::Pin;

/// A search in progress.
pub type Search<'a> = Pin<Box<dyn Future<Output = Result<(), Stop>> + 'a>>;

/// A way of looking for the closest adversarial image.
///
/// An implementation asks the oracle about points of its choice. The oracle counts, enforces the
/// budget, and keeps the closest point that met the criterion, so a search returns nothing and
/// cannot lose its best point. See `examples/` for an attack written from scratch.
pub trait Attack: Send + Sync {
    /// Name in results and messages.
    fn name(&self) -> &str;

    /// Whether only points that the search asks about may be its result, as on a lattice; elsewhere the oracle looks
    /// a little beyond points that the model's own output rounds to a tie.
    fn is_confined(&self) -> bool {
        false
    }

    /// Looks for the closest point to `case.image` that meets `case.criterion`.
    ///
    /// The only thing a search may await is the oracle.
    fn run<'a>(&'a self, oracle: &'a Oracle, case: &'a Case) -> Search<'a>;
}

/// One image to attack, which the network classifies correctly.
#[derive(Debug, Clone)]
pub struct Case {
    /// Index in the data set; with the seed it determines the random stream.
    pub index: usize,
    /// The image, inside the box.
    pub image: Vec<f32>,
    /// Its class.
    pub label: usize,
    /// The logits of the image.
    pub logits: Vec<f32>,
    /// What counts as adversarial.
    pub criterion: Criterion,
    /// Smallest pixel value.
    pub lower: f32,
    /// Largest pixel value.
    pub upper: f32,
    /// What the classifier says of [its units](crate::network::Classifier::unit_steepness).
    pub unit_steepness: Option<f64>,
    /// Seed of the run.
    pub seed: u64,
}
