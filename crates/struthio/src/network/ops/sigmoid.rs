use super::activations::{activation, activation_of_input};
use crate::numeric::elementary;

/// The logistic function 1 / (1 + e⁻ˣ), elementwise; its slope is y·(1 − y).
#[derive(Debug, Clone, Copy)]
pub struct Sigmoid;

activation!(
    Sigmoid {},
    "Sigmoid",
    |_: &Sigmoid, x: f32| elementary::sigmoid(x),
    |_: &Sigmoid, y: f32| y * (1.0 - y),
    |_: &Sigmoid| 0.25,
    |_: &Sigmoid| true,
    |_: &Sigmoid| 1.0
);

/// `alpha`·x + `beta` between 0 and 1, elementwise. The slope at both ends is 0, as in PyTorch.
#[derive(Debug, Clone, Copy)]
pub struct HardSigmoid {
    /// Slope, positive.
    pub alpha: f32,
    /// Value at 0.
    pub beta: f32,
}

activation!(
    HardSigmoid { alpha, beta },
    "HardSigmoid",
    |op: &HardSigmoid, x: f32| op.alpha.mul_add(x, op.beta).clamp(0.0, 1.0),
    |op: &HardSigmoid, y: f32| if y > 0.0 && y < 1.0 { op.alpha } else { 0.0 },
    |op: &HardSigmoid| f64::from(op.alpha.abs()),
    |_: &HardSigmoid| false,
    |op: &HardSigmoid| 0.25 / f64::from(op.alpha.abs())
);

/// x·(x/6 + 1/2) between −3 and 3, 0 before and x after, elementwise. The slope at both ends is that of
/// the outside, as in PyTorch.
#[derive(Debug, Clone, Copy)]
pub struct HardSwish;

activation_of_input!(
    HardSwish {},
    "HardSwish",
    |_: &HardSwish, x: f32| x * (x * (1.0 / 6.0) + 0.5).clamp(0.0, 1.0),
    |_: &HardSwish, x: f32| {
        if x <= -3.0 {
            0.0
        } else if x < 3.0 {
            x * (1.0 / 3.0) + 0.5
        } else {
            1.0
        }
    },
    |_: &HardSwish| 1.5
);
