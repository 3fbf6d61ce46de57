//! Stochastic gradient descent with Nesterov momentum.

use std::sync::atomic::{AtomicBool, Ordering};

use rand::seq::SliceRandom;
use rayon::prelude::*;

use super::checkpoint::Checkpoints;
use super::shards::{self, Shard};
use super::{Method, Progress, Recipe};
use crate::data::Dataset;
use crate::error::{Error, Result};
use crate::network::Network;
use crate::numeric::random::stream;
use crate::numeric::simd::vectorised;

/// Images per shard: two shards in a batch of fifty.
const SHARD_ROWS: usize = 25;
/// Share of the steps over which the learning rate rises.
const WARM_UP: f64 = 0.1;
/// Parameters updated in one piece by one thread.
const PIECE: usize = 16_384;

pub(super) fn train(
    mut network: Network,
    data: &Dataset,
    recipe: &Recipe,
    checkpoints: &mut Checkpoints,
    cancelled: &AtomicBool,
    progress: &mut (dyn FnMut(Progress) + Send),
) -> Result<Network> {
    let Method::Sgd { epochs, batch, learning_rate, momentum } = recipe.method else {
        return Err(Error::Request("stochastic gradient descent needs its own settings".into()));
    };
    let batch = batch.min(data.len());
    let mut shards: Vec<Shard> =
        (0..batch.div_ceil(SHARD_ROWS)).map(|_| Shard::new(network.graph())).collect();
    let mut velocity: Vec<Vec<f32>> =
        network.graph().parameters().map(|tensor| vec![0.0; tensor.values.len()]).collect();
    let decays = tensor_decays(&network, recipe);
    let mut order: Vec<u32> = (0..data.len() as u32).collect();
    let steps_per_epoch = data.len() / batch;
    let total = (epochs * steps_per_epoch) as u64;
    let weights = network.graph_mut().parameters_mut().map(|tensor| &mut tensor.values[..]);
    let trained = checkpoints.restore(weights.chain(velocity.iter_mut().map(|part| &mut part[..])));
    let mut step = (trained * steps_per_epoch) as u64;
    for epoch in 0..epochs {
        order.shuffle(&mut stream(recipe.seed, "shuffle", epoch as u64));
        if epoch < trained {
            continue; // every order is a shuffle of the one before
        }
        let (mut loss, mut errors, mut seen) = (0.0, 0, 0);
        for rows in order.chunks_exact(batch) {
            if cancelled.load(Ordering::Relaxed) {
                return Err(Error::Interrupted);
            }
            let used = rows.len().div_ceil(SHARD_ROWS);
            shards::evaluate(&mut shards, network.graph(), data, rows, SHARD_ROWS, 1.0 / batch as f32);
            let rate = learning_rate * schedule(step, total);
            update(&mut network, &shards[..used], &mut velocity, &decays, rate as f32, momentum as f32);
            loss += shards[..used].iter().map(|shard| shard.loss).sum::<f64>();
            errors += shards[..used].iter().map(|shard| shard.errors).sum::<usize>();
            seen += rows.len();
            step += 1;
        }
        let penalty: f64 = decays
            .iter()
            .zip(network.graph().parameters())
            .map(|(factor, tensor)| factor * crate::numeric::vector::squared_norm(&tensor.values))
            .sum();
        let loss = loss / seen as f64 + penalty;
        if !loss.is_finite() {
            return Err(Error::Request(format!(
                "training diverged in epoch {}: the loss is not finite",
                epoch + 1
            )));
        }
        progress(Progress { done: step, total, loss, error: errors as f64 / seen as f64 });
        let weights = network.graph().parameters().map(|tensor| &tensor.values[..]);
        checkpoints.keep(epoch + 1, weights.chain(velocity.iter().map(|part| &part[..])))?;
    }
    Ok(network)
}

/// The learning rate at `step`, as a share of the largest.
fn schedule(step: u64, total: u64) -> f64 {
    let done = step as f64 / total as f64;
    if done < WARM_UP {
        (step + 1) as f64 / (WARM_UP * total as f64).max(1.0)
    } else {
        0.5 * (1.0 + (std::f64::consts::PI * (done - WARM_UP) / (1.0 - WARM_UP)).cos())
    }
    .min(1.0)
}

/// The factor of w² in the loss for each parameter tensor: zero for biases.
pub(super) fn tensor_decays(network: &Network, recipe: &Recipe) -> Vec<f64> {
    let mut lambdas = recipe.weight_decay.lambdas.iter();
    network
        .graph()
        .parameters()
        .map(|tensor| match tensor.shape[..] {
            [_, units] => lambdas.next().map_or(0.0, |lambda| lambda / units as f64),
            _ => 0.0,
        })
        .collect()
}

/// One step: v ← μ·v + g, w ← w − rate·(g + μ·v), for g the sum over shards plus the decay.
fn update(
    network: &mut Network,
    shards: &[Shard],
    velocity: &mut [Vec<f32>],
    decays: &[f64],
    rate: f32,
    momentum: f32,
) {
    let mut pieces = Vec::new();
    let tensors = network.graph_mut().parameters_mut().zip(velocity).zip(decays);
    for (index, ((tensor, velocity), &decay)) in tensors.enumerate() {
        let both = tensor.values.chunks_mut(PIECE).zip(velocity.chunks_mut(PIECE));
        for (number, (weights, velocity)) in both.enumerate() {
            pieces.push((index, number * PIECE, weights, velocity, 2.0 * decay as f32));
        }
    }
    pieces.into_par_iter().for_each(|(tensor, from, weights, velocity, decay)| {
        let mut gradient: Vec<f32> = shards[0].gradients.tensors[tensor][from..from + weights.len()].to_vec();
        for shard in &shards[1..] {
            let more = &shard.gradients.tensors[tensor][from..from + weights.len()];
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
