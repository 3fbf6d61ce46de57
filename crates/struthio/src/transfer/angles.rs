use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::noise::gaussian;
use super::perturbed::{Perturbed, difference};
use super::scale::{distance, rescale};
use crate::error::Result;
use crate::numeric::statistics::{mean, standard_deviation};
use crate::numeric::vector;

/// Angles between two perturbations of the same image, over the images that have both.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Angle {
    /// The network that one was made for.
    pub a: String,
    /// The network that the other was made for, or `noise`.
    pub b: String,
    /// Images.
    pub images: u64,
    /// Mean cosine.
    pub cosine: f64,
    /// Its standard deviation over the images.
    pub deviation: Option<f64>,
    /// Mean angle in degrees; 90 if they have nothing in common.
    pub degrees: f64,
}

/// Angles between what was made for different networks, and between that and chance.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Angles {
    /// Every pair of networks.
    pub pairs: Vec<Angle>,
    /// Every network against Gaussian noise of the same length inside the same box.
    pub noise: Vec<Angle>,
}

impl Angle {
    fn of(a: &str, b: &str, cosines: &[f64]) -> Option<Self> {
        let degrees: Vec<f64> = cosines.iter().map(|cosine| cosine.acos().to_degrees()).collect();
        Some(Self {
            a: a.into(),
            b: b.into(),
            images: cosines.len() as u64,
            cosine: mean(cosines)?,
            deviation: standard_deviation(cosines),
            degrees: mean(&degrees)?,
        })
    }
}

/// Measures them; pairs of rows from different data have none.
pub(super) fn angles(rows: &[Perturbed<'_>], seed: u64, bounds: [f32; 2]) -> Result<Angles> {
    let mut angles = Angles::default();
    for (at, a) in rows.iter().enumerate() {
        for b in &rows[at + 1..] {
            angles.pairs.extend(Angle::of(a.made_for, b.made_for, &between(a, b)?));
        }
        angles.noise.extend(Angle::of(a.made_for, "noise", &to_noise(a, seed, bounds)?));
    }
    Ok(angles)
}

fn between(a: &Perturbed<'_>, b: &Perturbed<'_>) -> Result<Vec<f64>> {
    if a.data.name() != b.data.name() {
        return Ok(Vec::new());
    }
    let of_b: BTreeMap<usize, usize> =
        b.images.iter().enumerate().map(|(i, image)| (image.index, i)).collect();
    let pixels = a.data.image_len();
    let (mut image, mut one, mut other) = (vec![0.0; pixels], vec![0.0; pixels], vec![0.0; pixels]);
    let mut cosines = Vec::new();
    for (i, common) in a.images.iter().enumerate() {
        let Some(&j) = of_b.get(&common.index) else { continue };
        a.load(i, &mut image, &mut one)?;
        b.load(j, &mut image, &mut other)?;
        cosines.extend(cosine(&difference(&image, &one), &difference(&image, &other)));
    }
    Ok(cosines)
}

fn to_noise(a: &Perturbed<'_>, seed: u64, bounds: [f32; 2]) -> Result<Vec<f64>> {
    let pixels = a.data.image_len();
    let (mut image, mut one, mut other) = (vec![0.0; pixels], vec![0.0; pixels], vec![0.0; pixels]);
    let mut noise = vec![0.0; pixels];
    let mut cosines = Vec::new();
    for (i, of) in a.images.iter().enumerate() {
        a.load(i, &mut image, &mut one)?;
        gaussian(seed, of.index, 0, &mut noise);
        rescale(&image, &noise, distance(&image, &one), bounds, &mut other);
        cosines.extend(cosine(&difference(&image, &one), &difference(&image, &other)));
    }
    Ok(cosines)
}

/// `None` if one of them is nothing.
fn cosine(a: &[f32], b: &[f32]) -> Option<f64> {
    let lengths = (vector::wide_dot(a, a) * vector::wide_dot(b, b)).sqrt();
    (lengths > 0.0).then(|| (vector::wide_dot(a, b) / lengths).clamp(-1.0, 1.0))
}
