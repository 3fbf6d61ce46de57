//! Gains of convolutions against the dense singular values of the operator, built element by element.

mod common;

use std::sync::atomic::AtomicBool;

use common::{LANES, attacked, right_examples, trained};
use rand::RngExt;
use struthio::attack::{Lbfgs, Status};
use struthio::network::ops::{Conv, Linear, Relu, Reshape, Sigmoid, Tensor, Window};
use struthio::network::{Classifier, Graph, Network};
use struthio::numeric::random::stream;
use struthio::spectrum::{
    Certificates, LayerGain, Settings, Study, bound, layer_gains, local_gain, surroundings,
};

/// All singular values of a dense matrix by one-sided Jacobi rotations (Hestenes 1958).
fn singular_values(rows: usize, columns: usize, mut matrix: Vec<f64>) -> Vec<f64> {
    // Column by column.
    for _ in 0..60 {
        let mut largest = 0.0_f64;
        for i in 0..columns {
            for j in i + 1..columns {
                let (left, right) = matrix.split_at_mut(j * rows);
                let (a, b) = (&mut left[i * rows..][..rows], &mut right[..rows]);
                let dot = |x: &[f64], y: &[f64]| x.iter().zip(y).map(|(x, y)| x * y).sum::<f64>();
                let (aa, bb, ab) = (dot(a, a), dot(b, b), dot(a, b));
                if ab.abs() <= 1e-14 * (aa * bb).sqrt() || ab == 0.0 {
                    continue;
                }
                largest = largest.max(ab.abs() / (aa * bb).sqrt());
                let zeta = (bb - aa) / (2.0 * ab);
                let t = zeta.signum() / (zeta.abs() + zeta.hypot(1.0));
                let c = 1.0 / t.hypot(1.0);
                for (a, b) in a.iter_mut().zip(b) {
                    (*a, *b) = (c * (*a - t * *b), c * (*b + t * *a));
                }
            }
        }
        if largest < 1e-12 {
            break;
        }
    }
    let norm = |column: &[f64]| column.iter().map(|x| x * x).sum::<f64>().sqrt();
    let mut values: Vec<f64> = matrix.chunks_exact(rows).map(norm).collect();
    values.sort_by(|a, b| b.total_cmp(a));
    values.truncate(rows.min(columns));
    values
}

struct Case {
    weight: Tensor,
    window: Window,
    groups: usize,
    input: [usize; 3],
}

impl Case {
    fn random(
        seed: u64,
        [outputs, inputs]: [usize; 2],
        window: Window,
        groups: usize,
        size: [usize; 2],
    ) -> Self {
        let mut draws = stream(seed, "case", 0);
        let shape = vec![outputs, inputs / groups, window.size[0], window.size[1]];
        let values = (0..shape.iter().product()).map(|_| draws.random::<f32>() - 0.5).collect();
        Self { weight: Tensor { shape, values }, window, groups, input: [inputs, size[0], size[1]] }
    }

    /// The operator on images of `size`, column by column: `place` says where a row or column of the image is, if anywhere.
    fn dense(
        &self,
        size: [usize; 2],
        positions: [usize; 2],
        place: impl Fn(usize, usize, usize) -> Option<usize>,
    ) -> Vec<f64> {
        let [outputs, inputs, height, width] = self.weight.shape[..] else { panic!("four axes") };
        let rows = outputs * positions[0] * positions[1];
        let columns = self.input[0] * size[0] * size[1];
        let mut matrix = vec![0.0; rows * columns];
        for o in 0..outputs {
            let group = o / (outputs / self.groups);
            for c in 0..inputs {
                for (y, x) in (0..positions[0]).flat_map(|y| (0..positions[1]).map(move |x| (y, x))) {
                    for (ky, kx) in (0..height).flat_map(|ky| (0..width).map(move |kx| (ky, kx))) {
                        let (Some(iy), Some(ix)) = (place(0, y, ky), place(1, x, kx)) else { continue };
                        let row = (o * positions[0] + y) * positions[1] + x;
                        let column = ((group * inputs + c) * size[0] + iy) * size[1] + ix;
                        let weight = self.weight.values[((o * inputs + c) * height + ky) * width + kx];
                        matrix[column * rows + row] += weight as f64;
                    }
                }
            }
        }
        matrix
    }

