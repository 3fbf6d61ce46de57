//! Operators that make one number of all values along some axes.

use super::{axes, push};
use crate::network::onnx::import::Importer;
use crate::network::onnx::proto::NodeProto;
use crate::network::ops::{Op, Reduce, Reduction, Reshape};

pub(super) fn reduce<'a>(importer: &mut Importer<'a>, node: &'a NodeProto) -> Result<(), String> {
    let reduction = match node.op_type.as_str() {
        "ReduceSum" => Reduction::Sum,
        "ReduceL1" => Reduction::L1,
        "ReduceL2" => Reduction::L2,
        "ReduceSumSquare" => Reduction::SumSquare,
        "ReduceMax" => Reduction::Max,
        "ReduceMin" => Reduction::Min,
        _ => Reduction::LogSumExp,
    };
    over_axes(importer, node, |shape, axes| Ok(Reduce::new(reduction, shape, axes)?.into()))
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
