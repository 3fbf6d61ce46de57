//! Full-batch training by L-BFGS.

use std::sync::atomic::{AtomicBool, Ordering};

use super::nesterov::tensor_decays;
use super::shards::{self, Shard};
use super::spectral::SpectralPenalty;
use super::{Progress, Recipe};
use crate::data::Dataset;
use crate::error::{Error, Result};
use crate::network::Network;
use crate::numeric::lbfgs::{Bounds, Evaluation, Settings, minimise};
use crate::numeric::ready::block_on;

/// Images per shard.
const SHARD_ROWS: usize = 500;
/// Shards evaluated before their results are added up.
const SHARDS_AT_ONCE: usize = 16;

pub(super) fn train(
    mut network: Network,
    data: &Dataset,
    recipe: &Recipe,
    max_evaluations: usize,
    cancelled: &AtomicBool,
    progress: &mut (dyn FnMut(Progress) + Send),
) -> Result<Network> {
    let rows: Vec<u32> = (0..data.len() as u32).collect();
    let mut shards: Vec<Shard> = (0..SHARDS_AT_ONCE).map(|_| Shard::new(network.graph())).collect();
    let mut spectral = SpectralPenalty::new(network.graph(), recipe);
    let decay = decay_factors(&network, recipe);
    let start = flatten(&network);
    let mut done = 0;
    let objective = async |parameters: &[f32]| {
        if cancelled.load(Ordering::Relaxed) {
            return Err(Error::Interrupted);
        }
        assign(&mut network, parameters);
        let mut sum = vec![0.0_f64; parameters.len()];
        let (mut loss, mut errors) = (0.0, 0);
        for rows in rows.chunks(SHARD_ROWS * SHARDS_AT_ONCE) {
            shards::evaluate(&mut shards, network.graph(), data, rows, SHARD_ROWS, 1.0)?;
            for shard in &shards[..rows.len().div_ceil(SHARD_ROWS)] {
                loss += shard.loss;
                errors += shard.errors;
                let gradients = shard.gradients.tensors.iter().flatten();
                sum.iter_mut().zip(gradients).for_each(|(sum, &g)| *sum += g as f64);
            }
        }
        let n = rows.len() as f64;
        let mut value = loss / n;
        let mut gradient = Vec::with_capacity(parameters.len());
        for ((&w, sum), &factor) in parameters.iter().zip(sum).zip(&decay) {
            value += factor * (w as f64).powi(2);
            gradient.push((sum / n + 2.0 * factor * w as f64) as f32);
        }
        if let Some(spectral) = &mut spectral {
            spectral.converge(network.graph());
            value += spectral.value();
            let penalties = spectral.gradients.tensors.iter().flatten();
            gradient.iter_mut().zip(penalties).for_each(|(sum, g)| *sum += g);
        }
        if !value.is_finite() {
            return Err(Error::Request("training diverged: the loss is not finite".into()));
        }
        done += 1;
        progress(Progress {
            done,
            total: max_evaluations as u64,
            loss: value,
            error: Some(errors as f64 / n),
        });
        Ok(Evaluation { value, gradient, gradient_scale: 1.0 })
    };
    let settings = Settings { memory: 12, tolerance: 3e-5, decrease: 1e-7, max_evaluations, first_step: 0.5 };
    let bounds = Bounds { lower: f32::NEG_INFINITY, upper: f32::INFINITY };
    let minimum = block_on(minimise(start, bounds, settings, objective))?;
    assign(&mut network, &minimum);
    Ok(network)
}

/// All parameters in one vector.
fn flatten(network: &Network) -> Vec<f32> {
    network.graph().parameters().flat_map(|tensor| tensor.values.iter().copied()).collect()
}

fn assign(network: &mut Network, parameters: &[f32]) {
    let mut rest = parameters;
    for tensor in network.graph_mut().parameters_mut() {
        let (own, others) = rest.split_at(tensor.values.len());
        tensor.values.copy_from_slice(own);
        rest = others;
    }
}

/// The factor of w² in the loss for each parameter: zero for biases.
fn decay_factors(network: &Network, recipe: &Recipe) -> Vec<f64> {
    tensor_decays(network.graph(), &recipe.weight_decay.lambdas)
        .into_iter()
        .zip(network.graph().parameters())
        .flat_map(|(factor, tensor)| std::iter::repeat_n(factor, tensor.values.len()))
        .collect()
}
