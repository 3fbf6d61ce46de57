use super::push;
use crate::network::onnx::import::Importer;
use crate::network::onnx::proto::NodeProto;
use crate::network::ops::Op;

pub(super) fn elementwise<'a>(
    importer: &mut Importer<'a>,
    node: &'a NodeProto,
    op: impl Op + 'static,
) -> Result<(), String> {
    let input = importer.computed(node, 0)?;
    push(importer, node, op, &[input])
}

pub(super) fn over_last_axis<'a>(
    importer: &mut Importer<'a>,
    node: &'a NodeProto,
    op: impl Fn(usize) -> Box<dyn Op>,
) -> Result<(), String> {
    let input = importer.computed(node, 0)?;
    let shape = importer.graph.shape(input).to_vec();
    let rank = shape.len() as i64 + 1;
    let axis = node.int("axis", if importer.opset < 13 { 1 } else { -1 });
    let axis = if axis < 0 { axis + rank } else { axis };
    // Before version 13 the operator ran over all axes from `axis` on.
    let last =
        axis == rank - 1 || (importer.opset < 13 && axis == 1 && shape.iter().rev().skip(1).all(|&d| d == 1));
    let width = shape.last().copied().unwrap_or(0);
    if !last || width == 0 {
        return Err(format!("only the last axis is supported; found axis {axis} of {rank}"));
    }
    push(importer, node, op(width), &[input])
}
