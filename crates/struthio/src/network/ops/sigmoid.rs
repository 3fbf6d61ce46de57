use super::activations::activation;
use crate::numeric::elementary;

activation!(
    /// The logistic function 1 / (1 + e⁻ˣ), elementwise; its slope is y·(1 − y).
    Sigmoid,
    elementary::sigmoid,
    |y: f32| y * (1.0 - y)
);
