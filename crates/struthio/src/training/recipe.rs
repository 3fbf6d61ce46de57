use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::network::{Architecture, Convolutional, Family};

/// Everything that determines a trained network besides its architecture and the data.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Recipe {
    /// The optimiser and its constants.
    pub method: Method,
    /// The penalty on weights.
    pub weight_decay: WeightDecay,
    /// β of the penalty β·Σσ² over the largest singular values σ of the matrices and convolutions
    /// (suggested in section 4.3); none if zero.
    #[serde(default)]
    pub spectral_penalty: f64,
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
    /// the first tenth of the steps (of few, during 400 or half of them) and falls to zero along a cosine
    /// afterwards.
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
    /// The hidden layer as the encoder of a sparse autoencoder, then the last layer on its code by
    /// full-batch L-BFGS.
    Autoencoder {
        /// How the encoder is trained.
        encoder: EncoderRecipe,
        /// Most evaluations of the last layer's loss and gradient over the training set.
        max_evaluations: usize,
    },
}

impl Method {
    /// Passes over the training set; none for a method that is not counted in them.
    #[must_use]
    pub fn epochs(&self) -> Option<usize> {
        match *self {
            Self::Lbfgs { .. } => None,
            Self::Sgd { epochs, .. } => Some(epochs),
            Self::Autoencoder { encoder, .. } => Some(encoder.epochs),
        }
    }
}

/// How a one-layer sigmoid autoencoder is trained, without labels: by stochastic gradient descent,
/// as in [`Method::Sgd`], on
///
/// mean over images of Σᵢ H(xᵢ, yᵢ) + β·Σⱼ KL(ρ ‖ ρ̂ⱼ) + λ·Σw²/k,
///
/// where H is the cross-entropy between a pixel xᵢ and its reconstruction yᵢ from an image some of
/// whose pixels were set to zero (Vincent et al. 2008), ρ̂ⱼ the mean activation of hidden unit j over
/// the batch, and w the weights of the encoder with k units. Encoder and decoder are untied.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct EncoderRecipe {
    /// Passes over the training set.
    pub epochs: usize,
    /// Images per step.
    pub batch: usize,
    /// Largest learning rate.
    pub learning_rate: f64,
    /// Momentum.
    pub momentum: f64,
    /// Share of the pixels set to zero, drawn for every image in every epoch.
    pub corruption: f64,
    /// ρ, the mean activation that the penalty asks for.
    pub sparsity: f64,
    /// β, the factor of the penalty.
    pub sparsity_weight: f64,
    /// λ, the weight decay of the encoder.
    pub weight_decay: f64,
}

/// The penalty Σₗ λₗ·Σw²/kₗ over the weights w of each layer l with kₗ units, biases excluded
/// (Szegedy et al. 2013, section 3).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct WeightDecay {
    /// λ for each layer that is trained with labels.
    pub lambdas: Vec<f64>,
}

