use super::{Constant, OnnxNode, Op, Tensor, Trace, only_input};
use crate::numeric::simd::vectorised;

/// y = a·x + b with constants per element: multiplication by a constant, addition of one, and the
/// normalisation (x − mean) / std of a pixel value.
#[derive(Debug, Clone)]
pub struct Affine {
    shape: Vec<usize>,
    scale: Vec<f32>,
    offset: Vec<f32>,
}

impl Affine {
    /// With one `scale` and one `offset` per element of `shape`.
    ///
    /// # Errors
    ///
    /// If the lengths do not agree with the shape.
    pub fn new(shape: Vec<usize>, scale: Vec<f32>, offset: Vec<f32>) -> Result<Self, String> {
        let features: usize = shape.iter().product();
        if scale.len() != features || offset.len() != features {
            return Err(format!(
                "{} factors and {} offsets for the {features} elements of {shape:?}",
                scale.len(),
                offset.len()
            ));
        }
        Ok(Self { shape, scale, offset })
    }

    /// (x − mean) / std with one mean and one standard deviation per channel, the first axis of
    /// `shape`.
    ///
    /// # Errors
    ///
    /// If there is not one of each per channel, or a standard deviation is not positive.
    pub fn normalize(shape: &[usize], mean: &[f32], std: &[f32]) -> Result<Self, String> {
        let channels = shape.first().copied().unwrap_or(1);
        if mean.len() != channels || std.len() != channels {
            return Err(format!(
                "{} means and {} standard deviations for {channels} channels",
                mean.len(),
                std.len()
            ));
        }
        if let Some(bad) = std.iter().find(|s| !s.is_normal() || **s <= 0.0 || (1.0 / **s).is_infinite()) {
            return Err(format!("a standard deviation must be positive and finite, found {bad}"));
        }
        if let Some(bad) = mean.iter().find(|m| !m.is_finite()) {
            return Err(format!("a mean must be finite, found {bad}"));
        }
        let plane: usize = shape.iter().skip(1).product();
        let spread = |f: &dyn Fn(usize) -> f32| {
            (0..channels).flat_map(|c| std::iter::repeat_n(f(c), plane)).collect::<Vec<_>>()
        };
        Self::new(shape.to_vec(), spread(&|c| 1.0 / std[c]), spread(&|c| -mean[c] / std[c]))
    }
}

impl Op for Affine {
    fn kind(&self) -> &'static str {
        "Affine"
    }

    fn output_shape(&self, inputs: &[&[usize]]) -> Result<Vec<usize>, String> {
        let shape = only_input(inputs)?;
        if shape != self.shape {
            return Err(format!("the constants have shape {:?}", self.shape));
        }
        Ok(shape.to_vec())
    }

    fn forward(&self, _rows: usize, inputs: &[&[f32]], output: &mut [f32]) {
        let features = self.scale.len().max(1);
        vectorised(
            #[inline(always)]
            || {
                for (out, x) in output.chunks_exact_mut(features).zip(inputs[0].chunks_exact(features)) {
                    for (((out, &x), &a), &b) in out.iter_mut().zip(x).zip(&self.scale).zip(&self.offset) {
                        *out = a.mul_add(x, b);
                    }
                }
            },
        );
    }

    fn backward(&self, trace: Trace<'_>, _input: usize, input_gradient: &mut [f32]) {
        let features = self.scale.len().max(1);
        vectorised(
            #[inline(always)]
            || {
                let rows = input_gradient.chunks_exact_mut(features);
                for (out, dy) in rows.zip(trace.output_gradient.chunks_exact(features)) {
                    for ((out, &dy), &a) in out.iter_mut().zip(dy).zip(&self.scale) {
                        *out = a * dy;
                    }
                }
            },
        );
    }

    fn to_onnx(&self) -> Vec<OnnxNode> {
        let node = |op_type, name, values: &Vec<f32>| OnnxNode {
            op_type,
            attributes: Vec::new(),
            constants: vec![(
                name,
                Constant::Floats(Tensor { shape: self.shape.clone(), values: values.clone() }),
            )],
        };
        vec![node("Mul", "scale", &self.scale), node("Add", "offset", &self.offset)]
    }
}
