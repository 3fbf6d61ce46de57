//! Many searches per thread, answered together.

use std::cell::RefCell;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use super::effort::{Effort, Watch};
use super::oracle::{Evaluation, Exchange, Oracle, Slot};
use super::outcome::{Outcome, Status};
use super::queue::Queue;
use super::verify::{Searched, verify};
use super::{Attack, Case, Criterion, Loss, Stop};
use crate::error::{Error, Result};
use crate::network::{Classifier, Session};

/// How searches are spread over threads and batches. None of it changes an outcome.
#[derive(Debug, Clone, Copy)]
pub struct Lanes {
    /// Worker threads.
    pub threads: usize,
    /// Searches that each thread has in progress: the largest batch.
    pub lanes: usize,
    /// Gradients that one search may spend; unlimited if `None`.
    pub budget: Option<u64>,
    /// Seed of the run.
    pub seed: u64,
}

/// One image to be attacked.
#[derive(Debug, Clone)]
pub struct Example {
    /// Index in the data set.
    pub index: usize,
    /// Pixels.
    pub image: Vec<f32>,
    /// Its class.
    pub label: usize,
    /// What counts as adversarial.
    pub criterion: Criterion,
}

/// How long a worker without a search rests before it looks for one again.
const REST: Duration = Duration::from_millis(1);

/// Runs `attack` on `count` examples and hands every outcome to `sink`, in the order of examples.
///
/// `example` makes the i-th example; it is called from the worker threads, and its first error ends all. However many examples
/// there are, only a fixed number per lane is in memory. If `cancelled` becomes true, work stops and
/// the result is [`Error::Interrupted`].
pub fn attack_all(
    classifier: &dyn Classifier,
    attack: &dyn Attack,
    settings: Lanes,
    count: usize,
    example: &(dyn Fn(usize) -> Result<Example> + Sync),
    cancelled: &AtomicBool,
    sink: &mut dyn FnMut(Outcome) -> Result<()>,
) -> Result<()> {
    let effort = &Effort::new(count, 1.0);
    attack_all_watched(classifier, attack, settings, count, example, Watch { cancelled, effort }, sink)
}

/// Like [`attack_all`], for somebody who wants to know what is being spent.
pub fn attack_all_watched(
    classifier: &dyn Classifier,
    attack: &dyn Attack,
    settings: Lanes,
    count: usize,
    example: &(dyn Fn(usize) -> Result<Example> + Sync),
    watch: Watch<'_>,
    sink: &mut dyn FnMut(Outcome) -> Result<()>,
) -> Result<()> {
    let Watch { cancelled, effort } = watch;
    let threads = settings.threads.clamp(1, count.max(1));
    // Few examples are spread over all threads rather than filling the lanes of the first.
    let settings = Lanes { lanes: settings.lanes.clamp(1, count.div_ceil(threads).max(1)), ..settings };
    let unit_steepness = classifier.unit_steepness();
    let queue = Queue::new(count, threads * settings.lanes);
    let stop = AtomicBool::new(false);
    let (sender, receiver) = mpsc::channel();
    std::thread::scope(|scope| {
        for _ in 0..threads {
            let (sender, queue, stop) = (sender.clone(), &queue, &stop);
            scope.spawn(move || {
                let _alarm = Alarm { stop };
                let mut worker =
                    Worker { classifier, unit_steepness, attack, settings, example, queue, effort };
                let halt = || stop.load(Ordering::Relaxed) || cancelled.load(Ordering::Relaxed);
                if let Err(error) = worker.work(&halt, &sender) {
                    let _ = sender.send(Err(error)); // the receiver is gone only if another failed first
                }
            });
        }
        drop(sender);
        let delivered = queue.deliver_in_order(receiver, sink);
        stop.store(true, Ordering::Relaxed);
        delivered?;
        if queue.is_delivered() { Ok(()) } else { Err(Error::Interrupted) }
    })
}

/// Stops all workers when one of them panics: the others would wait for its outcomes for ever.
struct Alarm<'a> {
    stop: &'a AtomicBool,
}

