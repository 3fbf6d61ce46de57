use std::cell::{Cell, RefCell};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use rayon::prelude::*;

use super::certificate::Certificates;
use crate::data::Dataset;
use crate::error::{Error, Result};
use crate::network::{Classifier, Session};
use crate::numeric::lanczos::largest_singular_value;

/// Of a gain: what rounding in f32 may have added to it.
const ROUNDING: f64 = 1e-5;
/// Relative residual at which the iteration ends, and its most steps.
const TOLERANCE: (f64, usize) = (1e-4, 300);

/// How far a classifier can amplify a very small change of `image`: the largest singular value of the
/// Jacobian of its logits there, by iteration. `None` if the logits or derivatives are not finite.
///
/// Where the classifier is differentiable, no Lipschitz constant of it is smaller: the value comes from
/// below, and is lowered by 10⁻⁵ of itself for rounding.
///
/// # Errors
///
/// If the classifier cannot be evaluated, or has no derivatives along directions.
pub fn local_gain(session: &mut dyn Session, image: &[f32]) -> Result<Option<f64>> {
    session.inputs(1).copy_from_slice(image);
    let logits = session.forward()?;
    let (classes, finite) = (logits.len(), logits.iter().all(|z| z.is_finite()));
    if !finite {
        return Ok(None);
    }
    let (session, problem) = (RefCell::new(session), Cell::new(None));
    let put = |answer: Result<&[f32]>, to: &mut [f32]| match answer {
        Ok(values) => to.copy_from_slice(values),
        Err(error) => {
            to.fill(0.0);
            problem.set(Some(error));
        }
    };
    let found = largest_singular_value(
        [image.len(), classes],
        TOLERANCE,
        |direction, change| put(session.borrow_mut().tangent(direction), change),
        |seed, gradient| put(session.borrow_mut().backward(seed), gradient),
    );
    match problem.into_inner() {
        Some(error) => Err(error),
        None => Ok(Some(found.value * (1.0 - ROUNDING)).filter(|gain| gain.is_finite())),
    }
}

/// What is known of a network around an image without searching.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Surroundings {
    /// No image within this distance has another class.
    pub certified: f64,
    /// [`local_gain`] at the image.
    pub gain: Option<f64>,
}

/// The surroundings of every image of `data`, in their order. Uses the current pool of threads; `progress`
/// hears how many images are done.
///
/// # Errors
///
/// [`Error::Interrupted`] if `cancelled` becomes true, and those of [`local_gain`].
pub fn surroundings(
    classifier: &dyn Classifier,
    certificates: &Certificates,
    data: &Dataset,
    cancelled: &AtomicBool,
    progress: &(dyn Fn(usize) + Sync),
) -> Result<Vec<Surroundings>> {
    let done = AtomicUsize::new(0);
    let input = classifier.input();
    // No two images are farther from each other.
    let farthest = f64::from(input.upper - input.lower) * (input.len() as f64).sqrt();
    let images = (0..data.len()).into_par_iter().map_init(
        || classifier.session(),
        |session, i| {
            if cancelled.load(Ordering::Relaxed) {
                return Err(Error::Interrupted);
            }
            let image = data.image(i)?;
            session.inputs(1).copy_from_slice(&image);
            let certified = certificates.radius(session.forward()?, data.label(i)).min(farthest);
            let gain = local_gain(&mut **session, &image)?;
            progress(done.fetch_add(1, Ordering::Relaxed) + 1);
            Ok(Surroundings { certified, gain })
        },
    );
    images.collect()
}