impl Recipe {
    /// The recipe used for `architecture` unless told otherwise.
    ///
    /// A network without hidden layers is convex and trained to its optimum. The constants for the
    /// others were chosen on the last 5,000 training images of MNIST; those of convolutional networks are
    /// first guesses, of which only the number of epochs was chosen there, by its time, and the learning rate of
    /// the residual network, with which brief trainings succeed too (the errors there are 0.9 % for `LeNet` and
    /// 0.7 % for the residual network), and for `AlexNet` those of Krizhevsky et al.
    /// (2012) as far as they apply.
    #[must_use]
    pub fn for_architecture(architecture: &Architecture, seed: u64) -> Self {
        if architecture.family == Family::Autoencoder {
            return Self {
                method: Method::Autoencoder { encoder: EncoderRecipe::DEFAULT, max_evaluations: 400 },
                weight_decay: WeightDecay { lambdas: vec![1e-6] },
                spectral_penalty: 0.0,
                seed,
            };
        }
        let layers = architecture.units.len();
        if let Family::Convolutional(kind) = architecture.family {
            let (epochs, batch, learning_rate) = match kind {
                Convolutional::MnistCnn => (4, 50, 0.1),
                Convolutional::LeNet => (10, 50, 0.1),
                Convolutional::ResNetSmall => (6, 50, 0.05),
                Convolutional::AlexNet | Convolutional::AlexNetOneTower => (90, 128, 0.01),
            };
            // Krizhevsky et al. shrink the weights of all layers alike, whatever their units.
            let lambda = |&units: &usize| match kind {
                Convolutional::AlexNet | Convolutional::AlexNetOneTower => 2.5e-4 * units as f64,
                _ => 1e-3,
            };
            return Self {
                method: Method::Sgd { epochs, batch, learning_rate, momentum: 0.9 },
                weight_decay: WeightDecay { lambdas: architecture.units.iter().map(lambda).collect() },
                spectral_penalty: 0.0,
                seed,
            };
        }
        if layers == 1 {
            return Self {
                method: Method::Lbfgs { max_evaluations: 300 },
                weight_decay: WeightDecay { lambdas: vec![1e-4] },
                spectral_penalty: 0.0,
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
            spectral_penalty: 0.0,
            seed,
        }
    }

    pub(super) fn check(&self, architecture: &Architecture) -> Result<()> {
        let refuse = |problem: String| Err(Error::Request(problem));
        let (found, layers) = (self.weight_decay.lambdas.len(), architecture.supervised_layers());
        if found != layers {
            return refuse(format!(
                "{found} weight decays for the {layers} layers that {architecture} trains with labels; give one for each"
            ));
        }
        let encoder_decay = match &self.method {
            Method::Autoencoder { encoder, .. } => Some(&encoder.weight_decay),
            _ => None,
        };
        let mut lambdas = self.weight_decay.lambdas.iter().chain(encoder_decay);
        if let Some(bad) = lambdas.find(|lambda| !(lambda.is_finite() && **lambda >= 0.0)) {
            return refuse(format!("a weight decay must be zero or positive, found {bad}"));
        }
        let for_autoencoder = matches!(self.method, Method::Autoencoder { .. });
        if for_autoencoder != (architecture.family == Family::Autoencoder) {
            return refuse(format!("{architecture} cannot be trained by the method of this recipe"));
        }
        let beta = self.spectral_penalty;
        if !(beta.is_finite() && beta >= 0.0) {
            return refuse(format!("the spectral penalty must be zero or positive, found {beta}"));
        }
        if beta > 0.0 && for_autoencoder {
            return refuse(format!(
                "the hidden layer of {architecture} is trained without labels, so it takes no spectral penalty"
            ));
        }
        let (epochs, batch) = match self.method {
            Method::Lbfgs { max_evaluations } => (max_evaluations, 1),
            Method::Sgd { epochs, batch, .. } => (epochs, batch),
            Method::Autoencoder { encoder, max_evaluations } => {
                encoder.check()?;
                (encoder.epochs.min(max_evaluations), encoder.batch)
            }
        };
        if epochs == 0 {
            return refuse("the number of epochs must be at least 1".into());
        }
        if batch == 0 {
            return refuse("the batch size must be at least 1".into());
        }
        Ok(())
    }
}

impl EncoderRecipe {
    /// Chosen on the last 5,000 training images of MNIST, training on the others. What
    /// matters are weight decay and the sparsity penalty: without either the error there is more
    /// than half as large again.
    pub const DEFAULT: Self = Self {
        epochs: 8,
        batch: 100,
        learning_rate: 0.01,
        momentum: 0.9,
        corruption: 0.3,
        sparsity: 0.2,
        sparsity_weight: 0.5,
        weight_decay: 40.0,
    };

    fn check(&self) -> Result<()> {
        if !(self.sparsity > 0.0 && self.sparsity < 1.0) {
            return Err(Error::Request(format!(
                "the mean activation must lie between 0 and 1, found {}",
                self.sparsity
            )));
        }
        if !(0.0..1.0).contains(&self.corruption) {
            return Err(Error::Request(format!(
                "the share of pixels set to zero must be at least 0 and below 1, found {}",
                self.corruption
            )));
        }
        if !(self.sparsity_weight >= 0.0 && self.sparsity_weight.is_finite()) {
            return Err(Error::Request(format!(
                "the factor of the sparsity penalty must be zero or positive, found {}",
                self.sparsity_weight
            )));
        }
        Ok(())
    }
}
