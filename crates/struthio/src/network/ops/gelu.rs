use super::activations::activation_of_input;

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

fn distribution(x: f32) -> f32 {
    0.5 * libm::erfcf(-x * std::f32::consts::FRAC_1_SQRT_2)
}

fn density(x: f32) -> f32 {
    0.5 * std::f32::consts::FRAC_1_SQRT_2 * SLOPE_AT_ZERO * (-0.5 * x * x).exp()
}
