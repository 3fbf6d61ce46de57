//! The verdict on what a search found: evaluated again, alone, and measured.

use super::levels::rounded;
use super::oracle::Ledger;
use super::outcome::{Adversarial, Outcome, Status};
use super::{Case, Criterion, Loss};
use crate::error::Result;
use crate::network::{Classifier, Session, argmax};
use crate::numeric::vector;

/// A search that has ended.
pub(super) struct Searched {
    pub case: Case,
    /// The class the network gives to the unchanged image.
    pub predicted: Option<usize>,
    /// The status unless an adversarial image was found.
    pub status: Status,
    pub ledger: Ledger,
}

/// Evaluates the best point of a search in a batch of its own and builds the outcome.
pub(super) fn verify(
    classifier: &dyn Classifier,
    session: &mut dyn Session,
    searched: Searched,
) -> Result<Outcome> {
    let Searched { case, predicted, status, mut ledger } = searched;
    let adversarial = match ledger.best.take().filter(|_| status.is_attacked()) {
        Some(best) => {
            ledger.forwards += 2; // the second one for the rounded point
            ledger.gradients += 1;
            measured(classifier, session, &case, best.point, ledger.c)?
        }
        None => None,
    };
    let progress = if adversarial.is_some() { ledger.progress } else { Vec::new() };
    Ok(Outcome {
        index: case.index,
        label: case.label,
        predicted,
        status: if adversarial.is_some() { Status::Found } else { status },
        target: match case.criterion {
            Criterion::Class(class) => Some(class),
            Criterion::NotClass(_) => None,
        },
        adversarial,
        forwards: ledger.forwards,
        gradients: ledger.gradients,
        blind: ledger.blind,
        progress,
    })
}

/// `None` if the point, evaluated alone, is not adversarial after all.
fn measured(
    classifier: &dyn Classifier,
    session: &mut dyn Session,
    case: &Case,
    point: Vec<f32>,
    c: Option<f64>,
) -> Result<Option<Adversarial>> {
    session.inputs(1).copy_from_slice(&point);
    let logits = session.forward()?.to_vec();
    let in_box = point.iter().all(|x| (case.lower..=case.upper).contains(x));
    let met = |&label: &usize| case.criterion.is_class(Some(label)) && case.criterion.is_met(&logits);
    let Some(label) =
        classifier.sure_class_of(&logits, case.criterion.left()).filter(|label| in_box && met(label))
    else {
        return Ok(None);
    };
    let mut seed = vec![0.0; logits.len()];
    boundary(case.criterion, label, &logits).value_and_seed(&logits, &mut seed);
    let loss_gradient = session.backward(&seed)?;
    let optimality_residual = optimality_residual(case, &point, loss_gradient);
    session.inputs(1).copy_from_slice(&rounded(&point));
    let of_rounded = session.forward()?;
    let survives_rounding = case.criterion.is_met(of_rounded)
        && case.criterion.is_class(classifier.sure_class_of(of_rounded, case.criterion.left()));
    let square = |(&a, &b): (&f32, &f32)| (a as f64 - b as f64).powi(2);
    let l2 = point.iter().zip(&case.image).map(square).sum::<f64>().sqrt();
    Ok(Some(Adversarial {
        label,
        rms: l2 / (point.len() as f64).sqrt(),
        l2,
        linf: vector::max_distance(&point, &case.image),
        c,
        optimality_residual,
        survives_rounding,
        image: point,
    }))
}

/// The difference of logits that vanishes on the part of the decision boundary that was crossed.
fn boundary(criterion: Criterion, label: usize, logits: &[f32]) -> Loss {
    match criterion {
        Criterion::NotClass(own) => Loss::Difference { ahead: label, behind: own },
        Criterion::Class(class) => {
            let mut others = logits.to_vec();
            others[class] = f32::NEG_INFINITY;
            Loss::Difference { ahead: class, behind: argmax(&others).unwrap_or(class) }
        }
    }
}

/// One minus the cosine between r and the direction in which the margin grows, over the pixels
/// that the box does not hold; `None` if the gradient vanishes there.
fn optimality_residual(case: &Case, point: &[f32], loss_gradient: &[f32]) -> Option<f64> {
    let pixels = || point.iter().zip(&case.image).zip(loss_gradient);
    let products = |held: &dyn Fn(f32, f64, f64) -> bool| {
        let (mut rr, mut ra, mut aa) = (0.0, 0.0, 0.0);
        for ((&p, &x), &g) in pixels() {
            let (r, a) = (p as f64 - x as f64, -g as f64);
            if !held(p, r, a) {
                rr += r * r;
                ra += r * a;
                aa += a * a;
            }
        }
        (rr, ra, aa)
    };
    let (_, ra, aa) = products(&|p, _, _| p <= case.lower || p >= case.upper);
    let multiplier = if aa > 0.0 { ra / aa } else { 0.0 };
    // At a minimum, a pixel on its bound is one that the multiplier would push further out.
    let held = |p: f32, r: f64, a: f64| {
        (p <= case.lower && multiplier * a <= r) || (p >= case.upper && multiplier * a >= r)
    };
    let (rr, ra, aa) = products(&held);
    let residual = 1.0 - ra / (rr * aa).sqrt();
    (rr > 0.0 && aa > 0.0 && residual.is_finite()).then(|| residual.max(0.0))
}
