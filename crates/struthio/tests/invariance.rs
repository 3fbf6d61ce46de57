//! An outcome depends on the image and the seed alone: not on threads, lanes or batch mates.

mod common;

use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use common::{LANES, attacked, right_examples, trained};
use struthio::attack::{
    Attack, Case, Criterion, Example, Lanes, Lbfgs, Oracle, Search, SearchKind, Status, attack_all,
};
use struthio::network::{Classifier, Network, onnx};

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
        let some = if search == SearchKind::Fast { &examples[..] } else { &examples[..8] };
        assert_invariant(&network, search, some, some.len() - 1, LANES);
    }
}

#[test]
fn the_same_of_a_convolutional_network() {
    let network = trained("mnist-cnn", 3000, 1e-3, 3);
    let lanes = Lanes { budget: Some(120), ..LANES };
    assert_invariant(&network, SearchKind::Fast, &examples(&network)[..8], 8, lanes);
}

fn assert_invariant(
    network: &Network,
    search: SearchKind,
    examples: &[Example],
    at_least: usize,
    as_usual: Lanes,
) {
    let attack = Lbfgs { search, ..Lbfgs::default() };
    let expected = attacked(network, &attack, examples, as_usual);
    let found = expected.iter().filter(|outcome| outcome.status == Status::Found).count();
    assert!(found >= at_least, "{found} of {}", examples.len());
    for (threads, lanes) in [(1, 1), (1, 7), (2, 3), (2, 64), (3, 5)] {
        let again = attacked(network, &attack, examples, Lanes { threads, lanes, ..as_usual });
        assert_eq!(again, expected, "{threads} threads, {lanes} lanes, {search:?}");
    }
    for (example, outcome) in examples.iter().zip(&expected).take(5) {
        let alone = attacked(network, &attack, std::slice::from_ref(example), as_usual);
        assert_eq!(alone, std::slice::from_ref(outcome));
    }
}

/// Every kind of layer: an image has the same logits and gradient alone, and wherever it stands in a batch.
#[test]
fn rows_do_not_see_their_neighbours() {
    let test = struthio::data::mnist_test().expect("MNIST");
    for name in ["classic_legacy", "mobile_legacy", "residual_dynamo"] {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/fixtures/{name}.onnx"));
        let network = onnx::read(&path).expect(name);
        let mut session = network.session();
        let mut evaluate = |images: std::ops::Range<usize>| {
            let inputs = session.inputs(images.len());
            let rows = inputs.chunks_exact_mut(784);
            images.clone().zip(rows).for_each(|(i, row)| test.write_image(i, row).expect("an image"));
            let logits = session.forward().expect("works").to_vec();
            let seeds: Vec<f32> =
                images.flat_map(|i| (0..10).map(move |j| ((i + j) % 3) as f32 - 1.0)).collect();
            (logits, session.backward(&seeds).expect("works").to_vec())
        };
        let (logits, gradients) = evaluate(0..150);
        for images in [0..1, 7..8, 3..5, 20..37, 85..150] {
            let (own_logits, own_gradients) = evaluate(images.clone());
            assert!(own_logits == logits[images.start * 10..images.end * 10], "{name} {images:?}");
            assert!(own_gradients == gradients[images.start * 784..images.end * 784], "{name} {images:?}");
        }
    }
}

#[test]
fn training_does_not_depend_on_threads() {
    use struthio::network::Architecture;
    use struthio::training::{Method, Recipe, train};
    let data = struthio::data::mnist_train().and_then(|all| all.range(0..2000)).expect("MNIST");
    let trainings = [
        ("fc20-10", 0.0),
        ("fc20-10", 1e-3),
        ("fc10", 0.0),
        ("fc10", 1e-2),
        ("ae20-10", 0.0),
        ("mnist-cnn", 0.0),
        ("mnist-cnn", 1e-3),
    ];
    for (name, penalty) in trainings {
        let architecture: Architecture = name.parse().expect("valid");
        let images = if name == "mnist-cnn" { 300 } else { 2000 };
        let data = data.range(0..images).expect("enough");
        let mut recipe = Recipe::for_architecture(&architecture, 5);
        recipe.spectral_penalty = penalty;
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

/// Asks far more often about the first image than about the others.
struct SlowAtFirst;

impl Attack for SlowAtFirst {
    fn name(&self) -> &'static str {
        "slow-at-first"
    }

    fn run<'a>(&'a self, oracle: &'a Oracle, case: &'a Case) -> Search<'a> {
        Box::pin(async move {
            for _ in 0..if case.index == 0 { 5000 } else { 1 } {
                oracle.logits(&case.image).await?;
            }
            Ok(())
        })
    }
}

#[test]
fn a_slow_search_does_not_fill_the_memory_with_the_outcomes_of_later_ones() {
    let network = trained("fc10", 500, 1e-4, 5);
    let image = right_examples(&network, &struthio::data::mnist_test().expect("MNIST"), 1).remove(0);
    let (delivered, furthest) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let example = |i: usize| {
        furthest.fetch_max(i - delivered.load(Ordering::Relaxed).min(i), Ordering::Relaxed);
        Ok(Example { index: i, ..image.clone() })
    };
    let lanes = Lanes { threads: 2, lanes: 3, ..LANES };
    let never = AtomicBool::new(false);
    attack_all(&network, &SlowAtFirst, lanes, 2000, &example, &never, &mut |outcome| {
        assert_eq!(outcome.index, delivered.fetch_add(1, Ordering::Relaxed));
        Ok(())
    })
    .expect("the attack runs");
    assert_eq!(delivered.into_inner(), 2000);
    let furthest = furthest.into_inner();
    assert!((50..=96).contains(&furthest), "{furthest} ahead, of 16 for each of 6 lanes");
}
