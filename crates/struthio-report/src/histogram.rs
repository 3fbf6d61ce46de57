//! Bins and ticks.

/// An axis from zero, its ticks and the bins on it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Axis {
    /// Width of a bin: 1, 2, 2.5 or 5 times a power of ten.
    pub bin: f64,
    /// Number of bins.
    pub bins: usize,
    /// Distance of ticks.
    pub step: f64,
}

impl Axis {
    const MOST_BINS: f64 = 80.0;
    const MOST_STEPS: f64 = 6.0;

    /// An axis on which `largest` has its place.
    pub fn covering(largest: f64) -> Self {
        let largest = if largest.is_finite() && largest > 0.0 { largest } else { 1.0 };
        let bin = round_up(largest / Self::MOST_BINS);
        Self { bin, bins: (largest / bin).floor() as usize + 1, step: round_up(largest / Self::MOST_STEPS) }
    }

    /// Where it ends.
    pub fn end(&self) -> f64 {
        self.bin * self.bins as f64
    }

    /// Position of `value` in percent of the axis.
    pub fn percent(&self, value: f64) -> f64 {
        100.0 * (value / self.end()).clamp(0.0, 1.0)
    }

    /// The width of a bin, as short as it can be written.
    pub fn bin_label(&self) -> String {
        (0..12)
            .map(|decimals| format!("{:.decimals$}", self.bin))
            .find(|label| label.parse().is_ok_and(|short: f64| (short - self.bin).abs() < 1e-6 * self.bin))
            .unwrap_or_else(|| format!("{:e}", self.bin))
    }

    /// Ticks and their labels.
    pub fn ticks(&self) -> Vec<(f64, String)> {
        let decimals = (0..12).find(|&d| is_whole(self.step * 10_f64.powi(d))).unwrap_or(12) as usize;
        (0..=(self.end() / self.step * (1.0 + 1e-9)) as usize)
            .map(|i| i as f64 * self.step)
            .map(|tick| (tick, if tick == 0.0 { "0".into() } else { format!("{tick:.decimals$}") }))
            .collect()
    }

    /// How many of `values` fall into each bin; what is not a number falls into none.
    pub fn counts(&self, values: &[f64]) -> Vec<u64> {
        let mut counts = vec![0; self.bins];
        for value in values.iter().filter(|value| value.is_finite()) {
            counts[((value / self.bin).max(0.0) as usize).min(self.bins - 1)] += 1;
        }
        counts
    }
}

/// The next 1, 2, 2.5 or 5 times a power of ten.
fn round_up(value: f64) -> f64 {
    let power = 10_f64.powi(value.log10().floor() as i32);
    let nice = [1.0, 2.0, 2.5, 5.0].into_iter().find(|nice| value <= nice * power * (1.0 + 1e-9));
    nice.unwrap_or(10.0) * power
}

fn is_whole(value: f64) -> bool {
    (value - value.round()).abs() < 1e-6
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_is_counted_where_it_belongs() {
        let values = [0.0, 0.0024, 0.0026, 0.166, 0.2];
        let axis = Axis::covering(0.166);
        assert_eq!(axis.bin_label(), "0.0025");
        let counts = axis.counts(&values);
        assert_eq!(counts.iter().sum::<u64>(), 5);
        assert_eq!((counts[0], counts[1]), (2, 1));
        assert_eq!(counts[axis.bins - 1], 2, "the largest, and one beyond the axis");
        assert_eq!(axis.counts(&[f64::NAN, f64::INFINITY]).iter().sum::<u64>(), 0);
    }

    #[test]
    fn the_largest_value_has_its_place() {
        for largest in [1e-9, 0.0166, 0.08, 0.1, 0.16, 1.0, 37.0] {
            let axis = Axis::covering(largest);
            assert!(axis.end() >= largest && axis.bins <= 81, "{axis:?}");
            assert!((2..=8).contains(&axis.ticks().len()), "{largest}: {:?}", axis.ticks());
        }
    }

    #[test]
    fn ticks_are_round() {
        assert_eq!(Axis::covering(0.14).bin_label(), "0.002");
        let labels: Vec<String> = Axis::covering(0.166).ticks().into_iter().map(|tick| tick.1).collect();
        assert_eq!(labels, ["0", "0.05", "0.10", "0.15"]);
        let labels: Vec<String> = Axis::covering(0.14).ticks().into_iter().map(|tick| tick.1).collect();
        assert_eq!(labels, ["0", "0.025", "0.050", "0.075", "0.100", "0.125"]);
    }

    #[test]
    fn nothing_to_cover_is_no_reason_to_panic() {
        for largest in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            assert_eq!(Axis::covering(largest).counts(&[0.0]).iter().sum::<u64>(), 1);
        }
    }
}
