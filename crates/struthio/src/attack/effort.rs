//! What searches have spent, and how long the rest of them will take.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Who looks on while searches run, from any thread.
#[derive(Debug, Clone, Copy)]
pub struct Watch<'a> {
    /// Set to stop.
    pub cancelled: &'a AtomicBool,
    /// Where what is spent is added up.
    pub effort: &'a Effort,
}

/// Counts what all searches together have done.
///
/// Many searches run at a time, so for a long while none of them ends, and then many do. Gradients are spent
/// steadily, so they tell how far the work has come.
#[derive(Debug)]
pub struct Effort {
    searches: u64,
    expected: f64,
    started: Instant,
    begun: AtomicU64,
    ended: AtomicU64,
    gradients: AtomicU64,
    rounds: AtomicU64,
    /// When the first gradients were there, and how many: what came before says nothing about the pace.
    first: OnceLock<(Instant, u64)>,
}

impl Effort {
    /// Of so many `searches`, each of which is `expected` to take so many gradients until it is known better.
    #[must_use]
    pub fn new(searches: usize, expected: f64) -> Self {
        Self {
            searches: searches as u64,
            expected: expected.max(1.0),
            started: Instant::now(),
            begun: AtomicU64::new(0),
            ended: AtomicU64::new(0),
            gradients: AtomicU64::new(0),
            rounds: AtomicU64::new(0),
            first: OnceLock::new(),
        }
    }

    pub(super) fn begin(&self) {
        self.begun.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn end(&self) {
        self.ended.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn spend(&self, gradients: usize) {
        if gradients == 0 {
            return;
        }
        let gradients = gradients as u64;
        let spent = gradients + self.gradients.fetch_add(gradients, Ordering::Relaxed);
        self.first.get_or_init(|| (Instant::now(), spent));
        self.rounds.fetch_add(1, Ordering::Relaxed);
    }

    /// Batches that had gradients: the more, the more is known.
    #[must_use]
    pub fn rounds(&self) -> u64 {
        self.rounds.load(Ordering::Relaxed)
    }

    /// Time since the beginning.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    /// The share of all work that is done, from 0 to 1, and the time that the rest will take; `None` before
    /// anything is known.
    #[must_use]
    pub fn outlook(&self) -> Option<(f64, Duration)> {
        let spent = self.gradients.load(Ordering::Relaxed) as f64;
        if spent == 0.0 {
            return None;
        }
        let [begun, ended] = [&self.begun, &self.ended].map(|count| count.load(Ordering::Relaxed) as f64);
        let left = left(self.searches as f64, begun, ended, spent, self.expected);
        let pace = match self.first.get() {
            Some((since, before)) if spent > 2.0 * *before as f64 => {
                since.elapsed().as_secs_f64() / (spent - *before as f64)
            }
            _ => self.elapsed().as_secs_f64() / spent,
        };
        let seconds = pace * left;
        Some((spent / (spent + left), Duration::try_from_secs_f64(seconds).ok()?))
    }
}

/// Gradients that are left to be spent on all `searches`, when `spent` were on those that have begun.
fn left(searches: f64, begun: f64, ended: f64, spent: f64, expected: f64) -> f64 {
    let running = (begun - ended).max(0.0);
    // Those that run are halfway through on average, but not before they could have been.
    let halfway = 0.5 * (spent / (expected * running.max(1.0))).min(1.0);
    // What was expected counts for as many searches as are running at first, and for few in the end.
    let weight = running * running / (running + ended).max(1.0);
    let each = (spent + expected * weight) / (ended + weight + halfway * running).max(1.0);
    ((searches - ended - halfway * running) * each).max(0.0)
}

#[cfg(test)]
mod tests {
    use rand::RngExt;

    use super::*;
    use crate::numeric::random::stream;

    /// Runs searches of these lengths in so many lanes, and returns what was thought to be left by what was left,
    /// after each gradient for each lane.
    fn ratios(lengths: &[f64], lanes: usize, expected: f64) -> Vec<f64> {
        let total: f64 = lengths.iter().sum();
        let (mut next, mut ended, mut spent) = (lanes, 0.0, 0.0);
        let mut running: Vec<f64> = lengths[..lanes].to_vec();
        let mut ratios = Vec::new();
        while !running.is_empty() {
            let mut lane = 0;
            while lane < running.len() {
                running[lane] -= 1.0;
                spent += 1.0;
                if running[lane] > 0.0 {
                    lane += 1;
                    continue;
                }
                ended += 1.0;
                match lengths.get(next) {
                    Some(&length) => running[lane] = length,
                    None => drop(running.swap_remove(lane)),
                }
                next += 1;
            }
            if total > spent {
                let begun = next.min(lengths.len()) as f64;
                ratios.push(left(lengths.len() as f64, begun, ended, spent, expected) / (total - spent));
            }
        }
        ratios
    }

    #[test]
    fn means_something_from_the_beginning() {
        let mut draws = stream(0, "lengths", 0);
        let lengths: Vec<f64> =
            (0..1000).map(|_| (20.0 + 160.0 * draws.random::<f64>().powi(2)).round()).collect();
        let all_alike = vec![70.0; 1000];
        for (lengths, expected) in [(&lengths, 70.0), (&all_alike, 70.0), (&lengths, 35.0), (&lengths, 140.0)]
        {
            let ratios = ratios(lengths, 64, expected);
            let (first, later) = ratios.split_at(ratios.len() / 3);
            let factor = if expected == 70.0 { 1.5 } else { 2.5 };
            assert!(first.iter().all(|r| (1.0 / factor..factor).contains(r)), "{expected}: {first:?}");
            let later = &later[..ratios.len() / 2];
            assert!(later.iter().all(|r| (0.7..1.3).contains(r)), "{expected}: {later:?}");
        }
    }

    #[test]
    fn nothing_is_known_before_anything_is_spent() {
        let effort = Effort::new(10, 70.0);
        effort.begin();
        assert_eq!(effort.outlook(), None);
        effort.spend(7);
        let (share, _) = effort.outlook().expect("known");
        assert!(share > 0.0 && share < 0.1, "{share}");
    }
}
