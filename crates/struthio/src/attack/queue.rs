//! The order of examples: in which they are started, and in which their outcomes are delivered.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::Receiver;

use super::outcome::Outcome;
use crate::error::Result;

/// Searches that may be ahead of the oldest unfinished one, for each lane. Outcomes that wait for
/// an earlier one then take no more memory than the searches themselves, and few lanes run dry
/// where one search is an order of magnitude slower than the others.
const AHEAD: usize = 16;

/// Hands out examples in order, none of them too far ahead of the oldest that is not delivered.
pub(super) struct Queue {
    count: usize,
    window: usize,
    next: AtomicUsize,
    delivered: AtomicUsize,
}

impl Queue {
    /// `count` examples for `lanes` lanes in all.
    pub fn new(count: usize, lanes: usize) -> Self {
        Self { count, window: AHEAD * lanes, next: AtomicUsize::new(0), delivered: AtomicUsize::new(0) }
    }

    /// The next example, if there is one that may be started now.
    pub fn take(&self) -> Option<usize> {
        let end = self.count.min(self.delivered.load(Ordering::Relaxed) + self.window);
        let step = |next| (next < end).then_some(next + 1);
        self.next.fetch_update(Ordering::Relaxed, Ordering::Relaxed, step).ok()
    }

    /// Whether every example has been taken.
    pub fn is_exhausted(&self) -> bool {
        self.next.load(Ordering::Relaxed) >= self.count
    }

    /// Whether every outcome has been delivered.
    pub fn is_delivered(&self) -> bool {
        self.delivered.load(Ordering::Relaxed) == self.count
    }

    /// Passes outcomes on in the order of their examples.
    pub fn deliver_in_order(
        &self,
        receiver: Receiver<Result<(usize, Outcome)>>,
        sink: &mut dyn FnMut(Outcome) -> Result<()>,
    ) -> Result<()> {
        let mut early = BTreeMap::new();
        let mut due = 0;
        for message in receiver {
            let (position, outcome) = message?;
            early.insert(position, outcome);
            while let Some(outcome) = early.remove(&due) {
                sink(outcome)?;
                due += 1;
                self.delivered.store(due, Ordering::Relaxed);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::outcome::Status;
    use super::*;

    fn outcome(index: usize) -> Outcome {
        Outcome {
            index,
            label: 0,
            predicted: None,
            status: Status::NotFound,
            target: None,
            adversarial: None,
            forwards: 1,
            gradients: 0,
            blind: false,
            progress: Vec::new(),
        }
    }

    #[test]
    fn starts_wait_for_the_oldest_search() {
        let queue = Queue::new(100, 2);
        let taken = || std::iter::from_fn(|| queue.take()).collect::<Vec<_>>();
        assert_eq!(taken(), (0..32).collect::<Vec<_>>());
        assert!(!queue.is_exhausted());

        let (sender, receiver) = std::sync::mpsc::channel();
        for position in [3, 1, 0, 5] {
            sender.send(Ok((position, outcome(position)))).expect("received");
        }
        drop(sender);
        let mut delivered = Vec::new();
        let sink = &mut |outcome: Outcome| {
            delivered.push(outcome.index);
            Ok(())
        };
        queue.deliver_in_order(receiver, sink).expect("delivered");
        assert_eq!(delivered, [0, 1]);
        assert_eq!(taken(), [32, 33]);
        assert!(!queue.is_delivered());
    }
}
