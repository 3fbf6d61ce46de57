use super::activations::{activation, activation_of_input};

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

/// `gamma`·x, or `gamma`·`alpha`·(eˣ − 1) where x ≤ 0 (Klambauer et al. 2017), for positive constants. The slope at
/// x = 0 is the negative side's, as in PyTorch.
#[derive(Debug, Clone, Copy)]
pub struct Selu {
    /// How far below zero it goes, before the factor.
    pub alpha: f32,
    /// Factor of everything.
    pub gamma: f32,
}

activation!(
    Selu { alpha, gamma },
    "Selu",
    |op: &Selu, x: f32| op.gamma * if x > 0.0 { x } else { op.alpha * crate::numeric::elementary::exp_m1(x) },
    |op: &Selu, y: f32| if y > 0.0 { op.gamma } else { y + op.gamma * op.alpha },
    |op: &Selu| f64::from(op.gamma) * f64::from(op.alpha).max(1.0)
);

/// x, or `alpha`·(e^(x/`alpha`) − 1) where x ≤ 0 (Barron 2017), for positive `alpha`.
#[derive(Debug, Clone, Copy)]
pub struct Celu {
    /// How far below zero it goes.
    pub alpha: f32,
}

activation!(
    Celu { alpha },
    "Celu",
    |op: &Celu, x: f32| {
        if x > 0.0 { x } else { op.alpha * crate::numeric::elementary::exp_m1(x / op.alpha) }
    },
    |op: &Celu, y: f32| if y > 0.0 { 1.0 } else { y / op.alpha + 1.0 },
    |_: &Celu| 1.0
);

/// |x|, elementwise. The slope at x = 0 is taken to be 0, as in PyTorch.
#[derive(Debug, Clone, Copy)]
pub struct Abs;

activation_of_input!(
    Abs {},
    "Abs",
    |_: &Abs, x: f32| x.abs(),
    |_: &Abs, x: f32| if x > 0.0 {
        1.0
    } else if x < 0.0 {
        -1.0
    } else {
        0.0
    },
    |_: &Abs| 1.0
);
