use super::activations::activation;

activation!(
    /// max(0, x), elementwise. The slope at x = 0 is taken to be 0, as PyTorch does.
    Relu,
    |x: f32| if x > 0.0 || x.is_nan() { x } else { 0.0 },
    |y: f32| if y > 0.0 { 1.0 } else { 0.0 }
);
