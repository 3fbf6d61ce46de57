use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use crate::error::{Error, Result};
use crate::network::Classifier;

/// A network that is asked.
#[derive(Clone, Copy)]
pub struct Column<'a> {
    /// What the results call it.
    pub name: &'a str,
    /// The network.
    pub classifier: &'a dyn Classifier,
}

/// Who is asked, by how many threads.
#[derive(Clone, Copy)]
pub(super) struct Asking<'a> {
    pub columns: &'a [Column<'a>],
    pub threads: usize,
    /// Images evaluated in one call of a session, at most.
    pub batch: usize,
    pub cancelled: &'a AtomicBool,
    /// Told how many images were classified, from any thread.
    pub progress: &'a (dyn Fn(usize) + Sync),
}

/// The classes that columns give to several variants of each image.
pub(super) struct Answers {
    variants: usize,
    /// For each column, all variants of the first image, then those of the next.
    classes: Vec<Vec<Option<usize>>>,
    /// Root mean square of what was added, in the same order.
    rms: Vec<f64>,
}

impl Answers {
    /// What `column` takes variant `v` of image `i` for; `None` where a logit is NaN.
    pub fn class(&self, column: usize, i: usize, v: usize) -> Option<usize> {
        self.classes[column][i * self.variants + v]
    }

    /// How far variant `v` of image `i` is from the image.
    pub fn rms(&self, i: usize, v: usize) -> f64 {
        self.rms[i * self.variants + v]
    }
}

/// Makes the variants of one image after the other, each with its distance from the image.
pub(super) type Make<'a> = &'a (dyn Fn(usize, &mut [f32], &mut [f64]) -> Result<()> + Sync);

impl Asking<'_> {
    /// Asks every column about `variants` of each of `images` images, which `make` writes one behind the other.
    ///
    /// # Errors
    ///
    /// [`Error::Interrupted`] if cancelled, and whatever `make` or a column complains about.
    pub fn ask(&self, images: usize, variants: usize, pixels: usize, make: Make<'_>) -> Result<Answers> {
        let block = (self.batch / variants.max(1)).max(1);
        let blocks = images.div_ceil(block);
        let next = AtomicUsize::new(0);
        let failed = AtomicBool::new(false);
        let work = || -> Result<Vec<Block>> {
            let mut sessions: Vec<_> =
                self.columns.iter().map(|column| column.classifier.session()).collect();
            let mut points = vec![0.0; block * variants * pixels];
            let mut done = Vec::new();
            loop {
                let at = next.fetch_add(1, Ordering::Relaxed);
                if at >= blocks || failed.load(Ordering::Relaxed) {
                    return Ok(done);
                }
                if self.cancelled.load(Ordering::Relaxed) {
                    return Err(Error::Interrupted);
                }
                let (from, to) = (at * block, ((at + 1) * block).min(images));
                let rows = (to - from) * variants;
                let mut rms = vec![0.0; rows];
                let points = &mut points[..rows * pixels];
                let parts = points.chunks_exact_mut(variants * pixels).zip(rms.chunks_exact_mut(variants));
                for (i, (points, rms)) in (from..to).zip(parts) {
                    make(i, points, rms)?;
                }
                let mut classes = Vec::with_capacity(sessions.len());
                for (session, column) in sessions.iter_mut().zip(self.columns) {
                    let mut answered = Vec::with_capacity(rows);
                    for part in points.chunks(self.batch.max(1) * pixels) {
                        session.inputs(part.len() / pixels).copy_from_slice(part);
                        let logits = session.forward()?;
                        let rows = logits.chunks_exact(column.classifier.classes());
                        answered.extend(rows.map(|row| column.classifier.class_of(row)));
                    }
                    classes.push(answered);
                    (self.progress)(rows);
                }
                done.push(Block { at, classes, rms });
            }
        };
        let parts: Vec<_> = std::thread::scope(|scope| {
            let work = || work().inspect_err(|_| failed.store(true, Ordering::Relaxed));
            let workers: Vec<_> = (0..self.threads.max(1)).map(|_| scope.spawn(work)).collect();
            let join = |worker: std::thread::ScopedJoinHandle<'_, _>| {
                worker.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
            };
            workers.into_iter().map(join).collect()
        });
        let mut done = parts.into_iter().collect::<Result<Vec<_>>>()?.concat();
        done.sort_unstable_by_key(|block| block.at);
        let mut answers =
            Answers { variants, classes: vec![Vec::new(); self.columns.len()], rms: Vec::new() };
        for block in done {
            answers.rms.extend(block.rms);
            answers.classes.iter_mut().zip(block.classes).for_each(|(all, some)| all.extend(some));
        }
        Ok(answers)
    }
}

/// What one call of every session gave.
#[derive(Clone)]
struct Block {
    at: usize,
    classes: Vec<Vec<Option<usize>>>,
    rms: Vec<f64>,
}
