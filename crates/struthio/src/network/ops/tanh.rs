use super::activations::activation;
use crate::numeric::elementary;

/// The hyperbolic tangent, elementwise; its slope is 1 − y².
#[derive(Debug, Clone, Copy)]
pub struct Tanh;

activation!(
    Tanh {},
    "Tanh",
    |_: &Tanh, x: f32| elementary::tanh(x),
    |_: &Tanh, y: f32| y.mul_add(-y, 1.0),
    |_: &Tanh| 1.0,
    |_: &Tanh| true,
    |_: &Tanh| 0.5
);