impl Drop for Alarm<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.stop.store(true, Ordering::Relaxed);
        }
    }
}

type Outcomes = mpsc::Sender<Result<(usize, Outcome)>>;

struct Worker<'a> {
    classifier: &'a dyn Classifier,
    unit_steepness: Option<f64>,
    attack: &'a dyn Attack,
    settings: Lanes,
    example: &'a (dyn Fn(usize) -> Result<Example> + Sync),
    queue: &'a Queue,
    effort: &'a Effort,
}

/// One search in progress.
struct Lane<'a> {
    position: usize,
    slot: Slot,
    search: Pin<Box<dyn Future<Output = Searched> + 'a>>,
}

impl<'a> Worker<'a> {
    fn work(&mut self, halt: &dyn Fn() -> bool, outcomes: &Outcomes) -> Result<()> {
        let mut session = self.classifier.session();
        let mut round = Round::new(self.classifier);
        let mut lanes: Vec<Lane<'a>> = Vec::new();
        loop {
            while lanes.len() < self.settings.lanes {
                match self.start_next()? {
                    Some(lane) => lanes.push(lane),
                    None => break,
                }
            }
            if halt() || (lanes.is_empty() && self.queue.is_exhausted()) {
                return Ok(());
            }
            if lanes.is_empty() {
                std::thread::sleep(REST);
                continue;
            }
            let mut at = 0;
            while at < lanes.len() {
                match poll(&mut lanes[at])? {
                    Poll::Pending => at += 1,
                    Poll::Ready(searched) => {
                        let finished = lanes[at].position;
                        self.effort.end();
                        let outcome = verify(self.classifier, session.as_mut(), searched)?;
                        if outcomes.send(Ok((finished, outcome))).is_err() {
                            return Ok(());
                        }
                        match self.start_next()? {
                            Some(lane) => lanes[at] = lane,
                            None => drop(lanes.swap_remove(at)),
                        }
                    }
                }
            }
            if !lanes.is_empty() {
                self.effort.spend(round.answer(self.classifier, session.as_mut(), &lanes)?);
            }
        }
    }

    fn start_next(&self) -> Result<Option<Lane<'a>>> {
        let Some(position) = self.queue.take() else { return Ok(None) };
        let example = (self.example)(position)?;
        self.check(&example)?;
        self.effort.begin();
        let slot: Slot = Rc::new(RefCell::new(Exchange::Idle));
        let search = Box::pin(self.search(example, Rc::clone(&slot)));
        Ok(Some(Lane { position, slot, search }))
    }

    /// A whole search: is the image right to begin with, then the attack.
    fn search(&self, example: Example, slot: Slot) -> impl Future<Output = Searched> + use<'a> {
        let Self { classifier, unit_steepness, attack, settings, .. } = *self;
        async move {
            let Example { index, image, label, criterion } = example;
            let (lower, upper) = (classifier.input().lower, classifier.input().upper);
            let oracle = Oracle::new(
                slot,
                image.clone(),
                [lower, upper],
                criterion,
                settings.budget,
                attack.is_confined(),
            );
            let first = oracle.logits(&image).await;
            let logits = first.clone().unwrap_or_default();
            let predicted = classifier.class_of(&logits);
            let case = Case {
                index,
                image,
                label,
                logits,
                criterion,
                lower,
                upper,
                unit_steepness,
                seed: settings.seed,
            };
            let status = match first {
                Err(_) => Some(Status::NonFinite),
                Ok(_) if predicted.is_none() => Some(Status::NonFinite),
                Ok(_) if predicted != Some(label) => Some(Status::AlreadyWrong),
                Ok(_) if criterion == Criterion::Class(label) => Some(Status::IsTarget),
                Ok(_) => None,
            };
            let status = match status {
                Some(status) => status,
                None => match attack.run(&oracle, &case).await {
                    Err(Stop::ZeroGradient) => Status::ZeroGradient,
                    Err(Stop::NonFinite) => Status::NonFinite,
                    Ok(()) | Err(Stop::Budget) => Status::NotFound,
                },
            };
            Searched { case, predicted, status, ledger: oracle.into_ledger() }
        }
    }

    /// Refuses an example that does not fit the classifier.
    fn check(&self, example: &Example) -> Result<()> {
        let (Criterion::NotClass(class) | Criterion::Class(class)) = example.criterion;
        let (pixels, classes) = (self.classifier.input().len(), self.classifier.classes());
        if example.image.len() == pixels && example.label < classes && class < classes {
            return Ok(());
        }
        Err(Error::Request(format!(
            "example {}: {} pixels, class {} and criterion {:?} do not fit a model of {pixels} pixels and {classes} classes",
            example.index,
            example.image.len(),
            example.label,
            example.criterion
        )))
    }
}

