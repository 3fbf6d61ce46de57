//! `exp`, the logistic sigmoid and `tanh` in f32, written so that loops over them vectorise.

/// `e^x` with a relative error below 2·10⁻⁷; `x` is clamped to the range where the result is a
/// normal number.
///
/// Range reduction by multiples of ln 2 (Cody & Waite) and the Taylor polynomial of degree 7 on
/// |x| ≤ ln 2 / 2, whose truncation error is below half an ulp there.
#[inline(always)]
pub(crate) fn exp(x: f32) -> f32 {
    const LN_2_HIGH: f32 = 0.693_145_75;
    const LN_2_LOW: f32 = 1.428_606_8e-6;
    const SHIFT: f32 = 12_582_912.0; // 1.5 · 2²³: adding it rounds to the nearest integer
    let x = x.clamp(-87.0, 88.0);
    let shifted = x.mul_add(std::f32::consts::LOG2_E, SHIFT);
    let k = shifted - SHIFT;
    let r = k.mul_add(-LN_2_LOW, k.mul_add(-LN_2_HIGH, x));
    let p = r.mul_add(1.0 / 5040.0, 1.0 / 720.0);
    let p = r.mul_add(p, 1.0 / 120.0);
    let p = r.mul_add(p, 1.0 / 24.0);
    let p = r.mul_add(p, 1.0 / 6.0);
    let p = r.mul_add(p, 0.5);
    let p = r.mul_add(p, 1.0);
    let p = r.mul_add(p, 1.0);
    // The low bits of `shifted` hold the integer k; moved into the exponent field they are 2^k.
    let scale = f32::from_bits(shifted.to_bits().wrapping_add(127) << 23);
    p * scale
}

/// `e^x − 1`, by its Taylor series near zero, where the other form cancels.
#[inline(always)]
pub(crate) fn exp_m1(x: f32) -> f32 {
    let p = x.mul_add(1.0 / 5040.0, 1.0 / 720.0);
    let p = x.mul_add(p, 1.0 / 120.0);
    let p = x.mul_add(p, 1.0 / 24.0);
    let p = x.mul_add(p, 1.0 / 6.0);
    let p = x.mul_add(p, 0.5);
    let near = (x * x).mul_add(p, x);
    if x.abs() < 0.4 { near } else { exp(x) - 1.0 }
}

/// 1 / (1 + e⁻ˣ)
#[inline(always)]
pub(crate) fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + exp(-x))
}

/// tanh x, by its Taylor series near zero (where the other form cancels) and 1 − 2/(e²ˣ + 1) elsewhere.
#[inline(always)]
pub(crate) fn tanh(x: f32) -> f32 {
    let magnitude = x.abs();
    let far = (1.0 - 2.0 / (exp(2.0 * magnitude) + 1.0)).copysign(x);
    let s = x * x;
    let p = s.mul_add(-929_569.0 / 638_512_875.0, 21_844.0 / 6_081_075.0);
    let p = s.mul_add(p, -1_382.0 / 155_925.0);
    let p = s.mul_add(p, 62.0 / 2_835.0);
    let p = s.mul_add(p, -17.0 / 315.0);
    let p = s.mul_add(p, 2.0 / 15.0);
    let p = s.mul_add(p, -1.0 / 3.0);
    let near = (x * s).mul_add(p, x);
    if magnitude < 0.5 { near } else { far }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn worst_relative_error(f: impl Fn(f32) -> f32, truth: impl Fn(f64) -> f64, from: f32, to: f32) -> f64 {
        (0..200_000)
            .map(|i| from + (to - from) * i as f32 / 199_999.0)
            .map(|x| ((f(x) as f64 - truth(x as f64)) / truth(x as f64).abs().max(1e-30)).abs())
            .fold(0.0, f64::max)
    }

    #[test]
    fn accurate_over_the_whole_range() {
        assert!(worst_relative_error(exp, f64::exp, -86.9, 87.9) < 2e-7);
        assert!(worst_relative_error(sigmoid, |x| 1.0 / (1.0 + (-x).exp()), -80.0, 80.0) < 4e-7);
        assert!(worst_relative_error(exp_m1, f64::exp_m1, -80.0, 10.0) < 5e-7);
        assert!(worst_relative_error(tanh, f64::tanh, -12.0, 12.0) < 4e-7);
        assert!(worst_relative_error(tanh, f64::tanh, 1e-6, 1e-3) < 4e-7);
    }

    #[test]
    fn saturates_without_overflow() {
        assert_eq!(sigmoid(1e30), 1.0);
        assert!(sigmoid(-1e30) < 1e-37 && sigmoid(-1e30) >= 0.0);
        assert_eq!(tanh(1e30), 1.0);
        assert_eq!(tanh(-1e30), -1.0);
        assert_eq!(tanh(0.0), 0.0);
    }
}
