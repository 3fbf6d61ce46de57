//! Order statistics and intervals for what the reports print.

use rand::RngExt;
use serde::{Deserialize, Serialize};

use super::random::Stream;

/// A closed interval.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Interval {
    /// Lower end.
    pub low: f64,
    /// Upper end.
    pub high: f64,
}

/// The arithmetic mean; `None` of nothing.
#[must_use]
pub fn mean(values: &[f64]) -> Option<f64> {
    (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
}

/// The sample standard deviation (n − 1 in the denominator); `None` of fewer than two values.
#[must_use]
pub fn standard_deviation(values: &[f64]) -> Option<f64> {
    let centre = mean(values)?;
    let squares: f64 = values.iter().map(|v| (v - centre).powi(2)).sum();
    (values.len() > 1).then(|| (squares / (values.len() - 1) as f64).sqrt())
}

/// The `q`-quantile by linear interpolation between order statistics; `None` of nothing.
///
/// ```
/// use struthio::numeric::statistics::quantile;
/// assert_eq!(quantile(&[3.0, 1.0, 2.0], 0.5), Some(2.0));
/// assert_eq!(quantile(&[0.0, 1.0], 0.25), Some(0.25));
/// ```
#[must_use]
pub fn quantile(values: &[f64], q: f64) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    quantile_of_sorted(&sorted, q)
}

fn quantile_of_sorted(sorted: &[f64], q: f64) -> Option<f64> {
    let last = sorted.len().checked_sub(1)?;
    let position = q.clamp(0.0, 1.0) * last as f64;
    let below = position.floor() as usize;
    let above = (below + 1).min(last);
    let share = position - below as f64;
    // Nothing of an infinite neighbour is nothing.
    Some(if share == 0.0 { sorted[below] } else { sorted[below] + share * (sorted[above] - sorted[below]) })
}

/// 95 % bootstrap percentile interval of the median, from 1,000 resamples drawn from `stream`.
#[must_use]
pub fn bootstrap_median(values: &[f64], stream: &mut Stream) -> Option<Interval> {
    const RESAMPLES: usize = 1000;
    if values.is_empty() {
        return None;
    }
    let mut medians = Vec::with_capacity(RESAMPLES);
    let mut resample = vec![0.0; values.len()];
    for _ in 0..RESAMPLES {
        for slot in &mut resample {
            *slot = values[stream.random_range(0..values.len())];
        }
        resample.sort_by(f64::total_cmp);
        medians.extend(quantile_of_sorted(&resample, 0.5));
    }
    Some(Interval { low: quantile(&medians, 0.025)?, high: quantile(&medians, 0.975)? })
}

/// Wilson's 95 % score interval of a rate; `None` of no trials.
///
/// ```
/// use struthio::numeric::statistics::wilson;
/// let all = wilson(10, 10).unwrap();
/// assert!((all.low - 0.7225).abs() < 1e-4 && all.high == 1.0);
/// ```
#[must_use]
pub fn wilson(successes: u64, trials: u64) -> Option<Interval> {
    (trials > 0).then(|| score_interval(successes, trials, trials as f64))
}

/// Wilson's 95 % score interval of a rate over trials that come in groups, such as several draws for
/// each image, given as successes and trials of every group; `None` of no trials.
///
/// Trials of a group may depend on each other. The interval is that of as many independent trials as
/// have the variance found between groups (Kish's design effect): at least one per group, at most all.
///
/// ```
/// use struthio::numeric::statistics::{wilson, wilson_of_groups};
/// assert_eq!(wilson_of_groups(&[(1, 1), (0, 1), (0, 1)]), wilson(1, 3));
/// assert_eq!(wilson_of_groups(&[(5, 5), (0, 5), (0, 5)]), wilson(1, 3));
/// ```
#[must_use]
pub fn wilson_of_groups(groups: &[(u64, u64)]) -> Option<Interval> {
    let count = groups.iter().filter(|group| group.1 > 0).count() as f64;
    let (successes, trials) = groups.iter().fold((0, 0), |sum, group| (sum.0 + group.0, sum.1 + group.1));
    if trials == 0 {
        return None;
    }
    let p = successes as f64 / trials as f64;
    let squares: f64 = groups.iter().map(|&(hits, of)| (hits as f64 - p * of as f64).powi(2)).sum();
    let variance = squares / (trials as f64).powi(2) * count / (count - 1.0).max(1.0);
    let worth = if variance > 0.0 { p * (1.0 - p) / variance } else { count };
    Some(score_interval(successes, trials, worth.clamp(count, trials as f64)))
}