    fn circular(&self) -> Vec<f64> {
        let Window { stride, dilation, .. } = self.window;
        let size = [0, 1].map(|axis| self.input[axis + 1].div_ceil(stride[axis]) * stride[axis]);
        let positions = [size[0] / stride[0], size[1] / stride[1]];
        let wrap = |axis: usize, at, k| Some((at * stride[axis] + k * dilation[axis]) % size[axis]);
        let columns = self.input[0] * size[0] * size[1];
        let matrix = self.dense(size, positions, wrap);
        singular_values(matrix.len() / columns, columns, matrix)
    }

    fn zero_padded(&self) -> Vec<f64> {
        let (matrix, columns) = (self.executed(), self.input.iter().product());
        singular_values(matrix.len() / columns, columns, matrix)
    }

    /// The matrix of the convolution on images padded by zeros, column by column.
    fn executed(&self) -> Vec<f64> {
        let Window { stride, dilation, before, .. } = self.window;
        let size = [self.input[1], self.input[2]];
        let positions = self.window.positions(size).expect("fits");
        self.dense(size, positions, |axis, at, k| {
            (at * stride[axis] + k * dilation[axis]).checked_sub(before[axis]).filter(|&i| i < size[axis])
        })
    }

    fn conv(&self, bias: f32) -> Conv {
        let bias = Tensor { shape: vec![self.weight.shape[0]], values: vec![bias; self.weight.shape[0]] };
        Conv::new(self.input, self.weight.clone(), bias, self.window, self.groups).expect("fits")
    }

    fn gain(&self) -> LayerGain {
        let mut graph = Graph::new(self.input.to_vec());
        graph.then("conv", self.conv(3.0)).expect("fits");
        gains(&graph, true).remove(0)
    }
}

fn gains(graph: &Graph, full: bool) -> Vec<LayerGain> {
    let settings = Settings { full, ..Settings::default() };
    layer_gains(graph, settings, &AtomicBool::new(false), &|| ()).expect("not cancelled")
}

#[test]
fn convolutions_agree_with_dense_singular_values() {
    let mut seed = 0;
    for stride in 1..=3 {
        for padding in 0..=2 {
            for groups in 1..=2 {
                for dilation in 1..=2 {
                    for (channels, kernel, size) in [([2, 4], [3, 3], [6, 7]), ([4, 2], [3, 2], [5, 6])] {
                        seed += 1;
                        let window = Window {
                            size: kernel,
                            stride: [stride; 2],
                            dilation: [dilation; 2],
                            before: [padding; 2],
                            after: [padding; 2],
                        };
                        let case = Case::random(seed, channels, window, groups, size);
                        let found = case.gain();
                        let what = format!("{window:?} in {groups} groups");
                        let (wrapped, padded) = (case.circular(), case.zero_padded());
                        let close = |a: f64, b: f64| (a - b).abs() <= 1e-5 * b;
                        assert!(close(found.circular.expect("exact"), wrapped[0]), "{what}");
                        assert!(close(found.zero_padded.expect("an estimate"), padded[0]), "{what}");
                        let upper = found.upper.expect("proven");
                        assert!(upper >= wrapped[0] && upper >= padded[0], "{what}: {upper}");
                        let values = &found.spectrum.as_ref().expect("asked for").values;
                        assert_eq!(values.len(), wrapped.len(), "{what}");
                        for (found, expected) in values.iter().zip(&wrapped) {
                            assert!(
                                (found - expected).abs() <= 1e-5 * wrapped[0],
                                "{what}: {found} {expected}"
                            );
                        }
                    }
                }
            }
        }
    }
}

/// The largest gain of a two-tap filter a, b is |a| + |b|, which no small image reaches.
#[test]
fn the_proven_bound_is_close() {
    let mut window = Window::of([1, 2]);
    window.after = [0, 1];
    let mut case = Case::random(0, [1, 1], window, 1, [1, 5]);
    case.weight.values = vec![0.75, 0.5];
    let found = case.gain();
    let upper = found.upper.expect("proven");
    assert!((1.25..1.25 * 1.01).contains(&upper), "{upper}");
    case.weight.values = vec![0.75, -0.5];
    let found = case.gain();
    // Five pixels never alternate in sign all the way round.
    assert!(found.circular.expect("exact") < 1.24 && found.upper.expect("proven") >= 1.25);
}

fn matrix(rows: usize, columns: usize, values: &[f32]) -> Linear {
    let weight = Tensor { shape: vec![rows, columns], values: values.to_vec() };
    Linear::new(weight, Tensor::zeros(vec![columns])).expect("fits")
}

