use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::network::Architecture;

/// Everything that determines a trained network besides its architecture and the data.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Recipe {
    /// The optimiser and its constants.
    pub method: Method,
    /// The penalty on weights.
    pub weight_decay: WeightDecay,
    /// Seed of initial weights and shuffling.
    pub seed: u64,
}

/// Optimisers.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(tag = "name", rename_all = "snake_case")]
pub enum Method {
    /// Full-batch L-BFGS: to the optimum of a convex problem.
    Lbfgs {
        /// Most evaluations of loss and gradient over the training set.
        max_evaluations: usize,
    },
    /// Stochastic gradient descent with Nesterov momentum; the learning rate rises linearly during
    /// the first tenth of the steps and falls to zero along a cosine afterwards.
    Sgd {
        /// Passes over the training set.
        epochs: usize,
        /// Images per step.
        batch: usize,
        /// Largest learning rate, for the mean loss over the batch.
        learning_rate: f64,
        /// Momentum.
        momentum: f64,
    },
}

/// The penalty Σₗ λₗ·Σw²/kₗ over the weights w of each layer l with kₗ units, biases excluded
/// (Szegedy et al. 2013, section 3).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct WeightDecay {
    /// λ for each layer.
    pub lambdas: Vec<f64>,
}

impl Recipe {
    /// The recipe used for `architecture` unless told otherwise.
    ///
    /// A network without hidden layers is convex and trained to its optimum. The constants for the
    /// others were chosen on the last 5,000 training images of MNIST.
    #[must_use]
    pub fn for_architecture(architecture: &Architecture, seed: u64) -> Self {
        let layers = architecture.units.len();
        if layers == 1 {
            return Self {
                method: Method::Lbfgs { max_evaluations: 300 },
                weight_decay: WeightDecay { lambdas: vec![1e-4] },
                seed,
            };
        }
        let mut lambdas = vec![1e-5; layers];
        lambdas[layers - 1] = 1e-6;
        let narrowest = architecture.units[..layers - 1].iter().min().copied().unwrap_or(0);
        // Narrow networks take longer to learn the last few training images.
        let epochs = if narrowest > 100 { 25 } else { 35 };
        Self {
            method: Method::Sgd { epochs, batch: 50, learning_rate: 0.5, momentum: 0.9 },
            weight_decay: WeightDecay { lambdas },
            seed,
        }
    }

    pub(super) fn check(&self, architecture: &Architecture) -> Result<()> {
        let (found, layers) = (self.weight_decay.lambdas.len(), architecture.units.len());
        if found != layers {
            return Err(Error::Request(format!(
                "{found} weight decays for the {layers} layers of {architecture}; give one for each layer"
            )));
        }
        if let Some(bad) =
            self.weight_decay.lambdas.iter().find(|lambda| !(lambda.is_finite() && **lambda >= 0.0))
        {
            return Err(Error::Request(format!("a weight decay must be zero or positive, found {bad}")));
        }
        match self.method {
            Method::Sgd { epochs: 0, .. } | Method::Lbfgs { max_evaluations: 0 } => {
                Err(Error::Request("the number of epochs must be at least 1".into()))
            }
            Method::Sgd { batch: 0, .. } => Err(Error::Request("the batch size must be at least 1".into())),
            _ => Ok(()),
        }
    }
}
