use std::path::Path;
use std::sync::atomic::AtomicBool;

use super::activations::{Activations, Pooling, collect};
use super::coherence::{Measure, Pictures};
use super::comparison::{Comparison, holm};
use super::directions::Kind;
use super::judge::Judge;
use super::kept::Kept;
use super::layer::Layer;
use super::result::LayerResult;
use crate::data::Dataset;
use crate::error::{Error, Result};
use crate::network::Network;

/// So many times as many units as are wanted are drawn, since some may never vary.
const CANDIDATES: usize = 4;
/// Most units of the last layer but one whose distances are measured.
const FEATURES: usize = 4096;
/// Fewest sets drawn for a test.
const DRAWS: usize = 199;
/// With so many, the smallest two-sided p-value corrected for the layers is 2.5 %.
const DRAWS_PER_LAYER: usize = 80;

/// How units are judged.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// Images per direction.
    pub k: usize,
    /// How the positions of a channel become one activation.
    pub pooling: Pooling,
    /// Most units of a layer; of more that vary, so many are drawn, and all directions lie in their span.
    pub units: usize,
    /// Seed of all draws.
    pub seed: u64,
    /// Worker threads; results do not depend on them.
    pub threads: usize,
    /// Whether to make images that maximise directions.
    pub maximise: bool,
    /// Images of a forward pass, as many as memory allows if `None`; results do not depend on it.
    pub chunk: Option<usize>,
}

impl Options {
    /// Whether there are images enough.
    ///
    /// # Errors
    ///
    /// If there are fewer than two times [`k`](Self::k), or that is less than two.
    pub fn check(&self, data: &Dataset) -> Result<()> {
        if self.k < 2 || data.len() < 2 * self.k {
            return Err(Error::Request(format!(
                "too few images ({}) to choose the top {} of; twice as many as the top are needed, and a top of at least 2",
                data.len(),
                self.k
            )));
        }
        Ok(())
    }
}

/// Judges the units of `layers` by what they do with the images of `data`. Activations are kept in nameless files
/// in `folder`, so memory does not grow with their number, and finished layers in named ones, from which the same
/// analysis goes on if it was stopped; the caller removes the folder. `observe` hears how much of the whole is
/// done, and with what it goes on.
///
/// # Errors
///
/// If there are fewer images than two times `options.k`, or a layer gives values that are not finite.
pub fn analyse(
    network: &Network,
    layers: &[Layer],
    data: &Dataset,
    options: Options,
    folder: &Path,
    cancelled: &AtomicBool,
    observe: &mut dyn FnMut(f64, &str),
) -> Result<Vec<LayerResult>> {
    options.check(data)?;
    let Options { pooling, units, seed, threads, chunk, .. } = options;
    let kept = Kept::new(folder, network, layers, data, options)?;
    let mut results: Vec<Option<LayerResult>> = (0..layers.len()).map(|i| kept.get(i)).collect();
    let missing: Vec<usize> = (0..layers.len()).filter(|&i| results[i].is_none()).collect();
    let mut collected: Vec<Activations> = missing
        .iter()
        .map(|&i| {
            let candidates = units.saturating_mul(CANDIDATES);
            Activations::new(&layers[i], pooling, candidates, seed, folder)?.ordered(network.graph(), folder)
        })
        .collect::<Result<_>>()?;
    if let Some(layer) = Layer::last_but_one(network) {
        collected.push(Activations::new(&layer, Pooling::Mean, FEATURES, seed, folder)?);
    }
    if !missing.is_empty() {
        collect(network, &mut collected, data, threads, chunk, cancelled, &mut |done| {
            observe(0.5 * done as f64 / data.len() as f64, "activations");
        })?;
    }
    let mut features = collected.split_off(missing.len()).pop();
    let first = data.label(0);
    let one_label = (0..data.len()).all(|i| data.label(i) == first);
    let measure = if one_label { Measure::PixelDistance } else { Measure::LabelEntropy };
    let pool = crate::thread_pool(threads)?;
    let pictures = Pictures::of(data, (0..data.len()).collect(), measure, &pool)?;
    let judge = Judge {
        options,
        network,
        data,
        pictures,
        measure,
        draws: DRAWS.max((DRAWS_PER_LAYER * layers.len()).saturating_sub(1)),
        pool,
        cancelled,
    };
    for (place, (&i, activations)) in missing.iter().zip(collected).enumerate() {
        let name = &layers[i].name;
        let result = judge.layer(activations.settled(units)?, features.as_mut(), &mut |done, with| {
            observe(0.5 + 0.5 * (place as f64 + done) / missing.len() as f64, &format!("{name}, {with}"));
        })?;
        kept.put(i, &result)?;
        results[i] = Some(result);
    }
    let mut results: Vec<LayerResult> = results.into_iter().flatten().collect();
    correct(&mut results);
    let family = results.iter().filter(|result| !result.comparisons.is_empty()).count();
    for (layer, result) in layers.iter().zip(&mut results) {
        result.verdict = judge.verdict(layer, result, family);
    }
    Ok(results)
}

/// Corrects the p-values against each kind for the number of layers.
fn correct(results: &mut [LayerResult]) {
    for &kind in Kind::OTHERS {
        let mut family: Vec<&mut Comparison> = results
            .iter_mut()
            .flat_map(|result| &mut result.comparisons)
            .filter(|comparison| comparison.against == kind)
            .collect();
        let p: Vec<f64> = family.iter().map(|comparison| comparison.p.max(comparison.p_shuffled)).collect();
        family.iter_mut().zip(holm(&p)).for_each(|(comparison, p)| comparison.p_holm = p);
    }
}
