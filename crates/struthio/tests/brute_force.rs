//! Tiny networks on two inputs, against a grid over the whole box.

mod common;

use common::{LANES, attacked};
use rand::RngExt;
use struthio::attack::{Criterion, Example, Lbfgs, SearchKind, Status};
use struthio::network::ops::{Linear, Op, Relu, Sigmoid, Tanh, Tensor};
use struthio::network::{Classifier, Graph, Network};
use struthio::numeric::random::stream;

const GRID: usize = 1001;

fn random_network(activation: Box<dyn Op>, seed: u64) -> Network {
    let mut draws = stream(seed, "tiny network", 0);
    let mut linear = |inputs: usize, outputs: usize, scale: f32| {
        let mut values =
            |count: usize| (0..count).map(|_| scale * (draws.random::<f32>() * 2.0 - 1.0)).collect();
        let weight = Tensor { shape: vec![inputs, outputs], values: values(inputs * outputs) };
        Linear::new(weight, Tensor { shape: vec![outputs], values: values(outputs) }).expect("shapes fit")
    };
    let mut graph = Graph::new(vec![2]);
    graph.then("fc1", linear(2, 6, 4.0)).expect("fits");
    graph.then("activation", activation).expect("fits");
    graph.then("fc2", linear(6, 3, 2.0)).expect("fits");
    Network::new("tiny", graph).expect("valid")
}

/// The class of every grid point.
fn classes(network: &Network) -> Vec<usize> {
    let mut session = network.session();
    let inputs = session.inputs(GRID * GRID);
    for (i, point) in inputs.chunks_exact_mut(2).enumerate() {
        point[0] = (i / GRID) as f32 / (GRID - 1) as f32;
        point[1] = (i % GRID) as f32 / (GRID - 1) as f32;
    }
    let logits = session.forward().expect("works");
    logits.chunks_exact(3).map(|row| struthio::network::argmax(row).expect("finite")).collect()
}

fn nearest_on_grid(classes: &[usize], image: [f32; 2], wanted: impl Fn(usize) -> bool) -> f64 {
    let distance = |i: usize| {
        let (u, v) = ((i / GRID) as f64 / (GRID - 1) as f64, (i % GRID) as f64 / (GRID - 1) as f64);
        (u - image[0] as f64).hypot(v - image[1] as f64)
    };
    (0..classes.len()).filter(|&i| wanted(classes[i])).map(distance).fold(f64::INFINITY, f64::min)
}

/// Searches are local, and these random networks are far more crooked than trained ones, so some end
/// in another valley; but most must reach the grid's distance, and none may claim less than it.
#[test]
fn reaches_the_nearest_grid_point() {
    let spacing = 1.0 / (GRID - 1) as f64;
    for activation in [Box::<dyn Op>::from(Sigmoid), Relu.into(), Tanh.into()] {
        for search in [SearchKind::Fast, SearchKind::Bisection] {
            let (mut optimal, mut possible) = (0, 0);
            for seed in 0..12 {
                let network = random_network(activation.clone(), seed);
                let classes = classes(&network);
                let mut draws = stream(seed, "images", 0);
                let mut examples = Vec::new();
                let mut exact = Vec::new();
                while examples.len() < 10 {
                    let (i, j) = (draws.random_range(0..GRID), draws.random_range(0..GRID));
                    let label = classes[i * GRID + j];
                    let image = [i as f32 / (GRID - 1) as f32, j as f32 / (GRID - 1) as f32];
                    let criterion = match examples.len() % 2 {
                        0 => Criterion::NotClass(label),
                        _ => Criterion::Class((label + 1) % 3),
                    };
                    exact.push(match criterion {
                        Criterion::NotClass(own) => nearest_on_grid(&classes, image, |class| class != own),
                        Criterion::Class(aim) => nearest_on_grid(&classes, image, |class| class == aim),
                    });
                    examples.push(Example { index: examples.len(), image: image.to_vec(), label, criterion });
                }
                let attack = Lbfgs { search, ..Lbfgs::default() };
                for (outcome, &exact) in attacked(&network, &attack, &examples, LANES).iter().zip(&exact) {
                    if exact.is_finite() {
                        possible += 1;
                        if let Some(found) = &outcome.adversarial {
                            assert!(found.l2 > exact - 2.0 * spacing, "{} is less than {exact}", found.l2);
                            optimal += usize::from(found.l2 < exact + 2.0 * spacing);
                        }
                    } else if outcome.status == Status::Found {
                        // A region thinner than the grid.
                        assert!(outcome.adversarial.as_ref().expect("found").l2 > 0.0);
                    }
                }
            }
            println!("{activation:?} {search:?}: {optimal} of {possible}");
            // Both are local; many starts lead farther than one.
            let least = if search == SearchKind::Fast { 92 } else { 80 };
            assert!(optimal * 100 >= possible * least, "{activation:?} {search:?}: {optimal} of {possible}");
        }
    }
}
