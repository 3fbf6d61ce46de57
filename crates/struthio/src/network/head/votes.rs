//! Sums of sigmoids: searched where gradients live.
//!
//! A sum s of sigmoids with positive weights, which add up to m, is flat near 0 and near m, and its logarithm is flat
//! near m. Its log-odds ln s − ln (m − s) are in the order of s and flat nowhere: 1 − sigmoid(z) is sigmoid(−z), so
//! both logarithms are log-sum-exps of log-sigmoids.

use super::logarithm::{addends, scaled};
use super::tail::is;
use crate::network::graph::{Graph, ValueId};
use crate::network::ops::{
    Affine, Arithmetic, Concat, LogSigmoid, Op, Operator, Reduce, Reduction, Reshape, Sigmoid,
};

/// The log-odds of a sum of sigmoids.
pub(super) struct Votes {
    pub log_odds: ValueId,
    pub members: usize,
    /// m, the largest that the sum can be.
    pub most: f32,
}

impl Votes {
    /// Appends the log-odds of `value` to `graph`; `None` if that is no sum of several sigmoids, of which each is of the
    /// same shape.
    pub fn of(graph: &mut Graph, value: ValueId) -> Option<Self> {
        let mut terms = Vec::new();
        addends(graph, value, 1.0, &mut terms)?;
        let shape = graph.shape(value).to_vec();
        let sigmoid = |&(term, weight): &(ValueId, f32)| {
            let node = graph.producer(term).filter(|node| is::<Sigmoid>(node))?;
            (graph.shape(term) == shape).then(|| (node.inputs[0], weight))
        };
        let inputs: Vec<(ValueId, f32)> = terms.iter().map(sigmoid).collect::<Option<_>>()?;
        if inputs.len() < 2 {
            return None;
        }
        let yes = log_of_sum(graph, &inputs, &shape, 1.0)?;
        let no = log_of_sum(graph, &inputs, &shape, -1.0)?;
        let difference = Arithmetic::new(Operator::Sub, [&shape, &shape]).ok()?;
        let log_odds = graph.push("head.log_odds", difference, &[yes, no]).ok()?;
        let most = inputs.iter().map(|(_, weight)| weight).sum();
        Some(Self { log_odds, members: inputs.len(), most })
    }

    /// What the sum is, as functions of a row of log-odds for each class.
    pub fn sum(&self, classes: usize) -> Result<Vec<Box<dyn Op>>, String> {
        let times = Affine::new(vec![classes], vec![1], vec![self.most], vec![0.0])?;
        Ok(vec![Sigmoid.into(), times.into()])
    }
}

/// ln Σ weight · sigmoid(sign · z) over all inputs z.
fn log_of_sum(graph: &mut Graph, inputs: &[(ValueId, f32)], shape: &[usize], sign: f32) -> Option<ValueId> {
    let count: usize = shape.iter().product();
    let mut rows = Vec::new();
    for &(input, weight) in inputs {
        let signed = graph.push("head.signed", scaled(shape.to_vec(), sign, 0.0)?, &[input]).ok()?;
        let log = graph.push("head.log", LogSigmoid, &[signed]).ok()?;
        let weighted = graph.push("head.weighted", scaled(shape.to_vec(), 1.0, weight.ln())?, &[log]).ok()?;
        let row = Reshape::between(shape, vec![1, count]).ok()?;
        rows.push(graph.push("head.member", row, &[weighted]).ok()?);
    }
    let shapes: Vec<&[usize]> = rows.iter().map(|&row| graph.shape(row)).collect();
    let all = graph.push("head.members", Concat::new(&shapes, 0).ok()?, &rows).ok()?;
    let sum = Reduce::new(Reduction::LogSumExp, graph.shape(all), &[0]).ok()?;
    let sum = graph.push("head.sum", sum, &[all]).ok()?;
    graph.push("head.votes", Reshape::between(&[1, count], shape.to_vec()).ok()?, &[sum]).ok()
}
