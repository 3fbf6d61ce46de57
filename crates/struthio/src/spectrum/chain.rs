//! Matrices in series, bounded together.

use crate::network::ops::{Gain, Tensor};
use crate::network::{Graph, Node, ValueId};
use crate::numeric::definite::{allowance, decomposes};
use crate::numeric::gemm::{Wide, add_product};
use crate::numeric::hermitian::Hermitian;

/// Most units between the first and the last matrix, in all.
const LARGEST: usize = 1024;
/// τ of a layer as multiples of the eigenvalue with which none can be worse than the product.
const FACTORS: [f64; 3] = [0.8, 0.9, 1.0];

/// Matrices with elementwise activations between them whose slopes lie between zero and a largest one.
pub(super) struct Chain<'a> {
    /// What the first matrix reads.
    pub start: ValueId,
    /// From the first to the last, inputs × outputs each.
    weights: Vec<&'a Tensor>,
    /// The largest slope after each but the last.
    slopes: Vec<f64>,
}

impl<'a> Chain<'a> {
    /// The longest chain that ends with `node`; `None` if that is no matrix, or one alone, or there are too
    /// many units.
    pub fn ending_at(graph: &'a Graph, node: &'a Node) -> Option<Self> {
        let Gain::Linear(last) = node.op.gain() else { return None };
        let mut chain = Self { start: node.inputs[0], weights: vec![last], slopes: Vec::new() };
        let mut units = 0;
        while let Some((slope, weight, start)) = before(graph, chain.start) {
            units += weight.shape[1];
            if units > LARGEST {
                break;
            }
            chain.weights.insert(0, weight);
            chain.slopes.insert(0, slope);
            chain.start = start;
        }
        (!chain.slopes.is_empty()).then_some(chain)
    }

    /// A number that the gain from the first matrix's input to the last one's output does not exceed.
    pub fn bound(&self) -> f64 {
        FACTORS.iter().map(|&factor| self.proven(factor)).fold(f64::INFINITY, f64::min)
    }

    /// By one multiplier τ for each activation (Fazlyab et al., *Efficient and accurate estimation of Lipschitz
    /// constants for deep neural networks*, 2019, LipSDP-Layer), proven by Cholesky decomposition.
    ///
    /// Let δ₀ be a change of the input and δₖ = φₖ(Wₖ·xₖ₋₁ + bₖ) the change that follows. Slopes between 0 and
    /// sₖ mean (sₖ·Wₖδₖ₋₁ − δₖ)ᵢ·(δₖ)ᵢ ≥ 0. So μ‖δ₀‖² − ‖W·δ‖², for the last matrix W and the last change δ,
    /// is at least μ‖δ₀‖² − ‖W·δ‖² − 2·Στₖ·⟨sₖ·Wₖδₖ₋₁ − δₖ, δₖ⟩, a quadratic form in all changes; where that is
    /// nowhere negative, √μ is a bound. δ₀ is eliminated, and δₖ scaled by √τₖ.
    fn proven(&self, factor: f64) -> f64 {
        let Some((taus, estimate)) = self.multipliers(factor) else { return f64::INFINITY };
        let size: usize = self.slopes.iter().enumerate().map(|(k, _)| self.units(k)).sum();
        let mut matrix = vec![0.0; size * size];
        let mut slack = 1e-9;
        while slack < 1e-1 {
            let square = estimate * (1.0 + slack);
            self.write_form(&taus, square, &mut matrix);
            if decomposes(size, &mut matrix) {
                return square.sqrt() * (1.0 + 1e-12);
            }
            slack *= 8.0;
        }
        f64::INFINITY
    }

    fn units(&self, k: usize) -> usize {
        self.weights[k].shape[1]
    }

    /// The lower triangle of the form, less what rounding may have added to it.
    fn write_form(&self, taus: &[f64], square: f64, matrix: &mut [f64]) {
        let last = self.slopes.len() - 1;
        let size: usize = (0..=last).map(|k| self.units(k)).sum();
        matrix.fill(0.0);
        (0..size).for_each(|i| matrix[i * size + i] = 2.0);
        let mut rounding = 16.0 * f64::EPSILON;
        let n = self.units(0);
        let share = self.slopes[0] * self.slopes[0] * taus[0] / square;
        subtract(matrix, size, (0, n), share, &outer(self.weights[0]));
        rounding += (self.weights[0].shape[0] + 8) as f64 * f64::EPSILON * share * squares(self.weights[0]);
        let mut from = 0;
        for k in 1..=last {
            let (above, n) = (self.units(k - 1), self.units(k));
            let scale = self.slopes[k] * (taus[k] / taus[k - 1]).sqrt();
            for (at, &w) in self.weights[k].values.iter().enumerate() {
                let (j, i) = (at / n, at % n);
                matrix[(from + above + i) * size + from + j] = -scale * f64::from(w);
            }
            rounding += 8.0 * f64::EPSILON * scale * squares(self.weights[k]).sqrt();
            from += above;
        }
        let weight = self.weights[last + 1];
        let share = 1.0 / taus[last];
        subtract(matrix, size, (from, self.units(last)), share, &inner(weight));
        rounding += (weight.shape[1] + 8) as f64 * f64::EPSILON * share * squares(weight);
        let shift = 2.0 * rounding + allowance(size) * 2.0 * size as f64;
        (0..size).for_each(|i| matrix[i * size + i] -= shift);
    }