/// Lets a search run until it is done or has asked its next question.
fn poll(lane: &mut Lane<'_>) -> Result<Poll<Searched>> {
    match lane.search.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Pending if !matches!(*lane.slot.borrow(), Exchange::Asked { .. }) => {
            Err(Error::Request("an attack awaited something other than one answer of its oracle".into()))
        }
        polled => Ok(polled),
    }
}

/// What one search asks.
struct Question<'a> {
    slot: &'a Slot,
    point: Vec<f32>,
    loss: Option<Loss>,
    left: Option<usize>,
}

/// One batch: the questions of all lanes, answered by one forward and one backward pass.
struct Round {
    input: usize,
    classes: usize,
    seeds: Vec<f32>,
}

impl Round {
    fn new(classifier: &dyn Classifier) -> Self {
        Self { input: classifier.input().len(), classes: classifier.classes(), seeds: Vec::new() }
    }

    /// Answers all questions; returns how many of them were for gradients.
    fn answer(
        &mut self,
        classifier: &dyn Classifier,
        session: &mut dyn Session,
        lanes: &[Lane<'_>],
    ) -> Result<usize> {
        // Questions for gradients come first, so that one backward over the first rows serves them.
        let mut questions: Vec<Question<'_>> = Vec::with_capacity(lanes.len());
        for lane in lanes {
            if let Exchange::Asked { point, loss, left } = lane.slot.take() {
                questions.push(Question { slot: &lane.slot, point, loss, left });
            }
        }
        questions.sort_by_key(|question| question.loss.is_none());
        let (n, k) = (self.input, self.classes);

        let inputs = session.inputs(questions.len());
        for (Question { point, loss, .. }, row) in questions.iter().zip(inputs.chunks_exact_mut(n)) {
            let known = loss.is_none_or(|loss| loss.classes().iter().all(|&class| class < k));
            if point.len() != n || !known {
                return Err(Error::Request(format!(
                    "an attack asked about {} values and {loss:?}; the model has {n} and {k} classes",
                    point.len()
                )));
            }
            row.copy_from_slice(point);
        }
        let logits = session.forward()?;
        let gradients = questions.iter().take_while(|question| question.loss.is_some()).count();
        self.seeds.resize(gradients * k, 0.0);
        let mut answers: Vec<Evaluation> = Vec::with_capacity(questions.len());
        for (row, Question { loss, left, .. }) in questions.iter().enumerate() {
            let logits = &logits[row * k..(row + 1) * k];
            let value =
                loss.map_or(0.0, |loss| loss.value_and_seed(logits, &mut self.seeds[row * k..(row + 1) * k]));
            let class = classifier.sure_class_of(logits, *left);
            answers.push(Evaluation { value, gradient: Vec::new(), logits: logits.to_vec(), class });
        }
        if gradients > 0 {
            let gradient = session.backward(&self.seeds)?;
            for (answer, row) in answers.iter_mut().zip(gradient.chunks_exact(n)) {
                answer.gradient = row.to_vec();
            }
        }
        for (Question { slot, point, .. }, evaluation) in questions.into_iter().zip(answers) {
            slot.replace(Exchange::Answered { point, evaluation });
        }
        Ok(gradients)
    }
}
