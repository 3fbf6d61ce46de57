//! On a softmax network every distance can be computed exactly: the attack must find it.

mod common;

use common::{LANES, attacked, exact, right_examples, trained};
use struthio::attack::{Lbfgs, PenaltyLoss, SearchKind, Status, required_margin};
use struthio::network::{Classifier, Network};

/// The exact distance to the closest of all wrong classes that is ahead by `margin`.
fn exact_untargeted(network: &Network, image: &[f32], label: usize, margin: f64) -> f64 {
    let parameters: Vec<_> = network.graph().parameters().collect();
    exact::exact_untargeted(&parameters[0].values, &parameters[1].values, image, label, margin)
}

fn check(lambda: f64, images: usize, attack: Lbfgs) {
    let network = trained("fc10", 6000, lambda, 150);
    let test = struthio::data::mnist_test().expect("MNIST");
    let examples = right_examples(&network, &test, images);
    assert_eq!(examples.len(), images);
    let outcomes = attacked(&network, &attack, &examples, LANES);
    let mut beyond_bare_boundary = 0;
    for (example, outcome) in examples.iter().zip(&outcomes) {
        assert_eq!(outcome.status, Status::Found, "image {}", example.index);
        let adversarial = outcome.adversarial.as_ref().expect("found");
        let found = adversarial.l2;
        // What counts as adversarial is a margin of 1e-5 of the largest logit, a little beyond the
        // boundary itself; for the few images that lie almost on it, that is more than 1e-5 away.
        let margin = required_margin(&logits(&network, &adversarial.image));
        let exact = exact_untargeted(&network, &example.image, example.label, margin);
        let allowed = (1e-3 * exact).max(1e-5);
        assert!((found - exact).abs() <= allowed, "image {}: found {found}, exact {exact}", example.index);
        let bare = exact_untargeted(&network, &example.image, example.label, 0.0);
        assert!(found > bare - 1e-6, "image {}: {found} is less than possible, {bare}", example.index);
        beyond_bare_boundary += usize::from(found - bare > (1e-3 * bare).max(1e-5));
    }
    println!(
        "λ = {lambda}: {beyond_bare_boundary} of {images} not within 0.1 % or 1e-5 of the bare boundary"
    );
    assert!(beyond_bare_boundary * 200 <= images, "{beyond_bare_boundary} of {images}");
}

fn logits(network: &Network, image: &[f32]) -> Vec<f32> {
    let mut session = network.session();
    session.inputs(1).copy_from_slice(image);
    session.forward().expect("works").to_vec()
}

#[test]
fn fast_search_finds_the_exact_optimum() {
    for lambda in [1e-4, 1e-2, 1.0] {
        check(lambda, 1000, Lbfgs::default());
    }
}

#[test]
fn bisection_finds_the_exact_optimum() {
    for loss in [PenaltyLoss::CrossEntropy, PenaltyLoss::Margin] {
        check(1e-2, 60, Lbfgs { search: SearchKind::Bisection, loss, ..Lbfgs::default() });
    }
}
