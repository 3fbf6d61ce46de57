//! Numbers as text.

use struthio::numeric::statistics::Interval;

/// What stands where there is no number.
pub const NOTHING: &str = "–";

/// `digits` significant digits; powers of ten where a decimal fraction would be mostly zeros.
pub fn significant(value: f64, digits: usize) -> String {
    if !value.is_finite() {
        return NOTHING.into();
    }
    if value == 0.0 {
        return "0".into();
    }
    let last = digits.saturating_sub(1);
    let scientific = format!("{value:.last$e}");
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i64 = exponent.parse().unwrap_or(0);
    if (-4..6).contains(&exponent) {
        let decimals = (last as i64 - exponent).max(0) as usize;
        format!("{value:.decimals$}")
    } else {
        format!("{mantissa} × 10{}", superscript(exponent))
    }
}

/// A factor of any size in three significant digits: `1.05`, `146,000`, `2.36 × 10⁶`.
pub fn factor(value: f64) -> String {
    if !(1e3..999_500.0).contains(&value) {
        return significant(value, 3);
    }
    let unit = 10_f64.powi(value.log10().floor() as i32 - 2);
    count(((value / unit).round() * unit).round() as u64)
}

/// [`factor`], rounded up: for what a number does not exceed.
pub fn at_most(value: f64) -> String {
    factor(outward(value, f64::ceil, -1e-9))
}

/// [`factor`], rounded down: for what a number does not fall below.
pub fn at_least(value: f64) -> String {
    factor(outward(value, f64::floor, 1e-9))
}

/// `value` to three significant digits; it may be off by `tolerance` of the last, so that 2 stays 2.
fn outward(value: f64, round: fn(f64) -> f64, tolerance: f64) -> f64 {
    if !value.is_finite() || value <= 0.0 {
        return value;
    }
    let unit = 10_f64.powi(value.log10().floor() as i32 - 2);
    round(value / unit + tolerance) * unit
}

/// A power of ten: `0.001`, `10⁻⁵`.
pub fn power_of_ten(exponent: i32) -> String {
    if exponent.abs() < 4 {
        significant(10_f64.powi(exponent), 1)
    } else {
        format!("10{}", superscript(exponent.into()))
    }
}

/// A distance in three significant digits.
pub fn distance(value: f64) -> String {
    significant(value, 3)
}

/// The text of a value that may be missing.
pub fn maybe(value: Option<f64>, text: impl Fn(f64) -> String) -> String {
    value.map_or_else(|| NOTHING.into(), text)
}

/// `0.0123–0.0145`
pub fn interval(interval: Interval, text: impl Fn(f64) -> String) -> String {
    format!("{}–{}", text(interval.low), text(interval.high))
}

/// ` ± 0.0009`: a standard deviation with the decimals of the mean as it is printed; nothing where
/// it rounds to zero.
pub fn deviation(deviation: f64, mean: &str) -> Option<String> {
    let decimals = mean.split_once('.')?.1.len();
    let text = format!("{deviation:.decimals$}");
    (deviation.is_finite() && text.contains(|c: char| ('1'..='9').contains(&c))).then(|| format!(" ± {text}"))
}

/// A share in percent with two decimals, without its sign; more decimals where it would look like
/// zero but is not.
pub fn percent(share: f64) -> String {
    if !share.is_finite() {
        NOTHING.into()
    } else if share > 0.0 && share < 0.5e-4 {
        significant(100.0 * share, 1)
    } else {
        format!("{:.2}", 100.0 * share)
    }
}

/// A share in percent with one decimal and its sign; `100 %` and `0 %` only for all and nothing.
pub fn rate(share: f64) -> String {
    if !share.is_finite() {
        return NOTHING.into();
    }
    match share {
        1.0 => "100\u{a0}%".into(),
        0.0 => "0\u{a0}%".into(),
        share => format!("{:.1}\u{a0}%", (100.0 * share).clamp(0.1, 99.9)),
    }
}

/// `98.7–100 %`
pub fn rate_interval(bounds: Interval) -> String {
    interval(bounds, rate).replacen("\u{a0}%", "", 1)
}

