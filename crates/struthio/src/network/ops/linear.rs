use std::sync::OnceLock;

use super::{Constant, Gain, OnnxNode, Op, Tangents, Tensor, Trace, only_input};
use crate::numeric::gemm::{Destination, Packed, multiply, multiply_transposed};

/// y = x·W + b, for W of shape inputs × outputs. Also ONNX's Gemm, and `MatMul` with a constant.
#[derive(Debug, Clone)]
pub struct Linear {
    weight: Tensor,
    bias: Tensor,
    /// W and Wᵀ as products read them, made when first asked for: the first layer of a network in
    /// training never needs Wᵀ.
    packed: OnceLock<Packed>,
    packed_transpose: OnceLock<Packed>,
}

impl Linear {
    /// With `weight` of shape inputs × outputs and `bias` of shape outputs.
    ///
    /// # Errors
    ///
    /// If the shapes do not fit together.
    pub fn new(weight: Tensor, bias: Tensor) -> Result<Self, String> {
        match (&weight.shape[..], &bias.shape[..]) {
            (&[_, outputs], &[biases]) if outputs == biases => {
                Ok(Self { weight, bias, packed: OnceLock::new(), packed_transpose: OnceLock::new() })
            }
            (w, b) => Err(format!("weight of shape {w:?} and bias of shape {b:?} do not fit together")),
        }
    }

    fn inputs(&self) -> usize {
        self.weight.shape[0]
    }

    fn outputs(&self) -> usize {
        self.weight.shape[1]
    }

    /// Adds x·W.
    fn add_product(&self, rows: usize, x: &[f32], output: &mut [f32]) {
        let shape = [self.inputs(), self.outputs()];
        let weight = self.packed.get_or_init(|| Packed::new(shape, &self.weight.values));
        multiply(rows, x, weight, output, Destination::Accumulate);
    }
}

impl Op for Linear {
    fn kind(&self) -> &'static str {
        "Linear"
    }

    fn output_shape(&self, inputs: &[&[usize]]) -> Result<Vec<usize>, String> {
        match only_input(inputs)?.split_last() {
            Some((&last, rest)) if last == self.inputs() && rest.iter().product::<usize>() == 1 => {
                Ok([rest, &[self.outputs()]].concat())
            }
            _ => Err(format!("the weight expects {} values in one row", self.inputs())),
        }
    }

    fn forward(&self, rows: usize, inputs: &[&[f32]], output: &mut [f32]) {
        for row in output.chunks_exact_mut(self.outputs().max(1)) {
            row.copy_from_slice(&self.bias.values);
        }
        self.add_product(rows, inputs[0], output);
    }

    fn tangent(&self, along: Tangents<'_>, output_tangent: &mut [f32]) {
        output_tangent.fill(0.0);
        self.add_product(along.rows, along.tangents[0], output_tangent);
    }

    fn backward(&self, trace: Trace<'_>, _input: usize, input_gradient: &mut [f32]) {
        let shape = [self.outputs(), self.inputs()];
        let transpose = self.packed_transpose.get_or_init(|| Packed::transposed(shape, &self.weight.values));
        multiply(trace.rows, trace.output_gradient, transpose, input_gradient, Destination::Overwrite);
    }

    fn flops(&self) -> u64 {
        2 * self.inputs() as u64 * self.outputs() as u64
    }

    fn parameters(&self) -> Vec<&Tensor> {
        vec![&self.weight, &self.bias]
    }

    fn parameters_mut(&mut self) -> Vec<&mut Tensor> {
        (self.packed, self.packed_transpose) = (OnceLock::new(), OnceLock::new());
        vec![&mut self.weight, &mut self.bias]
    }

    fn parameter_gradients(&self, trace: Trace<'_>, gradients: &mut [Vec<f32>]) {
        let shape = [self.inputs(), self.outputs(), trace.rows];
        let [weight, bias] = gradients else { return };
        multiply_transposed(shape, trace.inputs[0], trace.output_gradient, weight, Destination::Accumulate);
        for row in trace.output_gradient.chunks_exact(self.outputs().max(1)) {
            for (sum, g) in bias.iter_mut().zip(row) {
                *sum += g;
            }
        }
    }

    fn gain(&self) -> Gain<'_> {
        Gain::Linear(&self.weight)
    }

    fn to_onnx(&self) -> Vec<OnnxNode> {
        vec![OnnxNode {
            op_type: "Gemm",
            attributes: Vec::new(),
            constants: vec![
                ("weight", Constant::Floats(self.weight.clone())),
                ("bias", Constant::Floats(self.bias.clone())),
            ],
        }]
    }
}
