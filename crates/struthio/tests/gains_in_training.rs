//! Training with a penalty on gains.

use std::sync::atomic::AtomicBool;

use struthio::network::Architecture;
use struthio::spectrum::{Settings, layer_gains};
use struthio::training::{Method, Recipe, train};

#[test]
fn a_penalty_lowers_the_gains() {
    let data = struthio::data::mnist_train().and_then(|all| all.range(0..500)).expect("MNIST");
    for (name, penalty) in [("fc10", 0.01), ("fc20-10", 0.03), ("mnist-cnn", 0.03)] {
        let architecture: Architecture = name.parse().expect("valid");
        let gain = |penalty| {
            let mut recipe = Recipe::for_architecture(&architecture, 0);
            recipe.spectral_penalty = penalty;
            if let Method::Sgd { epochs, .. } = &mut recipe.method {
                *epochs = 4;
            }
            let network = train(&architecture, &data, &recipe, 2, &AtomicBool::new(false), &mut |_| {});
            let network = network.expect("training works");
            let settings = Settings { zero_padded: false, upper: false, ..Settings::default() };
            let layers = layer_gains(network.graph(), settings, &AtomicBool::new(false), &|| ());
            layers.expect("not cancelled").iter().filter_map(|layer| layer.circular).product::<f64>()
        };
        let (with, without) = (gain(penalty), gain(0.0));
        assert!(with < 0.8 * without, "{name}: {with} {without}");
    }
}
