use super::{Constant, Gain, OnnxNode, Op, Tensor, Trace, only_input};
use crate::network::layout;
use crate::numeric::simd::vectorised;

/// Loops over fewer constants than this would hardly fill a vector.
const LONG: usize = 256;

/// y = a·x + b with constants per channel or per element: multiplication by a constant, addition of one,
/// batch normalisation, and the normalisation (x − mean) / std of a pixel value.
#[derive(Debug, Clone)]
pub struct Affine {
    shape: Vec<usize>,
    /// Of the constants: that of the values, or with axes of length one, along which they are repeated.
    constants: Vec<usize>,
    scale: Vec<f32>,
    offset: Vec<f32>,
    /// Scale and offset as they lie beside stored values, which they fit again and again.
    stored: [Vec<f32>; 2],
}

impl Affine {
    /// For values of `shape` with one `scale` and one `offset` per element of `constants`, row-major, which
    /// has as many axes, each of the same length or of length one.
    ///
    /// # Errors
    ///
    /// If the shapes or lengths do not agree.
    pub fn new(
        shape: Vec<usize>,
        constants: Vec<usize>,
        scale: Vec<f32>,
        offset: Vec<f32>,
    ) -> Result<Self, String> {
        let count: usize = constants.iter().product();
        let fits = constants.len() == shape.len()
            && constants.iter().zip(&shape).all(|(&constant, &whole)| constant == whole || constant == 1);
        if !fits || scale.len() != count || offset.len() != count || shape.contains(&0) {
            return Err(format!(
                "{} factors and {} offsets of shape {constants:?} for values of shape {shape:?}",
                scale.len(),
                offset.len()
            ));
        }
        let stored = [&scale, &offset].map(|values| spread(&shape, &constants, values));
        Ok(Self { shape, constants, scale, offset, stored })
    }

    /// The shape of the constants, the factors and the offsets.
    pub(crate) fn constants(&self) -> (&[usize], &[f32], &[f32]) {
        (&self.constants, &self.scale, &self.offset)
    }

    /// Factor and offset, if they are the same for all values.
    pub(crate) fn uniform(&self) -> Option<(f32, f32)> {
        let only = |values: &[f32]| values.iter().all(|&v| v == values[0]).then(|| values[0]);
        Some((only(&self.scale)?, only(&self.offset)?))
    }

    /// Numbers held, which may be more than the constants.
    pub(crate) fn held(&self) -> usize {
        2 * (self.scale.len() + self.stored[0].len())
    }

    /// (x − mean) / std with one mean and one standard deviation per channel: the first axis of `shape`, or
    /// the last if only that is as long as they are many.
    ///
    /// # Errors
    ///
    /// If there is not one of each per channel, or a standard deviation is not positive.
    pub fn normalize(shape: &[usize], mean: &[f32], std: &[f32]) -> Result<Self, String> {
        let is_last = shape.first() != Some(&mean.len()) && shape.last() == Some(&mean.len());
        let axis = if is_last { shape.len() - 1 } else { 0 };
        let channels = shape.get(axis).copied().unwrap_or(1);
        if mean.len() != channels || std.len() != channels {
            return Err(format!(
                "{} means and {} standard deviations for {channels} channels",
                mean.len(),
                std.len()
            ));
        }
        if let Some(bad) = std.iter().find(|s| !s.is_normal() || **s <= 0.0 || (1.0 / **s).is_infinite()) {
            return Err(format!(
                "a standard deviation must be positive and finite, at least 1.2e-38; found {bad:e}"
            ));
        }
        if let Some(bad) = mean.iter().find(|m| !m.is_finite()) {
            return Err(format!("a mean must be finite, found {bad}"));
        }
        let scale = std.iter().map(|s| 1.0 / s).collect();
        let offset = mean.iter().zip(std).map(|(m, s)| -m / s).collect();
        let constants = (0..shape.len()).map(|i| if i == axis { channels } else { 1 }).collect();
        Self::new(shape.to_vec(), constants, scale, offset)
    }
}

/// The shape of constants that go with the first axis of `shape`.
pub(crate) fn per_channel(shape: &[usize]) -> Vec<usize> {
    shape.iter().enumerate().map(|(axis, &d)| if axis == 0 { d } else { 1 }).collect()
}

/// Constants of shape `constants` in the order in which values of `shape` are stored, a whole number of
/// times as short.
fn spread(shape: &[usize], constants: &[usize], values: &[f32]) -> Vec<f32> {
    let count: usize = shape.iter().product();
    let (own, whole) = (layout::stored(constants), layout::stored(shape));
    let mut stored = vec![0.0; values.len()];
    layout::to_stored(constants, values, &mut stored);
    if !layout::repeats_whole(&own, &whole) {
        let source = layout::repeated(&own, &whole);
        return (0..count).map(|i| stored[source(i)]).collect();
    }
    let repeats = count / stored.len();
    let enough =
        (1..=repeats).find(|&n| repeats.is_multiple_of(n) && n * stored.len() >= LONG).unwrap_or(repeats);
    stored.repeat(enough)
}

impl Op for Affine {
    fn kind(&self) -> &'static str {
        "Affine"
    }

    fn output_shape(&self, inputs: &[&[usize]]) -> Result<Vec<usize>, String> {
        let shape = only_input(inputs)?;
        if shape != self.shape {
            return Err(format!("it was made for values of shape {:?}", self.shape));
        }
        Ok(shape.to_vec())
    }

    fn forward(&self, _rows: usize, inputs: &[&[f32]], output: &mut [f32]) {
        let [scale, offset] = &self.stored;
        vectorised(
            #[inline(always)]
            || {
                let runs = inputs[0].chunks_exact(scale.len());
                for (out, x) in output.chunks_exact_mut(scale.len()).zip(runs) {
                    for (((out, &x), &a), &b) in out.iter_mut().zip(x).zip(scale).zip(offset) {
                        *out = a.mul_add(x, b);
                    }
                }
            },
        );
    }

    fn backward(&self, trace: Trace<'_>, _input: usize, input_gradient: &mut [f32]) {
        let [scale, _] = &self.stored;
        vectorised(
            #[inline(always)]
            || {
                let runs = input_gradient.chunks_exact_mut(scale.len());
                for (out, dy) in runs.zip(trace.output_gradient.chunks_exact(scale.len())) {
                    for ((out, &dy), &a) in out.iter_mut().zip(dy).zip(scale) {
                        *out = a * dy;
                    }
                }
            },
        );
    }

    fn gain(&self) -> Gain<'_> {
        Gain::AtMost(f64::from(self.scale.iter().fold(0.0_f32, |largest, a| largest.max(a.abs()))))
    }

    fn is_increasing(&self) -> bool {
        self.scale.iter().all(|&scale| scale > 0.0)
    }

    fn to_onnx(&self) -> Vec<OnnxNode> {
        let node = |op_type, name, values: &Vec<f32>| OnnxNode {
            op_type,
            attributes: Vec::new(),
            constants: vec![(
                name,
                Constant::Floats(Tensor { shape: self.constants.clone(), values: values.clone() }),
            )],
        };
        vec![node("Mul", "scale", &self.scale), node("Add", "offset", &self.offset)]
    }
}