#[test]
fn planted_bounds_and_radii() {
    // Gains 4, ¼ and 3; the logits differ by 3·u₀ − 2·u₁.
    let mut graph = Graph::new(vec![2]);
    graph.then("first", matrix(2, 2, &[4.0, 0.0, 0.0, 1.0])).expect("fits");
    graph.then("squash", Sigmoid).expect("fits");
    graph.then("last", matrix(2, 2, &[3.0, 0.0, 0.0, 2.0])).expect("fits");
    let layers = gains(&graph, false);
    let product = bound(&graph, &layers);
    assert!((3.0..3.000_001).contains(&product), "{product}");
    let certificates = Certificates::new(&graph, &layers);
    let expected = 13_f64.sqrt();
    assert!((certificates.bound(0, 1) / expected - 1.0).abs() < 1e-6 && certificates.bound(0, 1) >= expected);
    let radius = certificates.radius(&[5.0, 1.0], 0);
    assert!(radius <= 4.0 / expected && radius > 3.999 / expected, "{radius}");
    assert_eq!(certificates.radius(&[5.0, 1.0], 1), 0.0);

    // A rectified linear classifier of one unit: the boundary is exactly at the certified distance.
    let mut graph = Graph::new(vec![1]);
    graph.then("unit", matrix(1, 1, &[2.0])).expect("fits");
    graph.then("relu", Relu).expect("fits");
    graph.then("logits", matrix(1, 2, &[1.0, -1.0])).expect("fits");
    let radius = Certificates::new(&graph, &gains(&graph, false)).radius(&[8.0, -8.0], 0);
    assert!(radius <= 4.0 && radius > 3.9999, "{radius}");
}

#[test]
fn branches_add() {
    use struthio::network::ValueId;
    use struthio::network::ops::{Arithmetic, Concat, Operator};
    let mut graph = Graph::new(vec![2]);
    let a = graph.push("a", matrix(2, 2, &[2.0, 0.0, 0.0, 1.0]), &[ValueId::INPUT]).expect("fits");
    let b = graph.push("b", matrix(2, 2, &[0.0, 3.0, 3.0, 0.0]), &[ValueId::INPUT]).expect("fits");
    let add = Arithmetic::new(Operator::Add, [&[2], &[2]]).expect("fits");
    let sum = graph.push("sum", add, &[a, b]).expect("fits");
    let product = bound(&graph, &gains(&graph, false));
    assert!((5.0..5.000_001).contains(&product), "{product}");
    graph.push("joined", Concat::new(&[&[2], &[2]], 0).expect("fits"), &[sum, a]).expect("fits");
    let product = bound(&graph, &gains(&graph, false));
    assert!((29_f64.sqrt()..29_f64.sqrt() + 1e-5).contains(&product), "{product}");
    let multiply = Arithmetic::new(Operator::Mul, [&[2], &[2]]).expect("fits");
    graph.push("product", multiply, &[a, b]).expect("fits");
    assert_eq!(bound(&graph, &gains(&graph, false)), f64::INFINITY);
    let network = Network::new("gate", graph).expect("a classifier");
    let study = Study::of("gate", &network, &gains(network.graph(), false));
    let last = network.graph().nodes().len() - 1;
    assert_eq!(study.layers.iter().position(|layer| layer.unbounded), Some(last));
}

