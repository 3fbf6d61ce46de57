//! A search that needs no gradient at the image: from points of other classes, found at random, towards the image.

use rand::{Rng, RngExt};

use super::Case;
use super::boundary::{Crossing, Walk};
use super::descent::descend;
use super::oracle::{Oracle, Stop};
use crate::numeric::random::stream;
use crate::numeric::vector;

/// Points at which the class is asked for.
const STARTS: usize = 24;
/// Of these so many, the closest after bisection, are followed.
const FOLLOWED: usize = 3;
/// Halvings of the way from a start to the image.
const BISECTIONS: usize = 16;
/// Attempts to give pixels back their values, several at once.
const REVERSIONS: usize = 120;
/// Gradients of a descent.
const STEPS: usize = 60;

/// Looks for an adversarial image where the gradient at the image is zero: noise of every size, grey, black and white
/// images until the class changes, bisection towards the image, pixels put back at random, and from there descents
/// and walks, if there is a gradient at the boundary.
pub(super) async fn search(oracle: &Oracle, case: &Case) -> Result<(), Stop> {
    let mut random = stream(case.seed, "blind", case.index as u64);
    let mut reached: Vec<(f64, Vec<f32>)> = Vec::new();
    for i in 0..STARTS {
        let start = start(case, i, &mut random);
        if oracle.is_adversarial(&start).await? {
            let point = bisected(oracle, case, start).await?;
            reached.push((vector::squared_distance(&point, &case.image), point));
        }
    }
    reached.sort_by(|a, b| a.0.total_cmp(&b.0));
    for (_, point) in reached.into_iter().take(FOLLOWED) {
        let point = reverted(oracle, case, point, &mut random).await?;
        follow(oracle, case, &point).await?;
    }
    Ok(())
}

/// The i-th point to start from: uniform, grey, inverted, or the image with Gaussian noise of growing size.
fn start(case: &Case, i: usize, random: &mut impl Rng) -> Vec<f32> {
    let (low, high) = (case.lower, case.upper);
    let pixels = case.image.len();
    match i {
        0..=4 => vec![low + (high - low) * i as f32 / 4.0; pixels],
        5 => case.image.iter().map(|x| high + low - x).collect(),
        6..=9 => (0..pixels).map(|_| low + (high - low) * random.random::<f32>()).collect(),
        _ => {
            let spread = (high - low) * 2.0_f32.powi(i as i32 / 2 - 9);
            let noise: Vec<f32> = (0..pixels).map(|_| spread * (random.random::<f32>() - 0.5)).collect();
            vector::clamped_sum(&case.image, &noise, low, high)
        }
    }
}

/// The point of the way from the image to `start` at which bisection finds the boundary, on its far side.
async fn bisected(oracle: &Oracle, case: &Case, start: Vec<f32>) -> Result<Vec<f32>, Stop> {
    let step = vector::difference(&start, &case.image);
    let at = |share: f64| {
        let mut shorter = step.clone();
        vector::scale(&mut shorter, share);
        vector::clamped_sum(&case.image, &shorter, case.lower, case.upper)
    };
    let (mut short, mut long, mut point) = (0.0, 1.0, start);
    for _ in 0..BISECTIONS {
        let middle = 0.5 * (short + long);
        let candidate = at(middle);
        if oracle.is_adversarial(&candidate).await? {
            (long, point) = (middle, candidate);
        } else {
            short = middle;
        }
    }
    Ok(point)
}

/// `point` with as many pixels as the image has as random attempts could put back, most at once to begin with.
async fn reverted(
    oracle: &Oracle,
    case: &Case,
    mut point: Vec<f32>,
    random: &mut impl Rng,
) -> Result<Vec<f32>, Stop> {
    let mut share = 0.5_f32;
    for _ in 0..REVERSIONS {
        let mut fewer = point.clone();
        for (x, &x0) in fewer.iter_mut().zip(&case.image) {
            if random.random::<f32>() < share {
                *x = x0;
            }
        }
        if oracle.is_adversarial(&fewer).await? {
            point = bisected_cheaply(oracle, case, fewer).await?;
        } else {
            share = (0.8 * share).max(2.0 / point.len() as f32);
        }
    }
    Ok(point)
}

/// A tenth of the way back to the image if that is adversarial, too.
async fn bisected_cheaply(oracle: &Oracle, case: &Case, point: Vec<f32>) -> Result<Vec<f32>, Stop> {
    let mut step = vector::difference(&point, &case.image);
    vector::scale(&mut step, 0.9);
    let shorter = vector::clamped_sum(&case.image, &step, case.lower, case.upper);
    Ok(if oracle.is_adversarial(&shorter).await? { shorter } else { point })
}

/// Descends and walks on from an adversarial `point`, where there are gradients.
async fn follow(oracle: &Oracle, case: &Case, point: &[f32]) -> Result<(), Stop> {
    let r = vector::difference(point, &case.image);
    let radius = vector::squared_norm(&r).sqrt();
    let end = descend(oracle, case, case.criterion, r, radius, STEPS).await?;
    let Some(class) = oracle.best_class() else { return Ok(()) };
    Walk::new(oracle, case, Crossing::towards(class, case)).walk(end, None, None).await.map(|_| ())
}
