use super::{Gain, OnnxNode, Op, Tangents, Trace};
use crate::network::layout;
use crate::numeric::simd::vectorised;

/// What is done with two values, element by element.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operator {
    /// a + b
    Add,
    /// a − b
    Sub,
    /// a · b
    Mul,
    /// a / b
    Div,
    /// The larger; of equal ones the first takes the gradient.
    Max,
    /// The smaller.
    Min,
}

/// The sum, difference, product, quotient or extreme of two values that both depend on the image, repeated along
/// axes of length one as `NumPy` does.
#[derive(Debug, Clone)]
pub struct Arithmetic {
    operator: Operator,
    shapes: [Vec<usize>; 2],
    output: Vec<usize>,
    repeats: [Repeat; 2],
}

/// How the elements of the output read those of an input.
#[derive(Debug, Clone)]
enum Repeat {
    /// One by one.
    Never,
    /// All of them, again and again.
    Whole,
    /// Element i of the output reads this element.
    Each(Vec<u32>),
}

impl Arithmetic {
    /// Of values of these shapes, without the batch.
    ///
    /// # Errors
    ///
    /// If they do not go together.
    pub fn new(operator: Operator, shapes: [&[usize]; 2]) -> Result<Self, String> {
        let joined = |(&a, &b): (&usize, &usize)| (a == b || a == 1 || b == 1).then_some(a.max(b));
        let output: Option<Vec<usize>> = shapes[0].iter().zip(shapes[1]).map(joined).collect();
        // With axes of the image only, a difference in rank would take the batch for one of them.
        let Some(output) = output.filter(|_| shapes[0].len() == shapes[1].len()) else {
            return Err(format!("the shapes {:?} and {:?} do not go together", shapes[0], shapes[1]));
        };
        let repeats = shapes.map(|shape| Repeat::of(shape, &output));
        Ok(Self { operator, shapes: shapes.map(<[usize]>::to_vec), output, repeats })
    }
}

impl Arithmetic {
    /// What is done.
    pub(crate) fn operator(&self) -> Operator {
        self.operator
    }
}

impl Repeat {
    fn of(shape: &[usize], output: &[usize]) -> Self {
        if shape == output {
            return Self::Never;
        }
        let (own, whole) = (layout::stored(shape), layout::stored(output));
        if layout::repeats_whole(&own, &whole) {
            return Self::Whole;
        }
        let source = layout::repeated(&own, &whole);
        Self::Each((0..whole.iter().product()).map(|i| source(i) as u32).collect())
    }

    /// Writes what an output of the length of `out` reads from `values`, for one image.
    fn read<'a>(&self, values: &'a [f32], out: &'a mut Vec<f32>, len: usize) -> &'a [f32] {
        match self {
            Self::Never => return values,
            Self::Whole => {
                out.clear();
                (0..len / values.len()).for_each(|_| out.extend_from_slice(values));
            }
            Self::Each(sources) => {
                out.clear();
                out.extend(sources.iter().map(|&at| values[at as usize]));
            }
        }
        out
    }

    /// Adds up what the output's elements give back to those of the input.
    fn gather(&self, given: &[f32], sums: &mut [f32]) {
        match self {
            Self::Never => sums.copy_from_slice(given),
            Self::Whole => {
                sums.fill(0.0);
                for part in given.chunks_exact(sums.len()) {
                    sums.iter_mut().zip(part).for_each(|(sum, g)| *sum += g);
                }
            }
            Self::Each(sources) => {
                sums.fill(0.0);
                for (&at, g) in sources.iter().zip(given) {
                    sums[at as usize] += g;
                }
            }
        }
    }
}

