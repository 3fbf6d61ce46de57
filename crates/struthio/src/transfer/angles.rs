use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::noise::gaussian;
use super::perturbed::{Perturbed, difference};
use super::scale::{distance, rescale};
use crate::error::{Error, Result};
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

/// Measures them in the current pool of threads; pairs of rows from different data have none.
pub(super) fn angles(
    rows: &[Perturbed<'_>],
    seed: u64,
    bounds: [f32; 2],
    cancelled: &AtomicBool,
) -> Result<Angles> {
    let mut angles = Angles::default();
    for (at, a) in rows.iter().enumerate() {
        for b in &rows[at + 1..] {
            let cosines = cosines(a, cancelled, &between(a, b))?;
            angles.pairs.extend(Angle::of(a.made_for, b.made_for, &cosines));
        }
        let cosines = cosines(a, cancelled, &|i, image, one, other| {
            let mut noise = vec![0.0; image.len()];
            gaussian(seed, a.images[i].index, 0, &mut noise);
            rescale(image, &noise, distance(image, one), bounds, other);
            Ok(true)
        })?;
        angles.noise.extend(Angle::of(a.made_for, "noise", &cosines));
    }
    Ok(angles)
}

/// Writes what image `i` is compared with, given itself and its adversarial image; or says that there is none.
type Other<'a> = dyn Fn(usize, &mut [f32], &[f32], &mut [f32]) -> Result<bool> + Sync + 'a;

/// What was made for `b` from the same image.
fn between<'a>(a: &'a Perturbed<'_>, b: &'a Perturbed<'_>) -> Box<Other<'a>> {
    if a.data.name() != b.data.name() {
        return Box::new(|_, _, _, _| Ok(false));
    }
    let of_b: BTreeMap<usize, usize> =
        b.images.iter().enumerate().map(|(i, image)| (image.index, i)).collect();
    Box::new(move |i, image, _, other| match of_b.get(&a.images[i].index) {
        Some(&j) => b.load(j, image, other).map(|()| true),
        None => Ok(false),
    })
}

/// The cosine between what was made from every image of `a` and its `other`, where there is one.
fn cosines(a: &Perturbed<'_>, cancelled: &AtomicBool, other_of: &Other<'_>) -> Result<Vec<f64>> {
    let pixels = a.data.image_len();
    let of_image = |[image, one, other]: &mut [Vec<f32>; 3], i: usize| {
        if cancelled.load(Ordering::Relaxed) {
            return Err(Error::Interrupted);
        }
        a.load(i, image, one)?;
        let there = other_of(i, image, one, other)?;
        Ok(cosine(&difference(image, one), &difference(image, other)).filter(|_| there))
    };
    let buffers = || [(); 3].map(|()| vec![0.0; pixels]);
    let cosines: Vec<Option<f64>> =
        (0..a.images.len()).into_par_iter().map_init(buffers, of_image).collect::<Result<_>>()?;
    Ok(cosines.into_iter().flatten().collect())
}

/// `None` if one of them is nothing.
fn cosine(a: &[f32], b: &[f32]) -> Option<f64> {
    let lengths = (vector::wide_dot(a, a) * vector::wide_dot(b, b)).sqrt();
    (lengths > 0.0).then(|| (vector::wide_dot(a, b) / lengths).clamp(-1.0, 1.0))
}
