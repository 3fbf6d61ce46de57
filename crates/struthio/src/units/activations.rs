use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use rand::RngExt;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::layer::Layer;
use super::spool::Spool;
use crate::data::Dataset;
use crate::error::{Error, Result};
use crate::network::{Network, Plan, ValueId, Wanted};
use crate::numeric::random::stream;

/// How the positions of a channel become one activation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Pooling {
    /// Its largest value.
    Max,
    /// Its mean.
    Mean,
    /// Every position of every channel is a unit of its own.
    None,
}

impl Pooling {
    /// Number of units of `layer`.
    pub(super) fn units(self, layer: &Layer) -> usize {
        match self {
            Self::None => layer.channels() * layer.positions(),
            Self::Max | Self::Mean => layer.channels(),
        }
    }
}

/// How activations are collected.
#[derive(Debug, Clone, Copy)]
pub(super) struct Collecting<'a> {
    pub pooling: Pooling,
    /// Most units of a layer; of more, so many are drawn.
    pub units: usize,
    pub seed: u64,
    /// Images of a forward pass; `None` for as many as memory allows.
    pub chunk: Option<usize>,
    pub threads: usize,
    /// Where activations are kept.
    pub folder: &'a Path,
}

/// The activations of some units of a layer for all images.
pub(super) struct Activations {
    /// The numbers of the units, ascending.
    pub units: Vec<usize>,
    pub spool: Spool,
}

/// Memory that one thread's forward pass may take, in bytes.
const BYTES_PER_THREAD: usize = 1 << 27;

/// Runs all images through `network` once and keeps what `layers` give. `observe` hears how many images are done.
pub(super) fn collect(
    network: &Network,
    layers: &[Layer],
    data: &Dataset,
    how: Collecting<'_>,
    cancelled: &AtomicBool,
    observe: &mut dyn FnMut(usize),
) -> Result<Vec<Activations>> {
    let mut graph = network.graph().clone();
    let kept: Vec<ValueId> = layers.iter().map(|layer| layer.value).collect();
    graph.truncate(kept.iter().map(|value| value.0).max().unwrap_or(0));
    let mut collected = Vec::new();
    for layer in layers {
        let units = choose(how.pooling.units(layer), how.units, how.seed, &layer.name);
        let spool = Spool::new(how.folder, units.len())?;
        collected.push(Activations { units, spool });
    }
    let bytes = network.bytes_per_image() / 2;
    let chunk = how.chunk.unwrap_or((BYTES_PER_THREAD / bytes.max(1)).clamp(1, 256)).max(1);
    let pool = crate::thread_pool(how.threads)?;
    let mut plans: Vec<Plan> =
        (0..how.threads.max(1)).map(|_| Plan::keeping(&graph, Wanted::InputGradient, &kept)).collect();
    let together = chunk * plans.len();
    for from in (0..data.len()).step_by(together) {
        if cancelled.load(Ordering::Relaxed) {
            return Err(Error::Interrupted);
        }
        let to = (from + together).min(data.len());
        let parts: Vec<Vec<Vec<f32>>> = pool.install(|| {
            let pass = |(t, plan): (usize, &mut Plan)| {
                let images = (from + t * chunk).min(to)..(from + (t + 1) * chunk).min(to);
                if images.is_empty() {
                    return layers.iter().map(|_| Vec::new()).collect();
                }
                let inputs = plan.inputs(images.len()).chunks_exact_mut(data.image_len());
                images.zip(inputs).for_each(|(i, input)| data.write_image(i, input));
                plan.forward(&graph);
                let of = layers.iter().zip(&collected);
                of.map(|(layer, kept)| pooled(layer, plan.value(layer.value), &kept.units, how.pooling))
                    .collect()
            };
            plans.par_iter_mut().enumerate().map(pass).collect()
        });
        for part in parts {
            for ((layer, kept), values) in layers.iter().zip(&mut collected).zip(part) {
                if values.iter().any(|value| !value.is_finite()) {
                    return Err(Error::Request(format!(
                        "layer '{}' gives infinite values or NaN for one of the images {from} to {}",
                        layer.name,
                        to - 1
                    )));
                }
                kept.spool.append(&values)?;
            }
        }
        observe(to);
    }
    Ok(collected)
}

/// The activations of `units`, row by row: of a channel, its largest or mean value over the positions; or one
/// position of one channel, counted channel by channel.
fn pooled(layer: &Layer, values: &[f32], units: &[usize], pooling: Pooling) -> Vec<f32> {
    let (channels, positions) = (layer.channels(), layer.positions());
    let mut rows = Vec::with_capacity(values.len() / (channels * positions).max(1) * units.len());
    for image in values.chunks_exact(channels * positions) {
        if pooling == Pooling::None {
            let place = |unit: usize| unit % positions * channels + unit / positions;
            rows.extend(units.iter().map(|&unit| image[place(unit)]));
            continue;
        }
        // Channels lie side by side for every position.
        let mut whole = image[..channels].to_vec();
        for position in image.chunks_exact(channels).skip(1) {
            let pairs = whole.iter_mut().zip(position);
            match pooling {
                Pooling::Max => {
                    pairs.for_each(|(out, &x)| *out = if x > *out || x.is_nan() { x } else { *out });
                }
                _ => pairs.for_each(|(out, &x)| *out += x),
            }
        }
        let scale = if pooling == Pooling::Mean { 1.0 / positions as f32 } else { 1.0 };
        rows.extend(units.iter().map(|&unit| whole[unit] * scale));
    }
    rows
}

/// All units, or `most` of them drawn without replacement.
fn choose(units: usize, most: usize, seed: u64, layer: &str) -> Vec<usize> {
    let mut numbers: Vec<usize> = (0..units).collect();
    if units > most {
        let mut draws = stream(seed, &format!("units of {layer}"), 0);
        for i in 0..most {
            numbers.swap(i, draws.random_range(i..units));
        }
        numbers.truncate(most);
        numbers.sort_unstable();
    }
    numbers
}
