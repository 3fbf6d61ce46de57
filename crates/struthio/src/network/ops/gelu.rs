use super::activations::activation_of_input;
use super::{Attribute, OnnxNode};

/// 2/√π
const SLOPE_AT_ZERO: f32 = std::f32::consts::FRAC_2_SQRT_PI;

/// The error function 2/√π ∫₀ˣ e^(−t²) dt, elementwise.
#[derive(Debug, Clone, Copy)]
pub struct Erf;

activation_of_input!(
    Erf {},
    "Erf",
    |_: &Erf, x: f32| libm::erff(x),
    |_: &Erf, x: f32| SLOPE_AT_ZERO * (-x * x).exp(),
    |_: &Erf| super::gain::ERF
);

/// x·Φ(x) for the distribution function Φ of the standard normal distribution, elementwise (Hendrycks
/// & Gimpel 2016).
#[derive(Debug, Clone, Copy)]
pub struct Gelu;

activation_of_input!(
    Gelu {},
    "Gelu",
    |_: &Gelu, x: f32| x * distribution(x),
    |_: &Gelu, x: f32| x.mul_add(density(x), distribution(x)),
    |_: &Gelu| super::gain::GELU
);

/// x/2·(1 + tanh(√(2/π)·(x + 0.044715·x³))), the approximation of [`Gelu`] by its authors, elementwise.
#[derive(Debug, Clone, Copy)]
pub struct GeluTanh;

activation_of_input!(
    GeluTanh,
    |_: &GeluTanh, x: f32| 0.5 * x * (1.0 + inner(x).0.tanh()),
    |_: &GeluTanh, x: f32| {
        let (at, slope) = inner(x);
        let t = at.tanh();
        0.5 * (1.0 + t) + 0.5 * x * (1.0 - t * t) * slope
    },
    |_: &GeluTanh| super::gain::GELU_TANH,
    |_: &GeluTanh| OnnxNode {
        op_type: "Gelu",
        attributes: vec![("approximate", Attribute::Text("tanh"))],
        constants: Vec::new(),
    }
);

/// √(2/π)·(x + 0.044715·x³) and its slope.
fn inner(x: f32) -> (f32, f32) {
    const FACTOR: f32 = 0.797_884_6;
    (FACTOR * x * (0.044_715 * x).mul_add(x, 1.0), FACTOR * (3.0 * 0.044_715 * x).mul_add(x, 1.0))
}

fn distribution(x: f32) -> f32 {
    0.5 * libm::erfcf(-x * std::f32::consts::FRAC_1_SQRT_2)
}

fn density(x: f32) -> f32 {
    0.5 * std::f32::consts::FRAC_1_SQRT_2 * SLOPE_AT_ZERO * (-0.5 * x * x).exp()
}
