use super::{Constant, Gain, OnnxNode, Op, Rearrange, Trace, only_input};
use crate::network::layout;

/// The same values under another shape: ONNX's Flatten, Reshape, Squeeze and Unsqueeze, where no value
/// has to move in memory.
#[derive(Debug, Clone)]
pub struct Reshape {
    shape: Vec<usize>,
}

impl Reshape {
    /// To `shape`, without the batch; a view only if both shapes are stored in row-major order, see
    /// [`between`](Self::between).
    #[must_use]
    pub fn new(shape: Vec<usize>) -> Self {
        Self { shape }
    }

    /// The op that takes values of shape `from` as values of shape `to`: a view if that can be.
    ///
    /// # Errors
    ///
    /// If the numbers of values differ.
    pub fn between(from: &[usize], to: Vec<usize>) -> Result<Box<dyn Op>, String> {
        let op = Self::new(to);
        op.check(from)?;
        if layout::is_row_major(from) && layout::is_row_major(&op.shape) {
            return Ok(op.into());
        }
        let onnx = op.to_onnx();
        Ok(Rearrange::new(from, &op.shape, Some, 0.0, onnx)?.into())
    }

    fn check(&self, from: &[usize]) -> Result<(), String> {
        let before: usize = from.iter().product();
        let after = crate::element_count(&self.shape);
        if after == Some(before) {
            return Ok(());
        }
        Err(format!("cannot turn {before} values into shape {:?}", self.shape))
    }
}

impl Op for Reshape {
    fn kind(&self) -> &'static str {
        "Reshape"
    }

    fn output_shape(&self, inputs: &[&[usize]]) -> Result<Vec<usize>, String> {
        let from = only_input(inputs)?;
        self.check(from)?;
        if !layout::is_row_major(from) || !layout::is_row_major(&self.shape) {
            return Err(format!("from shape {from:?} to {:?} values have to move", self.shape));
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

    fn gain(&self) -> Gain<'_> {
        Gain::AtMost(1.0)
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
