//! Gains of convolutions against the dense singular values of the operator, built element by element.

use std::sync::atomic::AtomicBool;

use rand::RngExt;
use struthio::network::Graph;
use struthio::network::ops::{Conv, Linear, Relu, Sigmoid, Tensor, Window};
use struthio::numeric::random::stream;
use struthio::spectrum::{Certificates, LayerGain, Settings, bound, layer_gains};

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

    /// The operator on images of `size`: `place` says where a row or column of the image is, if anywhere.
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
        singular_values(rows, columns, matrix)
    }

    fn circular(&self) -> Vec<f64> {
        let Window { stride, dilation, .. } = self.window;
        let size = [0, 1].map(|axis| self.input[axis + 1].div_ceil(stride[axis]) * stride[axis]);
        let positions = [size[0] / stride[0], size[1] / stride[1]];
        self.dense(size, positions, |axis, at, k| Some((at * stride[axis] + k * dilation[axis]) % size[axis]))
    }

    fn zero_padded(&self) -> Vec<f64> {
        let Window { stride, dilation, before, .. } = self.window;
        let size = [self.input[1], self.input[2]];
        let positions = self.window.positions(size).expect("fits");
        self.dense(size, positions, |axis, at, k| {
            (at * stride[axis] + k * dilation[axis]).checked_sub(before[axis]).filter(|&i| i < size[axis])
        })
    }

    fn gain(&self) -> LayerGain {
        let mut graph = Graph::new(self.input.to_vec());
        let bias = Tensor { shape: vec![self.weight.shape[0]], values: vec![3.0; self.weight.shape[0]] };
        let conv = Conv::new(self.input, self.weight.clone(), bias, self.window, self.groups).expect("fits");
        graph.then("conv", conv).expect("fits");
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
}
