//! Constant tensors of a network.

/// Values in row-major order under a shape.
#[derive(Debug, Clone, PartialEq)]
pub struct Tensor {
    /// Lengths of the axes; empty for a scalar.
    pub shape: Vec<usize>,
    /// The values, as many as the shape says.
    pub values: Vec<f32>,
}

impl Tensor {
    /// A tensor of `shape` filled with zeros.
    #[must_use]
    pub fn zeros(shape: Vec<usize>) -> Self {
        let values = vec![0.0; shape.iter().product()];
        Self { shape, values }
    }
}
