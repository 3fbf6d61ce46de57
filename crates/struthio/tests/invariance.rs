//! An outcome depends on the image and the seed alone: not on threads, lanes or batch mates.

mod common;

use common::{LANES, attacked, right_examples, trained};
use struthio::attack::{Criterion, Example, Lanes, Lbfgs, SearchKind, Status};
use struthio::network::Network;

fn examples(network: &Network) -> Vec<Example> {
    let test = struthio::data::mnist_test().expect("MNIST");
    let mut examples = right_examples(network, &test, 40);
    for (i, example) in examples.iter_mut().enumerate().filter(|(i, _)| i % 4 == 0) {
        example.criterion = Criterion::Class((example.label + 1 + i) % 10);
    }
    examples
}

#[test]
fn same_bits_for_any_threads_and_lanes_and_alone() {
    let network = trained("fc40-30-10", 4000, 1e-5, 3);
    let examples = examples(&network);
    for search in [SearchKind::Fast, SearchKind::Bisection] {
        let attack = Lbfgs { search, ..Lbfgs::default() };
        let some = if search == SearchKind::Fast { &examples[..] } else { &examples[..8] };
        let expected = attacked(&network, &attack, some, LANES);
        assert!(expected.iter().filter(|outcome| outcome.status == Status::Found).count() >= some.len() - 1);
        for (threads, lanes) in [(1, 1), (1, 7), (2, 3), (2, 64), (3, 5)] {
            let again = attacked(&network, &attack, some, Lanes { threads, lanes, ..LANES });
            assert_eq!(again, expected, "{threads} threads, {lanes} lanes, {search:?}");
        }
        for (example, outcome) in some.iter().zip(&expected).take(5) {
            let alone = attacked(&network, &attack, std::slice::from_ref(example), LANES);
            assert_eq!(alone, std::slice::from_ref(outcome));
        }
    }
}

#[test]
fn training_does_not_depend_on_threads() {
    use std::sync::atomic::AtomicBool;
    use struthio::network::Architecture;
    use struthio::training::{Method, Recipe, train};
    let data = struthio::data::mnist_train().and_then(|all| all.range(0..2000)).expect("MNIST");
    for name in ["fc20-10", "fc10", "ae20-10"] {
        let architecture: Architecture = name.parse().expect("valid");
        let mut recipe = Recipe::for_architecture(&architecture, 5);
        match &mut recipe.method {
            Method::Sgd { epochs, .. } => *epochs = 2,
            Method::Autoencoder { encoder, max_evaluations } => (encoder.epochs, *max_evaluations) = (2, 15),
            Method::Lbfgs { max_evaluations } => *max_evaluations = 15,
        }
        let with = |threads| {
            let network = train(&architecture, &data, &recipe, threads, &AtomicBool::new(false), &mut |_| {});
            network.expect("training works").fingerprint()
        };
        assert_eq!(with(1), with(2));
        assert_eq!(with(1), with(3));
    }
}

#[test]
fn a_budget_is_kept_and_said() {
    let network = trained("fc40-30-10", 4000, 1e-5, 3);
    let examples = examples(&network);
    for budget in [1, 5, 12] {
        let outcomes =
            attacked(&network, &Lbfgs::default(), &examples, Lanes { budget: Some(budget), ..LANES });
        for outcome in outcomes {
            // One more gradient measures how close to optimal what was found is.
            let diagnostic = u64::from(outcome.status == Status::Found);
            assert!(outcome.gradients <= budget + diagnostic, "{} of {budget}", outcome.gradients);
            assert!(matches!(outcome.status, Status::Found | Status::NotFound));
            assert_eq!(outcome.status == Status::Found, outcome.adversarial.is_some());
        }
    }
}