/// The score interval of a rate that `n` independent trials gave.
fn score_interval(successes: u64, trials: u64, n: f64) -> Interval {
    const Z: f64 = 1.959_963_984_540_054;
    let p = successes as f64 / trials as f64;
    let centre = (p + Z * Z / (2.0 * n)) / (1.0 + Z * Z / n);
    let half = Z / (1.0 + Z * Z / n) * (p * (1.0 - p) / n + Z * Z / (4.0 * n * n)).sqrt();
    let low = if successes == 0 { 0.0 } else { (centre - half).max(0.0) };
    let high = if successes == trials { 1.0 } else { (centre + half).min(1.0) };
    Interval { low, high }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::numeric::random::stream;

    /// Reference values from Brown, Cai & `DasGupta`'s formula, evaluated by hand for 3 of 20.
    #[test]
    fn wilson_interval() {
        let interval = wilson(3, 20).expect("trials");
        assert!((interval.low - 0.0524).abs() < 1e-4 && (interval.high - 0.3604).abs() < 1e-4);
        assert_eq!(wilson(0, 5).expect("trials").low, 0.0);
        assert_eq!(wilson(0, 0), None);
    }

    /// The ends of a score interval are the rates p at which the test of p̂ = p just fails to reject:
    /// |p̂ − p| = z·√(p(1 − p)/n).
    #[test]
    fn ends_of_a_wilson_interval_solve_its_equation() {
        for (successes, trials) in [(1, 7), (3, 20), (50, 100), (998, 1000)] {
            let Interval { low, high } = wilson(successes, trials).expect("trials");
            let rate = successes as f64 / trials as f64;
            for end in [low, high] {
                let z = (rate - end).abs() / (end * (1.0 - end) / trials as f64).sqrt();
                assert!((z - 1.959_963_984_540_054).abs() < 1e-9, "{successes} of {trials}: {z}");
            }
            assert!(low < rate && rate < high);
        }
    }

    #[test]
    fn trials_of_a_group_count_for_what_they_are_worth() {
        let repeated = [(4, 4), (0, 4), (4, 4), (0, 4), (0, 4)];
        assert_eq!(wilson_of_groups(&repeated), wilson(2, 5));
        // Half of each group, as if the draws had nothing to do with each other: no fewer trials than all.
        assert_eq!(wilson_of_groups(&[(1, 4), (3, 4), (2, 4), (2, 4)]), wilson(8, 16));
        assert_eq!(wilson_of_groups(&[(0, 4), (0, 4)]), wilson(0, 2), "no variance is no information");
        // Rates 1/2 ± 1/4: the variance of their mean is (1/4)²/(n − 1), as of p(1 − p)·16·(n − 1)/n trials.
        let some: Vec<(u64, u64)> = (0..10).map(|i| (if i % 2 == 0 { 5 } else { 15 }, 20)).collect();
        let found = wilson_of_groups(&some).expect("trials");
        let expected = wilson(18, 36).expect("trials");
        assert!((found.low - expected.low).abs() < 1e-12, "{found:?} {expected:?}");
        assert_eq!(wilson_of_groups(&[(0, 0)]), None);
        assert_eq!(wilson_of_groups(&[]), None);
    }

    #[test]
    fn bootstrap_brackets_the_median() {
        let values: Vec<f64> = (0..=100).map(f64::from).collect();
        let interval = bootstrap_median(&values, &mut stream(0, "test", 0)).expect("values");
        assert!(interval.low > 35.0 && interval.low < 50.0, "{interval:?}");
        assert!(interval.high < 65.0 && interval.high > 50.0, "{interval:?}");
    }

    #[test]
    fn spread() {
        assert_eq!(standard_deviation(&[1.0, 3.0]), Some(2.0_f64.sqrt()));
        assert_eq!(standard_deviation(&[1.0]), None);
        assert_eq!(mean(&[]), None);
    }
}
