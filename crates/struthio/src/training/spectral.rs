//! The penalty on gains, the regulariser that section 4.3 of the paper suggests.

use rand::RngExt;
use rayon::prelude::*;

use super::Recipe;
use crate::network::ops::{Gain, Op, Tangents, Trace};
use crate::network::{Graph, Node, ParameterGradients, ValueId};
use crate::numeric::random::stream;
use crate::numeric::vector::{scale, squared_distance, wide_dot};

/// Steps of the iteration before the first gradient.
const BEFORE: usize = 30;
/// Most steps where the gain has to be converged, and the change of v at which it is.
const MOST: usize = 1000;
const CONVERGED: f64 = 1e-6;

/// β·Σσ² over the matrices and convolutions of a graph, σ being the largest singular value of each as it
/// is executed, zero padding included. The gradient is 2βσ·u·vᵀ for the singular vectors u and v.
///
/// They are found by power iteration, which goes on from where it was at the weights before, so that a step
/// or two are enough (Yoshida and Miyato, *Spectral norm regularization*, 2017).
pub(super) struct SpectralPenalty {
    weight: f64,
    layers: Vec<Layer>,
    /// Those of the penalty, zero for all other parameters.
    pub gradients: ParameterGradients,
}

struct Layer {
    node: usize,
    /// Which of the graph's parameters its weight is.
    tensor: usize,
    gain: f64,
    /// u and v.
    left: Vec<f32>,
    right: Vec<f32>,
    /// With respect to weight and bias; the latter is not used, since an offset amplifies nothing.
    gradients: Vec<Vec<f32>>,
}

impl SpectralPenalty {
    /// `None` if `recipe` has no such penalty.
    pub fn new(graph: &Graph, recipe: &Recipe) -> Option<Self> {
        (recipe.spectral_penalty > 0.0)
            .then(|| Self::with_weight(graph, recipe.spectral_penalty, recipe.seed))
    }

    fn with_weight(graph: &Graph, weight: f64, seed: u64) -> Self {
        let mut layers = Vec::new();
        let mut tensor = 0;
        for (node, Node { op, inputs, .. }) in graph.nodes().iter().enumerate() {
            let parameters = op.parameters();
            if !parameters.is_empty() && matches!(op.gain(), Gain::Linear(_) | Gain::Convolution(_)) {
                let mut draws = stream(seed, "spectral penalty", node as u64);
                let mut right: Vec<f32> =
                    (0..graph.features(inputs[0])).map(|_| draws.random::<f32>() - 0.5).collect();
                normalise(&mut right);
                layers.push(Layer {
                    node,
                    tensor,
                    gain: 0.0,
                    left: vec![0.0; graph.features(ValueId(node + 1))],
                    right,
                    gradients: parameters.iter().map(|tensor| vec![0.0; tensor.values.len()]).collect(),
                });
            }
            tensor += parameters.len();
        }
        layers.par_iter_mut().for_each(|layer| {
            let op = &*graph.nodes()[layer.node].op;
            (0..BEFORE).for_each(|_| layer.iterate(op));
        });
        Self { weight, layers, gradients: ParameterGradients::zeros(graph) }
    }

    /// One step of the iteration, and the gradients at the weights of `graph`.
    pub fn step(&mut self, graph: &Graph) {
        self.update(graph, Layer::iterate);
    }

    /// As many steps as it takes for a value that is a function of the weights alone.
    pub fn converge(&mut self, graph: &Graph) {
        self.update(graph, |layer, op| {
            for _ in 0..MOST {
                let before = layer.right.clone();
                layer.iterate(op);
                if squared_distance(&before, &layer.right) <= CONVERGED * CONVERGED {
                    break;
                }
            }
        });
    }

    fn update(&mut self, graph: &Graph, iterate: impl Fn(&mut Layer, &dyn Op) + Sync) {
        let weight = self.weight;
        self.layers.par_iter_mut().for_each(|layer| {
            let op = &*graph.nodes()[layer.node].op;
            iterate(layer, op);
            layer.differentiate(op, weight);
        });
        for layer in &mut self.layers {
            std::mem::swap(&mut self.gradients.tensors[layer.tensor], &mut layer.gradients[0]);
        }
    }

    /// The penalty as of the latest iteration.
    pub fn value(&self) -> f64 {
        self.layers.iter().map(|layer| self.weight * layer.gain * layer.gain).sum()
    }

    /// What a checkpoint keeps: the vectors from which the iteration goes on.
    pub fn state(&self) -> impl Iterator<Item = &[f32]> {
        self.layers.iter().map(|layer| &layer.right[..])
    }

    /// Where a checkpoint is restored to.
    pub fn state_mut(&mut self) -> impl Iterator<Item = &mut [f32]> {
        self.layers.iter_mut().map(|layer| &mut layer.right[..])
    }
}

impl Layer {
    /// u ← A·v / ‖A·v‖, v ← Aᵀ·u / ‖Aᵀ·u‖, σ = ‖Aᵀ·u‖ = ⟨u, A·v⟩.
    fn iterate(&mut self, op: &dyn Op) {
        let along = Tangents { rows: 1, inputs: &[], output: &[], tangents: &[&self.right] };
        op.tangent(along, &mut self.left);
        if normalise(&mut self.left) == 0.0 {
            self.gain = 0.0; // of a layer without weights, or nothing is left in this direction
            return;
        }
        let trace = Trace { rows: 1, inputs: &[], output: &[], output_gradient: &self.left };
        op.backward(trace, 0, &mut self.right);
        self.gain = normalise(&mut self.right);
    }

