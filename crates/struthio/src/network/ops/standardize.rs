use super::{Attribute, Constant, Gain, OnnxNode, Op, Tensor, Trace, only_input};
use crate::network::layout;

/// (x − mean) / √(variance + ε) with mean and variance of each group of values of an image: what instance, group
/// and layer normalisation have in common.
#[derive(Debug, Clone)]
pub struct Standardize {
    shape: Vec<usize>,
    groups: usize,
    epsilon: f32,
    /// For each element as it is stored, its group.
    members: Vec<u32>,
}

impl Standardize {
    /// For values of `shape`, of which in row-major order equally many after one another are a group.
    ///
    /// # Errors
    ///
    /// If they cannot be divided so, or ε is negative.
    pub fn new(shape: &[usize], groups: usize, epsilon: f32) -> Result<Self, String> {
        let count: usize = shape.iter().product();
        if groups == 0 || count == 0 || !count.is_multiple_of(groups) {
            return Err(format!("values of shape {shape:?} cannot be divided into {groups} groups"));
        }
        if !(epsilon >= 0.0 && epsilon.is_finite()) {
            return Err(format!("epsilon must be finite and not negative, found {epsilon}"));
        }
        let members = layout::order(shape).into_iter().map(|at| at / (count / groups) as u32).collect();
        Ok(Self { shape: shape.to_vec(), groups, epsilon, members })
    }

    /// Mean of each group of an image, and 1 / √(variance + ε).
    fn moments(&self, values: &[f32]) -> (Vec<f64>, Vec<f64>) {
        let size = (self.members.len() / self.groups) as f64;
        let pairs = || values.iter().zip(&self.members).map(|(&x, &at)| (f64::from(x), at as usize));
        let (mut means, mut scales) = (vec![0.0; self.groups], vec![0.0; self.groups]);
        pairs().for_each(|(x, at)| means[at] += x / size);
        pairs().for_each(|(x, at)| scales[at] += (x - means[at]).powi(2) / size);
        // Equal values have no direction to be stretched along, even without ε.
        scales.iter_mut().for_each(|v| match *v + f64::from(self.epsilon) {
            0.0 => *v = 0.0,
            sum => *v = 1.0 / sum.sqrt(),
        });
        (means, scales)
    }
}

impl Op for Standardize {
    fn kind(&self) -> &'static str {
        "Standardize"
    }

    fn output_shape(&self, inputs: &[&[usize]]) -> Result<Vec<usize>, String> {
        if only_input(inputs)? != self.shape {
            return Err(format!("it was made for values of shape {:?}", self.shape));
        }
        Ok(self.shape.clone())
    }

    fn forward(&self, _rows: usize, inputs: &[&[f32]], output: &mut [f32]) {
        let count = self.members.len();
        for (values, out) in inputs[0].chunks_exact(count).zip(output.chunks_exact_mut(count)) {
            let (means, scales) = self.moments(values);
            for ((out, &x), &at) in out.iter_mut().zip(values).zip(&self.members) {
                *out = ((f64::from(x) - means[at as usize]) * scales[at as usize]) as f32;
            }
        }
    }

    // (g − mean g − y · mean(g·y)) / √(variance + ε): a symmetric Jacobian.
    fn backward(&self, trace: Trace<'_>, _input: usize, input_gradient: &mut [f32]) {
        let count = self.members.len();
        let size = (count / self.groups) as f64;
        let rows = trace.inputs[0].chunks_exact(count).zip(trace.output_gradient.chunks_exact(count));
        for ((values, given), into) in rows.zip(input_gradient.chunks_exact_mut(count)) {
            let (means, scales) = self.moments(values);
            let y = |x: f32, at: usize| (f64::from(x) - means[at]) * scales[at];
            let (mut plain, mut along) = (vec![0.0; self.groups], vec![0.0; self.groups]);
            for ((&x, &g), &at) in values.iter().zip(given).zip(&self.members) {
                plain[at as usize] += f64::from(g) / size;
                along[at as usize] += f64::from(g) * y(x, at as usize) / size;
            }
            for (((into, &x), &g), &at) in into.iter_mut().zip(values).zip(given).zip(&self.members) {
                let at = at as usize;
                *into = (scales[at] * (f64::from(g) - plain[at] - y(x, at) * along[at])) as f32;
            }
        }
    }

    fn gain(&self) -> Gain<'_> {
        if self.epsilon == 0.0 {
            return Gain::Unbounded;
        }
        Gain::AtMost(1.0 / f64::from(self.epsilon).sqrt() * (1.0 + 1e-12))
    }

    fn to_onnx(&self) -> Vec<OnnxNode> {
        let reshape = |name, shape: Vec<i64>| OnnxNode {
            op_type: "Reshape",
            attributes: Vec::new(),
            constants: vec![(name, Constant::Integers(shape))],
        };
        let each = |value: f32| {
            Constant::Floats(Tensor { shape: vec![self.groups], values: vec![value; self.groups] })
        };
        let (groups, size) = (self.groups as i64, (self.members.len() / self.groups) as i64);
        let normalise = OnnxNode {
            op_type: "InstanceNormalization",
            attributes: vec![("epsilon", Attribute::Float(self.epsilon))],
            constants: vec![("scale", each(1.0)), ("offset", each(0.0))],
        };
        let shape = std::iter::once(-1).chain(self.shape.iter().map(|&d| d as i64)).collect();
        vec![reshape("groups", vec![-1, groups, size]), normalise, reshape("shape", shape)]
    }
}
