//! Stochastic gradient descent with Nesterov momentum.

use std::sync::atomic::{AtomicBool, Ordering};

use rand::seq::SliceRandom;

use super::checkpoint::Checkpoints;
use super::nesterov::{Nesterov, schedule};
use super::shards::{self, Shard};
use super::spectral::SpectralPenalty;
use super::{Method, Progress, Recipe};
use crate::data::Dataset;
use crate::error::{Error, Result};
use crate::network::{Network, ParameterGradients};
use crate::numeric::random::stream;

/// Images per shard: two shards in a batch of fifty.
const SHARD_ROWS: usize = 25;
/// A second or two of a convolutional network.
const STEPS_PER_REPORT: u64 = 50;

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
    let mut descent = Nesterov::new(network.graph(), momentum, &recipe.weight_decay.lambdas);
    let mut spectral = SpectralPenalty::new(network.graph(), recipe);
    let mut order: Vec<u32> = (0..data.len() as u32).collect();
    let steps_per_epoch = data.len() / batch;
    let total = (epochs * steps_per_epoch) as u64;
    let weights = network.graph_mut().parameters_mut().map(|tensor| &mut tensor.values[..]);
    let vectors = spectral.iter_mut().flat_map(SpectralPenalty::state_mut);
    let trained = checkpoints.restore(weights.chain(descent.velocity_mut()).chain(vectors));
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
            shards::evaluate(&mut shards, network.graph(), data, rows, SHARD_ROWS, 1.0 / batch as f32)?;
            if let Some(spectral) = &mut spectral {
                spectral.step(network.graph());
            }
            let penalties = spectral.iter().map(|spectral| &spectral.gradients);
            let gradients: Vec<&ParameterGradients> =
                shards[..used].iter().map(|shard| &shard.gradients).chain(penalties).collect();
            descent.step(network.graph_mut(), &gradients, learning_rate * schedule(step, total));
            loss += shards[..used].iter().map(|shard| shard.loss).sum::<f64>();
            errors += shards[..used].iter().map(|shard| shard.errors).sum::<usize>();
            seen += rows.len();
            step += 1;
            if step.is_multiple_of(STEPS_PER_REPORT) || seen == steps_per_epoch * batch {
                let loss = loss / seen as f64 + descent.penalty(network.graph());
                let loss = loss + spectral.as_ref().map_or(0.0, SpectralPenalty::value);
                if !loss.is_finite() {
                    return Err(Error::Request(format!(
                        "training diverged in epoch {}: the loss is not finite; more epochs, more images or another \
                         seed may help",
                        epoch + 1
                    )));
                }
                progress(Progress { done: step, total, loss, error: Some(errors as f64 / seen as f64) });
            }
        }
        let weights = network.graph().parameters().map(|tensor| &tensor.values[..]);
        let vectors = spectral.iter().flat_map(SpectralPenalty::state);
        checkpoints.keep(epoch + 1, weights.chain(descent.velocity()).chain(vectors))?;
    }
    Ok(network)
}
