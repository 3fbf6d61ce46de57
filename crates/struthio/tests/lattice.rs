//! The search on the lattice of 256 levels, against every point of it around the image.

mod common;

use common::{LANES, attacked, right_examples, trained};
use rand::RngExt;
use struthio::attack::{Criterion, Example, Lanes, Lattice, Lbfgs, Outcome, Status, nearest_level, pixel_at};
use struthio::data::mnist_test;
use struthio::network::ops::{Linear, Tensor};
use struthio::network::{Classifier, Graph, Network, argmax};
use struthio::numeric::random::stream;

const PIXELS: usize = 7;
/// Levels to either side that are tried for every pixel.
const REACH: i16 = 2;

/// Three classes, and an image about `far` levels away from the boundary of its own.
fn linear_case(seed: u64, far: f32) -> (Network, Example) {
    let mut draws = stream(seed, "lattice", 0);
    let mut values = |count: usize| (0..count).map(|_| draws.random::<f32>() * 2.0 - 1.0).collect::<Vec<_>>();
    let weight = values(PIXELS * 3);
    let image: Vec<f32> = values(PIXELS).iter().map(|v| pixel_at((128.0 + 80.0 * v).round() as u8)).collect();
    let logits: Vec<f32> = (0..3).map(|j| (0..PIXELS).map(|i| image[i] * weight[3 * i + j]).sum()).collect();
    let label = argmax(&logits).expect("finite");
    let to = (label + 1) % 3;
    let steepness =
        (0..PIXELS).map(|i| (weight[3 * i + to] - weight[3 * i + label]).powi(2)).sum::<f32>().sqrt();
    let mut bias = vec![0.0; 3];
    // The third class stays out of the way.
    bias[to] = logits[label] - logits[to] - far / 255.0 * steepness;
    bias[(label + 2) % 3] = -10.0;
    let weight = Tensor { shape: vec![PIXELS, 3], values: weight };
    let mut graph = Graph::new(vec![PIXELS]);
    let bias = Tensor { shape: vec![3], values: bias };
    graph.then("fc", Linear::new(weight, bias).expect("shapes fit")).expect("fits");
    let criterion = if seed.is_multiple_of(2) { Criterion::NotClass(label) } else { Criterion::Class(to) };
    (Network::new("linear", graph).expect("valid"), Example { index: 0, image, label, criterion })
}

/// The squared distance, in levels, of the closest adversarial point of the lattice.
fn exhaustive(network: &Network, example: &Example) -> Option<f64> {
    let side = 2 * REACH as usize + 1;
    let offset = |code: usize, i: usize| (code / side.pow(i as u32) % side) as i16 - REACH;
    let count = side.pow(PIXELS as u32);
    let mut session = network.session();
    for (code, point) in session.inputs(count).chunks_exact_mut(PIXELS).enumerate() {
        for (i, pixel) in point.iter_mut().enumerate() {
            let level = i16::from(nearest_level(example.image[i])) + offset(code, i);
            *pixel = pixel_at(u8::try_from(level).expect("the image is far from black and white"));
        }
    }
    let logits = session.forward().expect("works");
    (0..count)
        .filter(|&code| example.criterion.is_met(&logits[3 * code..3 * code + 3]))
        .map(|code| (0..PIXELS).map(|i| f64::from(offset(code, i)).powi(2)).sum())
        .reduce(f64::min)
}

/// What the second search makes of what the first has found.
fn on_lattice(
    network: &dyn Classifier,
    examples: &[Example],
    found: &[Outcome],
    lanes: Lanes,
) -> Vec<Outcome> {
    let lattice = Lattice::default();
    for outcome in found {
        let adversarial = outcome.adversarial.as_ref().expect("found");
        lattice.begin_at(outcome.index, adversarial.image.clone());
    }
    attacked(network, &lattice, examples, lanes)
}

#[test]
fn comes_to_the_closest_point_of_the_lattice() {
    let (mut equal, mut ratios) = (0, Vec::new());
    for seed in 0..150 {
        let (network, example) = linear_case(seed, 0.4 + 0.01 * seed as f32);
        let examples = [example];
        let exact = exhaustive(&network, &examples[0]).expect("within reach");
        let first = attacked(&network, &Lbfgs::default(), &examples, LANES);
        let second = on_lattice(&network, &examples, &first, LANES);
        let found = second[0].adversarial.as_ref().expect("found");
        assert!(
            found.image.iter().all(|&pixel| pixel_at(nearest_level(pixel)) == pixel),
            "{:?}",
            found.image
        );
        assert!(found.survives_rounding);
        let squared = (found.l2 * 255.0).powi(2).round();
        let reach = found.image.iter().zip(&examples[0].image).map(|(a, x)| (255.0 * (a - x)).abs());
        if reach.fold(0.0, f32::max) < REACH as f32 + 0.5 {
            assert!(squared >= exact, "{seed}: {squared} is less than {exact}");
        }
        equal += usize::from(squared <= exact);
        ratios.push((squared / exact).sqrt());
    }
    let worst = ratios.iter().copied().fold(0.0, f64::max);
    println!("{equal} of {}; worst {worst}", ratios.len());
    // Seven pixels that move by a level or two are the worst case: the gap to the optimum is one step of one pixel.
    assert!(equal * 10 >= ratios.len() * 9, "{equal} of {}", ratios.len());
    assert!(worst < 1.2, "{worst}");
}

#[test]
fn survivors_are_counted_and_the_others_are_mended() {
    let network = trained("fc32-10", 3000, 1e-5, 5);
    let test = mnist_test().expect("MNIST");
    let examples = right_examples(&network, &test, 40);
    let found = attacked(&network, &Lbfgs::default(), &examples, LANES);
    let mut session = network.session();
    for outcome in &found {
        let adversarial = outcome.adversarial.as_ref().expect("found");
        for (input, &pixel) in session.inputs(1).iter_mut().zip(&adversarial.image) {
            *input = (255.0 * pixel).round() / 255.0;
        }
        let logits = session.forward().expect("works");
        let survives = Criterion::NotClass(outcome.label).is_met(logits);
        assert_eq!(adversarial.survives_rounding, survives, "image {}", outcome.index);
    }
    let survivors =
        found.iter().filter(|of| of.adversarial.as_ref().is_some_and(|a| a.survives_rounding)).count();
    assert!((1..40).contains(&survivors), "{survivors} of 40 survive");

    let pictures = on_lattice(&network, &examples, &found, LANES);
    let mut ratio = 0.0;
    for (picture, found) in pictures.iter().zip(&found) {
        assert_eq!(picture.status, Status::Found);
        let (picture, found) = (picture.adversarial.as_ref(), found.adversarial.as_ref());
        let (picture, found) = picture.zip(found).expect("found");
        assert!(picture.survives_rounding);
        ratio += picture.l2 / found.l2 / 40.0;
    }
    println!("{survivors} of 40 survive; pictures are {ratio} times as far");
    assert!((0.999..1.02).contains(&ratio), "{ratio}");
}

#[test]
fn pictures_do_not_depend_on_threads_and_lanes() {
    let network = trained("fc32-10", 3000, 1e-5, 5);
    let examples = right_examples(&network, &mnist_test().expect("MNIST"), 12);
    let found = attacked(&network, &Lbfgs::default(), &examples, LANES);
    let alone = on_lattice(&network, &examples, &found, Lanes { threads: 1, lanes: 1, ..LANES });
    for (threads, lanes) in [(1, 5), (3, 4)] {
        let lanes = Lanes { threads, lanes, ..LANES };
        assert!(on_lattice(&network, &examples, &found, lanes) == alone, "{lanes:?}");
    }
}
