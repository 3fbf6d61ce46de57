use serde::{Deserialize, Serialize};

use crate::numeric::statistics::{Interval, wilson, wilson_of_groups};

/// A share of trials, with how sure it is.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Rate {
    /// How often it happened.
    pub count: u64,
    /// Out of how many trials.
    pub of: u64,
    /// The share; `None` of no trials.
    pub rate: Option<f64>,
    /// 95 % Wilson interval of it.
    pub interval: Option<Interval>,
}

impl Rate {
    /// `count` of `of` independent trials.
    #[must_use]
    pub fn new(count: u64, of: u64) -> Self {
        Self { count, of, rate: share(count, of), interval: wilson(count, of) }
    }

    /// Trials that come in groups, as [`wilson_of_groups`] takes them.
    #[must_use]
    pub fn of_groups(groups: &[(u64, u64)]) -> Self {
        let (count, of) = groups.iter().fold((0, 0), |sum, group| (sum.0 + group.0, sum.1 + group.1));
        Self { count, of, rate: share(count, of), interval: wilson_of_groups(groups) }
    }

    /// Whether this is larger than `other`, beyond doubt: the intervals do not touch.
    #[must_use]
    pub fn is_surely_above(&self, other: &Self) -> bool {
        self.interval.zip(other.interval).is_some_and(|(a, b)| a.low > b.high)
    }
}

fn share(count: u64, of: u64) -> Option<f64> {
    (of > 0).then(|| count as f64 / of as f64)
}
