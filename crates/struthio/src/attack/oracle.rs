//! Where searches ask: counts, budget, and the closest adversarial point seen.

use std::cell::RefCell;
use std::future::poll_fn;
use std::rc::Rc;
use std::task::Poll;

use super::criterion::Criterion;
use super::outcome::Improvement;
use crate::network::Loss;
use crate::numeric::vector;

/// A budget of gradients allows this many forward passes for each, and as many to begin with.
const FORWARDS_PER_GRADIENT: u64 = 20;

/// The first step behind a point whose logits the model's own output makes equal, as a share of the perturbation.
const FIRST_BEYOND: f32 = 1.0 / 4096.0;

/// Why a search ended early.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stop {
    /// The budget of gradients is spent.
    Budget,
    /// The network answered with an infinite value or NaN.
    NonFinite,
    /// The gradient at the image is zero, so there is no direction to search in.
    ZeroGradient,
}

/// The answer to a question for a gradient.
#[derive(Debug, Clone)]
pub struct Evaluation {
    /// The loss.
    pub value: f64,
    /// Its gradient with respect to the image.
    pub gradient: Vec<f32>,
    /// The logits.
    pub logits: Vec<f32>,
    /// The class that they surely stand for.
    pub class: Option<usize>,
}

/// The closest point so far that met the criterion.
#[derive(Debug, Clone)]
pub(super) struct Best {
    pub point: Vec<f32>,
    pub l2: f64,
    pub class: Option<usize>,
}

/// A question on its way to the worker, or the answer on its way back.
#[derive(Debug, Default)]
pub(super) enum Exchange {
    #[default]
    Idle,
    Asked {
        point: Vec<f32>,
        loss: Option<Loss>,
        /// The class that is to be left, if any other will do.
        left: Option<usize>,
    },
    Answered {
        point: Vec<f32>,
        evaluation: Evaluation,
    },
}

/// What a lane and the oracle of its search share.
pub(super) type Slot = Rc<RefCell<Exchange>>;

/// What the oracle has written down about a search.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    pub forwards: u64,
    pub gradients: u64,
    pub best: Option<Best>,
    pub progress: Vec<Improvement>,
    pub c: Option<f64>,
    pub blind: bool,
}

/// Answers the questions of one search about one network.
///
/// Every question costs one forward pass; one for a gradient costs a backward pass too. Whatever
/// point is asked about, the oracle keeps the closest one that meets the criterion and lies in the
/// box.
#[derive(Debug)]
pub struct Oracle {
    slot: Slot,
    image: Vec<f32>,
    lower: f32,
    upper: f32,
    criterion: Criterion,
    budget: Option<u64>,
    /// Whether only points that were asked about may be kept.
    is_confined: bool,
    ledger: RefCell<Ledger>,
}

impl Oracle {
    pub(super) fn new(
        slot: Slot,
        image: Vec<f32>,
        bounds: [f32; 2],
        criterion: Criterion,
        budget: Option<u64>,
        is_confined: bool,
    ) -> Self {
        let [lower, upper] = bounds;
        Self { slot, image, lower, upper, criterion, budget, is_confined, ledger: RefCell::default() }
    }

    /// The logits at `x`.
    pub async fn logits(&self, x: &[f32]) -> Result<Vec<f32>, Stop> {
        if self.is_spent() {
            return Err(Stop::Budget);
        }
        Ok(self.ask(x, None).await?.logits)
    }

    /// `loss` at `x`, its gradient with respect to `x`, and the logits.
    pub async fn gradient(&self, x: &[f32], loss: Loss) -> Result<Evaluation, Stop> {
        let spent = self.ledger.borrow().gradients;
        if self.budget.is_some_and(|budget| spent >= budget) {
            return Err(Stop::Budget);
        }
        self.ask(x, Some(loss)).await
    }

    /// Whether `x` is adversarial, to the model's own output as well.
    pub(super) async fn is_adversarial(&self, x: &[f32]) -> Result<bool, Stop> {
        if self.is_spent() {
            return Err(Stop::Budget);
        }
        let evaluation = self.ask(x, None).await?;
        Ok(self.criterion.is_met(&evaluation.logits) && self.criterion.is_class(evaluation.class))
    }

    /// L2 distance of the closest adversarial point so far.
    #[must_use]
    pub fn best_l2(&self) -> Option<f64> {
        self.ledger.borrow().best.as_ref().map(|best| best.l2)
    }

    /// The class there.
    pub(super) fn best_class(&self) -> Option<usize> {
        self.ledger.borrow().best.as_ref().and_then(|best| best.class)
    }

    /// The perturbation of the closest adversarial point so far.
    #[must_use]
    pub fn best_perturbation(&self) -> Option<Vec<f32>> {
        let ledger = self.ledger.borrow();
        ledger.best.as_ref().map(|best| vector::difference(&best.point, &self.image))
    }

    /// Whether a budget ends the search if nothing else does.
    #[must_use]
    pub fn has_budget(&self) -> bool {
        self.budget.is_some()
    }

