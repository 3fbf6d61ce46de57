//! Descent on a sphere whose radius follows the boundary.
//!
//! Where max pooling and many rectified units break the boundary into small faces, what is linear at one point
//! says little about the next, and walks along linearisations end in the nearest dent. Steps of fixed length
//! along gradients average over the faces. This is the attack of Rony et al. (2019), "Decoupling Direction
//! and Norm", with a loss that does not saturate, a radius that begins where it is needed, and steps in
//! proportion to it.

use super::oracle::{Oracle, Stop};
use super::{Case, Criterion, Loss};
use crate::numeric::vector;

/// By how much the radius shrinks when the image is adversarial and grows when it is not, at first.
const RATE: f64 = 0.05;
/// By how much it grows while no adversarial image is known.
const SEARCH_RATE: f64 = 0.25;
/// What is left at the end of the first length of steps, the radius, and of the first rate.
const LAST_STEP: f64 = 0.01;
const LAST_RATE: f64 = 0.02;

/// Goes downhill towards `goal` from perturbation `r` on a sphere of this `radius` around the image, for so many
/// `steps`; in 60 the radius can fall to a quarter. Returns the shortest perturbation on the way that met the goal,
/// or the last one.
pub(super) async fn descend(
    oracle: &Oracle,
    case: &Case,
    goal: Criterion,
    mut r: Vec<f32>,
    mut radius: f64,
    steps: usize,
) -> Result<Vec<f32>, Stop> {
    let mut shortest: Option<(f64, Vec<f32>)> = None;
    // Downhill for the target, uphill for the class to be left.
    let (loss, direction) = match goal {
        Criterion::Class(class) => (Loss::Margin(class), -1.0),
        Criterion::NotClass(class) => (Loss::Margin(class), 1.0),
    };
    for step in 0..steps {
        let here = vector::clamped_sum(&case.image, &r, case.lower, case.upper);
        let evaluation = oracle.gradient(&here, loss).await?;
        let steepness = vector::squared_norm(&evaluation.gradient).sqrt();
        let is_met = goal.is_met(&evaluation.logits);
        r = vector::difference(&here, &case.image);
        let length = vector::squared_norm(&r);
        if is_met && shortest.as_ref().is_none_or(|&(least, _)| length < least) {
            shortest = Some((length, r.clone()));
        }
        if steepness == 0.0 {
            break;
        }
        let share = 0.5 * (1.0 + (std::f64::consts::PI * step as f64 / steps as f64).cos());
        let from = |last: f64| last + (1.0 - last) * share;
        let step_length = radius * from(LAST_STEP);
        vector::add_scaled(&mut r, direction * step_length / steepness, &evaluation.gradient);
        let is_reached = if goal == case.criterion { oracle.best_l2().is_some() } else { shortest.is_some() };
        let rate = if is_reached { RATE * from(LAST_RATE) } else { SEARCH_RATE };
        radius *= if is_met { 1.0 - rate } else { 1.0 + rate };
        let norm = vector::squared_norm(&r).sqrt();
        if norm > 0.0 {
            vector::scale(&mut r, radius / norm);
        }
    }
    Ok(shortest.map_or(r, |(_, r)| r))
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicBool;

    use super::*;
    use crate::attack::{Attack, Example, Lanes, Search, attack_all};
    use crate::network::ops::{Linear, Tensor};
    use crate::network::{Graph, Network};

    /// One descent with a first radius.
    struct Only {
        radius: f64,
    }

    impl Attack for Only {
        fn name(&self) -> &'static str {
            "descent"
        }

        fn run<'a>(&'a self, oracle: &'a Oracle, case: &'a Case) -> Search<'a> {
            let origin = vec![0.0; case.image.len()];
            Box::pin(async move {
                descend(oracle, case, case.criterion, origin, self.radius, 60).await.map(|_| ())
            })
        }
    }

    /// Class 0 where x₀ − x₁ > −0.25; the nearest other point is on the diagonal, or on the side of the box.
    #[test]
    fn comes_to_the_closest_point_of_a_plane() {
        let weight = Tensor { shape: vec![2, 2], values: vec![1.0, -1.0, -1.0, 1.0] };
        let bias = Tensor { shape: vec![2], values: vec![0.5, 0.0] };
        let mut graph = Graph::new(vec![2]);
        graph.then("fc", Linear::new(weight, bias).expect("shapes fit")).expect("fits");
        let network = Network::new("linear", graph).expect("valid");
        for (image, exact) in
            [([0.6_f32, 0.5], 0.35 * std::f64::consts::FRAC_1_SQRT_2), ([0.1, 0.0], 0.1_f64.hypot(0.25))]
        {
            for criterion in [Criterion::NotClass(0), Criterion::Class(1)] {
                for radius in [0.05, 0.3, 0.9] {
                    let example = |_| Ok(Example { index: 0, image: image.to_vec(), label: 0, criterion });
                    let lanes = Lanes { threads: 1, lanes: 1, budget: None, seed: 0 };
                    let mut l2 = f64::INFINITY;
                    let never = AtomicBool::new(false);
                    attack_all(&network, &Only { radius }, lanes, 1, &example, &never, &mut |outcome| {
                        l2 = outcome.adversarial.expect("found").l2;
                        Ok(())
                    })
                    .expect("attacked");
                    assert!((exact..1.01 * exact).contains(&l2), "{image:?} {criterion:?} {radius}: {l2}");
                }
            }
        }
    }
}
