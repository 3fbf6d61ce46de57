//! Training the networks that are attacked.
//!
//! Same seed, same bytes: gradients are summed over shards of a fixed size in a fixed order, so the
//! number of threads has no say.

mod autoencoder;
mod cache;
mod checkpoint;
mod convex;
mod evaluate;
mod nesterov;
mod recipe;
mod sgd;
mod shards;
mod spectral;

pub use cache::TrainingCache;
pub use checkpoint::Unfinished;
pub use evaluate::{count_errors, labelled_by_predictions, predictions};
pub use recipe::{EncoderRecipe, Method, Recipe, WeightDecay};

use std::fmt;
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
    /// Mean loss over the latest batches, penalties included.
    pub loss: f64,
    /// Share of training images misclassified lately, in the forward passes of the training itself;
    /// none while no labels are used.
    pub error: Option<f64>,
}

impl fmt::Display for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.error {
            Some(error) => write!(f, "loss {:.4}, error {:.2} %", self.loss, 100.0 * error),
            None => write!(f, "without labels, loss {:.2}", self.loss),
        }
    }
}

/// Trains `architecture` on `data` by `recipe`.
///
/// `progress` is told about every step that ends an epoch or evaluates the whole training set, and some
/// between; the encoder of an autoencoder comes first and counts for itself. If
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
        Method::Autoencoder { encoder, max_evaluations } => autoencoder::train(
            &network,
            data,
            recipe,
            (encoder, max_evaluations),
            checkpoints,
            cancelled,
            progress,
        ),
        Method::Sgd { .. } => sgd::train(network, data, recipe, checkpoints, cancelled, progress),
    })
}