    /// The gradients of `weight`·σ².
    fn differentiate(&mut self, op: &dyn Op, weight: f64) {
        self.gradients.iter_mut().for_each(|gradient| gradient.fill(0.0));
        let mut seed = self.left.clone();
        scale(&mut seed, 2.0 * weight * self.gain);
        let trace = Trace { rows: 1, inputs: &[&self.right], output: &[], output_gradient: &seed };
        op.parameter_gradients(trace, &mut self.gradients);
    }
}

/// Makes a vector one of length one, unless it is zero; returns its length.
fn normalise(vector: &mut [f32]) -> f64 {
    let norm = wide_dot(vector, vector).sqrt();
    if norm > 0.0 {
        scale(vector, 1.0 / norm);
    }
    norm
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::ops::{Conv, Linear, Tensor, Window};
    use crate::numeric::hermitian::Hermitian;

    const BETA: f64 = 0.3;

    /// The square of the largest singular value of a dense matrix, in f64.
    fn squared_norm(rows: usize, columns: usize, matrix: &[f64]) -> f64 {
        let mut gram = Hermitian::new(rows);
        for i in 0..rows {
            for j in 0..rows {
                gram.re[i * rows + j] =
                    (0..columns).map(|k| matrix[i * columns + k] * matrix[j * columns + k]).sum();
            }
        }
        gram.eigenvalues().iter().copied().fold(0.0, f64::max)
    }

    fn random(seed: u64, shape: &[usize]) -> Tensor {
        let mut draws = stream(seed, "test", 0);
        let values = (0..shape.iter().product()).map(|_| draws.random::<f32>() - 0.5).collect();
        Tensor { shape: shape.to_vec(), values }
    }

    /// Value and gradients against the dense operator that `dense` makes of weights, by central differences.
    fn check(graph: &Graph, weight: &Tensor, dense: impl Fn(&[f64]) -> f64) {
        let mut penalty = SpectralPenalty::with_weight(graph, BETA, 0);
        penalty.converge(graph);
        let weights: Vec<f64> = weight.values.iter().map(|&w| f64::from(w)).collect();
        let expected = BETA * dense(&weights);
        assert!((penalty.value() / expected - 1.0).abs() < 1e-5, "{} {expected}", penalty.value());
        let largest = penalty.gradients.tensors[0].iter().fold(0.0_f32, |a, g| a.max(g.abs()));
        for (i, &found) in penalty.gradients.tensors[0].iter().enumerate() {
            let at = |change: f64| {
                let mut weights = weights.clone();
                weights[i] += change;
                BETA * dense(&weights)
            };
            let expected = (at(1e-5) - at(-1e-5)) / 2e-5;
            assert!(
                (f64::from(found) - expected).abs() < 1e-4 * f64::from(largest),
                "{i}: {found} {expected}"
            );
        }
        assert!(penalty.gradients.tensors[1].iter().all(|&g| g == 0.0), "an offset amplifies nothing");
        // One step from here changes nothing but the last digits.
        let before = penalty.gradients.clone();
        penalty.step(graph);
        for (a, b) in before.tensors[0].iter().zip(&penalty.gradients.tensors[0]) {
            assert!((a - b).abs() < 1e-4 * largest);
        }
    }

    #[test]
    fn the_gradient_of_a_matrix() {
        let weight = random(1, &[7, 5]);
        let mut graph = Graph::new(vec![7]);
        let linear = Linear::new(weight.clone(), Tensor::zeros(vec![5])).expect("fits");
        graph.then("linear", linear).expect("fits");
        check(&graph, &weight, |weights| squared_norm(7, 5, weights));
    }

    #[test]
    fn the_gradient_of_convolutions() {
        let [inputs, outputs, size] = [2, 3, 5];
        for (stride, padding) in [(1, 1), (2, 1), (1, 0), (3, 2)] {
            let window = Window {
                size: [3, 3],
                stride: [stride; 2],
                dilation: [1; 2],
                before: [padding; 2],
                after: [padding; 2],
            };
            let weight = random(2, &[outputs, inputs, 3, 3]);
            let positions = window.positions([size, size]).expect("fits")[0];
            let (rows, columns) = (outputs * positions * positions, inputs * size * size);
            let dense = |weights: &[f64]| {
                let mut matrix = vec![0.0; rows * columns];
                for (at, weight) in weights.iter().enumerate() {
                    let (o, c, ky, kx) = (at / (9 * inputs), at / 9 % inputs, at / 3 % 3, at % 3);
                    for (y, x) in (0..positions).flat_map(|y| (0..positions).map(move |x| (y, x))) {
                        let place = |p: usize, k: usize| (p * stride + k).checked_sub(padding);
                        let (Some(iy), Some(ix)) = (place(y, ky), place(x, kx)) else { continue };
                        if iy < size && ix < size {
                            let row = (o * positions + y) * positions + x;
                            matrix[row * columns + (c * size + iy) * size + ix] += weight;
                        }
                    }
                }
                squared_norm(rows, columns, &matrix)
            };
            let bias = Tensor::zeros(vec![outputs]);
            let conv = Conv::new([inputs, size, size], weight.clone(), bias, window, 1).expect("fits");
            let mut graph = Graph::new(vec![inputs, size, size]);
            graph.then("conv", conv).expect("fits");
            check(&graph, &weight, dense);
        }
    }

    #[test]
    fn zero_weights_have_no_gradient() {
        let mut graph = Graph::new(vec![3]);
        let linear = Linear::new(Tensor::zeros(vec![3, 2]), Tensor::zeros(vec![2])).expect("fits");
        graph.then("linear", linear).expect("fits");
        let mut penalty = SpectralPenalty::with_weight(&graph, BETA, 0);
        penalty.step(&graph);
        assert_eq!(penalty.value(), 0.0);
        assert!(penalty.gradients.tensors.iter().flatten().all(|&g| g == 0.0));
    }
}
