//! Every way a search can end is said, and nothing that is not adversarial is called so.

mod common;

use common::{LANES, attacked};
use struthio::Result;
use struthio::attack::{Criterion, Example, Lanes, Lbfgs, SearchKind, Status};
use struthio::network::ops::{Clip, Linear, Tensor};
use struthio::network::{Classifier, Graph, InputSpec, Network, Session};

/// A linear classifier of two pixels with these weights (inputs × classes) and biases.
fn linear(weight: &[f32], bias: &[f32]) -> Network {
    let weight = Tensor { shape: vec![2, bias.len()], values: weight.to_vec() };
    let bias = Tensor { shape: vec![bias.len()], values: bias.to_vec() };
    let mut graph = Graph::new(vec![2]);
    graph.then("fc", Linear::new(weight, bias).expect("shapes fit")).expect("fits");
    Network::new("linear", graph).expect("valid")
}

fn example(image: [f32; 2], label: usize, criterion: Criterion) -> Example {
    Example { index: 0, image: image.to_vec(), label, criterion }
}

fn statuses(network: &dyn Classifier, example: &Example) -> Vec<Status> {
    [SearchKind::Fast, SearchKind::Bisection]
        .map(|search| {
            let attack = Lbfgs { search, ..Lbfgs::default() };
            let outcome = attacked(network, &attack, std::slice::from_ref(example), LANES).remove(0);
            assert_eq!(outcome.status == Status::Found, outcome.adversarial.is_some());
            outcome.status
        })
        .to_vec()
}

#[test]
fn every_status() {
    let network = linear(&[1.0, -1.0, 0.0, 0.0], &[0.0, 0.5]);
    let not = Criterion::NotClass;
    assert_eq!(statuses(&network, &example([0.9, 0.5], 0, not(0))), [Status::Found; 2]);
    assert_eq!(statuses(&network, &example([0.9, 0.5], 1, not(1))), [Status::AlreadyWrong; 2]);
    assert_eq!(statuses(&network, &example([0.9, 0.5], 0, Criterion::Class(0))), [Status::IsTarget; 2]);

    // The boundary lies outside the box.
    let out_of_reach = linear(&[1.0, -1.0, 0.0, 0.0], &[5.0, 0.0]);
    assert_eq!(statuses(&out_of_reach, &example([0.9, 0.5], 0, not(0))), [Status::NotFound; 2]);

    let constant = linear(&[0.0; 4], &[1.0, 0.0]);
    assert_eq!(statuses(&constant, &example([0.9, 0.5], 0, not(0))), [Status::ZeroGradient; 2]);

    let overflowing = linear(&[3e38, 0.0, 3e38, 0.0], &[0.0, 0.0]);
    assert_eq!(statuses(&overflowing, &example([1.0, 1.0], 0, not(0))), [Status::NonFinite; 2]);

    // Two classes that are always equal: a tie is not an error.
    let tied = linear(&[1.0, 1.0, 0.5, 0.5], &[0.0, 0.0]);
    assert!(!statuses(&tied, &example([0.9, 0.5], 0, not(0))).contains(&Status::Found));
}

/// Answers differently in a batch of one.
struct Fickle(Network);

struct FickleSession<'a> {
    inner: Box<dyn Session + 'a>,
    rows: usize,
    logits: Vec<f32>,
}

impl Classifier for Fickle {
    fn input(&self) -> &InputSpec {
        self.0.input()
    }

    fn classes(&self) -> usize {
        self.0.classes()
    }

    fn session(&self) -> Box<dyn Session + '_> {
        Box::new(FickleSession { inner: self.0.session(), rows: 0, logits: Vec::new() })
    }
}

impl Session for FickleSession<'_> {
    fn inputs(&mut self, rows: usize) -> &mut [f32] {
        self.rows = rows;
        self.inner.inputs(rows)
    }

    fn forward(&mut self) -> Result<&[f32]> {
        self.logits = self.inner.forward()?.to_vec();
        if self.rows == 1 {
            self.logits[0] += 1.0;
        }
        Ok(&self.logits)
    }

    fn backward(&mut self, seeds: &[f32]) -> Result<&[f32]> {
        self.inner.backward(seeds)
    }
}

