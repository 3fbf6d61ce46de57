use super::activations::activation_of_input;
use super::{Constant, OnnxNode, Tensor};

/// √x, elementwise. The slope at 0 is infinite and taken to be 0: times a factor of 0, as in ‖x‖ at 0, it would
/// make NaN of the gradients of everything before.
#[derive(Debug, Clone, Copy)]
pub struct Sqrt;

activation_of_input!(
    Sqrt {},
    "Sqrt",
    |_: &Sqrt, x: f32| x.sqrt(),
    |_: &Sqrt, x: f32| if x > 0.0 { 0.5 / x.sqrt() } else { 0.0 },
    |_: &Sqrt| f64::INFINITY
);

/// 1/x, elementwise.
#[derive(Debug, Clone, Copy)]
pub struct Reciprocal;

activation_of_input!(
    Reciprocal {},
    "Reciprocal",
    |_: &Reciprocal, x: f32| 1.0 / x,
    |_: &Reciprocal, x: f32| -(1.0 / x) / x,
    |_: &Reciprocal| f64::INFINITY
);

/// x to the power of a constant, elementwise. An infinite slope at 0 is taken to be 0, as that of [`Sqrt`].
#[derive(Debug, Clone, Copy)]
pub struct Power {
    /// The exponent.
    pub exponent: f32,
}

activation_of_input!(
    Power,
    |op: &Power, x: f32| x.powf(op.exponent),
    |op: &Power, x: f32| {
        if x == 0.0 && op.exponent < 1.0 { 0.0 } else { op.exponent * x.powf(op.exponent - 1.0) }
    },
    |op: &Power| if op.exponent == 1.0 { 1.0 } else { f64::INFINITY },
    |op: &Power| OnnxNode {
        op_type: "Pow",
        attributes: Vec::new(),
        constants: vec![(
            "exponent",
            Constant::Floats(Tensor { shape: Vec::new(), values: vec![op.exponent] })
        )],
    }
);
