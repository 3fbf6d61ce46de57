//! Table 1: errors and average minimum distortion of networks trained on MNIST.

use serde::{Deserialize, Serialize};

use crate::error::Result;
use crate::network::{Architecture, Family};
use crate::numeric::statistics::{mean, standard_deviation};
use crate::run::{AttackSummary, Triple};
use crate::training::{Method, Recipe, WeightDecay};

/// A row of the paper's Table 1: errors in percent, distortion as RMS over the pixels.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct PaperRow {
    /// Training error, %.
    pub train_error: f64,
    /// Test error, %.
    pub test_error: f64,
    /// Average minimum distortion, RMS.
    pub distortion: f64,
}

/// A network of the paper, and what the paper says about it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PaperNetwork {
    /// The paper's name.
    pub name: &'static str,
    /// Architecture, as [`Architecture`](crate::network::Architecture) parses it.
    pub architecture: &'static str,
    /// λ for each layer.
    pub lambdas: &'static [f64],
    /// The row of Table 1, if it has one.
    pub paper: Option<PaperRow>,
    /// What differs from the paper here.
    pub remark: &'static str,
}

const DEEP: &[f64] = &[1e-5, 1e-5, 1e-6];
const CONVEX: &str = "trained by full-batch L-BFGS; the loss is convex, so training seeds do not matter";
const SIGMOID: &str = "initial weights, optimiser and schedule are ours";

const fn row(train_error: f64, test_error: f64, distortion: f64) -> PaperRow {
    PaperRow { train_error, test_error, distortion }
}

/// The networks of Table 1, FC123-456-10, which the paper trains on half of the data (Table 3), and a
/// convolutional network for MNIST, as in its Figures 1 and 2.
pub const PAPER_TABLE_1: [PaperNetwork; 8] = [
    PaperNetwork {
        name: "FC10(1e-4)",
        architecture: "fc10",
        lambdas: &[1e-4],
        paper: Some(row(6.7, 7.4, 0.062)),
        remark: CONVEX,
    },
    PaperNetwork {
        name: "FC10(1e-2)",
        architecture: "fc10",
        lambdas: &[1e-2],
        paper: Some(row(10.0, 9.4, 0.1)),
        remark: CONVEX,
    },
    PaperNetwork {
        name: "FC10(1)",
        architecture: "fc10",
        lambdas: &[1.0],
        paper: Some(row(21.2, 20.0, 0.14)),
        remark: CONVEX,
    },
    PaperNetwork {
        name: "FC100-100-10",
        architecture: "fc100-100-10",
        lambdas: DEEP,
        paper: Some(row(0.0, 1.64, 0.058)),
        remark: SIGMOID,
    },
    PaperNetwork {
        name: "FC200-200-10",
        architecture: "fc200-200-10",
        lambdas: DEEP,
        paper: Some(row(0.0, 1.54, 0.065)),
        remark: SIGMOID,
    },
    PaperNetwork {
        name: "AE400-10",
        architecture: "ae400-10",
        lambdas: &[1e-6],
        paper: Some(row(0.57, 1.9, 0.086)),
        remark: "the paper does not say how its autoencoder was trained; here it restores images from which \
                 pixels were erased, with a KL penalty on mean activations and weight decay on the encoder, \
                 settings chosen on the last 5,000 training images; λ is that of the softmax on its code, \
                 trained by full-batch L-BFGS",
    },
    PaperNetwork {
        name: "FC123-456-10",
        architecture: "fc123-456-10",
        lambdas: DEEP,
        paper: None,
        remark: "not in the paper's Table 1; its Table 3 trains this network on half of the data",
    },
    PaperNetwork {
        name: "MNIST-CNN",
        architecture: "mnist-cnn",
        lambdas: &[1e-3; 7],
        paper: None,
        remark: "not in the paper's Table 1, nor does the paper describe its convolutional network; this one is \
                 that of Carlini & Wagner (2017), without its dropout, and trained with one seed",
    },
];

