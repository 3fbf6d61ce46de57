use serde::{Deserialize, Serialize};

use super::evaluate::Asking;
use super::matrix::{Size, Sized};
use super::perturbed::Perturbed;
use super::sizes::rounded;
use crate::error::Result;

/// Images along whose perturbations a curve is followed, at most.
pub const CURVE_IMAGES: usize = 250;

/// Steps of a curve.
const STEPS: u32 = 12;

/// The sizes of a curve: root mean squares from 0 to `end` in twelve steps, rounded to four digits.
#[must_use]
pub fn curve_sizes(end: f64) -> Vec<f64> {
    (0..=STEPS).map(|step| rounded(end * f64::from(step) / f64::from(STEPS), 4)).collect()
}

/// How errors grow along the perturbations made for one network.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Curve {
    /// The network that the perturbations were made for.
    pub made_for: String,
    /// Images followed.
    pub images: u64,
    /// The sizes asked for.
    pub rms: Vec<f64>,
    /// Their means as they were reached inside the box.
    pub reached: Vec<f64>,
    /// One per network asked.
    pub columns: Vec<CurveColumn>,
}

/// One network's errors at each size, as shares of the images that it has right at first.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CurveColumn {
    /// The network.
    pub network: String,
    /// Along the perturbations; `None` if it had no image right.
    pub fooled: Vec<Option<f64>>,
    /// Along noise of the same sizes, drawn once per image.
    pub noise: Vec<Option<f64>>,
}

/// Follows the perturbations of `of` to a size of `end`.
pub(super) fn curve(
    asking: &Asking<'_>,
    of: Perturbed<'_>,
    end: f64,
    seed: u64,
    bounds: [f32; 2],
) -> Result<Curve> {
    let rms = curve_sizes(end);
    let sizes: Vec<Size> = rms.iter().map(|&rms| Size::Rms(rms)).collect();
    let asked = Sized::ask(asking, Perturbed { sizes: &sizes, ..of }, CURVE_IMAGES, 1, seed, bounds)?;
    let column = |(c, column): (usize, &super::Column<'_>)| CurveColumn {
        network: column.name.into(),
        fooled: (0..sizes.len()).map(|size| asked.fooled(c, size).rate).collect(),
        noise: (0..sizes.len()).map(|size| asked.noise(c, size).rate).collect(),
    };
    Ok(Curve {
        made_for: of.made_for.into(),
        images: of.images.len().min(CURVE_IMAGES) as u64,
        reached: (0..sizes.len()).filter_map(|size| asked.mean_rms(size)).collect(),
        columns: asking.columns.iter().enumerate().map(column).collect(),
        rms,
    })
}
