//! What several tests need.
#![allow(dead_code, reason = "each test file uses a part of this")]

pub mod exact;

use std::sync::atomic::AtomicBool;

use struthio::attack::{Attack, Criterion, Example, Lanes, Outcome, attack_all};
use struthio::data::Dataset;
use struthio::network::{Architecture, Classifier, Network};
use struthio::training::{Method, Recipe, WeightDecay, count_errors, predictions, train};

/// A network trained briefly on the first `images` training images of MNIST.
pub fn trained(architecture: &str, images: usize, lambda: f64, epochs: usize) -> Network {
    let architecture: Architecture = architecture.parse().expect("valid architecture");
    let data = struthio::data::mnist_train().and_then(|all| all.range(0..images)).expect("MNIST");
    let mut recipe = Recipe::for_architecture(&architecture, 0);
    recipe.weight_decay = WeightDecay { lambdas: vec![lambda; architecture.supervised_layers()] };
    match &mut recipe.method {
        Method::Sgd { epochs: own, .. } => *own = epochs,
        Method::Autoencoder { encoder, .. } => encoder.epochs = epochs,
        Method::Lbfgs { max_evaluations } => *max_evaluations = epochs,
    }
    let network =
        train(&architecture, &data, &recipe, 2, &AtomicBool::new(false), &mut |_| {}).expect("trained");
    let mistakes = count_errors(&network, &data, 2).expect("the data fit");
    assert!(
        4 * mistakes < images,
        "{architecture} has learned nothing: {mistakes} of {images} images are wrong"
    );
    network
}

/// The first `count` images of `data` that `classifier` gets right, as untargeted examples.
pub fn right_examples(classifier: &dyn Classifier, data: &Dataset, count: usize) -> Vec<Example> {
    let classes = predictions(classifier, data, 2).expect("the data fit");
    (0..data.len())
        .filter(|&i| classes[i] == Some(data.label(i)))
        .take(count)
        .map(|i| Example {
            index: data.index(i),
            image: data.image(i).expect("an image"),
            label: data.label(i),
            criterion: Criterion::NotClass(data.label(i)),
        })
        .collect()
}

/// Attacks all examples.
pub fn attacked(
    classifier: &dyn Classifier,
    attack: &dyn Attack,
    examples: &[Example],
    lanes: Lanes,
) -> Vec<Outcome> {
    let mut outcomes = Vec::new();
    let example = |i: usize| Ok(examples[i].clone());
    attack_all(
        classifier,
        attack,
        lanes,
        examples.len(),
        &example,
        &AtomicBool::new(false),
        &mut |outcome| {
            outcomes.push(outcome);
            Ok(())
        },
    )
    .expect("the attack runs");
    outcomes
}

/// Two threads, 64 lanes, no budget.
pub const LANES: Lanes = Lanes { threads: 2, lanes: 64, budget: None, seed: 0 };
