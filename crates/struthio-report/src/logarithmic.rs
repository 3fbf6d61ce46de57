//! Axes on a logarithmic scale.

use crate::format::{power_of_ten, significant};

/// An axis between two positive numbers.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LogAxis {
    low: f64,
    high: f64,
}

impl LogAxis {
    /// Ends this much further than the values, as a factor.
    const MARGIN: f64 = 1.15;
    const MOST_TICKS: usize = 8;

    /// An axis on which every positive one of `values` has its place, at least one decade long; `None` if there
    /// is none.
    pub fn covering(values: impl Iterator<Item = f64>) -> Option<Self> {
        let positive: Vec<f64> = values.filter(|value| value.is_finite() && *value > 0.0).collect();
        let low = positive.iter().copied().reduce(f64::min)? / Self::MARGIN;
        let high = positive.iter().copied().reduce(f64::max)? * Self::MARGIN;
        let widening = (10.0 / (high / low)).max(1.0).sqrt();
        Some(Self { low: low / widening, high: high * widening })
    }

    /// Position of `value` in percent of the axis.
    pub fn percent(&self, value: f64) -> f64 {
        100.0 * ((value / self.low).ln() / (self.high / self.low).ln()).clamp(0.0, 1.0)
    }

    /// The value at a position in percent.
    pub fn value(&self, percent: f64) -> f64 {
        self.low * (self.high / self.low).powf(percent / 100.0)
    }

    /// Ticks and their labels: powers of ten, with their multiples by two and five where there is room.
    pub fn ticks(&self) -> Vec<(f64, String)> {
        let [first, last] = [self.low.log10().floor() as i32, self.high.log10().ceil() as i32];
        let of = |factors: &[f64]| -> Vec<(f64, String)> {
            let all = (first..=last).flat_map(|power| factors.iter().map(move |&factor| (power, factor)));
            let labelled = all.map(|(power, factor)| {
                let tick = factor * 10_f64.powi(power);
                (tick, if factor == 1.0 { power_of_ten(power) } else { significant(tick, 1) })
            });
            labelled.filter(|(tick, _)| (self.low..=self.high).contains(tick)).collect()
        };
        let fine = of(&[1.0, 2.0, 5.0]);
        let ticks = if fine.len() <= Self::MOST_TICKS { fine } else { of(&[1.0]) };
        let every = ticks.len().div_ceil(Self::MOST_TICKS).max(1);
        ticks.into_iter().step_by(every).collect()
    }

    /// How many of `values` fall into each of `bins` intervals of equal length on the axis.
    pub fn counts(&self, values: impl Iterator<Item = f64>, bins: usize) -> Vec<u64> {
        let mut counts = vec![0; bins];
        for value in values.filter(|value| value.is_finite() && *value > 0.0) {
            let bin = self.percent(value) / 100.0 * bins as f64;
            counts[(bin as usize).min(bins.saturating_sub(1))] += 1;
        }
        counts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_positive_value_has_its_place() {
        let values = [0.002, 3.0, 0.0, f64::NAN, f64::INFINITY];
        let axis = LogAxis::covering(values.into_iter()).expect("two values");
        assert!(axis.percent(0.002) > 0.0 && axis.percent(3.0) < 100.0);
        assert!((axis.value(axis.percent(0.05)) - 0.05).abs() < 1e-12);
        assert_eq!(axis.counts(values.into_iter(), 20).iter().sum::<u64>(), 2);
        let labels: Vec<String> = axis.ticks().into_iter().map(|tick| tick.1).collect();
        assert_eq!(labels, ["0.01", "0.1", "1"]);
        assert_eq!(LogAxis::covering([0.0, f64::NAN].into_iter()), None);
    }

    #[test]
    fn there_are_some_ticks_and_not_too_many() {
        for (low, high) in [(1.0, 1.0), (0.03, 0.031), (9.0, 11.0), (1e-9, 1e12), (1e-300, 1e300)] {
            let axis = LogAxis::covering([low, high].into_iter()).expect("two values");
            assert!(
                (2..=LogAxis::MOST_TICKS).contains(&axis.ticks().len()),
                "{low} {high}: {:?}",
                axis.ticks()
            );
        }
    }
}
