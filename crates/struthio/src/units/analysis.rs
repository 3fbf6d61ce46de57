use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::activations::{Activations, Collecting, Pooling, collect};
use super::coherence::{Coherence, Measure, Pictures};
use super::comparison::{Comparison, Dose, holm};
use super::directions::{Kind, Space};
use super::layer::Layer;
use super::project::project;
use super::verdict::{Circumstances, Verdict};
use crate::data::Dataset;
use crate::error::{Error, Result};
use crate::network::Network;
use crate::numeric::orthogonal::{Rotation, haar_rotation};
use crate::numeric::random::stream;

/// Images of one product.
const CHUNK: usize = 256;
/// Most images whose values are kept for measures of all images.
const SAMPLE: usize = 1 << 14;
/// Random rotations for the dose–response curve, and the parts of their angles.
const ROTATIONS: u64 = 4;
const ALPHAS: [f64; 6] = [0.0, 0.125, 0.25, 0.5, 0.75, 1.0];
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
    /// Most units of a layer; of more, so many are drawn, and all directions lie in their span.
    pub units: usize,
    /// Seed of all draws.
    pub seed: u64,
    /// Worker threads; results do not depend on them.
    pub threads: usize,
    /// Images of a forward pass, as many as memory allows if `None`; results do not depend on it.
    pub chunk: Option<usize>,
}

/// One direction and its images.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Direction {
    /// Where it comes from.
    pub kind: Kind,
    /// Of a unit its number in the layer, else the place in its set.
    pub number: usize,
    /// The images that maximise ⟨φ(x), v⟩, largest first: places in the data set.
    pub top: Vec<usize>,
    /// How coherent it is.
    pub coherence: Coherence,
}

/// Means over the directions of one kind, of one set where sets are drawn.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Shown {
    /// Which directions.
    pub kind: Kind,
    /// How many.
    pub directions: usize,
    /// Means of the measures of [`Coherence`].
    pub label_entropy: f64,
    /// See [`Coherence::purity`].
    pub purity: f64,
    /// See [`Coherence::pixel_distance`].
    pub pixel_distance: f64,
    /// See [`Coherence::best_auc`].
    pub best_auc: Option<f64>,
    /// See [`Coherence::selectivity`].
    pub selectivity: Option<f64>,
    /// See [`Coherence::sparsity`].
    pub sparsity: Option<f64>,
}

/// What was found out about a layer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LayerResult {
    /// Name of the layer.
    pub layer: String,
    /// Kind of its op.
    pub op: String,
    /// Shape of its activations.
    pub shape: Vec<usize>,
    /// Number of its units.
    pub units: usize,
    /// How many were looked at.
    pub examined: usize,
    /// How many of those vary.
    pub live: usize,
    /// Whether an activation is negative.
    pub negative: bool,
    /// What the comparisons are about.
    pub measure: Measure,
    /// The conclusion.
    pub verdict: Verdict,
    /// Units against each other kind.
    pub comparisons: Vec<Comparison>,
    /// From the units to random bases.
    pub dose: Vec<Dose>,
    /// Means of all measures by kind.
    pub kinds: Vec<Shown>,
    /// Every direction of one set of each kind, in a file of their own.
    #[serde(skip)]
    pub directions: Vec<Direction>,
}

/// Judges the units of `layers` by what they do with the images of `data`. Activations are kept in a nameless file
/// in `folder`, so memory does not grow with their number. `observe` hears how much of the whole is done, and
/// with what it goes on.
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
    if options.k < 2 || data.len() < 2 * options.k {
        return Err(Error::Request(format!(
            "{} images are too few to choose the top {} of; at least twice as many are needed, and a top of at least 2",
            data.len(),
            options.k
        )));
    }
    let Options { pooling, units, seed, threads, chunk, .. } = options;
    let how = Collecting { pooling, units, seed, chunk, threads, folder };
    let collected = collect(network, layers, data, how, cancelled, &mut |done| {
        observe(0.5 * done as f64 / data.len() as f64, "activations");
    })?;
    let first = data.label(0);
    let one_label = (0..data.len()).all(|i| data.label(i) == first);
    let bench = Bench {
        options,
        data,
        pictures: Pictures::of(data),
        measure: if one_label { Measure::PixelDistance } else { Measure::LabelEntropy },
        draws: DRAWS.max(DRAWS_PER_LAYER * layers.len() - 1),
        pool: crate::thread_pool(threads)?,
        layers,
    };
    let mut results = Vec::new();
    for (i, (layer, activations)) in layers.iter().zip(collected).enumerate() {
        if cancelled.load(Ordering::Relaxed) {
            return Err(Error::Interrupted);
        }
        observe(0.5 + 0.5 * i as f64 / layers.len() as f64, &layer.name);
        results.push(bench.layer(layer, activations)?);
    }
    correct(&mut results);
    for (layer, result) in layers.iter().zip(&mut results) {
        result.verdict = bench.verdict(layer, result);
    }
    Ok(results)
}