impl Op for Arithmetic {
    fn kind(&self) -> &'static str {
        match self.operator {
            Operator::Add => "Add",
            Operator::Sub => "Sub",
            Operator::Mul => "Mul",
            Operator::Div => "Div",
            Operator::Max => "Max",
            Operator::Min => "Min",
        }
    }

    fn output_shape(&self, inputs: &[&[usize]]) -> Result<Vec<usize>, String> {
        match inputs {
            [a, b] if *a == self.shapes[0] && *b == self.shapes[1] => Ok(self.output.clone()),
            _ => Err(format!("it was made for values of shapes {:?}", self.shapes)),
        }
    }

    fn forward(&self, _rows: usize, inputs: &[&[f32]], output: &mut [f32]) {
        let len: usize = self.output.iter().product();
        let lens = [0, 1].map(|i| self.shapes[i].iter().product::<usize>());
        let mut repeated = [Vec::new(), Vec::new()];
        for (row, output) in output.chunks_exact_mut(len).enumerate() {
            let [left, right] = &mut repeated;
            let a = self.repeats[0].read(&inputs[0][row * lens[0]..][..lens[0]], left, len);
            let b = self.repeats[1].read(&inputs[1][row * lens[1]..][..lens[1]], right, len);
            let operator = self.operator;
            vectorised(
                #[inline(always)]
                || {
                    let pairs = output.iter_mut().zip(a.iter().zip(b));
                    match operator {
                        Operator::Add => pairs.for_each(|(out, (a, b))| *out = a + b),
                        Operator::Sub => pairs.for_each(|(out, (a, b))| *out = a - b),
                        Operator::Mul => pairs.for_each(|(out, (a, b))| *out = a * b),
                        Operator::Div => pairs.for_each(|(out, (a, b))| *out = a / b),
                        Operator::Max => pairs.for_each(|(out, (a, b))| *out = if a >= b { *a } else { *b }),
                        Operator::Min => pairs.for_each(|(out, (a, b))| *out = if a <= b { *a } else { *b }),
                    }
                },
            );
        }
    }

    fn tangent(&self, along: Tangents<'_>, output_tangent: &mut [f32]) {
        let len: usize = self.output.iter().product();
        let lens = [0, 1].map(|i| self.shapes[i].iter().product::<usize>());
        let mut repeated = [const { Vec::new() }; 4];
        for (row, out) in output_tangent.chunks_exact_mut(len).enumerate() {
            let [a, b, da, db] = &mut repeated;
            let of = |i: usize| row * lens[i]..(row + 1) * lens[i];
            let a = self.repeats[0].read(&along.inputs[0][of(0)], a, len);
            let b = self.repeats[1].read(&along.inputs[1][of(1)], b, len);
            let da = self.repeats[0].read(&along.tangents[0][of(0)], da, len);
            let db = self.repeats[1].read(&along.tangents[1][of(1)], db, len);
            for (i, out) in out.iter_mut().enumerate() {
                *out = match self.operator {
                    Operator::Add => da[i] + db[i],
                    Operator::Sub => da[i] - db[i],
                    Operator::Mul => da[i] * b[i] + a[i] * db[i],
                    Operator::Div => (da[i] - a[i] / b[i] * db[i]) / b[i],
                    Operator::Max if a[i] >= b[i] => da[i],
                    Operator::Min if a[i] <= b[i] => da[i],
                    Operator::Max | Operator::Min => db[i],
                };
            }
        }
    }

    fn backward(&self, trace: Trace<'_>, input: usize, input_gradient: &mut [f32]) {
        let len: usize = self.output.iter().product();
        let lens = [0, 1].map(|i| self.shapes[i].iter().product::<usize>());
        let mut repeated = [Vec::new(), Vec::new()];
        let mut given = vec![0.0; len];
        for (row, sums) in input_gradient.chunks_exact_mut(lens[input]).enumerate() {
            let [left, right] = &mut repeated;
            let a = self.repeats[0].read(&trace.inputs[0][row * lens[0]..][..lens[0]], left, len);
            let b = self.repeats[1].read(&trace.inputs[1][row * lens[1]..][..lens[1]], right, len);
            let gradient = &trace.output_gradient[row * len..][..len];
            let operator = self.operator;
            vectorised(
                #[inline(always)]
                || {
                    let all = given.iter_mut().zip(gradient).zip(a.iter().zip(b));
                    match (operator, input) {
                        (Operator::Add, _) | (Operator::Sub, 0) => {
                            all.for_each(|((out, &g), _)| *out = g);
                        }
                        (Operator::Sub, _) => all.for_each(|((out, &g), _)| *out = -g),
                        (Operator::Mul, 0) => all.for_each(|((out, &g), (_, &b))| *out = g * b),
                        (Operator::Mul, _) => all.for_each(|((out, &g), (&a, _))| *out = g * a),
                        (Operator::Div, 0) => all.for_each(|((out, &g), (_, &b))| *out = g / b),
                        (Operator::Div, _) => all.for_each(|((out, &g), (&a, &b))| *out = -g * a / (b * b)),
                        (Operator::Max | Operator::Min, _) => all.for_each(|((out, &g), (&a, &b))| {
                            let first = if operator == Operator::Max { a >= b } else { a <= b };
                            *out = if first == (input == 0) { g } else { 0.0 };
                        }),
                    }
                },
            );
            self.repeats[input].gather(&given, sums);
        }
    }

    fn gain(&self) -> Gain<'_> {
        let length = |shape: &[usize]| shape.iter().product::<usize>() as f64;
        let repeated = [0, 1].map(|i| {
            let times = length(&self.output) / length(&self.shapes[i]).max(1.0);
            if times == 1.0 { 1.0 } else { times.sqrt() * (1.0 + 1e-12) }
        });
        match self.operator {
            Operator::Mul => Gain::Product,
            Operator::Div => Gain::Unbounded,
            _ => Gain::Sum(repeated),
        }
    }

    fn to_onnx(&self) -> Vec<OnnxNode> {
        vec![OnnxNode { op_type: self.kind(), attributes: Vec::new(), constants: Vec::new() }]
    }
}
