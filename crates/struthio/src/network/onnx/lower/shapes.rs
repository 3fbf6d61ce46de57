//! Reshapes, and the arithmetic on shapes that leads to them.

use super::push;
use crate::network::onnx::import::{BATCH, Importer, Value};
use crate::network::onnx::proto::NodeProto;
use crate::network::onnx::tensors::{ConstantTensor, Values};
use crate::network::ops::Reshape;

pub(super) fn reshape<'a>(importer: &mut Importer<'a>, node: &'a NodeProto) -> Result<(), String> {
    let input = match importer.value(node, 0)? {
        Value::Computed(input) => input,
        // On shapes, which are lists, (un)squeezing changes nothing that matters here.
        Value::Constant(mut tensor) => {
            if node.op_type == "Unsqueeze" && tensor.shape.is_empty() {
                tensor.shape = vec![1];
            }
            importer.produce(node, Value::Constant(tensor));
            return Ok(());
        }
    };
    let shape = importer.graph.shape(input).to_vec();
    let features: usize = shape.iter().product();
    let rank = shape.len() as i64 + 1;
    let from_end = |axis: i64, rank: i64| if axis < 0 { axis + rank } else { axis };
    let target = match node.op_type.as_str() {
        "Flatten" => match from_end(node.int("axis", 1), rank) {
            1 => vec![features],
            axis => return Err(format!("only axis 1 is supported, found {axis}")),
        },
        "Reshape" => {
            let target = importer.constant(node, 1)?;
            reshape_target(target.as_integers()?, &shape, importer.fixed_batch)?
        }
        squeeze_or_unsqueeze => {
            let axes = match importer.optional(node, 1)? {
                Some(Value::Constant(axes)) => axes.as_integers()?.to_vec(),
                Some(Value::Computed(_)) => return Err("its axes must be constant".into()),
                None => node.attribute("axes").map(|a| a.ints.clone()).unwrap_or_default(),
            };
            let mut target = shape.clone();
            if squeeze_or_unsqueeze == "Squeeze" {
                let axes: Vec<i64> = axes.iter().map(|&axis| from_end(axis, rank)).collect();
                let drop = |i: usize, d: usize| d == 1 && (axes.is_empty() || axes.contains(&(i as i64 + 1)));
                target = shape.iter().enumerate().filter(|&(i, &d)| !drop(i, d)).map(|(_, &d)| d).collect();
            } else {
                let mut axes: Vec<i64> =
                    axes.iter().map(|&axis| from_end(axis, rank + axes.len() as i64)).collect();
                axes.sort_unstable();
                for axis in axes {
                    let at = usize::try_from(axis - 1).ok().filter(|&at| at <= target.len());
                    target.insert(
                        at.ok_or_else(|| format!("axis {axis} does not fit after the batch axis"))?,
                        1,
                    );
                }
            }
            if target.is_empty() { vec![1] } else { target }
        }
    };
    push(importer, node, Reshape::new(target), &[input])
}

/// The shape of one image after a reshape to `target`, which includes the batch.
fn reshape_target(target: &[i64], shape: &[usize], fixed_batch: Option<i64>) -> Result<Vec<usize>, String> {
    let Some((&batch, rest)) = target.split_first().filter(|(_, rest)| !rest.is_empty()) else {
        return Err(format!("a reshape to {target:?} mixes the images of a batch"));
    };
    let keeps_batch = matches!(batch, BATCH | 0) || Some(batch) == fixed_batch || batch == -1;
    if !keeps_batch || rest.contains(&BATCH) {
        return Err(format!("a reshape to {target:?} mixes the images of a batch"));
    }
    let features: usize = shape.iter().product();
    let sized = |i: usize, d: i64| match d {
        0 => shape.get(i).copied().ok_or_else(|| format!("no axis to copy in a reshape to {target:?}")),
        d => usize::try_from(d).map_err(|_| format!("cannot reshape to {target:?}")),
    };
    let known = rest
        .iter()
        .enumerate()
        .filter(|(_, d)| **d != -1)
        .try_fold(1_usize, |product, (i, &d)| sized(i, d).map(|d| product.saturating_mul(d)))?;
    rest.iter()
        .enumerate()
        .map(|(i, &d)| if d == -1 { Ok(features / known.max(1)) } else { sized(i, d) })
        .collect()
}

/// `Shape` and what is done to its result: lists of sizes, with [`BATCH`] for the batch.
pub(super) fn shape_arithmetic<'a>(importer: &mut Importer<'a>, node: &'a NodeProto) -> Result<(), String> {
    let result = match node.op_type.as_str() {
        "Shape" => {
            let sizes = match importer.value(node, 0)? {
                Value::Constant(tensor) => tensor.shape.iter().map(|&d| d as i64).collect(),
                Value::Computed(value) => {
                    let rest = importer.graph.shape(value).iter().map(|&d| d as i64);
                    std::iter::once(BATCH).chain(rest).collect::<Vec<_>>()
                }
            };
            let (from, to) = span(node.int("start", 0), node.int("end", i64::MAX), sizes.len());
            ConstantTensor::integers(sizes[from..to].to_vec())
        }
        "Concat" => {
            let mut all = Vec::new();
            for position in 0..node.input.len() {
                all.extend_from_slice(importer.constant(node, position)?.as_integers()?);
            }
            ConstantTensor::integers(all)
        }
        "Gather" => {
            let (list, indices) = (importer.constant(node, 0)?, importer.constant(node, 1)?);
            let list = list.as_integers()?;
            let picked = indices
                .as_integers()?
                .iter()
                .map(|&i| {
                    let at = if i < 0 { i + list.len() as i64 } else { i };
                    usize::try_from(at)
                        .ok()
                        .and_then(|at| list.get(at))
                        .copied()
                        .ok_or("its index is out of range")
                })
                .collect::<Result<Vec<_>, _>>()?;
            ConstantTensor { shape: indices.shape, values: Values::Integers(picked) }
        }
        _ => {
            let list = importer.constant(node, 0)?;
            let list = list.as_integers()?;
            let end = |importer: &mut Importer<'a>, position, name: &str, default| -> Result<i64, String> {
                if let Some(attribute) = node.attribute(name) {
                    return Ok(attribute.ints.first().copied().unwrap_or(default));
                }
                match importer.optional(node, position)? {
                    Some(Value::Constant(tensor)) => {
                        Ok(tensor.as_integers()?.first().copied().unwrap_or(default))
                    }
                    _ => Ok(default),
                }
            };
            let (start, stop) = (end(importer, 1, "starts", 0)?, end(importer, 2, "ends", i64::MAX)?);
            if end(importer, 4, "steps", 1)? != 1 {
                return Err("only steps of 1 are supported".into());
            }
            let (from, to) = span(start, stop, list.len());
            ConstantTensor::integers(list[from..to].to_vec())
        }
    };
    importer.produce(node, Value::Constant(result));
    Ok(())
}

/// A half-open range with negative ends counted from the end, clipped to `length`.
fn span(start: i64, end: i64, length: usize) -> (usize, usize) {
    let length = length as i64;
    let clip = |i: i64| (if i < 0 { i.saturating_add(length) } else { i }).clamp(0, length);
    let (start, end) = (clip(start), clip(end));
    (start as usize, end.max(start) as usize)
}
