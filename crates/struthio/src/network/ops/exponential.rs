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