/// A convolution, an activation and a matrix: the Jacobian is a product of three that are written down from
/// the weights, in f64.
#[test]
fn local_gains_agree_with_the_explicit_jacobian() {
    let mut window = Window::of([3, 3]);
    (window.before, window.after) = ([1; 2], [1; 2]);
    let case = Case::random(5, [4, 2], window, 1, [6, 5]);
    let (pixels, units, classes) = (60, 120, 3);
    let mut draws = stream(5, "matrix", 0);
    let weights: Vec<f32> = (0..units * classes).map(|_| draws.random::<f32>() - 0.5).collect();
    let convolution = case.executed();
    for rectified in [true, false] {
        let mut graph = Graph::new(case.input.to_vec());
        graph.then("conv", case.conv(0.25)).expect("fits");
        let activated = if rectified { graph.then("relu", Relu) } else { graph.then("sigmoid", Sigmoid) };
        activated.expect("fits");
        graph.then("flat", Reshape::between(&[4, 6, 5], vec![units]).expect("fits")).expect("fits");
        graph.then("last", matrix(units, classes, &weights)).expect("fits");
        let network = Network::new("small", graph).expect("a classifier");
        let product = bound(network.graph(), &gains(network.graph(), false));
        let mut session = network.session();
        for seed in 0..8 {
            let mut draws = stream(seed, "image", 0);
            let image: Vec<f32> = (0..pixels).map(|_| draws.random()).collect();
            let slope = |unit: usize| {
                let at = |(pixel, &x): (usize, &f32)| f64::from(x) * convolution[pixel * units + unit];
                let before = 0.25 + image.iter().enumerate().map(at).sum::<f64>();
                let sigmoid = 1.0 / (1.0 + (-before).exp());
                if rectified { f64::from(u8::from(before > 0.0)) } else { sigmoid * (1.0 - sigmoid) }
            };
            let slopes: Vec<f64> = (0..units).map(slope).collect();
            let entry = |pixel: usize, class: usize| {
                let through = |unit| {
                    f64::from(weights[unit * classes + class])
                        * slopes[unit]
                        * convolution[pixel * units + unit]
                };
                (0..units).map(through).sum::<f64>()
            };
            // Its transpose, which has as many columns as there are classes.
            let jacobian = (0..classes).flat_map(|class| (0..pixels).map(move |pixel| (pixel, class)));
            let jacobian = jacobian.map(|(pixel, class)| entry(pixel, class)).collect();
            let expected = singular_values(pixels, classes, jacobian)[0];
            let found = local_gain(&mut *session, &image).expect("answers").expect("finite");
            assert!(found <= expected && found > expected * (1.0 - 2e-5), "{found} {expected}");
            assert!(found <= product, "{found} {product}");
        }
    }
}

#[test]
fn a_linear_network_has_the_gain_of_its_matrix_everywhere() {
    let mut graph = Graph::new(vec![2]);
    graph.then("logits", matrix(2, 2, &[3.0, 0.0, 0.0, -4.0])).expect("fits");
    let network = Network::new("linear", graph).expect("a classifier");
    let product = bound(network.graph(), &gains(network.graph(), false));
    let found = local_gain(&mut *network.session(), &[0.5, 0.25]).expect("answers").expect("finite");
    assert!(found <= 4.0 && found > 4.0 * (1.0 - 2e-5) && found <= product, "{found} {product}");

    let mut graph = Graph::new(vec![2]);
    graph.then("overflow", matrix(2, 2, &[f32::MAX; 4])).expect("fits");
    let network = Network::new("overflow", graph).expect("a classifier");
    assert_eq!(local_gain(&mut *network.session(), &[1.0, 1.0]).expect("answers"), None);
}

/// Certified ≤ true ≤ attacked, for networks of both kinds that were trained briefly.
#[test]
fn no_certified_radius_reaches_an_adversarial_image() {
    let test = struthio::data::mnist_test().and_then(|all| all.range(0..60)).expect("MNIST");
    for (architecture, images, epochs) in [("fc100-100-10", 6000, 3), ("lenet", 2000, 2)] {
        let network = trained(architecture, images, 1e-5, epochs);
        let layers = gains(network.graph(), false);
        let product = bound(network.graph(), &layers);
        let certificates = Certificates::new(network.graph(), &layers);
        let never = AtomicBool::new(false);
        let around = surroundings(&network, &certificates, &test, &never, &|_| ()).expect("answers");
        let mut brackets = 0;
        let examples = right_examples(&network, &test, 30);
        for outcome in attacked(&network, &Lbfgs::default(), &examples, LANES) {
            let of = around[outcome.index];
            let gain = of.gain.expect("finite");
            assert!(gain > 0.0 && gain <= product, "{architecture}: {gain} {product}");
            assert_eq!(outcome.status, Status::Found, "{architecture}");
            let found = outcome.adversarial.expect("found").l2;
            assert!(of.certified > 0.0 && of.certified <= found, "{architecture}: {of:?} {found}");
            brackets += 1;
        }
        assert_eq!(brackets, 30, "{architecture}");
    }
}

#[test]
fn a_penalty_lowers_the_gains() {
    use struthio::network::Architecture;
    use struthio::training::{Method, Recipe, train};
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
            bound(network.graph(), &gains(network.graph(), false))
        };
        let (with, without) = (gain(penalty), gain(0.0));
        assert!(with < 0.8 * without, "{name}: {with} {without}");
    }
}
