use super::{Attribute, Gain, OnnxNode, Op, Tangents, Trace};
use crate::network::layout;

/// Values one after the other along one axis.
#[derive(Debug, Clone)]
pub struct Concat {
    /// Axis of the shape, without the batch.
    axis: usize,
    /// Of each input, the contiguous run of values that enters the output at a time.
    runs: Vec<usize>,
    output: Vec<usize>,
}

impl Concat {
    /// Of values of `shapes` along `axis`, counted without the batch.
    ///
    /// # Errors
    ///
    /// If the shapes differ along another axis, or there is no such axis.
    pub fn new(shapes: &[&[usize]], axis: usize) -> Result<Self, String> {
        let first = *shapes.first().ok_or("expected at least one input")?;
        let others = |shape: &[usize]| -> Vec<usize> {
            shape.iter().enumerate().filter(|&(i, _)| i != axis).map(|(_, &d)| d).collect()
        };
        if axis >= first.len()
            || shapes.iter().any(|shape| shape.len() != first.len() || others(shape) != others(first))
        {
            return Err(format!("shapes {shapes:?} cannot be joined along axis {axis}"));
        }
        let mut output = first.to_vec();
        output[axis] = shapes.iter().map(|shape| shape[axis]).sum();
        let stored_axis = if output.len() == 3 { [2, 0, 1][axis] } else { axis };
        let runs = shapes.iter().map(|shape| layout::stored(shape)[stored_axis..].iter().product()).collect();
        Ok(Self { axis, runs, output })
    }

    /// Length of a run of the output, and where in it that of input number `input` begins.
    fn place(&self, input: usize) -> (usize, usize) {
        (self.runs.iter().sum(), self.runs[..input].iter().sum())
    }
}

impl Op for Concat {
    fn kind(&self) -> &'static str {
        "Concat"
    }

    fn output_shape(&self, inputs: &[&[usize]]) -> Result<Vec<usize>, String> {
        let again = Self::new(inputs, self.axis)?;
        if again.runs != self.runs || again.output != self.output {
            return Err(format!("it was made to give values of shape {:?}", self.output));
        }
        Ok(again.output)
    }

    fn forward(&self, _rows: usize, inputs: &[&[f32]], output: &mut [f32]) {
        for (i, input) in inputs.iter().enumerate() {
            let (whole, from) = self.place(i);
            for (out, run) in output.chunks_exact_mut(whole).zip(input.chunks_exact(self.runs[i])) {
                out[from..from + run.len()].copy_from_slice(run);
            }
        }
    }

    fn tangent(&self, along: Tangents<'_>, output_tangent: &mut [f32]) {
        self.forward(along.rows, along.tangents, output_tangent);
    }

    fn backward(&self, trace: Trace<'_>, input: usize, input_gradient: &mut [f32]) {
        let (whole, from) = self.place(input);
        let runs = input_gradient.chunks_exact_mut(self.runs[input]);
        for (run, gradient) in runs.zip(trace.output_gradient.chunks_exact(whole)) {
            let len = run.len();
            run.copy_from_slice(&gradient[from..from + len]);
        }
    }

    fn gain(&self) -> Gain<'_> {
        Gain::Joined
    }

    fn to_onnx(&self) -> Vec<OnnxNode> {
        let attributes = vec![("axis", Attribute::Integer(self.axis as i64 + 1))];
        vec![OnnxNode { op_type: "Concat", attributes, constants: Vec::new() }]
    }
}
