use std::sync::atomic::AtomicBool;

use serde::{Deserialize, Serialize};

use super::angles::{Angles, angles};
use super::curve::{CURVE_IMAGES, Curve, curve, curve_sizes};
use super::evaluate::{Asking, Column};
use super::matrix::{NoiseRow, Row, Sized, noise_row, unchanged};
use super::perturbed::Perturbed;
use super::rate::Rate;
use crate::data::Dataset;
use crate::error::{Error, Result};
use crate::network::Classifier;

/// Noise rows of a matrix.
#[derive(Debug, Clone, Copy)]
pub struct NoiseOn<'a> {
    /// Where the images come from.
    pub data: &'a Dataset,
    /// Indices of the images that are drawn on.
    pub indices: &'a [usize],
    /// Standard deviations, a row each.
    pub sigmas: &'a [f64],
}

/// What is studied, and how.
#[derive(Clone, Copy)]
pub struct StudyOf<'a> {
    /// What the results call the images.
    pub data: &'a str,
    /// The networks that are asked.
    pub columns: &'a [Column<'a>],
    /// What was made for each network.
    pub rows: &'a [Perturbed<'a>],
    /// Rows of noise.
    pub noise: NoiseOn<'a>,
    /// Times that noise is drawn for each image.
    pub draws: usize,
    /// The size to which curves are followed, if they are.
    pub curves: Option<f64>,
    /// Seed of the noise.
    pub seed: u64,
    /// Worker threads; nothing depends on them.
    pub threads: usize,
    /// Images evaluated at a time per thread; nothing depends on it.
    pub batch: usize,
    /// Set to stop.
    pub cancelled: &'a AtomicBool,
    /// Told how many of how many images were classified, from any thread.
    pub progress: &'a (dyn Fn(usize, usize) + Sync),
}

/// A transfer matrix, and what belongs to it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Study {
    /// The images.
    pub data: String,
    /// The networks that were asked.
    pub columns: Vec<String>,
    /// What was made for each network, shown to all.
    pub rows: Vec<Row>,
    /// Errors of all on the images of the noise, unchanged.
    pub unchanged: Vec<Rate>,
    /// Noise, shown to all.
    pub noise: Vec<NoiseRow>,
    /// Errors along the perturbations made for each network; empty if they were not asked for.
    pub curves: Vec<Curve>,
    /// Angles between perturbations.
    pub angles: Angles,
}

/// Shows every row to every column.
///
/// # Errors
///
/// If a column wants images of another size or range or has another number of classes than the first, or
/// [`Error::Interrupted`] if cancelled.
pub fn study(of: &StudyOf<'_>) -> Result<Study> {
    check(of)?;
    let (total, done) = (work(of), std::sync::atomic::AtomicUsize::new(0));
    let progress = |more: usize| {
        let before = done.fetch_add(more, std::sync::atomic::Ordering::Relaxed);
        (of.progress)(before + more, total);
    };
    let StudyOf { columns, threads, batch, cancelled, seed, draws, .. } = *of;
    let asking = Asking { columns, threads, batch, cancelled, progress: &progress };
    let bounds = columns.first().map_or([0.0, 1.0], |column| allowed(column.classifier));
    let mut made = Study {
        data: of.data.into(),
        columns: columns.iter().map(|column| column.name.into()).collect(),
        rows: Vec::new(),
        unchanged: unchanged(&asking, of.noise.data, of.noise.indices)?,
        noise: Vec::new(),
        curves: Vec::new(),
        angles: crate::thread_pool(threads)?.install(|| angles(of.rows, seed, bounds, cancelled))?,
    };
    for row in of.rows {
        let asked = Sized::ask(&asking, *row, row.images.len(), draws, seed, bounds)?;
        made.rows.push(asked.row(columns.len()));
        if let Some(end) = of.curves {
            made.curves.push(curve(&asking, *row, end, seed, bounds)?);
        }
    }
    let NoiseOn { data, indices, sigmas } = of.noise;
    for &sigma in sigmas {
        made.noise.push(noise_row(&asking, data, indices, sigma, draws, seed, bounds)?);
    }
    Ok(made)
}

/// The box of allowed pixels.
fn allowed(classifier: &dyn Classifier) -> [f32; 2] {
    [classifier.input().lower, classifier.input().upper]
}

/// Images that all columns together have to classify.
fn work(of: &StudyOf<'_>) -> usize {
    let row = |row: &Perturbed<'_>| {
        let followed = if of.curves.is_some() { row.images.len().min(CURVE_IMAGES) } else { 0 };
        let sized = row.images.len() * (1 + row.sizes.len() * (1 + of.draws));
        sized + followed * (1 + 2 * curve_sizes(1.0).len())
    };
    let noise = of.noise.indices.len() * (1 + of.noise.sigmas.len() * (1 + of.draws));
    of.columns.len() * (of.rows.iter().map(row).sum::<usize>() + noise)
}

fn check(of: &StudyOf<'_>) -> Result<()> {
    let Some(first) = of.columns.first() else {
        return Err(Error::Request("a transfer matrix needs a network to ask".into()));
    };
    let (pixels, classes) = (first.classifier.input().len(), first.classifier.classes());
    for Column { name, classifier } in of.columns {
        let found = (classifier.input().len(), classifier.classes());
        if found != (pixels, classes) {
            return Err(Error::Request(format!(
                "{name} takes images of {} values and has {} classes, but {} takes {pixels} and has {classes}; \
                 a transfer matrix needs the same",
                found.0, found.1, first.name
            )));
        }
    }
    if let Some(other) = of.columns.iter().find(|of| allowed(of.classifier) != allowed(first.classifier)) {
        return Err(Error::Request(format!(
            "{} takes pixels in {:?}, but {} in {:?}; a transfer matrix needs one box of allowed pixels",
            other.name,
            allowed(other.classifier),
            first.name,
            allowed(first.classifier)
        )));
    }
    let sets = of.rows.iter().map(|row| row.data).chain([of.noise.data]);
    match sets.into_iter().find(|data| data.image_len() != pixels) {
        None => Ok(()),
        Some(data) => Err(Error::data(
            data.name(),
            format!("images of {} values, but {} takes {pixels}", data.image_len(), first.name),
        )),
    }
}
