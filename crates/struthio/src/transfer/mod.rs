//! Transfer: what was made to fool one network, shown to others (Szegedy et al. 2013, section 4.2).
//!
//! A row of a transfer matrix is what was made for one network ([`Perturbed`]); its columns are the
//! networks that are asked ([`Column`]). Every perturbation is shown in several sizes ([`Size`]), and
//! beside each stands Gaussian noise of exactly that size on the same images, so that what transfers
//! can be told from what any change of that size does. [`study`] does all of it.

mod angles;
mod curve;
mod evaluate;
mod matrix;
mod noise;
mod perturbed;
mod rate;
mod recorded;
mod scale;
mod sizes;
mod study;

pub(crate) use perturbed::difference;
pub(crate) use scale::distance;

pub use angles::{Angle, Angles};
pub use curve::{CURVE_IMAGES, Curve, CurveColumn, curve_sizes};
pub use evaluate::Column;
pub use matrix::{Cell, NoiseCell, NoiseRow, Reached, Row, Size, SizedRow};
pub use noise::gaussian;
pub use perturbed::{AdversarialSource, Perturbed, PerturbedImage};
pub use rate::Rate;
pub use recorded::RecordedPerturbations;
pub use scale::rescale;
pub use sizes::suitable_sizes;
pub use study::{NoiseOn, Study, StudyOf, study};
