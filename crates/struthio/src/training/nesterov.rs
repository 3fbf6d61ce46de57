//! Gradient descent with Nesterov momentum: the step, and the learning rate over time.

use rayon::prelude::*;

use crate::network::{Graph, ParameterGradients};
use crate::numeric::simd::vectorised;
use crate::numeric::vector::squared_norm;

/// Share of the steps over which the learning rate rises, and how many it takes at least if that leaves half of them:
/// convolutional networks that are rushed end as a constant.
const WARM_UP: f64 = 0.1;
const FEWEST_WARM_UP: f64 = 400.0;
/// Parameters updated in one piece by one thread.
const PIECE: usize = 16_384;

/// The learning rate at `step` of `total`, as a share of the largest: it rises linearly and then
/// falls to zero along a cosine.
pub(super) fn schedule(step: u64, total: u64) -> f64 {
    let (step, total) = (step as f64, total as f64);
    let warm_up = (WARM_UP * total).max(FEWEST_WARM_UP.min(0.5 * total));
    if step < warm_up {
        (step + 1.0) / warm_up.max(1.0)
    } else {
        0.5 * (1.0 + (std::f64::consts::PI * (step - warm_up) / (total - warm_up)).cos())
    }
    .min(1.0)
}

/// The factor of w² in the loss for each parameter tensor, from λ for each layer: λ/k for weights of
/// k units, zero for biases.
pub(super) fn tensor_decays(graph: &Graph, lambdas: &[f64]) -> Vec<f64> {
    let mut lambdas = lambdas.iter();
    graph
        .parameters()
        .map(|tensor| match tensor.shape[..] {
            [_, units] | [units, _, _, _] => lambdas.next().map_or(0.0, |lambda| lambda / units as f64),
            _ => 0.0,
        })
        .collect()
}

/// The state of the descent for one graph.
pub(super) struct Nesterov {
    momentum: f32,
    velocity: Vec<Vec<f32>>,
    /// See [`tensor_decays`].
    decays: Vec<f64>,
}

impl Nesterov {
    /// At rest, with λ for each layer of `graph`.
    pub fn new(graph: &Graph, momentum: f64, lambdas: &[f64]) -> Self {
        Self {
            momentum: momentum as f32,
            velocity: graph.parameters().map(|tensor| vec![0.0; tensor.values.len()]).collect(),
            decays: tensor_decays(graph, lambdas),
        }
    }

    /// What a checkpoint keeps of the descent besides the parameters.
    pub fn velocity(&self) -> impl Iterator<Item = &[f32]> {
        self.velocity.iter().map(|part| &part[..])
    }

    /// Where a checkpoint is restored to.
    pub fn velocity_mut(&mut self) -> impl Iterator<Item = &mut [f32]> {
        self.velocity.iter_mut().map(|part| &mut part[..])
    }

    /// The part of the loss that is weight decay.
    pub fn penalty(&self, graph: &Graph) -> f64 {
        let tensors = self.decays.iter().zip(graph.parameters());
        tensors.map(|(factor, tensor)| factor * squared_norm(&tensor.values)).sum()
    }

    /// One step: v ← μ·v + g, w ← w − rate·(g + μ·v), for g the sum of `gradients` plus the decay.
    pub fn step(&mut self, graph: &mut Graph, gradients: &[&ParameterGradients], rate: f64) {
        let (momentum, rate) = (self.momentum, rate as f32);
        let mut pieces = Vec::new();
        let tensors = graph.parameters_mut().zip(&mut self.velocity).zip(&self.decays);
        for (index, ((tensor, velocity), &decay)) in tensors.enumerate() {
            let both = tensor.values.chunks_mut(PIECE).zip(velocity.chunks_mut(PIECE));
            for (number, (weights, velocity)) in both.enumerate() {
                pieces.push((index, number * PIECE, weights, velocity, 2.0 * decay as f32));
            }
        }
        pieces.into_par_iter().for_each(|(tensor, from, weights, velocity, decay)| {
            let mut parts =
                gradients.iter().map(|gradients| &gradients.tensors[tensor][from..from + weights.len()]);
            let mut gradient = parts.next().map_or_else(|| vec![0.0; weights.len()], <[f32]>::to_vec);
            for more in parts {
                vectorised(
                    #[inline(always)]
                    || gradient.iter_mut().zip(more).for_each(|(sum, g)| *sum += g),
                );
            }
            vectorised(
                #[inline(always)]
                || {
                    for ((w, v), g) in weights.iter_mut().zip(velocity.iter_mut()).zip(&gradient) {
                        let g = decay.mul_add(*w, *g);
                        *v = momentum.mul_add(*v, g);
                        *w = (-rate).mul_add(momentum.mul_add(*v, g), *w);
                    }
                },
            );
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_rises_to_its_largest_and_falls_to_zero() {
        for (total, warm_up) in [(1, 1), (7, 4), (240, 120), (1200, 400), (42_000, 4200)] {
            let rates: Vec<f64> = (0..total).map(|step| schedule(step, total)).collect();
            let largest = rates.iter().position(|&rate| rate == 1.0).expect("reached") + 1;
            assert!((warm_up..=warm_up + 1).contains(&largest), "{total}: {largest}");
            let (rising, falling) = rates.split_at(largest);
            assert!(rising.is_sorted() && rising[0] > 0.0 && falling.is_sorted_by(|a, b| a >= b), "{total}");
            assert!(total < 100 || *rates.last().expect("steps") < 1e-3, "{total}");
        }
    }
}
