use super::activations::{activation, activation_of_input};
use crate::numeric::elementary;

/// eˣ, elementwise.
#[derive(Debug, Clone, Copy)]
pub struct Exp;

activation!(Exp {}, "Exp", |_: &Exp, x: f32| elementary::exp(x), |_: &Exp, y: f32| y, |_: &Exp| {
    f64::INFINITY
});

/// ln x, elementwise. Where x is not positive there is no slope, and it is taken to be 0: an infinite one would
/// make NaN of the gradients of everything before.
#[derive(Debug, Clone, Copy)]
pub struct Log;

activation_of_input!(
    Log {},
    "Log",
    |_: &Log, x: f32| x.ln(),
    |_: &Log, x: f32| if x > 0.0 { 1.0 / x.max(f32::MIN_POSITIVE) } else { 0.0 },
    |_: &Log| f64::INFINITY
);

/// ln(1 + eˣ), elementwise.
#[derive(Debug, Clone, Copy)]
pub struct Softplus;

activation_of_input!(
    Softplus {},
    "Softplus",
    |_: &Softplus, x: f32| softplus(x),
    |_: &Softplus, x: f32| elementary::sigmoid(x),
    |_: &Softplus| 1.0
);

/// x·tanh(ln(1 + eˣ)), elementwise (Misra 2019).
#[derive(Debug, Clone, Copy)]
pub struct Mish;

activation_of_input!(
    Mish {},
    "Mish",
    |_: &Mish, x: f32| x * softplus(x).tanh(),
    |_: &Mish, x: f32| {
        let t = softplus(x).tanh();
        (x * elementary::sigmoid(x)).mul_add(1.0 - t * t, t)
    },
    |_: &Mish| super::gain::MISH
);

/// x / (1 + |x|), elementwise.
#[derive(Debug, Clone, Copy)]
pub struct Softsign;

activation_of_input!(
    Softsign {},
    "Softsign",
    |_: &Softsign, x: f32| x / (1.0 + x.abs()),
    |_: &Softsign, x: f32| (1.0 + x.abs()).powi(-2),
    |_: &Softsign| 1.0
);

fn softplus(x: f32) -> f32 {
    x.max(0.0) + (-x.abs()).exp().ln_1p()
}
