//! An attack of one's own: walk straight along the gradient until the network errs, then halve the
//! step back and forth. Thirty lines, no batching, no counting, no bookkeeping of the best point —
//! lanes and the oracle do all that — and it runs beside the built-in attack on the same images.
//!
//! Run it with `cargo run --release --example own_attack`.

use std::sync::atomic::AtomicBool;

use struthio::attack::{Attack, Case, Criterion, Example, Lanes, Lbfgs, Oracle, Outcome, Search, attack_all};
use struthio::data::{mnist_test, mnist_train};
use struthio::network::{Architecture, Loss};
use struthio::numeric::statistics::{mean, quantile};
use struthio::training::{Recipe, train};

/// Straight along the gradient of the cross-entropy, as far as needed.
struct StraightLine;

impl Attack for StraightLine {
    fn name(&self) -> &'static str {
        "straight line"
    }

    fn run<'a>(&'a self, oracle: &'a Oracle, case: &'a Case) -> Search<'a> {
        Box::pin(async move {
            let up = oracle.gradient(&case.image, Loss::CrossEntropy(case.label)).await?.gradient;
            let at = |length: f32| -> Vec<f32> {
                let moved = case.image.iter().zip(&up).map(|(x, g)| x + length * g);
                moved.map(|x| x.clamp(case.lower, case.upper)).collect()
            };
            let (mut inside, mut outside) = (0.0, 1e-3);
            while !case.criterion.is_met(&oracle.logits(&at(outside)).await?) {
                (inside, outside) = (outside, 2.0 * outside);
                if outside > 1e6 {
                    return Ok(()); // the oracle has seen nothing adversarial, and will say so
                }
            }
            for _ in 0..20 {
                let middle = 0.5 * (inside + outside);
                let met = case.criterion.is_met(&oracle.logits(&at(middle)).await?);
                if met { outside = middle } else { inside = middle }
            }
            Ok(())
        })
    }
}

fn main() -> struthio::Result<()> {
    let never = AtomicBool::new(false);
    let architecture: Architecture = "fc32-10".parse()?;
    let recipe = Recipe::for_architecture(&architecture, 0);
    let network = train(&architecture, &mnist_train()?.range(0..5000)?, &recipe, 2, &never, &mut |_| {})?;

    let test = mnist_test()?;
    let example = |i: usize| {
        let (image, label) = (test.image(i)?, test.label(i));
        Ok(Example { index: i, image, label, criterion: Criterion::NotClass(label) })
    };
    let lanes = Lanes { threads: 2, lanes: 64, budget: None, seed: 0 };
    for attack in [&StraightLine as &dyn Attack, &Lbfgs::default()] {
        let mut outcomes: Vec<Outcome> = Vec::new();
        attack_all(&network, attack, lanes, 200, &example, &never, &mut |outcome| {
            outcomes.push(outcome);
            Ok(())
        })?;
        let distances: Vec<f64> =
            outcomes.iter().filter_map(|o| o.adversarial.as_ref().map(|a| a.l2)).collect();
        let gradients: Vec<f64> = outcomes.iter().map(|o| o.gradients as f64).collect();
        println!(
            "{:<14} found {} of {}, median L2 {:.3}, {:.1} gradients an image",
            attack.name(),
            distances.len(),
            outcomes.len(),
            quantile(&distances, 0.5).unwrap_or(f64::NAN),
            mean(&gradients).unwrap_or(f64::NAN)
        );
    }
    Ok(())
}
