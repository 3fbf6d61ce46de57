//! Perturbations made longer or shorter without leaving the box of allowed pixels.

/// Writes clip(x + t·r) to `out`, with the t ≥ 0 at which its distance from x = `image` is `rms` (root
/// mean square over the pixels); r is `perturbation`. Returns the distance reached, which is smaller
/// than asked for only where every pixel that r moves has come to the end of the box `bounds`.
///
/// Clipping shortens a perturbation, so t is larger than the ratio of the two lengths; direction is
/// kept in the pixels that are free, and those at their bound stay there. The distance grows with t:
/// with the pixels held at some t, the t that the others would need is never too large, so repeating
/// this comes to the answer from below, and exactly, once no further pixel is held.
///
/// ```
/// use struthio::transfer::rescale;
///
/// let mut out = [0.0; 2];
/// // The first pixel has 0.1 to go; the other makes up for it: 0.1² + 0.7² = 2 · 0.5².
/// let reached = rescale(&[0.9, 0.2], &[1.0, 1.0], 0.5, [0.0, 1.0], &mut out);
/// assert!((reached - 0.5).abs() < 1e-6 && out[0] == 1.0 && (out[1] - 0.9).abs() < 1e-6);
/// ```
pub fn rescale(image: &[f32], perturbation: &[f32], rms: f64, bounds: [f32; 2], out: &mut [f32]) -> f64 {
    let factor = factor(image, perturbation, rms, bounds);
    let [lower, upper] = bounds;
    for ((out, &x), &r) in out.iter_mut().zip(image).zip(perturbation) {
        let moved = if r == 0.0 { x as f64 } else { x as f64 + factor * r as f64 };
        *out = (moved as f32).clamp(lower, upper);
    }
    distance(image, out)
}

/// The root mean square of the difference over the pixels.
pub(crate) fn distance(image: &[f32], other: &[f32]) -> f64 {
    let squares: f64 = image.iter().zip(other).map(|(&a, &b)| (b as f64 - a as f64).powi(2)).sum();
    (squares / image.len().max(1) as f64).sqrt()
}

/// The t of [`rescale`]; infinite if no t is large enough.
fn factor(image: &[f32], perturbation: &[f32], rms: f64, [lower, upper]: [f32; 2]) -> f64 {
    let wanted = rms * rms * image.len() as f64;
    let mut factor = 0.0;
    loop {
        let (mut held, mut free) = (0.0, 0.0);
        for (&x, &r) in image.iter().zip(perturbation) {
            let room = (if r > 0.0 { upper - x } else { x - lower }) as f64;
            let r = r as f64;
            if factor * r.abs() >= room {
                held += room * room;
            } else {
                free += r * r;
            }
        }
        if free == 0.0 {
            return if wanted > held { f64::INFINITY } else { factor };
        }
        let next = ((wanted - held).max(0.0) / free).sqrt();
        if next > factor {
            factor = next;
        } else {
            return factor; // also where a pixel is NaN
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The distance at `factor`, by the definition.
    fn at(image: &[f32], perturbation: &[f32], factor: f64) -> f64 {
        let squares = image.iter().zip(perturbation).map(|(&x, &r)| {
            let moved = (x as f64 + factor * r as f64).clamp(0.0, 1.0);
            (moved - x as f64).powi(2)
        });
        (squares.sum::<f64>() / image.len() as f64).sqrt()
    }

    /// The factor by halving an interval, which knows nothing of held pixels.
    fn halved(image: &[f32], perturbation: &[f32], rms: f64) -> f64 {
        let (mut low, mut high) = (0.0, 1e9);
        for _ in 0..200 {
            let middle = 0.5 * (low + high);
            if at(image, perturbation, middle) < rms { low = middle } else { high = middle }
        }
        high
    }

    proptest! {
        #[test]
        fn as_by_halving(
            pixels in prop::collection::vec((0.0_f32..=1.0, -1.0_f32..=1.0), 1..40),
            rms in 0.0_f64..0.8,
            dark in any::<bool>(),
        ) {
            let image: Vec<f32> = pixels.iter().map(|p| if dark && p.0 < 0.7 { 0.0 } else { p.0 }).collect();
            let perturbation: Vec<f32> = pixels.iter().map(|p| p.1).collect();
            let mut out = vec![0.0; image.len()];
            let reached = rescale(&image, &perturbation, rms, [0.0, 1.0], &mut out);
            prop_assert!(out.iter().all(|x| (0.0..=1.0).contains(x)));
            prop_assert!((distance(&image, &out) - reached).abs() < 1e-12);
            let expected = halved(&image, &perturbation, rms);
            prop_assert!((reached - at(&image, &perturbation, expected)).abs() < 1e-6);
            if at(&image, &perturbation, 1e9) > rms {
                prop_assert!((reached - rms).abs() < 1e-6);
            }
            for ((&x, &r), &moved) in image.iter().zip(&perturbation).zip(&out) {
                let direct = (x as f64 + expected * r as f64).clamp(0.0, 1.0);
                prop_assert!((moved as f64 - direct).abs() < 1e-4, "{x} {r}: {moved} {direct}");
            }
        }
    }

    #[test]
    fn the_box_can_be_too_small() {
        let mut out = [0.5; 3];
        let reached = rescale(&[1.0, 0.0, 0.25], &[0.1, -0.1, -0.1], 0.9, [0.0, 1.0], &mut out);
        assert_eq!(out, [1.0, 0.0, 0.0]);
        assert!((reached - (0.0625_f64 / 3.0).sqrt()).abs() < 1e-12);
        assert_eq!(rescale(&[0.3; 3], &[0.0; 3], 0.1, [0.0, 1.0], &mut out), 0.0);
        assert_eq!(out, [0.3; 3]);
    }

    #[test]
    fn what_is_no_number_comes_to_an_end() {
        let mut out = [0.5; 2];
        assert!(rescale(&[0.2, 0.7], &[f32::NAN, 0.1], 0.1, [0.0, 1.0], &mut out).is_nan());
        assert!(rescale(&[0.2, f32::NAN], &[0.1, 0.1], 0.1, [0.0, 1.0], &mut out).is_nan());
    }

    #[test]
    fn no_size_is_no_change() {
        let mut out = [0.5; 2];
        assert_eq!(rescale(&[0.2, 0.7], &[0.4, -0.1], 0.0, [0.0, 1.0], &mut out), 0.0);
        assert_eq!(out, [0.2, 0.7]);
    }
}