    /// τ for each activation and about the smallest μ that goes with them. They need not be accurate: every
    /// choice has its own bound.
    ///
    /// From the last to the first, ‖…‖² as a form Q of δₖ becomes s²τ²·Wᵀ(2τ − Q)⁻¹W of δₖ₋₁. With τ = ‖Q‖ that
    /// is at most s²‖Q‖·WᵀW, as in the product.
    fn multipliers(&self, factor: f64) -> Option<(Vec<f64>, f64)> {
        let mut form = inner(self.weights.last()?);
        let mut taus = Vec::new();
        for k in (0..self.slopes.len()).rev() {
            let n = self.units(k);
            let tau = factor * largest(n, &form);
            if !(tau.is_normal() && tau < 1e150) {
                return None;
            }
            taus.insert(0, tau);
            form.iter_mut().for_each(|q| *q = -*q);
            (0..n).for_each(|i| form[i * n + i] += 2.0 * tau);
            if !decomposes(n, &mut form) {
                return None;
            }
            let scale = (self.slopes[k] * tau).powi(2);
            if k == 0 {
                // The eigenvalues of Wᵀ·L⁻ᵀ·L⁻¹·W are those of L⁻¹·W·Wᵀ·L⁻ᵀ.
                let mut product = outer(self.weights[0]);
                substitute(n, &form, &mut product, n);
                let mut product: Vec<f64> = (0..n * n).map(|i| product[i % n * n + i / n]).collect();
                substitute(n, &form, &mut product, n);
                let square = scale * largest(n, &product);
                return square.is_normal().then_some((taus, square));
            }
            let inputs = self.weights[k].shape[0];
            let values = &self.weights[k].values;
            let mut solved: Vec<f64> =
                (0..n * inputs).map(|i| f64::from(values[i % inputs * n + i / inputs])).collect();
            substitute(n, &form, &mut solved, inputs);
            form = vec![0.0; inputs * inputs];
            let left = Wide { values: &solved, strides: [1, inputs] };
            let right = Wide { values: &solved, strides: [inputs, 1] };
            add_product([inputs, inputs, n], left, right, scale, (&mut form, inputs));
        }
        None
    }
}

/// The matrix before an activation that makes `value`: the largest slope, the weight and what it reads.
fn before(graph: &Graph, value: ValueId) -> Option<(f64, &Tensor, ValueId)> {
    let unviewed = |mut value: ValueId| {
        while let Some(node) = graph.producer(value).filter(|node| node.op.is_view()) {
            value = node.inputs[0];
        }
        graph.producer(value)
    };
    let activation = unviewed(value)?;
    if !["Relu", "Relu6", "Clip", "Sigmoid", "Tanh"].contains(&activation.op.kind()) {
        return None;
    }
    let Gain::AtMost(slope) = activation.op.gain() else { return None };
    let node = unviewed(activation.inputs[0])?;
    match node.op.gain() {
        Gain::Linear(weight) => Some((slope, weight, node.inputs[0])),
        _ => None,
    }
}

/// W·Wᵀ for the matrix W that takes inputs to outputs, whose transpose `weight` holds: outputs × outputs.
fn outer(weight: &Tensor) -> Vec<f64> {
    let [inputs, outputs] = [weight.shape[0], weight.shape[1]];
    gram([outputs, inputs], [1, outputs], weight)
}

/// Wᵀ·W: inputs × inputs.
fn inner(weight: &Tensor) -> Vec<f64> {
    let [inputs, outputs] = [weight.shape[0], weight.shape[1]];
    gram([inputs, outputs], [outputs, 1], weight)
}

fn gram([n, k]: [usize; 2], strides: [usize; 2], weight: &Tensor) -> Vec<f64> {
    let values: Vec<f64> = weight.values.iter().map(|&w| f64::from(w)).collect();
    let mut product = vec![0.0; n * n];
    let left = Wide { values: &values, strides };
    let right = Wide { values: &values, strides: [strides[1], strides[0]] };
    add_product([n, n, k], left, right, 1.0, (&mut product, n));
    product
}

/// The sum of the squares of the elements.
fn squares(weight: &Tensor) -> f64 {
    weight.values.iter().map(|&w| f64::from(w) * f64::from(w)).sum()
}

/// About the largest eigenvalue of a symmetric matrix that has none below zero.
fn largest(n: usize, matrix: &[f64]) -> f64 {
    let mut hermitian = Hermitian::new(n);
    hermitian.re.copy_from_slice(matrix);
    hermitian.largest()
}

/// Subtracts `share` times `block` from the lower triangle of the block of `n` that begins at `from`.
fn subtract(matrix: &mut [f64], size: usize, (from, n): (usize, usize), share: f64, block: &[f64]) {
    for i in 0..n {
        for j in 0..=i {
            matrix[(from + i) * size + from + j] -= share * block[i * n + j];
        }
    }
}

/// Replaces B (n × `columns`) by L⁻¹·B for the lower triangle L.
fn substitute(n: usize, lower: &[f64], b: &mut [f64], columns: usize) {
    for i in 0..n {
        let (done, open) = b.split_at_mut(i * columns);
        let row = &mut open[..columns];
        for (&factor, earlier) in lower[i * n..i * n + i].iter().zip(done.chunks_exact(columns.max(1))) {
            row.iter_mut().zip(earlier).for_each(|(b, e)| *b -= factor * e);
        }
        row.iter_mut().for_each(|b| *b /= lower[i * n + i]);
    }
}
