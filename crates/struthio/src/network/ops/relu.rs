use super::activations::activation;

/// max(0, x), elementwise. The slope at x = 0 is taken to be 0, as PyTorch does.
#[derive(Debug, Clone, Copy)]
pub struct Relu;

activation!(
    Relu {},
    "Relu",
    |_: &Relu, x: f32| if x > 0.0 || x.is_nan() { x } else { 0.0 },
    |_: &Relu, y: f32| if y > 0.0 { 1.0 } else { 0.0 },
    |_: &Relu| 1.0
);

/// x, or `alpha`·x where x ≤ 0, for `alpha` ≥ 0. The slope at x = 0 is `alpha`, as in PyTorch.
#[derive(Debug, Clone, Copy)]
pub struct LeakyRelu {
    /// Slope on the negative side.
    pub alpha: f32,
}

activation!(
    LeakyRelu { alpha },
    "LeakyRelu",
    |op: &LeakyRelu, x: f32| if x > 0.0 { x } else { op.alpha * x },
    |op: &LeakyRelu, y: f32| if y > 0.0 { 1.0 } else { op.alpha },
    |op: &LeakyRelu| f64::from(op.alpha.abs()).max(1.0),
    |op: &LeakyRelu| op.alpha > 0.0
);

/// x, or `alpha`·(eˣ − 1) where x ≤ 0, for `alpha` ≥ 0. The slope at x = 0 is `alpha`, as in PyTorch.
#[derive(Debug, Clone, Copy)]
pub struct Elu {
    /// How far below zero it goes.
    pub alpha: f32,
}

activation!(
    Elu { alpha },
    "Elu",
    |op: &Elu, x: f32| if x > 0.0 { x } else { op.alpha * crate::numeric::elementary::exp_m1(x) },
    |op: &Elu, y: f32| if y > 0.0 { 1.0 } else { y + op.alpha },
    |op: &Elu| f64::from(op.alpha.abs()).max(1.0),
    |op: &Elu| op.alpha > 0.0
);
