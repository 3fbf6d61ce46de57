use super::{Attribute, Gain, OnnxNode, Op, Tangents, Trace, only_input};
use crate::network::layout;

/// What becomes of the values along some axes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reduction {
    /// Σ x
    Sum,
    /// Σ |x|
    L1,
    /// √Σ x², with the gradient 0 at 0.
    L2,
    /// Σ x²
    SumSquare,
    /// The largest; of equal ones the first takes the gradient, as in max-pooling.
    Max,
    /// The smallest.
    Min,
    /// ln Σ eˣ
    LogSumExp,
}

/// One number from all values along some axes, which stay with length one.
#[derive(Debug, Clone)]
pub struct Reduce {
    reduction: Reduction,
    input: Vec<usize>,
    axes: Vec<usize>,
    output: Vec<usize>,
    /// For each element of the input as it is stored, the output's element that it enters.
    targets: Vec<u32>,
}

impl Reduce {
    /// Over `axes`, counted without the batch, of values of shape `input`.
    ///
    /// # Errors
    ///
    /// If an axis does not exist.
    pub fn new(reduction: Reduction, input: &[usize], axes: &[usize]) -> Result<Self, String> {
        let (output, targets) = layout::reduced(input, axes)?;
        Ok(Self { reduction, input: input.to_vec(), axes: axes.to_vec(), output, targets })
    }

    fn reduce(&self, values: &[f32], results: &mut [f32], sums: &mut Vec<f64>) {
        use Reduction::{L1, L2, LogSumExp, Max, Min, Sum, SumSquare};
        let pairs = || values.iter().zip(&self.targets).map(|(&x, &target)| (f64::from(x), target as usize));
        sums.clear();
        sums.resize(results.len(), 0.0);
        match self.reduction {
            Sum => pairs().for_each(|(x, at)| sums[at] += x),
            L1 => pairs().for_each(|(x, at)| sums[at] += x.abs()),
            L2 | SumSquare => pairs().for_each(|(x, at)| sums[at] += x * x),
            Max | LogSumExp => {
                sums.fill(f64::NEG_INFINITY);
                pairs().for_each(|(x, at)| sums[at] = sums[at].max(x));
            }
            Min => {
                sums.fill(f64::INFINITY);
                pairs().for_each(|(x, at)| sums[at] = sums[at].min(x));
            }
        }
        match self.reduction {
            L2 => sums.iter_mut().for_each(|sum| *sum = sum.sqrt()),
            LogSumExp => {
                let mut shares = vec![0.0; results.len()];
                pairs().for_each(|(x, at)| shares[at] += (x - sums[at]).exp());
                sums.iter_mut().zip(shares).for_each(|(sum, share)| *sum += share.ln());
            }
            _ => {}
        }
        results.iter_mut().zip(sums).for_each(|(result, sum)| *result = *sum as f32);
    }

    /// Calls `visit` for every element of an image with its slope: how fast what it enters grows with it.
    fn slopes(&self, values: &[f32], results: &[f32], mut visit: impl FnMut(usize, usize, f32)) {
        let mut chosen = vec![false; results.len()];
        for (i, &target) in self.targets.iter().enumerate() {
            let at = target as usize;
            // Sums have slopes that depend on no value, and then none may be at hand.
            let value = || values.get(i).copied().unwrap_or(0.0);
            let slope = match self.reduction {
                Reduction::Sum => 1.0,
                Reduction::L1 if value() == 0.0 => 0.0,
                Reduction::L1 => value().signum(),
                Reduction::L2 if results[at] == 0.0 => 0.0,
                Reduction::L2 => value() / results[at],
                Reduction::SumSquare => 2.0 * value(),
                Reduction::Max | Reduction::Min => {
                    let first = value() == results[at] && !chosen[at];
                    chosen[at] |= first;
                    f32::from(u8::from(first))
                }
                Reduction::LogSumExp => (value() - results[at]).exp(),
            };
            visit(i, at, slope);
        }
    }

    fn results(&self) -> usize {
        self.output.iter().product()
    }
}

impl Op for Reduce {
    fn kind(&self) -> &'static str {
        match self.reduction {
            Reduction::Sum => "ReduceSum",
            Reduction::L1 => "ReduceL1",
            Reduction::L2 => "ReduceL2",
            Reduction::SumSquare => "ReduceSumSquare",
            Reduction::Max => "ReduceMax",
            Reduction::Min => "ReduceMin",
            Reduction::LogSumExp => "ReduceLogSumExp",
        }
    }

    fn output_shape(&self, inputs: &[&[usize]]) -> Result<Vec<usize>, String> {
        if only_input(inputs)? != self.input {
            return Err(format!("it was made for values of shape {:?}", self.input));
        }
        Ok(self.output.clone())
    }

    fn forward(&self, _rows: usize, inputs: &[&[f32]], output: &mut [f32]) {
        let mut sums = Vec::new();
        let rows = inputs[0].chunks_exact(self.targets.len());
        for (values, results) in rows.zip(output.chunks_exact_mut(self.results())) {
            self.reduce(values, results, &mut sums);
        }
    }

    fn tangent(&self, along: Tangents<'_>, output_tangent: &mut [f32]) {
        let (own, kept) = (self.targets.len(), self.results());
        output_tangent.fill(0.0);
        for (row, sums) in output_tangent.chunks_exact_mut(kept).enumerate() {
            let moved = &along.tangents[0][row * own..][..own];
            let values = &along.inputs[0][row * own..][..own];
            let results = &along.output[row * kept..][..kept];
            self.slopes(values, results, |i, at, slope| sums[at] += slope * moved[i]);
        }
    }

    fn backward(&self, trace: Trace<'_>, _input: usize, input_gradient: &mut [f32]) {
        let (own, kept) = (self.targets.len(), self.results());
        for (row, into) in input_gradient.chunks_exact_mut(own).enumerate() {
            let given = &trace.output_gradient[row * kept..][..kept];
            let values = &trace.inputs[0][row * own..][..own];
            let results = &trace.output[row * kept..][..kept];
            self.slopes(values, results, |i, at, slope| into[i] = slope * given[at]);
        }
    }

    fn backward_reads_output(&self) -> bool {
        true
    }

    fn gain(&self) -> Gain<'_> {
        let together = self.targets.len() as f64 / self.results().max(1) as f64;
        match self.reduction {
            Reduction::Sum | Reduction::L1 => Gain::AtMost(together.sqrt() * (1.0 + 1e-12)),
            Reduction::SumSquare => Gain::Unbounded,
            _ => Gain::AtMost(1.0),
        }
    }

    fn to_onnx(&self) -> Vec<OnnxNode> {
        let axes: Vec<i64> = self.axes.iter().map(|&axis| axis as i64 + 1).collect();
        let keep = ("keepdims", Attribute::Integer(1));
        // Version 13 has the axes of sums as an input, those of others as an attribute.
        if self.reduction == Reduction::Sum {
            let constants = vec![("axes", super::Constant::Integers(axes))];
            return vec![OnnxNode { op_type: self.kind(), attributes: vec![keep], constants }];
        }
        let attributes = vec![("axes", Attribute::Integers(axes)), keep];
        vec![OnnxNode { op_type: self.kind(), attributes, constants: Vec::new() }]
    }
}
