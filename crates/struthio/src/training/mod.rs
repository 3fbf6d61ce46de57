//! Training the networks that are attacked.
//!
//! Same seed, same bytes: gradients are summed over shards of a fixed size in a fixed order, so the
//! number of threads has no say.

mod cache;
mod checkpoint;
mod convex;
mod evaluate;
mod recipe;
mod sgd;
mod shards;

pub use cache::TrainingCache;
pub use checkpoint::Unfinished;
pub use evaluate::{count_errors, predictions};
pub use recipe::{Method, Recipe, WeightDecay};

use std::sync::atomic::AtomicBool;

use checkpoint::Checkpoints;

use crate::data::Dataset;
use crate::error::{Error, Result};
use crate::network::{Architecture, Classifier, Network};

/// How far a training is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Progress {
    /// Work done so far.
    pub done: u64,
    /// All of it; for L-BFGS the most there can be.
    pub total: u64,
    /// Mean loss over the latest batches, weight decay included.
    pub loss: f64,
    /// Share of training images misclassified lately, in the forward passes of the training itself.
    pub error: f64,
}

/// Trains `architecture` on `data` by `recipe`.
///
/// `progress` is told about every step that ends an epoch or evaluates the whole training set. If
/// `cancelled` becomes true, the result is [`Error::Interrupted`].
///
/// # Errors
///
/// If the labels do not fit the architecture, or the loss stops being finite.
pub fn train(
    architecture: &Architecture,
    data: &Dataset,
    recipe: &Recipe,
    threads: usize,
    cancelled: &AtomicBool,
    progress: &mut (dyn FnMut(Progress) + Send),
) -> Result<Network> {
    train_from(architecture, data, recipe, threads, &mut Checkpoints::none(), cancelled, progress)
}

/// As [`train`], from the checkpoint if there is one.
fn train_from(
    architecture: &Architecture,
    data: &Dataset,
    recipe: &Recipe,
    threads: usize,
    checkpoints: &mut Checkpoints,
    cancelled: &AtomicBool,
    progress: &mut (dyn FnMut(Progress) + Send),
) -> Result<Network> {
    let network = architecture.initialise(data.shape(), recipe.seed)?;
    if data.classes() > network.classes() {
        return Err(Error::data(
            data.name(),
            format!(
                "its labels go up to {}, but {architecture} has {} classes",
                data.classes() - 1,
                network.classes()
            ),
        ));
    }
    recipe.check(architecture)?;
    let pool = crate::thread_pool(threads)?;
    pool.install(|| match recipe.method {
        Method::Lbfgs { max_evaluations } => {
            convex::train(network, data, recipe, max_evaluations, cancelled, progress)
        }
        Method::Sgd { .. } => sgd::train(network, data, recipe, checkpoints, cancelled, progress),
    })
}
