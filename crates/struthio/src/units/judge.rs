use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};

use rayon::prelude::*;

use super::activations::Activations;
use super::analysis::Options;
use super::coherence::{Coherence, Measure, Pictures};
use super::comparison::{Comparison, Dose, shuffle_test};
use super::directions::{Kind, Space};
use super::layer::Layer;
use super::maximise::{Wish, maximise};
use super::project::{Projected, project};
use super::result::{Direction, LayerResult, Shown, sampled};
use super::spool::Spool;
use super::verdict::{Circumstances, Verdict};
use crate::data::Dataset;
use crate::error::{Error, Result};
use crate::network::Network;
use crate::numeric::orthogonal::Rotation;
use crate::numeric::random::stream;

/// Images of one product.
const CHUNK: usize = 256;
/// Most weights of directions that are looked at in one pass over the images.
const TOGETHER: usize = 1 << 24;
/// Most images whose values are kept for measures of all images.
const SAMPLE: usize = 1 << 14;
/// Fewest units that leave a choice of directions with their means.
const FEWEST: usize = 3;
/// Further sets of a random kind whose images are shuffled.
const SHUFFLED: usize = 7;
/// Random rotations for the dose–response curve, and the parts of their angles.
const ROTATIONS: u64 = 4;
const ALPHAS: [f64; 6] = [0.0, 0.125, 0.25, 0.5, 0.75, 1.0];

/// Judges layer after layer; what all of them share.
pub(super) struct Judge<'a> {
    pub options: Options,
    pub network: &'a Network,
    pub data: &'a Dataset,
    pub pictures: Pictures<'a>,
    pub measure: Measure,
    /// Sets drawn of every random kind.
    pub draws: usize,
    pub pool: rayon::ThreadPool,
    pub cancelled: &'a AtomicBool,
}

/// Sets of random directions.
#[derive(Default)]
struct Drawn {
    /// Set by set.
    scores: Vec<Vec<f64>>,
    /// The top images of the directions of the first [`SHUFFLED`].
    tops: Vec<Vec<usize>>,
}

