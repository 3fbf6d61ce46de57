use super::{Gain, OnnxNode, Op, Tangents, Trace, only_input};
use crate::network::layout;

/// An output of which every element is one of the input's, or a constant: transposition, slices, padding,
/// and reshapes of values that are not stored in row-major order.
#[derive(Debug, Clone)]
pub struct Rearrange {
    input: Vec<usize>,
    output: Vec<usize>,
    /// For each element of the output as it is stored, the input's element as that is stored.
    sources: Vec<u32>,
    /// What stands where there is no source.
    fill: f32,
    onnx: Vec<OnnxNode>,
}

/// A source that is none.
const NOWHERE: u32 = u32::MAX;

impl Rearrange {
    /// From values of shape `input` to values of shape `output`: element i of the output, in row-major
    /// order, is element `source(i)` of the input, or `fill` where there is none. In a file it is `onnx`.
    ///
    /// # Errors
    ///
    /// If a source is outside the input.
    pub(crate) fn new(
        input: &[usize],
        output: &[usize],
        source: impl Fn(usize) -> Option<usize>,
        fill: f32,
        onnx: Vec<OnnxNode>,
    ) -> Result<Self, String> {
        let order = layout::order(input);
        let mut place = vec![0; order.len()];
        for (stored, &row_major) in order.iter().enumerate() {
            place[row_major as usize] = stored as u32;
        }
        let find = |&i: &u32| match source(i as usize) {
            None => Ok(NOWHERE),
            Some(from) => {
                place.get(from).copied().ok_or_else(|| format!("element {from} is outside of {input:?}"))
            }
        };
        let sources = layout::order(output).iter().map(find).collect::<Result<_, _>>()?;
        Ok(Self { input: input.to_vec(), output: output.to_vec(), sources, fill, onnx })
    }

    /// The rearrangement that does this one and then `next`.
    #[must_use]
    pub(crate) fn followed_by(&self, next: &Self) -> Option<Self> {
        let fills = self.sources.contains(&NOWHERE) || next.sources.contains(&NOWHERE);
        let sources = next.sources.iter().map(|&at| self.sources.get(at as usize).copied());
        (!fills).then(|| {
            Some(Self {
                input: self.input.clone(),
                output: next.output.clone(),
                sources: sources.collect::<Option<_>>()?,
                fill: 0.0,
                onnx: [&self.onnx[..], &next.onnx].concat(),
            })
        })?
    }
}

impl Rearrange {
    /// Whether every element of the output is one of the input's.
    pub(crate) fn only_moves(&self) -> bool {
        !self.sources.contains(&NOWHERE)
    }

    fn write(&self, input: &[f32], fill: f32, output: &mut [f32]) {
        let rows = input.chunks_exact(self.input.iter().product());
        for (input, output) in rows.zip(output.chunks_exact_mut(self.sources.len())) {
            for (out, &source) in output.iter_mut().zip(&self.sources) {
                *out = input.get(source as usize).copied().unwrap_or(fill);
            }
        }
    }
}

impl Op for Rearrange {
    fn kind(&self) -> &'static str {
        "Rearrange"
    }

    fn output_shape(&self, inputs: &[&[usize]]) -> Result<Vec<usize>, String> {
        if only_input(inputs)? != self.input {
            return Err(format!("it was made for values of shape {:?}", self.input));
        }
        Ok(self.output.clone())
    }

    fn forward(&self, _rows: usize, inputs: &[&[f32]], output: &mut [f32]) {
        self.write(inputs[0], self.fill, output);
    }

    fn tangent(&self, along: Tangents<'_>, output_tangent: &mut [f32]) {
        self.write(along.tangents[0], 0.0, output_tangent);
    }

    fn backward(&self, trace: Trace<'_>, _input: usize, input_gradient: &mut [f32]) {
        input_gradient.fill(0.0);
        let rows = input_gradient.chunks_exact_mut(self.input.iter().product());
        for (sums, gradient) in rows.zip(trace.output_gradient.chunks_exact(self.sources.len())) {
            for (&g, &source) in gradient.iter().zip(&self.sources) {
                if let Some(sum) = sums.get_mut(source as usize) {
                    *sum += g;
                }
            }
        }
    }

    fn as_rearrangement(&self) -> Option<&Rearrange> {
        Some(self)
    }

    fn gain(&self) -> Gain<'_> {
        let mut copies = vec![0_u32; self.input.iter().product()];
        self.sources.iter().filter_map(|&at| usize::try_from(at).ok()).for_each(|at| {
            copies.get_mut(at).into_iter().for_each(|count| *count += 1);
        });
        Gain::AtMost(f64::from(copies.into_iter().max().unwrap_or(0)).sqrt() * (1.0 + 1e-12))
    }

    fn to_onnx(&self) -> Vec<OnnxNode> {
        self.onnx.clone()
    }
}
