use super::activations::activation;
use crate::numeric::elementary;

activation!(
    /// The hyperbolic tangent, elementwise; its slope is 1 − y².
    Tanh,
    elementary::tanh,
    |y: f32| y.mul_add(-y, 1.0)
);
