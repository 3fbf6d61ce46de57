use super::{Constant, OnnxNode, Op, Trace, only_input};

/// The same values under another shape: ONNX's Flatten, Reshape, Squeeze and Unsqueeze.
#[derive(Debug, Clone)]
pub struct Reshape {
    shape: Vec<usize>,
}

impl Reshape {
    /// To `shape`, without the batch.
    #[must_use]
    pub fn new(shape: Vec<usize>) -> Self {
        Self { shape }
    }
}

impl Op for Reshape {
    fn kind(&self) -> &'static str {
        "Reshape"
    }

    fn output_shape(&self, inputs: &[&[usize]]) -> Result<Vec<usize>, String> {
        let from = only_input(inputs)?;
        let before: usize = from.iter().product();
        let after = self.shape.iter().try_fold(1_usize, |product, &d| product.checked_mul(d));
        if after != Some(before) {
            return Err(format!("cannot turn {before} values into shape {:?}", self.shape));
        }
        Ok(self.shape.clone())
    }

    fn forward(&self, _rows: usize, inputs: &[&[f32]], output: &mut [f32]) {
        output.copy_from_slice(inputs[0]);
    }

    fn backward(&self, trace: Trace<'_>, _input: usize, input_gradient: &mut [f32]) {
        input_gradient.copy_from_slice(trace.output_gradient);
    }

    fn is_view(&self) -> bool {
        true
    }

    fn to_onnx(&self) -> Vec<OnnxNode> {
        let shape = std::iter::once(-1).chain(self.shape.iter().map(|&d| d as i64)).collect();
        vec![OnnxNode {
            op_type: "Reshape",
            attributes: Vec::new(),
            constants: vec![("shape", Constant::Integers(shape))],
        }]
    }
}