impl Judge<'_> {
    /// Everything about a layer; p-values are not yet corrected, and there is no verdict.
    pub fn layer(
        &self,
        mut activations: Activations,
        features: Option<&mut Activations>,
        observe: &mut dyn FnMut(f64, &str),
    ) -> Result<LayerResult> {
        observe(0.0, "principal components");
        let layer = &activations.layer.clone();
        let mut result = LayerResult {
            layer: layer.name.clone(),
            op: layer.op.into(),
            shape: layer.shape.clone(),
            logits: layer.logits,
            units: self.options.pooling.units(layer),
            examined: activations.examined,
            live: activations.units.len(),
            ranked_before: activations.order.is_some(),
            negative: activations.negative,
            measure: self.measure,
            verdict: Verdict::default(),
            comparisons: Vec::new(),
            dose: Vec::new(),
            kinds: Vec::new(),
            directions: Vec::new(),
        };
        if result.live < FEWEST {
            return Ok(result);
        }
        let space = Space::of(&mut activations.spool, CHUNK)?;
        result.directions =
            self.shown(&mut activations, features, &space, &mut |done, with| observe(0.6 * done, with))?;
        result.kinds = Kind::ALL.iter().map(|&kind| Shown::of(kind, &result.directions)).collect();
        let scores = |kind: Kind| -> Vec<f64> {
            let of = result.directions.iter().filter(|direction| direction.kind == kind);
            of.map(|direction| self.score(&direction.coherence)).collect()
        };
        let tops = |kind: Kind| -> Vec<Vec<usize>> {
            let of = result.directions.iter().filter(|direction| direction.kind == kind);
            of.map(|direction| direction.top.clone()).collect()
        };
        let units = scores(Kind::Units);
        for (i, &kind) in Kind::OTHERS.iter().enumerate() {
            observe(0.6 + 0.35 * i as f64 / Kind::OTHERS.len() as f64, kind.words());
            let mut sets = vec![scores(kind)];
            let mut others = tops(kind);
            if kind.is_random() {
                let drawn = self.drawn(kind, layer, &mut activations, &space)?;
                sets.extend(drawn.scores);
                others.extend(drawn.tops);
            }
            let purpose = format!("comparison of {} with {}", layer.name, kind.words());
            let mut draws = stream(self.options.seed, &purpose, 0);
            if let Some(comparison) = Comparison::of(kind, &units, &sets, &mut draws) {
                let p_shuffled = self.shuffled(layer, &tops(Kind::Units), &others)?;
                result.comparisons.push(Comparison { p_shuffled, ..comparison });
            }
        }
        observe(0.95, "rotations");
        result.dose = self.dose(&units, layer, &mut activations, &space)?;
        Ok(result)
    }

    fn score(&self, coherence: &Coherence) -> f64 {
        match self.measure {
            Measure::LabelEntropy => coherence.label_entropy,
            Measure::PixelDistance => coherence.pixel_distance,
        }
    }

    /// [`project`], unless the work was cancelled.
    fn project(&self, spool: &mut Spool, directions: &[f32], every: Option<usize>) -> Result<Projected> {
        if self.cancelled.load(Ordering::Relaxed) {
            return Err(Error::Interrupted);
        }
        project(spool, directions, self.options.k, every, CHUNK, &self.pool)
    }

    /// One set of every kind, with all measures.
    fn shown(
        &self,
        activations: &mut Activations,
        mut features: Option<&mut Activations>,
        space: &Space,
        observe: &mut dyn FnMut(f64, &str),
    ) -> Result<Vec<Direction>> {
        let every = self.data.len().div_ceil(SAMPLE);
        let mut directions = Vec::new();
        for (i, kind) in Kind::ALL.into_iter().enumerate() {
            let part = |share: f64| (i as f64 + share) / Kind::ALL.len() as f64;
            observe(part(0.0), kind.words());
            let weights = space.directions(kind, 0, self.options.seed, &activations.layer.name);
            let projected = self.project(&mut activations.spool, &weights, Some(every))?;
            let ordered = match &mut activations.order {
                Some(order) if kind == Kind::Units => {
                    Some(self.project(&mut order.spool, &weights, Some(every))?)
                }
                _ => None,
            };
            let found = ordered.as_ref().unwrap_or(&projected);
            let Projected { sampled: values, .. } = &projected;
            let numbers = |i: usize| if kind == Kind::Units { activations.units[i] } else { i };
            let tops = || found.top.iter().flatten().copied();
            let features = features.as_mut().map(|features| features.spool.select(tops())).transpose()?;
            let mut of_kind: Vec<Direction> = self.pool.install(|| {
                let all = found.top.par_iter().zip(values).enumerate();
                all.map(|(i, (top, values))| {
                    let rows =
                        features.as_ref().map(|rows| top.iter().map(|i| &rows[i][..]).collect::<Vec<_>>());
                    let order = &found.sampled[i];
                    let coherence = self.pictures.coherence(top, rows.as_deref(), values, order, every)?;
                    let (tied, by_chance) = (found.tied[i], found.by_chance[i]);
                    Ok(Direction {
                        kind,
                        number: numbers(i),
                        top: top.clone(),
                        tied,
                        by_chance,
                        coherence,
                        made: None,
                    })
                })
                .collect::<Result<_>>()
            })?;
            if self.options.maximise && [Kind::Units, Kind::REFERENCE].contains(&kind) {
                observe(part(0.1), "making images");
                self.make(&mut of_kind, &weights, activations, space)?;
            }
            directions.append(&mut of_kind);
        }
        Ok(directions)
    }

    /// Makes images for those of the `directions` with these `weights` that are shown.
    fn make(
        &self,
        directions: &mut [Direction],
        weights: &[f32],
        activations: &Activations,
        space: &Space,
    ) -> Result<()> {
        let (n, sample) = (space.dimensions(), sampled(directions.len()));
        let wish = |&i: &usize| {
            let weights = weights[i * n..][..n].to_vec();
            Wish { strongest: directions[i].top[0], deviation: space.deviation(&weights), weights }
        };
        let wishes: Vec<Wish> = sample.iter().map(wish).collect();
        let made = maximise(self.network, activations, &wishes, self.data, &self.pool, self.cancelled)?;
        sample.into_iter().zip(made).for_each(|(i, image)| directions[i].made = Some(image));
        Ok(())
    }

    /// The p-value of [`shuffle_test`] for directions with these top images.
    fn shuffled(&self, layer: &Layer, units: &[Vec<usize>], others: &[Vec<usize>]) -> Result<f64> {
        let images: BTreeSet<usize> = units.iter().chain(others).flatten().copied().collect();
        let images = Vec::from_iter(images);
        let pictures = Pictures::of(self.data, images.clone(), self.measure, &self.pool)?;
        let purpose = format!("shuffled images of {}", layer.name);
        self.pool.install(|| {
            shuffle_test(
                &images,
                units,
                others,
                self.draws,
                |i| stream(self.options.seed, &purpose, i),
                |places| pictures.measured(self.measure, places),
            )
        })
    }

    /// Further sets of `kind`.
    fn drawn(
        &self,
        kind: Kind,
        layer: &Layer,
        activations: &mut Activations,
        space: &Space,
    ) -> Result<Drawn> {
        let n = space.dimensions();
        let together = (TOGETHER / (n * n)).max(1) as u64;
        let last = self.draws as u64;
        let mut drawn = Drawn::default();
        for from in (1..last).step_by(together as usize) {
            let rows: Vec<Vec<f32>> = self.pool.install(|| {
                let draws = (from..last.min(from + together)).into_par_iter();
                draws.map(|draw| space.directions(kind, draw, self.options.seed, &layer.name)).collect()
            });
            let found = self.project(&mut activations.spool, &rows.concat(), None)?.top;
            drawn.scores.extend(self.scores(&found)?.chunks(n).map(<[f64]>::to_vec));
            let missing = (SHUFFLED * n).saturating_sub(drawn.tops.len());
            drawn.tops.extend(found.into_iter().take(missing));
        }
        Ok(drawn)
    }

    fn scores(&self, tops: &[Vec<usize>]) -> Result<Vec<f64>> {
        let score = |top: &Vec<usize>| self.pictures.measured(self.measure, top);
        self.pool.install(|| tops.par_iter().map(score).collect())
    }

    /// From the `units` with these scores to random bases.
    fn dose(
        &self,
        units: &[f64],
        layer: &Layer,
        activations: &mut Activations,
        space: &Space,
    ) -> Result<Vec<Dose>> {
        let seed = self.options.seed;
        let rotations: Vec<Rotation> = self.pool.install(|| {
            let draw = |i| space.rotation(&mut stream(seed, &format!("rotations of {}", layer.name), i));
            (0..ROTATIONS).into_par_iter().map(draw).collect()
        });
        let mut dose = Vec::new();
        for (i, alpha) in ALPHAS.into_iter().enumerate() {
            // All rotations leave the units where they are for α = 0.
            let scores = if alpha == 0.0 {
                units.to_vec()
            } else {
                let turned = rotations.iter().flat_map(|rotation| space.normalised(&rotation.power(alpha)));
                let turned: Vec<f32> = turned.collect();
                self.scores(&self.project(&mut activations.spool, &turned, None)?.top)?
            };
            let purpose = format!("dose of {}", layer.name);
            dose.extend(Dose::of(alpha, &scores, &mut stream(seed, &purpose, i as u64)));
        }
        Ok(dose)
    }

    /// What the comparisons of a layer come to, corrected with those of a `family` of so many layers.
    pub fn verdict(&self, layer: &Layer, result: &LayerResult, family: usize) -> Verdict {
        Verdict::of(
            &result.comparisons,
            &Circumstances {
                layer,
                measure: self.measure,
                k: self.options.k,
                images: self.data.len(),
                family,
                pooling: self.options.pooling,
                units: result.units,
                examined: result.examined,
                live: result.live,
                tied: [Kind::Units, Kind::REFERENCE].map(|kind| result.tied(kind)),
                chance: [Kind::Units, Kind::REFERENCE].map(|kind| result.chance(kind)),
                swing: result.swing(Kind::Units) + result.swing(Kind::REFERENCE),
                ranked_before: result.ranked_before,
                negative: result.negative,
                distinct: result.distinct(Kind::Units),
                last: Layer::last_but_one(self.network).as_ref() == Some(layer)
                    || Layer::last_activation(self.network).as_ref() == Some(layer),
            },
        )
    }
}
