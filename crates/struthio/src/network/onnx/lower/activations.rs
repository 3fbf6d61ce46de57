use super::constants::floats;
use super::{image_axis, push, windows};
use crate::network::layout;
use crate::network::onnx::import::Importer;
use crate::network::onnx::proto::NodeProto;
use crate::network::ops::{Clip, Elu, Erf, Gelu, HardSigmoid, HardSwish, LeakyRelu, Op, PRelu, Relu, Relu6};

pub(super) fn elementwise<'a>(
    importer: &mut Importer<'a>,
    node: &'a NodeProto,
    op: impl Op + 'static,
) -> Result<(), String> {
    let input = importer.computed(node, 0)?;
    push(importer, node, op, &[input])
}

/// Activations with attributes or constant inputs.
pub(super) fn with_parameters<'a>(importer: &mut Importer<'a>, node: &'a NodeProto) -> Result<(), String> {
    let input = importer.computed(node, 0)?;
    let slope = |alpha: f32| {
        if alpha >= 0.0 && alpha.is_finite() {
            Ok(alpha)
        } else {
            Err(format!("alpha {alpha} is not supported"))
        }
    };
    let op: Box<dyn Op> = match node.op_type.as_str() {
        "LeakyRelu" => LeakyRelu { alpha: slope(node.float("alpha", 0.01))? }.into(),
        "Elu" => Elu { alpha: slope(node.float("alpha", 1.0))? }.into(),
        "HardSigmoid" => {
            let (alpha, beta) = (node.float("alpha", 0.2), node.float("beta", 0.5));
            HardSigmoid { alpha: slope(alpha)?, beta }.into()
        }
        "HardSwish" => HardSwish.into(),
        "Erf" => Erf.into(),
        "Gelu" => match node.text("approximate").as_deref() {
            None | Some("none") => Gelu.into(),
            Some(other) => return Err(format!("the approximation {other} is not supported")),
        },
        "Clip" => match windows::bounds(importer, node)? {
            [0.0, 6.0] => Relu6.into(),
            [0.0, f32::INFINITY] => Relu.into(),
            [min, max] => Clip { min, max }.into(),
        },
        _ => {
            let slope = importer.constant(node, 1)?;
            let channels = importer.graph.shape(input).first().copied().unwrap_or(1);
            let count = if slope.len() == 1 { 1 } else { channels };
            let shape: Vec<usize> = slope.shape.iter().copied().filter(|&d| d != 1).collect();
            if shape.iter().any(|&d| d != count) || shape.len() > 1 {
                return Err(format!("slopes of shape {:?} do not fit {channels} channels", slope.shape));
            }
            PRelu::new(floats(&slope)).into()
        }
    };
    push(importer, node, op, &[input])
}

/// Softmax and log-softmax: `op` is made from the length of an axis and the axis.
pub(super) fn over_an_axis<'a>(
    importer: &mut Importer<'a>,
    node: &'a NodeProto,
    op: impl Fn(usize, usize) -> Box<dyn Op>,
) -> Result<(), String> {
    let input = importer.computed(node, 0)?;
    let shape = importer.graph.shape(input).to_vec();
    let axis = image_axis(node.int("axis", if importer.opset < 13 { 1 } else { -1 }), shape.len())?;
    // Before version 13 the operator ran over all axes from `axis` on, as if they were one.
    let together = if importer.opset < 13 { &shape[axis..] } else { &shape[axis..=axis] };
    let long: Vec<usize> = (axis..axis + together.len()).filter(|&axis| shape[axis] != 1).collect();
    match long[..] {
        [] => push(importer, node, op(1, axis), &[input]),
        [axis] if layout::is_contiguous(&shape, axis) => {
            push(importer, node, op(shape[axis], axis), &[input])
        }
        _ => Err(format!(
            "values of shape {shape:?}: only the last axis, or the channels of an image, are supported, \
             found axis {} of {}",
            axis + 1,
            shape.len() + 1
        )),
    }
}