impl PaperNetwork {
    /// What is trained, and how; with `brief`, what would take minutes takes half of one.
    pub fn recipe(&self, seed: u64, brief: bool) -> Result<(Architecture, Recipe)> {
        let architecture: Architecture = self.architecture.parse()?;
        let mut recipe = Recipe::for_architecture(&architecture, seed);
        recipe.weight_decay = WeightDecay { lambdas: self.lambdas.to_vec() };
        if let (true, Family::Convolutional(_), Method::Sgd { epochs, .. }) =
            (brief, architecture.family, &mut recipe.method)
        {
            *epochs = 1;
        }
        Ok((architecture, recipe))
    }

    /// How many of `asked` training seeds are worth their time: one where seeds do not matter, or one
    /// training takes minutes.
    pub(super) fn training_seeds(&self, asked: u64) -> Result<u64> {
        let (architecture, recipe) = self.recipe(0, false)?;
        let one = matches!(recipe.method, Method::Lbfgs { .. })
            || matches!(architecture.family, Family::Convolutional(_));
        Ok(if one { asked.min(1) } else { asked })
    }
}

/// What one training seed gave.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SeedResult {
    /// The seed.
    pub seed: u64,
    /// Training images misclassified.
    pub train_mistakes: u64,
    /// Share of the training images misclassified.
    pub train_error: f64,
    /// Test images misclassified.
    pub test_mistakes: u64,
    /// Share of the test images misclassified.
    pub test_error: f64,
    /// The attack on this network.
    pub attack: AttackSummary,
}

/// A row of our Table 1.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Table1Row {
    /// The paper's name of the network.
    pub network: String,
    /// λ for each layer; the loss has λ·Σw²/k for a layer of k units.
    pub lambdas: Vec<f64>,
    /// Mean share of training images misclassified, over seeds.
    pub train_error: f64,
    /// Mean share of test images misclassified, over seeds.
    pub test_error: f64,
    /// Standard deviation of the test error over seeds.
    pub test_error_spread: Option<f64>,
    /// Average minimum distortion (RMS), mean over seeds.
    pub distortion: Option<f64>,
    /// Standard deviation of it over seeds.
    pub distortion_spread: Option<f64>,
    /// Every seed.
    pub seeds: Vec<SeedResult>,
    /// The paper's row.
    pub paper: Option<PaperRow>,
    /// What differs from the paper.
    pub remark: String,
}

impl Table1Row {
    pub(super) fn new(network: &PaperNetwork, seeds: Vec<SeedResult>) -> Self {
        let over = |value: fn(&SeedResult) -> f64| seeds.iter().map(value).collect::<Vec<f64>>();
        let test_errors = over(|seed| seed.test_error);
        let distortions: Vec<f64> =
            seeds.iter().filter_map(|seed| seed.attack.rms.as_ref().map(|rms| rms.mean)).collect();
        Self {
            network: network.name.into(),
            lambdas: network.lambdas.to_vec(),
            train_error: mean(&over(|seed| seed.train_error)).unwrap_or(f64::NAN),
            test_error: mean(&test_errors).unwrap_or(f64::NAN),
            test_error_spread: standard_deviation(&test_errors),
            distortion: mean(&distortions),
            distortion_spread: standard_deviation(&distortions),
            seeds,
            paper: network.paper,
            remark: network.remark.into(),
        }
    }
}

/// Table 1.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Table1 {
    /// [`SCHEMA_VERSION`](crate::run::SCHEMA_VERSION).
    pub schema_version: u32,
    /// Correctly classified training images attacked per network.
    pub samples: usize,
    /// One row per network.
    pub table1: Vec<Table1Row>,
}

/// What the report shows of a network besides its row: the first training seed's attack.
#[derive(Debug, Clone, Default)]
pub struct NetworkReport {
    /// The paper's name of the network.
    pub name: String,
    /// Root mean square of every perturbation found.
    pub rms: Vec<f64>,
    /// One example per class.
    pub gallery: Vec<Triple>,
    /// For an autoencoder, the weights of each unit of the encoder, one per pixel; else empty.
    pub filters: Vec<Vec<f32>>,
}
