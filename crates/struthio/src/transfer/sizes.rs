//! Sizes that suit the perturbations found.

use crate::numeric::statistics::quantile;

/// Multiples of the median that perturbations are shown in.
const MULTIPLES: [f64; 3] = [1.0, 2.0, 4.0];

/// Sizes for perturbations whose shortest ones have these root mean squares: once, twice and four times their
/// median, which is rounded to two digits, inside the box. None if there are none.
///
/// ```
/// use struthio::transfer::suitable_sizes;
///
/// assert_eq!(suitable_sizes(&[0.0338, 0.011, 0.2]), [0.034, 0.068, 0.136]);
/// ```
#[must_use]
pub fn suitable_sizes(minimal: &[f64]) -> Vec<f64> {
    let median = quantile(minimal, 0.5).map(|median| rounded(median, 2)).filter(|median| *median > 0.0);
    let sizes = median.into_iter().flat_map(|median| MULTIPLES.map(|multiple| multiple * median));
    sizes.filter(|&size| size <= 1.0).collect()
}

/// To so many significant digits.
pub(super) fn rounded(value: f64, digits: i32) -> f64 {
    if value == 0.0 || !value.is_finite() {
        return value;
    }
    let places = digits - 1 - value.abs().log10().floor() as i32;
    // Powers of ten are exact, so that the result is the double closest to the decimal number.
    if places >= 0 {
        let power = 10.0_f64.powi(places);
        (value * power).round() / power
    } else {
        let power = 10.0_f64.powi(-places);
        (value / power).round() * power
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transfer::curve_sizes;

    #[test]
    fn sizes_follow_the_median_whatever_its_scale() {
        assert_eq!(suitable_sizes(&[0.000_123, 0.000_456, 0.000_234]), [0.000_23, 0.000_46, 0.000_92]);
        assert_eq!(suitable_sizes(&[0.4]), [0.4, 0.8]);
        assert_eq!(suitable_sizes(&[0.01, 0.02]), [0.015, 0.03, 0.06]);
        assert!(suitable_sizes(&[]).is_empty() && suitable_sizes(&[0.0]).is_empty());
    }

    #[test]
    fn curves_of_the_paper_have_steps_of_a_fortieth() {
        let expected: Vec<f64> = (0..=12).map(|step| f64::from(step) / 40.0).collect();
        assert_eq!(curve_sizes(0.3), expected);
        let short = curve_sizes(3.0 * 0.00092);
        assert_eq!((short.len(), short[0], short[1], short[12]), (13, 0.0, 0.000_23, 0.002_76));
    }

    #[test]
    fn digits() {
        assert_eq!(rounded(0.123_456, 2), 0.12);
        assert_eq!(rounded(99.6, 2), 100.0);
        assert_eq!(rounded(1234.0, 2), 1200.0);
        assert_eq!(rounded(0.0, 2), 0.0);
    }
}
