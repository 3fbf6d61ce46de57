//! Operations on f32 vectors.
//!
//! Sums run over interleaved partial sums that are added in one fixed order, so that a result
//! depends on the values alone: a few products in f32, everything beyond in f64.

use super::simd::vectorised;

const LANES: usize = 32;
/// Values whose terms are added up in f32: eight per partial sum, so that the relative error stays
/// near that of a single f32.
const STRETCH: usize = 8 * LANES;

/// Σ of the terms that `add` adds to a sum for each (aᵢ, bᵢ).
#[inline(always)]
fn sum_pairs(a: &[f32], b: &[f32], add: impl Fn(f32, f32, f32) -> f32 + Copy) -> f64 {
    assert_eq!(a.len(), b.len());
    let mut sums = [0.0_f64; LANES];
    for (a, b) in a.chunks(STRETCH).zip(b.chunks(STRETCH)) {
        let mut partial = [0.0_f32; LANES];
        let (a_blocks, a_rest) = a.as_chunks::<LANES>();
        let (b_blocks, b_rest) = b.as_chunks::<LANES>();
        for (a, b) in a_blocks.iter().zip(b_blocks) {
            for lane in 0..LANES {
                partial[lane] = add(partial[lane], a[lane], b[lane]);
            }
        }
        for (lane, (&a, &b)) in a_rest.iter().zip(b_rest).enumerate() {
            partial[lane] = add(partial[lane], a, b);
        }
        for (sum, partial) in sums.iter_mut().zip(partial) {
            *sum += partial as f64;
        }
    }
    sums.iter().sum()
}

/// ⟨a, b⟩
pub(crate) fn dot(a: &[f32], b: &[f32]) -> f64 {
    vectorised(
        #[inline(always)]
        || sum_pairs(a, b, |sum, a, b| a.mul_add(b, sum)),
    )
}

/// ⟨a, b⟩ with every product in f64, for vectors of any scale.
pub(crate) fn wide_dot(a: &[f32], b: &[f32]) -> f64 {
    assert_eq!(a.len(), b.len());
    let (a_blocks, a_rest) = a.as_chunks::<LANES>();
    let (b_blocks, b_rest) = b.as_chunks::<LANES>();
    vectorised(
        #[inline(always)]
        || {
            let mut sums = [0.0_f64; LANES];
            for (a, b) in a_blocks.iter().zip(b_blocks) {
                for lane in 0..LANES {
                    sums[lane] += a[lane] as f64 * b[lane] as f64;
                }
            }
            for (lane, (&a, &b)) in a_rest.iter().zip(b_rest).enumerate() {
                sums[lane] += a as f64 * b as f64;
            }
            sums.iter().sum()
        },
    )
}

/// ‖a‖²
pub(crate) fn squared_norm(a: &[f32]) -> f64 {
    dot(a, a)
}

/// ‖a − b‖²
pub(crate) fn squared_distance(a: &[f32], b: &[f32]) -> f64 {
    vectorised(
        #[inline(always)]
        || sum_pairs(a, b, |sum, a, b| (a - b).mul_add(a - b, sum)),
    )
}

/// maxᵢ |aᵢ − bᵢ|
pub(crate) fn max_distance(a: &[f32], b: &[f32]) -> f64 {
    a.iter().zip(b).map(|(&a, &b)| (a as f64 - b as f64).abs()).fold(0.0, f64::max)
}

/// f(aᵢ, bᵢ) for all i.
#[inline(always)]
fn map_pairs(a: &[f32], b: &[f32], f: impl Fn(f32, f32) -> f32) -> Vec<f32> {
    let mut out = vec![0.0; a.len().min(b.len())];
    vectorised(
        #[inline(always)]
        || {
            for ((out, &a), &b) in out.iter_mut().zip(a).zip(b) {
                *out = f(a, b);
            }
        },
    );
    out
}

/// a − b
pub(crate) fn difference(a: &[f32], b: &[f32]) -> Vec<f32> {
    map_pairs(a, b, |a, b| a - b)
}

/// aᵢ·bᵢ
pub(crate) fn product(a: &[f32], b: &[f32]) -> Vec<f32> {
    map_pairs(a, b, |a, b| a * b)
}

/// a + share·(b − a)
pub(crate) fn blend(a: &[f32], b: &[f32], share: f64) -> Vec<f32> {
    let share = share as f32;
    map_pairs(a, b, |a, b| share.mul_add(b - a, a))
}

/// a + b, limited to an interval.
pub(crate) fn clamped_sum(a: &[f32], b: &[f32], lower: f32, upper: f32) -> Vec<f32> {
    map_pairs(a, b, |a, b| (a + b).clamp(lower, upper))
}

/// y ← y + α·x
pub(crate) fn add_scaled(y: &mut [f32], alpha: f64, x: &[f32]) {
    let alpha = alpha as f32;
    vectorised(
        #[inline(always)]
        || {
            for (y, &x) in y.iter_mut().zip(x) {
                *y = alpha.mul_add(x, *y);
            }
        },
    );
}

/// y ← α·y
pub(crate) fn scale(y: &mut [f32], alpha: f64) {
    let alpha = alpha as f32;
    vectorised(
        #[inline(always)]
        || {
            for y in y.iter_mut() {
                *y *= alpha;
            }
        },
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_agree_with_f64() {
        for n in [1, 31, 255, 256, 257, 784, 3000] {
            let a: Vec<f32> = (0..n).map(|i| ((i * 7919 % 1009) as f32 / 337.0).sin()).collect();
            let b: Vec<f32> = (0..n).map(|i| ((i * 104_729 % 997) as f32 / 91.0).cos()).collect();
            let (mut expected, mut size) = (0.0, 0.0);
            for (&a, &b) in a.iter().zip(&b) {
                expected += a as f64 * b as f64;
                size += (a as f64 * b as f64).abs();
            }
            assert!((dot(&a, &b) - expected).abs() <= 3e-7 * size, "{n}");
            assert!((wide_dot(&a, &b) - expected).abs() <= 1e-15 * size * n as f64, "{n}");
        }
        assert_eq!(wide_dot(&[1e-30, 3e30], &[1e-30, 0.0]), (1e-30_f32 as f64).powi(2));
    }

    #[test]
    fn sums_cover_blocks_and_remainder() {
        for n in [0, 1, 15, 16, 17, 784, 1001] {
            let a: Vec<f32> = (0..n).map(|i| (i % 7) as f32 - 3.0).collect();
            let b: Vec<f32> = (0..n).map(|i| (i % 5) as f32 - 2.0).collect();
            let expected: f64 = a.iter().zip(&b).map(|(a, b)| (a * b) as f64).sum();
            assert_eq!(dot(&a, &b), expected);
            let expected: f64 = a.iter().zip(&b).map(|(a, b)| ((a - b) * (a - b)) as f64).sum();
            assert_eq!(squared_distance(&a, &b), expected);
        }
    }
}
