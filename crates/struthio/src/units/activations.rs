use std::ops::Range;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use rand::RngExt;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::layer::Layer;
use super::spool::Spool;
use crate::data::Dataset;
use crate::error::{Error, Result};
use crate::network::{Graph, Network, Plan, ValueId, Wanted};
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

/// The activations of some units of a layer for all images.
pub(super) struct Activations {
    pub layer: Layer,
    pub pooling: Pooling,
    /// The numbers of the units.
    pub units: Vec<usize>,
    /// How many were looked at to find these.
    pub examined: usize,
    /// Whether one is ever negative; known once they are settled.
    pub negative: bool,
    pub spool: Spool,
    /// What puts images in the same order as a unit does, without ties where the unit saturates.
    pub order: Option<Order>,
}

/// What comes before the increasing functions that end a layer.
pub(super) struct Order {
    value: ValueId,
    pub spool: Spool,
}

impl Activations {
    /// None yet; of more than `most` units so many are drawn. They will be kept in `folder`.
    pub fn new(layer: &Layer, pooling: Pooling, most: usize, seed: u64, folder: &Path) -> Result<Self> {
        let units = choose(pooling.units(layer), most, seed, &layer.name);
        let spool = Spool::new(folder, units.len())?;
        let layer = layer.clone();
        Ok(Self { layer, pooling, examined: units.len(), negative: false, units, spool, order: None })
    }

    /// Keeps also what comes before the increasing functions of `graph` that end the layer, if there are any. The
    /// mean of a channel is no function of the mean before them.
    pub fn ordered(self, graph: &Graph, folder: &Path) -> Result<Self> {
        let one_value = self.pooling != Pooling::Mean || self.layer.positions() == 1;
        let value = self.layer.ordered_by(graph).filter(|_| one_value);
        let of = |value| Spool::new(folder, self.units.len()).map(|spool| Order { value, spool });
        Ok(Self { order: value.map(of).transpose()?, ..self })
    }

    /// The values that were asked for of a network.
    fn values(&self) -> impl Iterator<Item = ValueId> {
        [self.layer.value].into_iter().chain(self.order.as_ref().map(|order| order.value))
    }

    /// Leaves the first `most` units that vary, in the order of their numbers.
    pub fn settled(mut self, most: usize) -> Result<Self> {
        let ranges = self.spool.ranges()?;
        let varying = (0..ranges.len()).filter(|&column| ranges[column].start < ranges[column].end);
        let mut columns: Vec<usize> = varying.take(most).collect();
        self.negative = columns.iter().any(|&column| ranges[column].start < 0.0);
        if columns.len() == most {
            self.examined = columns[most - 1] + 1;
        }
        columns.sort_by_key(|&column| self.units[column]);
        let units = columns.iter().map(|&column| self.units[column]).collect();
        let narrow = |order: Order| order.spool.narrowed(&columns).map(|spool| Order { spool, ..order });
        let order = self.order.map(narrow).transpose()?;
        Ok(Self { units, spool: self.spool.narrowed(&columns)?, order, ..self })
    }

    /// What `plan` gave for the units, and what puts images in their order.
    fn read(&self, plan: &Plan) -> [Vec<f32>; 2] {
        let order = self.order.as_ref().map(|order| pooled(self, plan.value(order.value)));
        [pooled(self, plan.value(self.layer.value)), order.unwrap_or_default()]
    }

    /// Appends what [`read`](Self::read) gave; `images` are said if it is not finite.
    fn append(&mut self, [values, mut order]: [Vec<f32>; 2], images: &Range<usize>) -> Result<()> {
        if values.iter().any(|value| !value.is_finite()) {
            return Err(Error::Request(format!(
                "layer '{}' gives infinite values or NaN for one of the images {} to {}",
                self.layer.name,
                images.start,
                images.end - 1
            )));
        }
        if let Some(Order { spool, .. }) = &mut self.order {
            // A sigmoid is finite where what it is given is not.
            order.iter_mut().for_each(|value| *value = value.clamp(f32::MIN, f32::MAX));
            spool.append(&order)?;
        }
        self.spool.append(&values)
    }
}

/// Memory that one thread's forward pass may take, in bytes.
const BYTES_PER_THREAD: usize = 1 << 27;

/// Runs all images through `network` once, `chunk` at a time (`None` for as many as memory allows), and keeps what
/// the layers of `wanted` give. `observe` hears how many images are done.
pub(super) fn collect(
    network: &Network,
    wanted: &mut [Activations],
    data: &Dataset,
    threads: usize,
    chunk: Option<usize>,
    cancelled: &AtomicBool,
    observe: &mut dyn FnMut(usize),
) -> Result<()> {
    let mut graph = network.graph().clone();
    let kept: Vec<ValueId> = wanted.iter().flat_map(Activations::values).collect();
    graph.truncate(kept.iter().map(|value| value.0).max().unwrap_or(0));
    let bytes = network.bytes_per_image() / 2;
    let chunk = chunk.unwrap_or((BYTES_PER_THREAD / bytes.max(1)).clamp(1, 256)).max(1);
    let pool = crate::thread_pool(threads)?;
    let mut plans: Vec<Plan> =
        (0..threads.max(1)).map(|_| Plan::keeping(&graph, Wanted::InputGradient, &kept)).collect();
    let together = chunk * plans.len();
    for from in (0..data.len()).step_by(together) {
        if cancelled.load(Ordering::Relaxed) {
            return Err(Error::Interrupted);
        }
        let to = (from + together).min(data.len());
        let parts: Vec<Vec<[Vec<f32>; 2]>> = pool.install(|| {
            let pass = |(t, plan): (usize, &mut Plan)| -> Result<Vec<[Vec<f32>; 2]>> {
                let images = (from + t * chunk).min(to)..(from + (t + 1) * chunk).min(to);
                if images.is_empty() {
                    return Ok(wanted.iter().map(|_| Default::default()).collect());
                }
                data.write_images(images.clone(), plan.inputs(images.len()))?;
                plan.forward(&graph);
                Ok(wanted.iter().map(|of| of.read(plan)).collect())
            };
            plans.par_iter_mut().enumerate().map(pass).collect::<Result<_>>()
        })?;
        for part in parts {
            for (activations, values) in wanted.iter_mut().zip(part) {
                activations.append(values, &(from..to))?;
            }
        }
        observe(to);
    }
    Ok(())
}

/// What `values` of a layer are for the units of `wanted`, image by image: of a channel, its largest or mean value
/// over the positions; or one position of one channel, counted channel by channel.
fn pooled(wanted: &Activations, values: &[f32]) -> Vec<f32> {
    let Activations { layer, pooling, units, .. } = wanted;
    let pooling = *pooling;
    let (channels, positions) = (layer.channels(), layer.positions());
    let mut rows = Vec::with_capacity(values.len() / (channels * positions).max(1) * units.len());
    for image in values.chunks_exact(channels * positions) {
        if pooling == Pooling::None {
            let value = |&unit: &usize| image[layer.place(unit / positions, unit % positions)];
            rows.extend(units.iter().map(value));
            continue;
        }
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

/// As many units, drawn without replacement, in the order of the draws; all if there are no more.
fn choose(units: usize, most: usize, seed: u64, layer: &str) -> Vec<usize> {
    let mut numbers: Vec<usize> = (0..units).collect();
    let mut draws = stream(seed, &format!("units of {layer}"), 0);
    for i in 0..most.min(units) {
        numbers.swap(i, draws.random_range(i..units));
    }
    numbers.truncate(most);
    numbers
}