/// Corrects the p-values against each kind for the number of layers.
fn correct(results: &mut [LayerResult]) {
    for kind in Kind::OTHERS {
        let mut family: Vec<&mut Comparison> = results
            .iter_mut()
            .flat_map(|result| &mut result.comparisons)
            .filter(|comparison| comparison.against == kind)
            .collect();
        let p: Vec<f64> = family.iter().map(|comparison| comparison.p).collect();
        family.iter_mut().zip(holm(&p)).for_each(|(comparison, p)| comparison.p_holm = p);
    }
}

/// What all layers share.
struct Bench<'a> {
    options: Options,
    data: &'a Dataset,
    pictures: Pictures<'a>,
    measure: Measure,
    draws: usize,
    pool: rayon::ThreadPool,
    layers: &'a [Layer],
}

impl Bench<'_> {
    fn layer(&self, layer: &Layer, mut activations: Activations) -> Result<LayerResult> {
        let space = Space::of(&mut activations.spool, CHUNK)?;
        let mut result = LayerResult {
            layer: layer.name.clone(),
            op: layer.op.into(),
            shape: layer.shape.clone(),
            units: layer.units(),
            examined: activations.units.len(),
            live: space.dimensions(),
            negative: space.negative,
            measure: self.measure,
            verdict: Verdict { units_more_coherent: None, sentence: String::new(), caveats: Vec::new() },
            comparisons: Vec::new(),
            dose: Vec::new(),
            kinds: Vec::new(),
            directions: Vec::new(),
        };
        if space.dimensions() < 2 {
            return Ok(result);
        }
        result.directions = self.shown(layer, &mut activations, &space)?;
        result.kinds =
            [Kind::Units].iter().chain(&Kind::OTHERS).map(|&k| Shown::of(k, &result.directions)).collect();
        let scores = |kind: Kind| -> Vec<f64> {
            let of = result.directions.iter().filter(|direction| direction.kind == kind);
            of.map(|direction| self.score(&direction.coherence)).collect()
        };
        let units = scores(Kind::Units);
        for kind in Kind::OTHERS {
            let mut sets = vec![scores(kind)];
            if kind.is_random() {
                sets.extend(self.drawn(kind, layer, &mut activations, &space)?);
            }
            let purpose = format!("comparison of {} with {}", layer.name, kind.words());
            let mut draws = stream(self.options.seed, &purpose, 0);
            result.comparisons.extend(Comparison::of(kind, &units, &sets, &mut draws));
        }
        result.dose = self.dose(layer, &mut activations, &space)?;
        Ok(result)
    }

    fn score(&self, coherence: &Coherence) -> f64 {
        match self.measure {
            Measure::LabelEntropy => coherence.label_entropy,
            Measure::PixelDistance => coherence.pixel_distance,
        }
    }

    /// One set of every kind, with all measures.
    fn shown(&self, layer: &Layer, activations: &mut Activations, space: &Space) -> Result<Vec<Direction>> {
        let every = self.data.len().div_ceil(SAMPLE);
        let mut directions = Vec::new();
        for &kind in [Kind::Units].iter().chain(&Kind::OTHERS) {
            let rows = space.directions(kind, 0, self.options.seed, &layer.name);
            let spool = &mut activations.spool;
            let found = project(spool, &rows, self.options.k, Some(every), CHUNK, &self.pool)?;
            let numbers = |i: usize| if kind == Kind::Units { activations.units[space.live[i]] } else { i };
            directions.extend(self.pool.install(|| {
                let both = found.top.into_par_iter().zip(&found.sampled).enumerate();
                both.map(|(i, (top, values))| {
                    let coherence = self.pictures.coherence(&top, values, every);
                    Direction { kind, number: numbers(i), top, coherence }
                })
                .collect::<Vec<_>>()
            }));
        }
        Ok(directions)
    }

    /// The scores of further sets of `kind`, set by set.
    fn drawn(
        &self,
        kind: Kind,
        layer: &Layer,
        activations: &mut Activations,
        space: &Space,
    ) -> Result<Vec<Vec<f64>>> {
        let sets: Vec<Vec<f32>> = self.pool.install(|| {
            let draws = (1..self.draws as u64).into_par_iter();
            draws.map(|draw| space.directions(kind, draw, self.options.seed, &layer.name)).collect()
        });
        let scores = self.scores(activations, &sets.concat())?;
        Ok(scores.chunks(space.dimensions()).map(<[f64]>::to_vec).collect())
    }

    fn scores(&self, activations: &mut Activations, rows: &[f32]) -> Result<Vec<f64>> {
        let found = project(&mut activations.spool, rows, self.options.k, None, CHUNK, &self.pool)?;
        Ok(self.pool.install(|| {
            let top = found.top.par_iter();
            top.map(|top| self.pictures.measured(self.measure, top)).collect()
        }))
    }

    fn dose(&self, layer: &Layer, activations: &mut Activations, space: &Space) -> Result<Vec<Dose>> {
        let n = space.dimensions();
        let seed = self.options.seed;
        let rotations: Vec<Rotation> = self.pool.install(|| {
            let draw = |i| {
                let mut draws = stream(seed, &format!("rotations of {}", layer.name), i);
                Rotation::of(&haar_rotation(n, &mut draws), n)
            };
            (0..ROTATIONS).into_par_iter().map(draw).collect()
        });
        let mut dose = Vec::new();
        for (i, alpha) in ALPHAS.into_iter().enumerate() {
            // All rotations leave the units where they are for α = 0.
            let some = if alpha == 0.0 { &rotations[..1] } else { &rotations[..] };
            let turned: Vec<f32> =
                some.iter().flat_map(|rotation| space.embedded(&rotation.power(alpha))).collect();
            let scores = self.scores(activations, &turned)?;
            let purpose = format!("dose of {}", layer.name);
            dose.extend(Dose::of(alpha, &scores, &mut stream(seed, &purpose, i as u64)));
        }
        Ok(dose)
    }

    fn verdict(&self, layer: &Layer, result: &LayerResult) -> Verdict {
        let last = self.layers.iter().rev().find(|layer| !layer.logits);
        let haar = result.comparisons.iter().find(|comparison| comparison.against == Kind::Haar);
        Verdict::of(
            haar,
            &Circumstances {
                layer,
                measure: self.measure,
                k: self.options.k,
                layers: self.layers.len(),
                pooling: self.options.pooling,
                examined: result.examined,
                live: result.live,
                negative: result.negative,
                last: self.layers.len() > 1 && last == Some(layer),
            },
        )
    }
}

impl Shown {
    fn of(kind: Kind, directions: &[Direction]) -> Self {
        let of: Vec<&Coherence> =
            directions.iter().filter(|d| d.kind == kind).map(|d| &d.coherence).collect();
        let mean = |value: fn(&Coherence) -> f64| of.iter().map(|c| value(c)).sum::<f64>() / of.len() as f64;
        let some = |value: fn(&Coherence) -> Option<f64>| {
            let known: Vec<f64> = of.iter().filter_map(|c| value(c)).collect();
            crate::numeric::statistics::mean(&known)
        };
        Self {
            kind,
            directions: of.len(),
            label_entropy: mean(|c| c.label_entropy),
            purity: mean(|c| c.purity),
            pixel_distance: mean(|c| c.pixel_distance),
            best_auc: some(|c| c.best_auc),
            selectivity: some(|c| c.selectivity),
            sparsity: some(|c| c.sparsity),
        }
    }
}
