//! Operators that make one number of all values along some axes.

use super::fold::evaluated;
use super::shapes::from_front;
use super::{axes, push};
use crate::network::graph::Graph;
use crate::network::onnx::import::Importer;
use crate::network::onnx::proto::NodeProto;
use crate::network::onnx::tensors::ConstantTensor;
use crate::network::ops::{Mean, Op, Reduce, Reduction, Reshape};

pub(super) fn reduce<'a>(importer: &mut Importer<'a>, node: &'a NodeProto) -> Result<(), String> {
    over_axes(importer, node, |shape, axes| op(node, shape, axes))
}

/// The op for values of `shape` and axes of it.
fn op(node: &NodeProto, shape: &[usize], axes: &[usize]) -> Result<Box<dyn Op>, String> {
    let reduction = match node.op_type.as_str() {
        "ReduceMean" => return Ok(Mean::new(shape, axes)?.into()),
        "ReduceSum" => Reduction::Sum,
        "ReduceL1" => Reduction::L1,
        "ReduceL2" => Reduction::L2,
        "ReduceSumSquare" => Reduction::SumSquare,
        "ReduceMax" => Reduction::Max,
        "ReduceMin" => Reduction::Min,
        "ReduceLogSumExp" => Reduction::LogSumExp,
        _ => return Err("this operator is not supported".into()),
    };
    Ok(Reduce::new(reduction, shape, axes)?.into())
}

/// A reduction of a constant, all of whose axes count.
pub(super) fn of_constant<'a>(
    importer: &mut Importer<'a>,
    node: &'a NodeProto,
) -> Result<ConstantTensor, String> {
    let tensor = importer.constant(node, 0)?;
    let named = match importer.optional(node, 1)? {
        Some(_) => importer.constant(node, 1)?.as_integers()?.to_vec(),
        None => node.ints("axes").map(<[i64]>::to_vec).unwrap_or_default(),
    };
    let rank = tensor.shape.len();
    let axes: Vec<usize> = match &named[..] {
        [] if node.int("noop_with_empty_axes", 0) != 0 => return Ok(tensor),
        [] => (0..rank).collect(),
        named => named.iter().map(|&axis| from_front(axis, rank)).collect::<Result<_, _>>()?,
    };
    let mut graph = Graph::new(tensor.shape.clone());
    let value = graph.then("reduced", op(node, &tensor.shape, &axes)?)?;
    let mut result = evaluated(&graph, value, 1, tensor.floats()?)?;
    let keeps = node.int("keepdims", 1) != 0;
    result.shape = (0..rank)
        .filter(|axis| keeps || !axes.contains(axis))
        .map(|axis| if axes.contains(&axis) { 1 } else { tensor.shape[axis] })
        .collect();
    Ok(result)
}

/// A reduction over the axes that `node` names, made by `op` from the shape and the axes of the images.
pub(super) fn over_axes<'a>(
    importer: &mut Importer<'a>,
    node: &'a NodeProto,
    op: impl FnOnce(&[usize], &[usize]) -> Result<Box<dyn Op>, String>,
) -> Result<(), String> {
    let input = importer.computed(node, 0)?;
    let shape = importer.graph.shape(input).to_vec();
    let axes = axes(importer, node, 1, shape.len())?;
    if axes.is_empty() {
        if node.int("noop_with_empty_axes", 0) == 0 {
            return Err(format!("{}: it reduces all axes", super::MIXES));
        }
        let value = importer.value(node, 0)?;
        importer.produce(node, value);
        return Ok(());
    }
    importer.account(shape.iter().product())?;
    let op = op(&shape, &axes)?;
    if node.int("keepdims", 1) != 0 {
        return push(importer, node, op, &[input]);
    }
    let kept = importer.graph.push(format!("{}.kept", node.label()), op, &[input])?;
    let left = (0..shape.len()).filter(|axis| !axes.contains(axis)).map(|axis| shape[axis]).collect();
    push(importer, node, Reshape::between(importer.graph.shape(kept), left)?, &[kept])
}
