//! Timing a network: what `bench` reports.

use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rand::RngExt;

use super::classifier::{Classifier, Session};
use super::loss::Loss;
use crate::error::{Error, Result};
use crate::numeric::random::stream;
use crate::numeric::statistics::quantile;

/// Times of one batch.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Measured {
    /// Median time of a forward pass, in milliseconds.
    pub forward_ms: f64,
    /// Median time of a forward pass and the gradient with respect to the input.
    pub gradient_ms: f64,
    /// Timed batches of each kind.
    pub evaluations: usize,
    /// Sum of the magnitudes of the gradients of the batch.
    pub checksum: f64,
}

/// Measures `classifier` on a batch of uniformly random images, each thread taking a part of them
/// through the whole network. `observe` hears how many of how many batches are done.
///
/// If `cancelled` becomes true, the result is [`Error::Interrupted`].
pub fn measure(
    classifier: &dyn Classifier,
    batch: usize,
    threads: usize,
    seed: u64,
    cancelled: &AtomicBool,
    observe: &(dyn Fn(usize, usize) + Sync),
) -> Result<Measured> {
    let threads = threads.clamp(1, batch.max(1));
    let gate = Gate { barrier: Barrier::new(threads), stop: AtomicBool::new(false), cancelled, observe };
    let laps = Laps::new(classifier, batch);
    observe(0, laps.kinds().count());
    let parts: Vec<Part> = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads)
            .map(|t| (t * batch / threads, (t + 1) * batch / threads))
            .map(|(from, to)| {
                let gate = &gate;
                scope.spawn(move || work(classifier, (from, to), seed, laps, gate))
            })
            .collect();
        let joined = workers.into_iter().map(std::thread::ScopedJoinHandle::join);
        joined
            .map(|part| part.unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
            .collect::<Result<_>>()
    })?;
    let mut times = [Vec::new(), Vec::new()];
    for (lap, (kind, _)) in laps.kinds().enumerate().filter(|(_, (_, counts))| *counts) {
        // A lap lasts from the first thread's start to the last one's end.
        let start = parts.iter().map(|part| part.spans[lap].0).min();
        let end = parts.iter().map(|part| part.spans[lap].1).max();
        if let (Some(start), Some(end)) = (start, end) {
            times[kind as usize].push((end - start).as_secs_f64() * 1e3);
        }
    }
    let checksum = parts.iter().flat_map(|part| &part.magnitudes).sum(); // row by row: threads have no say
    let [forward, gradient] = times.map(|times| quantile(&times, 0.5).unwrap_or(f64::NAN));
    Ok(Measured { forward_ms: forward, gradient_ms: gradient, evaluations: laps.timed, checksum })
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Forward = 0,
    Gradient = 1,
}

/// How often to repeat, so that the whole takes a second or two.
#[derive(Debug, Clone, Copy)]
struct Laps {
    timed: usize,
}

impl Laps {
    const WARM_UP: usize = 3;

    fn new(classifier: &dyn Classifier, batch: usize) -> Self {
        let mut session = classifier.session();
        let rows = batch.min(64);
        let lap = Instant::now();
        session.inputs(rows).fill(0.5);
        let seconds = match session.forward() {
            Ok(_) => lap.elapsed().max(Duration::from_micros(20)).as_secs_f64() * batch as f64 / rows as f64,
            Err(_) => 1.0, // the workers meet the error again and report it
        };
        Self { timed: ((1.0 / seconds) as usize).clamp(7, 300) }
    }

    /// What each lap does, and whether it counts.
    fn kinds(self) -> impl Iterator<Item = (Kind, bool)> {
        let of = move |kind| (0..Self::WARM_UP + self.timed).map(move |lap| (kind, lap >= Self::WARM_UP));
        of(Kind::Forward).chain(of(Kind::Gradient))
    }
}

/// What threads meet at before every lap.
struct Gate<'a> {
    barrier: Barrier,
    stop: AtomicBool,
    cancelled: &'a AtomicBool,
    observe: &'a (dyn Fn(usize, usize) + Sync),
}

impl Gate<'_> {
    /// Waits for all when `done` of `laps` laps are done; tells whether to go on, the same to everyone.
    fn pass(&self, done: usize, laps: usize) -> bool {
        if self.barrier.wait().is_leader() {
            (self.observe)(done, laps);
            self.stop.store(self.cancelled.load(Ordering::Relaxed), Ordering::Relaxed);
        }
        self.barrier.wait();
        !self.stop.load(Ordering::Relaxed)
    }
}

/// What one thread contributes.
struct Part {
    /// Start and end of every lap.
    spans: Vec<(Instant, Instant)>,
    /// Sum of gradient magnitudes of each row.
    magnitudes: Vec<f64>,
}

/// One thread's part of every lap.
fn work(
    classifier: &dyn Classifier,
    (from, to): (usize, usize),
    seed: u64,
    laps: Laps,
    gate: &Gate<'_>,
) -> Result<Part> {
    let (input, classes) = (classifier.input().len(), classifier.classes());
    let mut images = vec![0.0; (to - from) * input];
    for (i, image) in (from..to).zip(images.chunks_exact_mut(input)) {
        let mut draws = stream(seed, "bench", i as u64);
        image.iter_mut().for_each(|pixel| *pixel = draws.random::<f32>());
    }
    let mut session = classifier.session();
    let mut seeds = vec![0.0; (to - from) * classes];
    let mut spans = Vec::new();
    let mut outcome = Ok(());
    let all = laps.kinds().count();
    for (done, (kind, _)) in laps.kinds().enumerate() {
        if !gate.pass(done, all) {
            return Err(Error::Interrupted);
        }
        let start = Instant::now();
        let lap = evaluate(session.as_mut(), &images, &mut seeds, classes, kind);
        spans.push((start, Instant::now()));
        // The others are met to the end, whatever happens, or they would hang.
        outcome = outcome.and(lap);
    }
    outcome?;
    let gradient = session.backward(&seeds)?; // of the last lap, once more and untimed
    let magnitude = |row: &[f32]| row.iter().map(|g| g.abs() as f64).sum();
    Ok(Part { spans, magnitudes: gradient.chunks_exact(input.max(1)).map(magnitude).collect() })
}

fn evaluate(
    session: &mut dyn Session,
    images: &[f32],
    seeds: &mut [f32],
    classes: usize,
    kind: Kind,
) -> Result<()> {
    let rows = seeds.len() / classes;
    session.inputs(rows).copy_from_slice(images);
    let logits = session.forward()?;
    if kind == Kind::Forward {
        return Ok(());
    }
    for (logits, seed) in logits.chunks_exact(classes).zip(seeds.chunks_exact_mut(classes)) {
        Loss::CrossEntropy(0).value_and_seed(logits, seed);
    }
    session.backward(seeds).map(|_| ())
}
