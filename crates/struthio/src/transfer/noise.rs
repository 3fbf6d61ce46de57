use rand_distr::{Distribution, StandardNormal};

use crate::numeric::random::stream;

/// Writes the `draw`-th noise for the image that has `index` in its data set to `out`: N(0, 1) for every
/// pixel. It depends on nothing else but the seed, so all networks are shown the same.
pub fn gaussian(seed: u64, index: usize, draw: usize, out: &mut [f32]) {
    let mut draws = stream(seed, &format!("noise {draw}"), index as u64);
    out.iter_mut().for_each(|value| *value = StandardNormal.sample(&mut draws));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn noise(index: usize, draw: usize) -> Vec<f32> {
        let mut out = vec![0.0; 20_000];
        gaussian(3, index, draw, &mut out);
        out
    }

    #[test]
    fn standard_and_of_its_own_for_every_image_and_draw() {
        let values = noise(7, 1);
        let moment = |k: i32| values.iter().map(|&v| (v as f64).powi(k)).sum::<f64>() / 20_000.0;
        // Moments 0, 1, 0, 3 of N(0, 1), within four standard deviations of their estimates.
        for (k, expected, deviation) in [(1, 0.0, 1.0), (2, 1.0, 2.0), (3, 0.0, 15.0), (4, 3.0, 96.0_f64)] {
            let allowed = 4.0 * (deviation / 20_000.0).sqrt();
            assert!((moment(k) - expected).abs() < allowed, "moment {k}: {}", moment(k));
        }
        assert_eq!(values, noise(7, 1));
        let cosine =
            |other: &[f32]| values.iter().zip(other).map(|(&a, &b)| (a * b) as f64).sum::<f64>() / 20_000.0;
        assert!(cosine(&noise(7, 0)).abs() < 0.03 && cosine(&noise(8, 1)).abs() < 0.03);
    }
}
