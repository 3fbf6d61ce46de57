use super::{Attribute, Gain, OnnxNode, Op, Tangents, Trace, only_input};
use crate::network::layout;

/// The mean over some axes, which stay with length one.
#[derive(Debug, Clone)]
pub struct Mean {
    input: Vec<usize>,
    axes: Vec<usize>,
    output: Vec<usize>,
    /// For each element of the input as it is stored, the output's element that it enters.
    targets: Vec<u32>,
}

impl Mean {
    /// Over `axes`, counted without the batch, of values of shape `input`.
    ///
    /// # Errors
    ///
    /// If an axis does not exist.
    pub fn new(input: &[usize], axes: &[usize]) -> Result<Self, String> {
        let (output, targets) = layout::reduced(input, axes)?;
        Ok(Self { input: input.to_vec(), axes: axes.to_vec(), output, targets })
    }

    /// The axes that become one.
    pub(crate) fn axes(&self) -> &[usize] {
        &self.axes
    }

    fn share(&self) -> f32 {
        self.output.iter().product::<usize>() as f32 / self.targets.len() as f32
    }
}

impl Op for Mean {
    fn kind(&self) -> &'static str {
        "ReduceMean"
    }

    fn output_shape(&self, inputs: &[&[usize]]) -> Result<Vec<usize>, String> {
        if only_input(inputs)? != self.input {
            return Err(format!("it was made for values of shape {:?}", self.input));
        }
        Ok(self.output.clone())
    }

    fn forward(&self, _rows: usize, inputs: &[&[f32]], output: &mut [f32]) {
        output.fill(0.0);
        let rows = output.chunks_exact_mut(self.output.iter().product());
        for (sums, values) in rows.zip(inputs[0].chunks_exact(self.targets.len())) {
            for (&value, &target) in values.iter().zip(&self.targets) {
                sums[target as usize] += value;
            }
            sums.iter_mut().for_each(|sum| *sum *= self.share());
        }
    }

    fn tangent(&self, along: Tangents<'_>, output_tangent: &mut [f32]) {
        self.forward(along.rows, along.tangents, output_tangent);
    }

    fn backward(&self, trace: Trace<'_>, _input: usize, input_gradient: &mut [f32]) {
        let rows = input_gradient.chunks_exact_mut(self.targets.len());
        for (into, gradient) in rows.zip(trace.output_gradient.chunks_exact(self.output.iter().product())) {
            for (into, &target) in into.iter_mut().zip(&self.targets) {
                *into = gradient[target as usize] * self.share();
            }
        }
    }

    fn gain(&self) -> Gain<'_> {
        let averaged = self.targets.len() as f64 / self.output.iter().product::<usize>() as f64;
        Gain::AtMost((1.0 / averaged).sqrt() * (1.0 + 1e-12))
    }

    fn to_onnx(&self) -> Vec<OnnxNode> {
        let axes = self.axes.iter().map(|&axis| axis as i64 + 1).collect();
        let attributes = vec![("axes", Attribute::Integers(axes)), ("keepdims", Attribute::Integer(1))];
        vec![OnnxNode { op_type: "ReduceMean", attributes, constants: Vec::new() }]
    }
}