    /// Gradients that may still be asked for.
    pub(super) fn remaining(&self) -> Option<u64> {
        self.budget.map(|budget| budget.saturating_sub(self.ledger.borrow().gradients))
    }

    /// Records that the gradient at the image is zero, and the search went on without it.
    pub(super) fn record_blind(&self) {
        self.ledger.borrow_mut().blind = true;
    }

    /// Records the factor c of the penalty that a search settled on.
    pub fn record_c(&self, c: f64) {
        self.ledger.borrow_mut().c = Some(c);
    }

    pub(super) fn into_ledger(self) -> Ledger {
        self.ledger.into_inner()
    }

    async fn ask(&self, x: &[f32], loss: Option<Loss>) -> Result<Evaluation, Stop> {
        let busy = !matches!(*self.slot.borrow(), Exchange::Idle);
        // A second question before the first is answered would take its answer: leave the slot
        // empty instead, which the worker reports as misuse.
        let question = Exchange::Asked { point: x.to_vec(), loss, left: self.criterion.left() };
        *self.slot.borrow_mut() = if busy { Exchange::Idle } else { question };
        let (point, evaluation) = self.answer().await;
        self.enter(&point, loss.is_some(), &evaluation)?;
        if !self.is_confined && self.is_hidden(&evaluation) {
            self.go_beyond(point).await?;
        }
        Ok(evaluation)
    }

    async fn answer(&self) -> (Vec<f32>, Evaluation) {
        poll_fn(|_| {
            let mut slot = self.slot.borrow_mut();
            match std::mem::take(&mut *slot) {
                Exchange::Answered { point, evaluation } => Poll::Ready((point, evaluation)),
                unanswered => {
                    *slot = unanswered;
                    Poll::Pending
                }
            }
        })
        .await
    }

    /// Whether the logits are adversarial, but equal to the model's own output, as a saturated sigmoid may make them.
    fn is_hidden(&self, evaluation: &Evaluation) -> bool {
        self.criterion.is_met(&evaluation.logits) && !self.criterion.is_class(evaluation.class)
    }

    /// Asks for points farther and farther behind `point` until the model's own output is adversarial, and then
    /// for nearer ones.
    async fn go_beyond(&self, point: Vec<f32>) -> Result<(), Stop> {
        let (mut hidden, mut shown, mut beyond) = (0.0_f32, f32::INFINITY, FIRST_BEYOND);
        while beyond < 1.0 && shown - hidden > FIRST_BEYOND {
            let along = point.iter().zip(&self.image);
            let further: Vec<f32> =
                along.map(|(&p, &x)| beyond.mul_add(p - x, p).clamp(self.lower, self.upper)).collect();
            let l2 = vector::squared_distance(&further, &self.image).sqrt();
            let hopeless = shown.is_infinite() && self.best_l2().is_some_and(|best| l2 >= best);
            if hopeless || further == point || self.is_spent() {
                return Ok(());
            }
            *self.slot.borrow_mut() =
                Exchange::Asked { point: further, loss: None, left: self.criterion.left() };
            let (asked, evaluation) = self.answer().await;
            self.enter(&asked, false, &evaluation)?;
            if self.is_hidden(&evaluation) {
                hidden = beyond;
            } else {
                shown = beyond;
            }
            beyond = if shown.is_finite() { 0.5 * (hidden + shown) } else { 2.0 * beyond };
        }
        Ok(())
    }

    /// Whether as many questions were asked as the budget allows.
    fn is_spent(&self) -> bool {
        let forwards = self.ledger.borrow().forwards;
        self.budget
            .is_some_and(|budget| forwards >= FORWARDS_PER_GRADIENT.saturating_mul(budget.saturating_add(1)))
    }

    /// Counts an answer and keeps its point if it is the closest adversarial one.
    fn enter(&self, point: &[f32], with_gradient: bool, evaluation: &Evaluation) -> Result<(), Stop> {
        let mut ledger = self.ledger.borrow_mut();
        ledger.forwards += 1;
        ledger.gradients += u64::from(with_gradient);
        let finite = |values: &[f32]| values.iter().all(|value| value.is_finite());
        if !finite(&evaluation.logits) || !finite(&evaluation.gradient) {
            return Err(Stop::NonFinite);
        }
        if self.criterion.is_met(&evaluation.logits)
            && self.criterion.is_class(evaluation.class)
            && point.iter().all(|x| (self.lower..=self.upper).contains(x))
        {
            let l2 = vector::squared_distance(point, &self.image).sqrt();
            if ledger.best.as_ref().is_none_or(|best| l2 < best.l2) {
                let rms = l2 / (point.len() as f64).sqrt();
                let Ledger { best, progress, gradients, .. } = &mut *ledger;
                Improvement { gradients: *gradients, rms }.add_to(progress);
                *best = Some(Best { point: point.to_vec(), l2, class: evaluation.class });
            }
        }
        Ok(())
    }
}