/// The verdict is given on each point alone: what fools the network only among others is not found.
#[test]
fn what_is_found_was_evaluated_alone() {
    let network = linear(&[1.0, -1.0, 0.0, 0.0], &[0.0, 0.5]);
    let twins = vec![example([0.9, 0.5], 0, Criterion::NotClass(0)); 2];
    let lanes = Lanes { threads: 1, lanes: 2, ..LANES };
    let honest = attacked(&network, &Lbfgs::default(), &twins, lanes);
    assert!(honest.iter().all(|outcome| outcome.status == Status::Found));
    let fickle = attacked(&Fickle(network), &Lbfgs::default(), &twins, lanes);
    assert!(fickle.iter().all(|outcome| outcome.status == Status::NotFound && outcome.adversarial.is_none()));
}

/// Class 0 where x₀ − x₁ > −0.25; beyond 0.05 from there the logits do not change any more.
fn clipped() -> Network {
    let linear = |weight: &[f32], bias: &[f32]| {
        let weight = Tensor { shape: vec![2, 2], values: weight.to_vec() };
        Linear::new(weight, Tensor { shape: vec![2], values: bias.to_vec() }).expect("shapes fit")
    };
    let mut graph = Graph::new(vec![2]);
    graph.then("fc", linear(&[2.0, -2.0, -2.0, 2.0], &[0.5, -0.5])).expect("fits");
    graph.then("clip", Clip { min: -0.1, max: 0.1 }).expect("fits");
    graph.then("out", linear(&[1.0, 0.0, 0.0, 1.0], &[0.0, 0.0])).expect("fits");
    Network::new("clipped", graph).expect("valid")
}

/// Where the gradient at the image is zero, points of other classes are found at random, and the boundary from there.
#[test]
fn a_gradient_that_vanishes_hides_nothing() {
    let network = clipped();
    let exact = 0.65 * std::f64::consts::FRAC_1_SQRT_2; // x₀ − x₁ falls from 0.4 to −0.25
    for criterion in [Criterion::NotClass(0), Criterion::Class(1)] {
        for search in [SearchKind::Fast, SearchKind::Bisection] {
            let attack = Lbfgs { search, ..Lbfgs::default() };
            let outcome = attacked(&network, &attack, &[example([0.7, 0.3], 0, criterion)], LANES).remove(0);
            let l2 = outcome.adversarial.expect("found").l2;
            assert!(
                outcome.blind && (exact..1.001 * exact).contains(&l2),
                "{criterion:?}: {l2}, not {exact}"
            );
        }
    }
    // A gradient at the image: nothing is said.
    let outcome =
        attacked(&network, &Lbfgs::default(), &[example([0.5, 0.74], 0, Criterion::NotClass(0))], LANES)
            .remove(0);
    assert!(!outcome.blind && outcome.status == Status::Found);
}

/// Nothing but the classes changes: black-and-white decisions, as of a network of steps.
#[test]
fn without_any_gradient_pixels_are_put_back() {
    let steps = Steps { input: InputSpec::unit_box(vec![8]) };
    let image = vec![0.9, 0.8, 0.1, 0.2, 0.5, 0.5, 0.9, 0.1];
    let example = Example { index: 3, image, label: 0, criterion: Criterion::NotClass(0) };
    let outcome = attacked(&steps, &Lbfgs::default(), &[example], LANES).remove(0);
    // Class 1 where the first pixel is below 0.5: 0.4 away.
    let l2 = outcome.adversarial.expect("found").l2;
    assert!(outcome.blind && (0.4..0.45).contains(&l2), "{l2}");
}

/// Class 1 where the first of eight pixels is below one half, and no gradient anywhere.
struct Steps {
    input: InputSpec,
}

struct StepsSession {
    images: Vec<f32>,
    logits: Vec<f32>,
}

impl Classifier for Steps {
    fn input(&self) -> &InputSpec {
        &self.input
    }

    fn classes(&self) -> usize {
        2
    }

    fn session(&self) -> Box<dyn Session + '_> {
        Box::new(StepsSession { images: Vec::new(), logits: Vec::new() })
    }
}

impl Session for StepsSession {
    fn inputs(&mut self, rows: usize) -> &mut [f32] {
        self.images.resize(rows * 8, 0.0);
        &mut self.images
    }

    fn forward(&mut self) -> Result<&[f32]> {
        let step = |image: &[f32]| if image[0] < 0.5 { [0.0, 1.0] } else { [1.0, 0.0] };
        self.logits = self.images.chunks_exact(8).flat_map(step).collect();
        Ok(&self.logits)
    }

    fn backward(&mut self, seeds: &[f32]) -> Result<&[f32]> {
        self.images.fill(0.0);
        Ok(&self.images[..seeds.len() * 4])
    }
}
