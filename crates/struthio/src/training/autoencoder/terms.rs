//! The terms of the loss, each with its gradient.

use crate::numeric::elementary::exp;
use crate::numeric::simd::vectorised;

/// Σᵢ −xᵢ ln σ(zᵢ) − (1 − xᵢ) ln(1 − σ(zᵢ)) for the pixels x and the logits z of one image, with
/// its gradient times `scale` in `seed`.
pub(super) fn reconstruction_loss(image: &[f32], logits: &[f32], scale: f32, seed: &mut [f32]) -> f64 {
    // ln(1 + e⁻|z|) is taken of products: each factor is at most 2, so that 64 of them cannot overflow.
    const LANES: usize = 16;
    const FACTORS: usize = 64;
    let mut loss = 0.0;
    let blocks = image.chunks(LANES * FACTORS).zip(logits.chunks(LANES * FACTORS));
    for ((image, logits), seed) in blocks.zip(seed.chunks_mut(LANES * FACTORS)) {
        let mut products = [1.0_f32; LANES];
        let mut sums = [0.0_f32; LANES];
        vectorised(
            #[inline(always)]
            || {
                let rows = image.chunks(LANES).zip(logits.chunks(LANES)).zip(seed.chunks_mut(LANES));
                for ((image, logits), seed) in rows {
                    let values = image.iter().zip(logits).zip(seed);
                    for (((&x, &z), seed), (product, sum)) in values.zip(products.iter_mut().zip(&mut sums)) {
                        let e = exp(-z.abs());
                        *product *= 1.0 + e;
                        *sum += z.max(0.0) - x * z;
                        let y = if z >= 0.0 { 1.0 } else { e } / (1.0 + e);
                        *seed = scale * (y - x);
                    }
                }
            },
        );
        let lanes = products.iter().zip(&sums);
        loss += lanes.map(|(&product, &sum)| f64::from(product).ln() + f64::from(sum)).sum::<f64>();
    }
    loss
}

/// KL(ρ ‖ ρ̂) between Bernoulli distributions of means ρ = `target` and ρ̂ = `mean`, with its slope
/// in ρ̂. A mean of nearly 0 or 1 counts as one slightly inside, where the slope is finite.
pub(super) fn sparsity_penalty(mean: f64, target: f64) -> (f64, f64) {
    let mean = mean.clamp(1e-6, 1.0 - 1e-6);
    let divergence = target * (target / mean).ln() + (1.0 - target) * ((1.0 - target) / (1.0 - mean)).ln();
    (divergence, (1.0 - target) / (1.0 - mean) - target / mean)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reconstruction_is_the_cross_entropy() {
        for pixels in [1, 17, 784, 2500] {
            let image: Vec<f32> = (0..pixels).map(|i| (i * 37 % 11) as f32 / 10.0).collect();
            let logits: Vec<f32> = (0..pixels).map(|i| (i * 53 % 601) as f32 / 20.0 - 15.0).collect();
            let mut seed = vec![0.0; pixels];
            let found = reconstruction_loss(&image, &logits, 0.25, &mut seed);
            let mut expected = 0.0;
            for ((&x, &z), &seed) in image.iter().zip(&logits).zip(&seed) {
                let (x, z) = (f64::from(x), f64::from(z));
                expected += x * (-z).exp().ln_1p() + (1.0 - x) * z.exp().ln_1p();
                assert!((f64::from(seed) - 0.25 * (1.0 / (1.0 + (-z).exp()) - x)).abs() < 1e-7);
            }
            // 1 + e⁻|z| is rounded to f32 for every pixel.
            let rounding = 1e-7 * pixels as f64 + 1e-6 * expected;
            assert!((found - expected).abs() < rounding, "{pixels}: {found} {expected}");
        }
    }

    /// 0 and 1 times a logit that saturates: nothing overflows, and being right costs nothing.
    #[test]
    fn reconstruction_of_saturated_pixels() {
        let mut seed = [9.0; 4];
        let loss =
            reconstruction_loss(&[1.0, 0.0, 0.0, 1.0], &[200.0, -200.0, 200.0, -200.0], 1.0, &mut seed);
        assert_eq!((loss, seed[0], seed[2], seed[3]), (400.0, 0.0, 1.0, -1.0));
        assert!((0.0..1e-37).contains(&seed[1]), "{seed:?}");
    }

    #[test]
    fn sparsity_is_a_divergence() {
        assert_eq!(sparsity_penalty(0.2, 0.2), (0.0, 0.0));
        let known = 0.5 * 2.0_f64.ln() + 0.5 * (2.0_f64 / 3.0).ln();
        assert!((sparsity_penalty(0.25, 0.5).0 - known).abs() < 1e-12);
        for (mean, target) in [(0.3, 0.1), (0.01, 0.2), (0.9, 0.5)] {
            let (value, slope) = sparsity_penalty(mean, target);
            let h = 1e-6;
            let difference =
                (sparsity_penalty(mean + h, target).0 - sparsity_penalty(mean - h, target).0) / (2.0 * h);
            assert!(value > 0.0 && (slope - difference).abs() < 1e-4, "{mean} {target}");
        }
        let (value, slope) = sparsity_penalty(0.0, 0.2);
        assert!(value.is_finite() && slope.is_finite() && slope < 0.0);
    }
}
