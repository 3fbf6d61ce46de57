//! The exact smallest perturbation of a linear classifier, inside the box.

/// Distance from `x` to {x′ : ⟨w, x′⟩ + b ≥ 0} inside the unit box, in f64: the nearest point is
/// clip(x + λw), with λ found by bisection. Infinite if the box does not reach.
pub fn exact_distance(x: &[f64], w: &[f64], b: f64) -> f64 {
    let at = |lambda: f64| x.iter().zip(w).map(move |(&x, &w)| (x + lambda * w).clamp(0.0, 1.0));
    let value = |lambda: f64| at(lambda).zip(w).map(|(p, w)| p * w).sum::<f64>() + b;
    let (mut low, mut high) = (0.0, 1.0);
    while value(high) < 0.0 {
        high *= 2.0;
        if high > 1e12 {
            return f64::INFINITY;
        }
    }
    for _ in 0..200 {
        let middle = 0.5 * (low + high);
        if value(middle) < 0.0 { low = middle } else { high = middle }
    }
    at(high).zip(x).map(|(p, x)| (p - x).powi(2)).sum::<f64>().sqrt()
}

/// The exact distance to the closest of all wrong classes that is ahead by `margin`, for logits x·`weight` +
/// `bias`.
pub fn exact_untargeted(weight: &[f32], bias: &[f32], image: &[f32], label: usize, margin: f64) -> f64 {
    let x: Vec<f64> = image.iter().map(|&v| v as f64).collect();
    let classes = bias.len();
    (0..classes)
        .filter(|&t| t != label)
        .map(|t| {
            let w: Vec<f64> = (0..x.len())
                .map(|i| weight[i * classes + t] as f64 - weight[i * classes + label] as f64)
                .collect();
            exact_distance(&x, &w, bias[t] as f64 - bias[label] as f64 - margin)
        })
        .fold(f64::INFINITY, f64::min)
}
