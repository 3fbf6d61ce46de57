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
/// through the whole network.
///
/// If `cancelled` becomes true, the result is [`Error::Interrupted`].
pub fn measure(
    classifier: &dyn Classifier,
    batch: usize,
    threads: usize,
    seed: u64,
    cancelled: &AtomicBool,
) -> Result<Measured> {
    let threads = threads.clamp(1, batch.max(1));
    let start = Barrier::new(threads + 1);
    let end = Barrier::new(threads + 1);
    let stop = AtomicBool::new(false);
    let laps = Laps::new(classifier, batch);
    std::thread::scope(|scope| {
        let gates = Gates { start: &start, end: &end, stop: &stop };
        let workers: Vec<_> = (0..threads)
            .map(|t| (t * batch / threads, (t + 1) * batch / threads))
            .map(|(from, to)| scope.spawn(move || work(classifier, (from, to), seed, laps, gates)))
            .collect();
        let mut times = [Vec::new(), Vec::new()];
        for (kind, warm) in laps.kinds() {
            stop.store(cancelled.load(Ordering::Relaxed), Ordering::Relaxed);
            start.wait();
            if stop.load(Ordering::Relaxed) {
                return Err(Error::Interrupted);
            }
            let lap = Instant::now();
            end.wait();
            if warm {
                times[kind as usize].push(lap.elapsed().as_secs_f64() * 1e3);
            }
        }
        let mut rows = Vec::with_capacity(batch);
        for worker in workers {
            rows.extend(worker.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))?);
        }
        let checksum = rows.iter().sum(); // row by row, so that threads have no say
        let [forward, gradient] = times.map(|times| quantile(&times, 0.5).unwrap_or(f64::NAN));
        Ok(Measured { forward_ms: forward, gradient_ms: gradient, evaluations: laps.timed, checksum })
    })
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

/// What threads meet at.
#[derive(Clone, Copy)]
struct Gates<'a> {
    start: &'a Barrier,
    end: &'a Barrier,
    stop: &'a AtomicBool,
}

/// One thread's part of every lap; returns the sum of gradient magnitudes of each of its rows.
fn work(
    classifier: &dyn Classifier,
    (from, to): (usize, usize),
    seed: u64,
    laps: Laps,
    gates: Gates<'_>,
) -> Result<Vec<f64>> {
    let (input, classes) = (classifier.input().len(), classifier.classes());
    let mut images = vec![0.0; (to - from) * input];
    for (i, image) in (from..to).zip(images.chunks_exact_mut(input)) {
        let mut draws = stream(seed, "bench", i as u64);
        image.iter_mut().for_each(|pixel| *pixel = draws.random::<f32>());
    }
    let mut session = classifier.session();
    let mut seeds = vec![0.0; (to - from) * classes];
    let mut outcome = Ok(());
    for (kind, _) in laps.kinds() {
        gates.start.wait();
        if gates.stop.load(Ordering::Relaxed) {
            break;
        }
        let lap = evaluate(session.as_mut(), &images, &mut seeds, classes, kind);
        gates.end.wait();
        // Barriers are waited for to the end, whatever happens, or the others would hang.
        outcome = outcome.and(lap);
    }
    outcome?;
    let gradient = session.backward(&seeds)?; // of the last lap, once more and untimed
    Ok(gradient.chunks_exact(input.max(1)).map(|row| row.iter().map(|g| g.abs() as f64).sum()).collect())
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