/// Thousands separated by commas.
#[must_use]
pub fn count(value: u64) -> String {
    let digits = value.to_string();
    let mut text = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A count and what is counted.
pub fn counted(value: u64, singular: &str, plural: &str) -> String {
    format!("{} {}", count(value), if value == 1 { singular } else { plural })
}

/// A root mean square over pixels in \[0, 1\] as a number of the 255 steps between black and white.
pub fn grey_levels(rms: f64) -> String {
    significant(255.0 * rms, 2)
}

/// A weight decay: powers of ten as powers of ten.
pub fn lambda(value: f64) -> String {
    let scientific = format!("{value:e}");
    match scientific.split_once('e') {
        Some(("1", "0")) => "1".into(),
        Some(("1", exponent)) => format!("10{}", superscript(exponent.parse().unwrap_or(0))),
        _ => value.to_string(),
    }
}

/// The first digits of a hash.
pub fn short_hash(hash: &str) -> String {
    if hash.chars().count() <= 12 { hash.into() } else { hash.chars().take(12).chain(['…']).collect() }
}

/// `784`, `1 × 28 × 28`
pub fn shape(shape: &[usize]) -> String {
    if shape.is_empty() {
        return NOTHING.into();
    }
    shape.iter().map(ToString::to_string).collect::<Vec<_>>().join(" × ")
}

fn superscript(exponent: i64) -> String {
    const DIGITS: [char; 10] = ['⁰', '¹', '²', '³', '⁴', '⁵', '⁶', '⁷', '⁸', '⁹'];
    exponent
        .to_string()
        .chars()
        .filter_map(|c| if c == '-' { Some('⁻') } else { DIGITS.get(c.to_digit(10)? as usize).copied() })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_numbers_have_commas() {
        let numbers = [0, 999, 1000, 312_202, 1_000_000];
        assert_eq!(numbers.map(count), ["0", "999", "1,000", "312,202", "1,000,000"]);
    }

    #[test]
    fn significant_digits() {
        assert_eq!(significant(0.015_598_9, 3), "0.0156");
        assert_eq!(significant(0.099_96, 3), "0.100");
        assert_eq!(significant(12_345.6, 3), "12346");
        assert_eq!(significant(6.739e-14, 2), "6.7 × 10⁻¹⁴");
        assert_eq!(significant(0.0, 3), "0");
        assert_eq!(significant(f64::NAN, 3), NOTHING);
        assert_eq!(significant(f64::INFINITY, 3), NOTHING);
    }

    #[test]
    fn factors_and_powers() {
        let factors = [1.046, 999.4, 1234.5, 146_483.0, 999_600.0, 2.3594e6].map(factor);
        assert_eq!(factors, ["1.05", "999", "1,230", "146,000", "1.00 × 10⁶", "2.36 × 10⁶"]);
        assert_eq!(
            [538.07, 2.0 * (1.0 + 1e-14), 9.999, 38_991.7].map(at_most),
            ["539", "2.00", "10.0", "39,000"]
        );
        assert_eq!(
            [538.9, 2.0 * (1.0 - 1e-14), 0.001_239, 0.0].map(at_least),
            ["538", "2.00", "0.00123", "0"]
        );
        assert_eq!([-5, -3, 0, 3, 4].map(power_of_ten), ["10⁻⁵", "0.001", "1", "1000", "10⁴"]);
    }

    #[test]
    fn deviations_have_the_decimals_of_their_mean() {
        assert_eq!(deviation(0.000_854, "0.0374").as_deref(), Some(" ± 0.0009"));
        assert_eq!(deviation(0.000_01, "0.0374"), None);
        assert_eq!(deviation(f64::NAN, "0.0374"), None);
        assert_eq!(deviation(0.1, NOTHING), None);
    }

    #[test]
    fn shares() {
        assert_eq!(percent(0.0194), "1.94");
        assert_eq!(percent(1.0 / 60_000.0), "0.002");
        assert_eq!(percent(0.0), "0.00");
        assert_eq!(percent(f64::NAN), NOTHING);
        assert_eq!(rate(1.0), "100\u{a0}%");
        assert_eq!(rate(0.999_99), "99.9\u{a0}%");
        assert_eq!(rate(0.000_01), "0.1\u{a0}%");
        assert_eq!(rate_interval(Interval { low: 0.987, high: 1.0 }), "98.7–100\u{a0}%");
    }

    #[test]
    fn counts_and_names() {
        assert_eq!(count(0), "0");
        assert_eq!(count(999), "999");
        assert_eq!(count(1_000), "1,000");
        assert_eq!(count(1_234_567), "1,234,567");
        assert_eq!(counted(1, "image", "images"), "1 image");
        assert_eq!(lambda(1e-4), "10⁻⁴");
        assert_eq!(lambda(1.0), "1");
        assert_eq!(lambda(0.025), "0.025");
        assert_eq!(short_hash("0123456789abcdef"), "0123456789ab…");
        assert_eq!(shape(&[1, 28, 28]), "1 × 28 × 28");
    }
}
