//! Members of an ensemble one behind the other *before* the batch, as `torch.stack(outputs).mean(0)` has them.
//!
//! Values here have no axis for the batch, so their first axis is that of the members, and what follows is the
//! image's.

use super::constants::floats;
use super::{BEFORE, moves, push};
use crate::network::graph::ValueId;
use crate::network::onnx::import::{Importer, Value};
use crate::network::onnx::proto::{NodeProto, data_type};
use crate::network::ops::{
    Affine, Concat, Exp, Log, LogSoftmax, Mean, Op, Reduce, Reduction, Reshape, Sigmoid, Softmax,
};

/// Translates `node` if it puts members before the batch, or reads such; `false` if it does neither.
pub(super) fn node<'a>(importer: &mut Importer<'a>, node: &'a NodeProto) -> Result<bool, String> {
    let stacked: Vec<Option<ValueId>> =
        node.input.iter().map(|name| importer.stacked.get(name.as_str()).copied()).collect();
    if node.output.first().is_some_and(|name| importer.stacked.contains_key(name.as_str())) {
        return Ok(true);
    }
    match stacked.first().copied().flatten() {
        Some(value) => behind(importer, node, value, &stacked)?,
        None if stacked.iter().any(Option::is_some) => return Err(unsupported(node)),
        None => return begin(importer, node),
    }
    Ok(true)
}

/// The axes as the file counts them, with the batch.
fn axes_of<'a>(importer: &mut Importer<'a>, node: &'a NodeProto) -> Result<Vec<i64>, String> {
    match importer.optional(node, 1)? {
        Some(Value::Constant(axes)) => Ok(axes.as_integers()?.to_vec()),
        Some(Value::Computed(_)) => Err("its axes must be constant".into()),
        None => Ok(node.ints("axes").map(<[i64]>::to_vec).unwrap_or_default()),
    }
}

fn unsupported(node: &NodeProto) -> String {
    format!(
        "it reads the outputs of several members that {BEFORE} (as torch.stack puts them), where {} is not \
         supported; stack them behind it, with dim=1",
        node.op_type
    )
}

/// `Unsqueeze` in front of the batch.
fn begin<'a>(importer: &mut Importer<'a>, node: &'a NodeProto) -> Result<bool, String> {
    if node.op_type != "Unsqueeze" || !importer.reads_image(node) {
        return Ok(false);
    }
    let Ok(Some(Value::Computed(value))) = importer.optional(node, 0) else { return Ok(false) };
    let shape = importer.graph.shape(value).to_vec();
    let before = |axis: i64| axis == 0 || axis == -(shape.len() as i64) - 2;
    if !matches!(axes_of(importer, node)?[..], [axis] if before(axis)) {
        return Ok(false);
    }
    let op = Reshape::between(&shape, [&[1], &shape[..]].concat())?;
    let value = importer.graph.push(node.label(), op, &[value])?;
    keep(importer, node, value);
    Ok(true)
}

fn keep<'a>(importer: &mut Importer<'a>, node: &'a NodeProto, value: ValueId) {
    importer.stacked.extend(node.output.first().map(|name| (name.as_str(), value)));
}

fn behind<'a>(
    importer: &mut Importer<'a>,
    node: &'a NodeProto,
    value: ValueId,
    stacked: &[Option<ValueId>],
) -> Result<(), String> {
    let shape = importer.graph.shape(value).to_vec();
    let elementwise: Option<Box<dyn Op>> = match node.op_type.as_str() {
        "Identity" => None,
        "Cast"
            if node.attribute("to").is_some_and(|to| i32::try_from(to.i).is_ok_and(data_type::is_float)) =>
        {
            None
        }
        "Exp" => Some(Exp.into()),
        "Log" => Some(Log.into()),
        "Sigmoid" => Some(Sigmoid.into()),
        "Softmax" | "LogSoftmax" => {
            let axis = node.int("axis", if importer.opset < 13 { 1 } else { -1 });
            let axis = if axis < 0 { axis + shape.len() as i64 + 1 } else { axis };
            if axis != shape.len() as i64 || shape.len() != 2 {
                return Err(unsupported(node));
            }
            let (width, last) = (shape[1], 1);
            let log = node.op_type == "LogSoftmax";
            Some(if log { LogSoftmax::new(width, last).into() } else { Softmax::new(width, last).into() })
        }
        "Mul" | "Div" => {
            let factor = match floats(&importer.constant(node, 1)?)[..] {
                [factor] if node.op_type == "Mul" => factor,
                [divisor] => 1.0 / divisor,
                _ => return Err(unsupported(node)),
            };
            let constants = vec![1; shape.len()];
            Some(Affine::new(shape, constants, vec![factor], vec![0.0])?.into())
        }
        "Concat" if moves::concat_axis(importer.opset, node)? == 0 => return join(importer, node, stacked),
        "ReduceMean" | "ReduceSum" | "Squeeze" => return end(importer, node, value),
        "Transpose" => {
            let swaps = node.ints("perm").is_some_and(|perm| {
                perm.starts_with(&[1, 0]) && (2..).zip(&perm[2..]).all(|(i, &axis)| i == axis)
            });
            if !swaps {
                return Err(unsupported(node));
            }
            importer.produce(node, Value::Computed(value)); // members behind the batch
            return Ok(());
        }
        _ => return Err(unsupported(node)),
    };
    let value = match elementwise {
        Some(op) => importer.graph.push(node.label(), op, &[value])?,
        None => value,
    };
    keep(importer, node, value);
    Ok(())
}

fn join<'a>(
    importer: &mut Importer<'a>,
    node: &'a NodeProto,
    stacked: &[Option<ValueId>],
) -> Result<(), String> {
    let values: Option<Vec<ValueId>> = stacked.iter().copied().collect();
    let values = values.ok_or_else(|| unsupported(node))?;
    let shapes: Vec<&[usize]> = values.iter().map(|&value| importer.graph.shape(value)).collect();
    let op = Concat::new(&shapes, 0)?;
    let value = importer.graph.push(node.label(), op, &values)?;
    importer.account(importer.graph.features(value))?;
    keep(importer, node, value);
    Ok(())
}

/// The mean or sum over the members, or the only one.
fn end<'a>(importer: &mut Importer<'a>, node: &'a NodeProto, value: ValueId) -> Result<(), String> {
    let shape = importer.graph.shape(value).to_vec();
    let over_members = axes_of(importer, node)? == [0];
    let dropped = node.op_type == "Squeeze" || node.int("keepdims", 1) == 0;
    let op: Option<Box<dyn Op>> = match node.op_type.as_str() {
        "ReduceMean" => Some(Mean::new(&shape, &[0])?.into()),
        "ReduceSum" => Some(Reduce::new(Reduction::Sum, &shape, &[0])?.into()),
        _ if shape[0] == 1 => None,
        _ => return Err(unsupported(node)),
    };
    if !over_members || !dropped {
        return Err(unsupported(node));
    }
    let value = match op {
        Some(op) => importer.graph.push(format!("{}.members", node.label()), op, &[value])?,
        None => value,
    };
    let from = importer.graph.shape(value).to_vec();
    push(importer, node, Reshape::between(&from, shape[1..].to_vec())?, &[value])
}
