//! Bounds of matrices in series against the largest gain over all patterns of slopes.

use std::sync::atomic::AtomicBool;

use rand::RngExt;
use struthio::network::Graph;
use struthio::network::ops::{Linear, Op, Relu, Sigmoid, Tanh, Tensor};
use struthio::numeric::random::stream;
use struthio::spectrum::{Certificates, Settings, bound, chained_bound, layer_gains};

/// ‖A‖ of a matrix with `columns` columns, by power iteration.
fn norm(columns: usize, matrix: &[f64]) -> f64 {
    let mut v: Vec<f64> = (0..columns).map(|i| 1.0 + 0.1 * i as f64).collect();
    let mut norm = 0.0;
    for _ in 0..200 {
        let mut next = vec![0.0; columns];
        for row in matrix.chunks_exact(columns) {
            let product: f64 = row.iter().zip(&v).map(|(a, b)| a * b).sum();
            next.iter_mut().zip(row).for_each(|(sum, a)| *sum += product * a);
        }
        norm = next.iter().map(|x| x * x).sum::<f64>().sqrt();
        if norm == 0.0 {
            return 0.0;
        }
        v = next.iter().map(|x| x / norm).collect();
    }
    norm.sqrt()
}

/// The product of the matrices, with each slope between them zero or `slope` as the bits of `pattern` say.
fn jacobian(weights: &[Tensor], slope: f64, mut pattern: u128) -> Vec<f64> {
    let inputs = weights[0].shape[0];
    // Outputs × inputs, from the identity.
    let mut product: Vec<f64> = (0..inputs * inputs).map(|i| f64::from(i / inputs == i % inputs)).collect();
    for (k, weight) in weights.iter().enumerate() {
        let outputs = weight.shape[1];
        let mut next = vec![0.0; outputs * inputs];
        for o in 0..outputs {
            let on = k + 1 == weights.len() || pattern & 1 == 1;
            if k + 1 < weights.len() {
                pattern = pattern.rotate_right(1);
            }
            let factor = if !on {
                0.0
            } else if k + 1 < weights.len() {
                slope
            } else {
                1.0
            };
            for (j, row) in product.chunks_exact(inputs).enumerate() {
                let w = factor * f64::from(weight.values[j * outputs + o]);
                next[o * inputs..][..inputs].iter_mut().zip(row).for_each(|(sum, p)| *sum += w * p);
            }
        }
        product = next;
    }
    product
}

type Activation<'a> = &'a dyn Fn() -> Box<dyn Op>;

fn network(weights: &[Tensor], activation: Activation<'_>) -> Graph {
    let mut graph = Graph::new(vec![weights[0].shape[0]]);
    for (k, weight) in weights.iter().enumerate() {
        let bias = Tensor::zeros(vec![weight.shape[1]]);
        graph.then(format!("fc{k}"), Linear::new(weight.clone(), bias).expect("fits")).expect("fits");
        if k + 1 < weights.len() {
            graph.then(format!("activation{k}"), activation()).expect("fits");
        }
    }
    graph
}

fn bounds(graph: &Graph) -> [f64; 2] {
    let layers = layer_gains(graph, Settings::default(), &AtomicBool::new(false), &|| ());
    let layers = layers.expect("not cancelled");
    [bound(graph, &layers), chained_bound(graph, &layers)]
}

#[test]
fn between_the_largest_gain_and_the_product() {
    let activations: [(f64, Activation); 3] =
        [(1.0, &|| Relu {}.into()), (0.25, &|| Sigmoid {}.into()), (1.0, &|| Tanh {}.into())];
    for (case, sizes) in
        [&[6, 8, 4][..], &[9, 5, 5, 3], &[3, 10, 2], &[4, 4, 3, 4, 2], &[2, 1, 2]].into_iter().enumerate()
    {
        let mut draws = stream(case as u64, "chains", 0);
        let mut weights = Vec::new();
        for pair in sizes.windows(2) {
            let values = (0..pair[0] * pair[1]).map(|_| draws.random::<f32>() - 0.4).collect();
            weights.push(Tensor { shape: pair.to_vec(), values });
        }
        for (slope, activation) in activations {
            let [product, chained] = bounds(&network(&weights, activation));
            let units: usize = sizes[1..sizes.len() - 1].iter().sum();
            let largest = (0..1_u128 << units)
                .map(|pattern| norm(sizes[0], &jacobian(&weights, slope, pattern)))
                .fold(0.0, f64::max);
            assert!(
                largest > 0.0 && largest <= chained && chained <= product,
                "{largest} {chained} {product}"
            );
        }
    }
}

#[test]
fn what_one_amplifies_the_other_does_not() {
    // diag(4, 1) and then diag(1, 4): the gain is 4, the product 16.
    let diagonal = |a, b| Tensor { shape: vec![2, 2], values: vec![a, 0.0, 0.0, b] };
    let graph = network(&[diagonal(4.0, 1.0), diagonal(1.0, 4.0)], &|| Relu {}.into());
    let [product, chained] = bounds(&graph);
    assert!(product >= 16.0 && (4.0..11.0).contains(&chained), "{product} {chained}");
    // τ = 0.8 · 16 gives μ = 16 · τ²/(2τ − 1).
    let expected = (16.0 * 12.8 * 12.8 / (2.0 * 12.8 - 1.0_f64)).sqrt();
    assert!((chained / expected - 1.0).abs() < 1e-6, "{chained} {expected}");
    let layers = layer_gains(&graph, Settings::default(), &AtomicBool::new(false), &|| ()).expect("gains");
    assert!(Certificates::new(&graph, &layers).radius(&[1.0, 0.0], 0) > 0.0);
}

/// Wide layers, whose proofs go block by block: every form is proven, so the bound is below the product.
#[test]
fn wide_layers() {
    let mut draws = stream(0, "wide", 0);
    let sizes = [50, 90, 70, 10];
    let weights: Vec<Tensor> = sizes
        .windows(2)
        .map(|pair| {
            let values = (0..pair[0] * pair[1]).map(|_| draws.random::<f32>() - 0.5).collect();
            Tensor { shape: pair.to_vec(), values }
        })
        .collect();
    let [product, chained] = bounds(&network(&weights, &|| Sigmoid {}.into()));
    let open = norm(sizes[0], &jacobian(&weights, 0.25, u128::MAX));
    assert!(open < chained && chained < 0.8 * product, "{open} {chained} {product}");
}

#[test]
fn zero_weights() {
    let zero = Tensor::zeros(vec![3, 3]);
    let [product, chained] = bounds(&network(&[zero.clone(), zero], &|| Relu {}.into()));
    assert!(chained <= product && product < 1e-6);
}
