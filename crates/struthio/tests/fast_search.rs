//! The default search: at any scale of the network, and for any budget.

mod common;

use std::time::Duration;

use common::{LANES, attacked, right_examples, trained};
use struthio::attack::{Attack, Case, Criterion, Example, Lanes, Lbfgs, Oracle, Outcome, Search, Status};
use struthio::data::mnist_test;
use struthio::network::ops::{Linear, Tensor};
use struthio::network::{Graph, Network};

/// A linear classifier of two pixels: class 0 where x₀ − x₁ > −0.25, times `scale`.
fn linear(scale: f32) -> Network {
    let weight = Tensor { shape: vec![2, 2], values: vec![scale, -scale, -scale, scale] };
    let bias = Tensor { shape: vec![2], values: vec![0.5 * scale, 0.0] };
    let mut graph = Graph::new(vec![2]);
    graph.then("fc", Linear::new(weight, bias).expect("shapes fit")).expect("fits");
    Network::new("linear", graph).expect("valid")
}

fn example() -> Example {
    Example { index: 0, image: vec![0.6, 0.5], label: 0, criterion: Criterion::NotClass(0) }
}

/// x₀ − x₁ falls from 0.1 to −0.25 along the diagonal.
const EXACT: f64 = 0.35 * std::f64::consts::FRAC_1_SQRT_2;

#[test]
fn distances_do_not_depend_on_the_scale_of_the_logits() {
    for exponent in [-30, -24, -12, 0, 12, 20, 30] {
        let network = linear(10_f32.powi(exponent));
        let outcome = attacked(&network, &Lbfgs::default(), &[example()], LANES).remove(0);
        assert_eq!(outcome.status, Status::Found, "10^{exponent}");
        let l2 = outcome.adversarial.expect("found").l2;
        assert!((l2 - EXACT).abs() < 1e-4 * EXACT, "10^{exponent}: {l2}");
    }
}

/// One gradient is enough for a step in the right direction, and forward passes find its length.
#[test]
fn a_single_gradient_goes_far() {
    let lanes = Lanes { budget: Some(1), ..LANES };
    let outcome = attacked(&linear(1.0), &Lbfgs::default(), &[example()], lanes).remove(0);
    let l2 = outcome.adversarial.expect("found").l2;
    assert!((EXACT..1.01 * EXACT).contains(&l2), "{l2}");

    let network = trained("fc20-20-10", 2000, 1e-5, 3);
    let examples = right_examples(&network, &mnist_test().expect("MNIST"), 40);
    let outcomes = attacked(&network, &Lbfgs::default(), &examples, lanes);
    let found = outcomes.iter().filter(|outcome| outcome.status == Status::Found).count();
    assert!(found >= 38, "{found} of 40");
}

/// Attacks with each budget; the mean distance must shrink, wherever the search is when it is spent.
fn budgets_are_spent_to_the_end(network: &Network, examples: &[Example], budgets: &[(u64, bool)]) {
    let mut before = f64::INFINITY;
    for &(budget, must_gain) in budgets {
        let lanes = Lanes { budget: Some(budget), ..LANES };
        let outcomes = attacked(network, &Lbfgs::default(), examples, lanes);
        for outcome in &outcomes {
            // One more measures the result.
            assert_eq!(outcome.gradients, budget + 1, "image {}", outcome.index);
            assert!(outcome.forwards <= 20 * (budget + 1) + 1, "image {}", outcome.index);
            let progress = &outcome.progress;
            assert!(progress.windows(2).all(|two| two[0].rms > two[1].rms), "{progress:?}");
            let last = progress.last().expect("found").rms;
            assert!((last - outcome.adversarial.as_ref().expect("found").rms).abs() < 1e-6 * last);
        }
        let mean = mean_l2(&outcomes);
        assert!(
            mean < before || (mean == before && !must_gain),
            "{mean} for {budget} gradients, {before} for fewer"
        );
        before = mean;
    }
}

fn mean_l2(outcomes: &[Outcome]) -> f64 {
    let l2 = outcomes.iter().map(|outcome| outcome.adversarial.as_ref().expect("found").l2);
    l2.sum::<f64>() / outcomes.len() as f64
}

#[test]
fn a_budget_is_spent_to_the_end_and_buys_shorter_distances() {
    let network = trained("fc20-20-10", 2000, 1e-5, 3);
    let examples = right_examples(&network, &mnist_test().expect("MNIST"), 40);
    let budgets = [1, 2, 3, 5, 8, 12, 18, 30, 150];
    budgets_are_spent_to_the_end(
        &network,
        &examples,
        &budgets.map(|budget| (budget, [3, 12, 30, 150].contains(&budget))),
    );
}

/// Here walks go astray for some images, and descents take their place.
#[test]
fn a_budget_is_spent_to_the_end_on_a_rugged_boundary() {
    let network = trained("mnist-cnn", 3000, 1e-3, 3);
    let examples = right_examples(&network, &mnist_test().expect("MNIST"), 12);
    budgets_are_spent_to_the_end(&network, &examples, &[(40, true), (70, true), (110, true), (250, true)]);
}

/// A gradient that vanishes is said, however small the budget.
#[test]
fn a_zero_gradient_is_said_within_a_small_budget() {
    let (pixels, classes) = (12, 10);
    let weight = Tensor { shape: vec![pixels, classes], values: vec![0.0; pixels * classes] };
    let bias = Tensor { shape: vec![classes], values: (0..classes).map(|class| -(class as f32)).collect() };
    let mut graph = Graph::new(vec![pixels]);
    graph.then("fc", Linear::new(weight, bias).expect("shapes fit")).expect("fits");
    let flat = Network::new("flat", graph).expect("valid");
    let image = Example { index: 0, image: vec![0.5; pixels], label: 0, criterion: Criterion::NotClass(0) };
    for budget in [1, 3, 100] {
        let lanes = Lanes { budget: Some(budget), ..LANES };
        let outcome = attacked(&flat, &Lbfgs::default(), std::slice::from_ref(&image), lanes).remove(0);
        assert_eq!(outcome.status, Status::ZeroGradient, "{budget}");
    }
}

/// Panics at one image.
struct Fragile;

impl Attack for Fragile {
    fn name(&self) -> &'static str {
        "fragile"
    }

    fn run<'a>(&'a self, oracle: &'a Oracle, case: &'a Case) -> Search<'a> {
        Box::pin(async move {
            assert_ne!(case.index, 5, "a bug in somebody's attack");
            oracle.logits(&case.image).await.map(|_| ())
        })
    }
}

#[test]
fn a_panic_in_an_attack_reaches_the_caller() {
    let (sender, receiver) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let network = linear(1.0);
        let examples: Vec<Example> = (0..2000).map(|index| Example { index, ..example() }).collect();
        let lanes = Lanes { threads: 2, lanes: 4, ..LANES };
        let run = std::panic::AssertUnwindSafe(|| attacked(&network, &Fragile, &examples, lanes));
        let _ = sender.send(std::panic::catch_unwind(run).is_err());
    });
    assert_eq!(receiver.recv_timeout(Duration::from_secs(60)), Ok(true));
}
