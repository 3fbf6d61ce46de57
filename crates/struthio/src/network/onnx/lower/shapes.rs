//! Reshapes, and the arithmetic on shapes that leads to them.

use super::{moves, push};
use crate::network::graph::ValueId;
use crate::network::onnx::import::{BATCH, Importer, Value};
use crate::network::onnx::proto::NodeProto;
use crate::network::onnx::tensors::ConstantTensor;
use crate::network::ops::Reshape;

/// No tensor of a classifier has more axes; files that claim so are refused.
const MAX_RANK: usize = 16;

pub(super) fn reshape<'a>(importer: &mut Importer<'a>, node: &'a NodeProto) -> Result<(), String> {
    let input = importer.value(node, 0)?;
    let unbatched = importer.is_unbatched(node);
    let full: Vec<i64> = match &input {
        Value::Computed(value) if unbatched => {
            importer.graph.shape(*value).iter().map(|&d| d as i64).collect()
        }
        Value::Constant(tensor) => tensor.shape.iter().map(|&d| d as i64).collect(),
        Value::Computed(value) => {
            let image = importer.graph.shape(*value).iter().map(|&d| d as i64);
            std::iter::once(BATCH).chain(image).collect()
        }
    };
    let target = match node.op_type.as_str() {
        "Flatten" => flattened(node, &full)?,
        "Reshape" => {
            let target = match node.ints("shape") {
                Some(shape) => ConstantTensor::integers(shape.to_vec()),
                None => importer.constant(node, 1)?,
            };
            if node.int("allowzero", 0) != 0 && target.as_integers()?.contains(&0) {
                return Err("a size of zero (allowzero) is not supported".into());
            }
            reshaped(target.as_integers()?, &full, importer.fixed_batch)?
        }
        other => {
            let axes = match importer.optional(node, 1)? {
                Some(Value::Constant(axes)) => axes.as_integers()?.to_vec(),
                Some(Value::Computed(_)) => return Err("its axes must be constant".into()),
                None => node.attribute("axes").map(|a| a.ints.clone()).unwrap_or_default(),
            };
            if other == "Squeeze" { squeezed(&axes, &full)? } else { unsqueezed(&axes, &full)? }
        }
    };
    if target.len() > MAX_RANK {
        return Err(format!("a result of {} axes is not supported", target.len()));
    }
    let sizes = |dims: &[i64]| -> Result<Vec<usize>, String> {
        let size = |&d: &i64| usize::try_from(d).map_err(|_| super::MIXES.to_owned());
        dims.iter().map(size).collect()
    };
    match input {
        Value::Computed(value) => match target.split_first() {
            Some((&first, image)) if first == BATCH || unbatched && first == 1 => {
                reshape_image(importer, node, value, sizes(image)?)
            }
            _ if unbatched => {
                importer.set_unbatched(node);
                reshape_image(importer, node, value, sizes(&target)?)
            }
            _ => Err(super::MIXES.into()),
        },
        Value::Constant(mut tensor) => {
            let shape = sizes(&target)?;
            if crate::element_count(&shape) != crate::element_count(&tensor.shape) {
                return Err(format!("a constant of shape {:?} cannot take shape {shape:?}", tensor.shape));
            }
            tensor.shape = shape;
            importer.produce(node, Value::Constant(tensor));
            Ok(())
        }
    }
}

fn reshape_image<'a>(
    importer: &mut Importer<'a>,
    node: &'a NodeProto,
    value: ValueId,
    shape: Vec<usize>,
) -> Result<(), String> {
    let op = Reshape::between(importer.graph.shape(value), shape)?;
    match op.as_rearrangement() {
        Some(moved) => moves::push_moved(importer, node, moved.clone(), value),
        None => push(importer, node, op, &[value]),
    }
}

/// An axis counted from the front.
pub(super) fn from_front(axis: i64, rank: usize) -> Result<usize, String> {
    let positive = if axis < 0 { axis.checked_add(rank as i64) } else { Some(axis) };
    positive
        .and_then(|axis| usize::try_from(axis).ok())
        .filter(|&axis| axis < rank)
        .ok_or_else(|| format!("axis {axis} does not exist among {rank}"))
}

fn product(dims: &[i64]) -> Result<i64, String> {
    let product = dims.iter().try_fold(1_i64, |product, &d| product.checked_mul(d));
    product.filter(|&p| p >= 0).ok_or_else(|| format!("sizes {dims:?} are too large"))
}

fn flattened(node: &NodeProto, full: &[i64]) -> Result<Vec<i64>, String> {
    let axis = node.int("axis", 1);
    let counted = if axis < 0 { axis.checked_add(full.len() as i64) } else { Some(axis) };
    let at = counted.and_then(|axis| usize::try_from(axis).ok()).filter(|&axis| axis <= full.len());
    let (front, rest) =
        full.split_at(at.ok_or_else(|| format!("there is no axis {axis} of {}", full.len()))?);
    match front {
        [BATCH] => Ok(vec![BATCH, product(rest)?]),
        _ if full.contains(&BATCH) => Err(format!("{}: its axis is {axis}", super::MIXES)),
        _ => Ok(vec![product(front)?, product(rest)?]),
    }
}

fn squeezed(axes: &[i64], full: &[i64]) -> Result<Vec<i64>, String> {
    let axes = axes.iter().map(|&axis| from_front(axis, full.len())).collect::<Result<Vec<_>, _>>()?;
    if let Some(axis) = axes.iter().find(|&&axis| full[axis] != 1) {
        return Err(format!("axis {axis} cannot be squeezed: its size is not 1"));
    }
    let kept = |(i, d): (usize, &i64)| (*d != 1 || !(axes.is_empty() || axes.contains(&i))).then_some(*d);
    Ok(full.iter().enumerate().filter_map(kept).collect())
}

