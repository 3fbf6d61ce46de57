use super::{Constant, Gain, OnnxNode, Op, Tensor, Trace, only_input};
use crate::network::layout;

/// x, or slope·x where x ≤ 0, with a slope per channel or one for all. The slope at x = 0 is the negative
/// side's, as in PyTorch.
#[derive(Debug, Clone)]
pub struct PRelu {
    slope: Tensor,
}

impl PRelu {
    /// With `slope` of one value, or of one for each channel (the first axis).
    #[must_use]
    pub fn new(slope: Vec<f32>) -> Self {
        Self { slope: Tensor { shape: vec![slope.len()], values: slope } }
    }
}

impl Op for PRelu {
    fn kind(&self) -> &'static str {
        "PRelu"
    }

    fn output_shape(&self, inputs: &[&[usize]]) -> Result<Vec<usize>, String> {
        let shape = only_input(inputs)?;
        let slopes = self.slope.values.len();
        if slopes != 1 && layout::stored(shape).last() != Some(&slopes) {
            return Err(format!("{slopes} slopes do not fit"));
        }
        Ok(shape.to_vec())
    }

    fn forward(&self, _rows: usize, inputs: &[&[f32]], output: &mut [f32]) {
        let values = output.iter_mut().zip(inputs[0]).zip(self.slope.values.iter().cycle());
        values.for_each(|((y, &x), &slope)| *y = if x > 0.0 { x } else { slope * x });
    }

    fn backward(&self, trace: Trace<'_>, _input: usize, input_gradient: &mut [f32]) {
        let values = input_gradient.iter_mut().zip(trace.inputs[0].iter().zip(trace.output_gradient));
        values
            .zip(self.slope.values.iter().cycle())
            .for_each(|((dx, (&x, &dy)), &slope)| *dx = if x > 0.0 { dy } else { slope * dy });
    }

    fn parameters(&self) -> Vec<&Tensor> {
        vec![&self.slope]
    }

    fn parameters_mut(&mut self) -> Vec<&mut Tensor> {
        vec![&mut self.slope]
    }

    fn parameter_gradients(&self, trace: Trace<'_>, gradients: &mut [Vec<f32>]) {
        let [slopes] = gradients else { return };
        let count = slopes.len();
        for (i, (&x, &dy)) in trace.inputs[0].iter().zip(trace.output_gradient).enumerate() {
            slopes[i % count] += if x > 0.0 { 0.0 } else { x * dy };
        }
    }

    fn gain(&self) -> Gain<'_> {
        let steepest = self.slope.values.iter().fold(1.0_f32, |steepest, s| steepest.max(s.abs()));
        Gain::AtMost(f64::from(steepest))
    }

    fn is_increasing(&self) -> bool {
        self.slope.values.iter().all(|&slope| slope > 0.0)
    }

    fn to_onnx(&self) -> Vec<OnnxNode> {
        let mut slope = self.slope.clone();
        if slope.values.len() > 1 {
            slope.shape = vec![slope.values.len(), 1, 1];
        }
        let constants = vec![("slope", Constant::Floats(slope))];
        vec![OnnxNode { op_type: "PRelu", attributes: Vec::new(), constants }]
    }
}