fn unsqueezed(axes: &[i64], full: &[i64]) -> Result<Vec<i64>, String> {
    let rank = full.len() + axes.len();
    if rank > MAX_RANK {
        return Err(format!("a result of {rank} axes is not supported"));
    }
    let axes = axes.iter().map(|&axis| from_front(axis, rank)).collect::<Result<Vec<_>, _>>()?;
    if (1..axes.len()).any(|i| axes[..i].contains(&axes[i])) {
        return Err("an axis is named twice".into());
    }
    let mut old = full.iter().copied();
    Ok((0..rank).filter_map(|i| if axes.contains(&i) { Some(1) } else { old.next() }).collect())
}

/// The shape after a reshape of `full` to `target`, both with the batch if there is one.
fn reshaped(target: &[i64], full: &[i64], fixed_batch: Option<i64>) -> Result<Vec<i64>, String> {
    if target.len() > MAX_RANK {
        return Err(format!("a result of {} axes is not supported", target.len()));
    }
    let mut result = Vec::with_capacity(target.len());
    for (i, &d) in target.iter().enumerate() {
        let batched = full.first() == Some(&BATCH);
        result.push(match d {
            0 => *full.get(i).ok_or_else(|| format!("no axis to copy in a reshape to {target:?}"))?,
            // A batch size that was fixed, or is left to be inferred beside fixed sizes.
            d if i == 0 && batched && Some(d) == fixed_batch => BATCH,
            -1 if i == 0 && batched && !target[1..].contains(&-1) => BATCH,
            d => d,
        });
    }
    if result.iter().filter(|&&d| d == -1).count() > 1 {
        return Err(format!("a reshape to {target:?} leaves more than one size open"));
    }
    let fixed = |dims: &[i64]| -> Result<i64, String> {
        let sizes: Vec<i64> = dims.iter().copied().filter(|&d| d != BATCH && d != -1).collect();
        product(&sizes)
    };
    let (before, known) = (fixed(full)?, fixed(&result)?);
    if let Some(open) = result.iter_mut().find(|d| **d == -1) {
        if known == 0 || before % known != 0 {
            return Err(format!("{before} values do not fit a reshape to {target:?}"));
        }
        *open = before / known;
    }
    Ok(result)
}

/// A list of sizes, with [`BATCH`] for the batch.
pub(super) fn shape<'a>(importer: &mut Importer<'a>, node: &'a NodeProto) -> Result<(), String> {
    let sizes: Vec<i64> = match importer.value(node, 0)? {
        Value::Constant(tensor) => tensor.shape.iter().map(|&d| d as i64).collect(),
        Value::Computed(value) => {
            let batch = if importer.is_unbatched(node) { None } else { Some(BATCH) };
            let rest = importer.graph.shape(value).iter().map(|&d| d as i64);
            batch.into_iter().chain(rest).collect()
        }
    };
    let (from, to) = span(node.int("start", 0), node.int("end", i64::MAX), sizes.len());
    importer.produce(node, Value::Constant(ConstantTensor::integers(sizes[from..to].to_vec())));
    Ok(())
}

/// A half-open range with negative ends counted from the end, clipped to `length`.
pub(super) fn span(start: i64, end: i64, length: usize) -> (usize, usize) {
    let length = length as i64;
    let clip = |i: i64| (if i < 0 { i.saturating_add(length) } else { i }).clamp(0, length);
    let (start, end) = (clip(start), clip(end));
    (start as usize, end.max(start) as usize)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reshapes_keep_the_batch() {
        let full = [BATCH, 1, 28, 28];
        assert_eq!(reshaped(&[-1, 784], &full, None), Ok(vec![BATCH, 784]));
        assert_eq!(reshaped(&[BATCH, -1], &full, None), Ok(vec![BATCH, 784]));
        assert_eq!(reshaped(&[0, 28, -1], &full, None), Ok(vec![BATCH, 28, 28]));
        assert_eq!(reshaped(&[1, -1], &full, Some(1)), Ok(vec![BATCH, 784]));
        assert_eq!(reshaped(&[2, 3, -1], &[6, 4], None), Ok(vec![2, 3, 4]));
        for bad in [&[-1, -1][..], &[0, 0, 0, 0, 0], &[0, 5, -1], &[0, i64::MAX, i64::MAX], &[1; 20]] {
            assert!(reshaped(bad, &full, None).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn axes_come_and_go() {
        assert_eq!(unsqueezed(&[1], &[3]), Ok(vec![3, 1]));
        assert_eq!(unsqueezed(&[0, -1], &[BATCH, 3]), Ok(vec![1, BATCH, 3, 1]));
        assert!(unsqueezed(&[1, 1], &[3]).is_err());
        assert!(unsqueezed(&[5], &[3]).is_err());
        assert!(unsqueezed(&[1; 400], &[3]).is_err());
        assert_eq!(squeezed(&[], &[BATCH, 1, 3, 1]), Ok(vec![BATCH, 3]));
        assert_eq!(squeezed(&[-1], &[BATCH, 1, 3, 1]), Ok(vec![BATCH, 1, 3]));
        assert!(squeezed(&[2], &[BATCH, 1, 3]).is_err());
        assert!(squeezed(&[i64::MIN], &[BATCH, 1, 3]).is_err());
    }

    #[test]
    fn slices_are_clipped() {
        assert_eq!(span(1, i64::MAX, 4), (1, 4));
        assert_eq!(span(-3, -1, 4), (1, 3));
        assert_eq!(span(i64::MIN, i64::MAX, 4), (0, 4));
        assert_eq!(span(3, 1, 4), (3, 3));
    }
}
