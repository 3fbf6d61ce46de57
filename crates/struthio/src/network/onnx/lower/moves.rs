//! Operators that only move values: transposition, slices, splits, padding and joining.

use super::constants::{floats, picked};
use super::shapes::{from_front, span};
use super::{axes, image_axis, push};
use crate::network::graph::ValueId;
use crate::network::onnx::import::{Importer, Value};
use crate::network::onnx::proto::NodeProto;
use crate::network::ops::{Attribute, Concat, Constant, OnnxNode, Rearrange, Tensor};

/// Appends `moved`, merged with what moved the values before.
pub(super) fn push_moved<'a>(
    importer: &mut Importer<'a>,
    node: &'a NodeProto,
    moved: Rearrange,
    input: ValueId,
) -> Result<(), String> {
    let count = importer.graph.features(importer.graph.output());
    importer.account(count)?;
    let earlier = importer.graph.producer(input);
    let merged = earlier
        .and_then(|earlier| Some((earlier.inputs[0], earlier.op.as_rearrangement()?.followed_by(&moved)?)));
    let (input, moved) = merged.unwrap_or((input, moved));
    push(importer, node, moved, &[input])
}

/// Whether any input of `node` depends on the image.
pub(super) fn is_computed<'a>(importer: &mut Importer<'a>, node: &'a NodeProto) -> bool {
    (0..node.input.len())
        .any(|position| matches!(importer.optional(node, position), Ok(Some(Value::Computed(_)))))
}

/// Splits a position in row-major order into one along each axis of `shape`.
fn place(mut i: usize, shape: &[usize]) -> Vec<usize> {
    let mut place = vec![0; shape.len()];
    for (at, &length) in place.iter_mut().zip(shape).rev() {
        *at = i % length;
        i /= length;
    }
    place
}

/// The position in row-major order.
fn flat(place: impl Iterator<Item = usize>, shape: &[usize]) -> usize {
    place.zip(shape).fold(0, |flat, (at, &length)| flat * length + at)
}

pub(super) fn transpose<'a>(importer: &mut Importer<'a>, node: &'a NodeProto) -> Result<(), String> {
    let permutation = node.ints("perm").map(<[i64]>::to_vec).unwrap_or_default();
    let input = match importer.value(node, 0)? {
        value if !permutation.is_empty() && (0..).zip(&permutation).all(|(i, &p)| i == p) => {
            importer.produce(node, value);
            return Ok(());
        }
        Value::Constant(tensor) if tensor.shape.len() == 2 => {
            let [rows, columns] = [tensor.shape[0], tensor.shape[1]];
            let places = (0..rows * columns).map(|i| i % rows * columns + i / rows);
            importer.produce(node, Value::Constant(picked(&tensor, vec![columns, rows], places)));
            return Ok(());
        }
        Value::Constant(_) => return Err("only constant matrices can be transposed".into()),
        Value::Computed(input) => input,
    };
    let shape = importer.graph.shape(input).to_vec();
    let Some((0, axes)) = permutation.split_first().map(|(&first, rest)| (first, rest)) else {
        return Err("it mixes the images of a batch".into());
    };
    let axes = axes.iter().map(|&axis| image_axis(axis, shape.len())).collect::<Result<Vec<_>, _>>()?;
    if axes.len() != shape.len() || (0..axes.len()).any(|axis| !axes.contains(&axis)) {
        return Err(format!("a permutation {permutation:?} does not fit values of shape {shape:?}"));
    }
    let output: Vec<usize> = axes.iter().map(|&axis| shape[axis]).collect();
    let source = |i: usize| {
        let at = place(i, &output);
        let mut from = vec![0; at.len()];
        axes.iter().zip(at).for_each(|(&axis, at)| from[axis] = at);
        Some(flat(from.into_iter(), &shape))
    };
    let attributes = vec![("perm", Attribute::Integers(permutation.clone()))];
    let onnx = vec![OnnxNode { op_type: "Transpose", attributes, constants: Vec::new() }];
    let moved = Rearrange::new(&shape, &output, source, 0.0, onnx)?;
    push_moved(importer, node, moved, input)
}

/// `Slice` or `Concat` of values that depend on the image.
pub(super) fn part_or_join<'a>(importer: &mut Importer<'a>, node: &'a NodeProto) -> Result<(), String> {
    if node.op_type == "Slice" {
        return slice(importer, node);
    }
    let inputs = (0..node.input.len()).map(|i| importer.computed(node, i)).collect::<Result<Vec<_>, _>>()?;
    let shapes: Vec<&[usize]> = inputs.iter().map(|&value| importer.graph.shape(value)).collect();
    let rank = shapes.first().map_or(0, |shape| shape.len());
    let op = Concat::new(&shapes, image_axis(node.int("axis", i64::MIN), rank)?)?;
    push(importer, node, op, &inputs)
}

/// A constant list of integers: input number `position`, or the attribute `name`.
fn integers<'a>(
    importer: &mut Importer<'a>,
    node: &'a NodeProto,
    position: usize,
    name: &str,
) -> Result<Option<Vec<i64>>, String> {
    if let Some(list) = node.ints(name) {
        return Ok(Some(list.to_vec()));
    }
    match importer.optional(node, position)? {
        Some(Value::Constant(list)) => Ok(Some(list.as_integers()?.to_vec())),
        Some(Value::Computed(_)) => Err(format!("its {name} must be constant")),
        None => Ok(None),
    }
}

/// The starts, ends, axes and steps of a `Slice`, equally many of each.
fn cuts<'a>(importer: &mut Importer<'a>, node: &'a NodeProto) -> Result<[Vec<i64>; 4], String> {
    let mut list = |position, name| integers(importer, node, position, name);
    let starts = list(1, "starts")?.unwrap_or_default();
    let ends = list(2, "ends")?.unwrap_or_default();
    let axes = list(3, "axes")?.unwrap_or_else(|| (0..starts.len() as i64).collect());
    let steps = list(4, "steps")?.unwrap_or_else(|| vec![1; starts.len()]);
    if ends.len() != starts.len() || axes.len() != starts.len() || steps.len() != starts.len() {
        return Err("its starts, ends, axes and steps are not equally many".into());
    }
    Ok([starts, ends, axes, steps])
}

/// `Slice` of a constant, such as a shape.
pub(super) fn slice_of_constant<'a>(importer: &mut Importer<'a>, node: &'a NodeProto) -> Result<(), String> {
    let mut tensor = importer.constant(node, 0)?;
    let [starts, ends, axes, steps] = cuts(importer, node)?;
    for (((&start, &end), &axis), &step) in starts.iter().zip(&ends).zip(&axes).zip(&steps) {
        let axis = from_front(axis, tensor.shape.len())?;
        let length = tensor.shape[axis];
        let kept: Vec<usize> = match step {
            1.. => {
                let (from, to) = span(start, end, length);
                (from..to).step_by(usize::try_from(step).unwrap_or(usize::MAX)).collect()
            }
            -1 if start == -1 && end <= -(length as i64) => (0..length).rev().collect(),
            _ => return Err(format!("steps of {steps:?} are not supported here")),
        };
        let mut shape = tensor.shape.clone();
        shape[axis] = kept.len();
        let count: usize = shape.iter().product();
        let source = |i: usize| {
            let mut at = place(i, &shape);
            at[axis] = kept[at[axis]];
            flat(at.into_iter(), &tensor.shape)
        };
        tensor = picked(&tensor, shape.clone(), (0..count).map(source));
    }
    importer.produce(node, Value::Constant(tensor));
    Ok(())
}

fn slice<'a>(importer: &mut Importer<'a>, node: &'a NodeProto) -> Result<(), String> {
    let input = importer.computed(node, 0)?;
    let shape = importer.graph.shape(input).to_vec();
    let [starts, ends, axes, steps] = cuts(importer, node)?;
    let mut ranges: Vec<_> = shape.iter().map(|&length| (0, length, 1)).collect();
    for (((&start, &end), &axis), &step) in starts.iter().zip(&ends).zip(&axes).zip(&steps) {
        let everything = start == 0 && end >= i64::from(i32::MAX) && step == 1;
        if from_front(axis, shape.len() + 1)? == 0 && everything {
            continue; // all images of the batch
        }
        let axis = image_axis(axis, shape.len())?;
        let step = usize::try_from(step).ok().filter(|&step| step > 0);
        let step = step.ok_or_else(|| format!("steps of {steps:?} are not supported"))?;
        let (from, to) = span(start, end, shape[axis]);
        ranges[axis] = (from, to, step);
    }
    let onnx = vec![OnnxNode {
        op_type: "Slice",
        attributes: Vec::new(),
        constants: vec![
            ("starts", Constant::Integers(starts)),
            ("ends", Constant::Integers(ends)),
            ("axes", Constant::Integers(axes)),
            ("steps", Constant::Integers(steps)),
        ],
    }];
    let moved = part(&shape, &ranges, onnx)?;
    push_moved(importer, node, moved, input)
}

/// Along each axis every so many values from one to another: (from, to, step).
fn part(shape: &[usize], ranges: &[(usize, usize, usize)], onnx: Vec<OnnxNode>) -> Result<Rearrange, String> {
    let output: Vec<usize> = ranges.iter().map(|&(from, to, step)| (to - from).div_ceil(step)).collect();
    if output.contains(&0) {
        return Err(format!("nothing is left of values of shape {shape:?}"));
    }
    let source = |i: usize| {
        let at = place(i, &output).into_iter().zip(ranges).map(|(at, &(from, _, step))| from + at * step);
        Some(flat(at, shape))
    };
    Rearrange::new(shape, &output, source, 0.0, onnx)
}

pub(super) fn split<'a>(importer: &mut Importer<'a>, node: &'a NodeProto) -> Result<(), String> {
    let input = importer.computed(node, 0)?;
    let shape = importer.graph.shape(input).to_vec();
    let axis = image_axis(node.int("axis", 0), shape.len())?;
    let lengths = if let Some(lengths) = integers(importer, node, 1, "split")? {
        let lengths: Option<Vec<usize>> = lengths.iter().map(|&n| usize::try_from(n).ok()).collect();
        lengths.ok_or("its lengths must not be negative")?
    } else {
        let parts = node.output.len().max(1);
        let each = shape[axis].div_ceil(parts);
        (0..parts).map(|i| shape[axis].min((i + 1) * each).saturating_sub(i * each)).collect()
    };
    if lengths.len() != node.output.len()
        || lengths.iter().try_fold(0_usize, |sum, &n| sum.checked_add(n)) != Some(shape[axis])
    {
        return Err(format!("parts of {lengths:?} do not fit axis {axis} of shape {shape:?}"));
    }
    let mut from = 0;
    for (position, length) in lengths.into_iter().enumerate() {
        let mut ranges: Vec<_> = shape.iter().map(|&length| (0, length, 1)).collect();
        ranges[axis] = (from, from + length, 1);
        let ends = [("starts", from), ("ends", from + length), ("axes", axis + 1)];
        let constants = ends.map(|(name, i)| (name, Constant::Integers(vec![i as i64]))).into();
        let onnx = vec![OnnxNode { op_type: "Slice", attributes: Vec::new(), constants }];
        importer.account(shape.iter().product::<usize>() / shape[axis] * length)?;
        let moved = part(&shape, &ranges, onnx)?;
        let value = importer.graph.push(format!("{}.{position}", node.label()), moved, &[input])?;
        importer.produce_output(node, position, Value::Computed(value));
        from += length;
    }
    Ok(())
}

pub(super) fn pad<'a>(importer: &mut Importer<'a>, node: &'a NodeProto) -> Result<(), String> {
    let input = importer.computed(node, 0)?;
    let shape = importer.graph.shape(input).to_vec();
    let pads = integers(importer, node, 1, "pads")?.ok_or("it has no pads")?;
    let named = axes(importer, node, 3, shape.len())?;
    let fill = match importer.optional(node, 2)? {
        Some(Value::Constant(value)) => floats(&value).first().copied().unwrap_or(0.0),
        Some(Value::Computed(_)) => return Err("its value must be constant".into()),
        None => node.float("value", 0.0),
    };
    let mode = node.text("mode").unwrap_or("constant".into());
    // Axis by axis, before and after; without a list of axes the batch comes first.
    let listed = pads.len() / 2;
    let named: Vec<Option<usize>> = if named.is_empty() {
        std::iter::once(None).chain((0..shape.len()).map(Some)).collect()
    } else {
        named.into_iter().map(Some).collect()
    };
    if pads.len() % 2 != 0 || named.len() != listed {
        return Err(format!("pads of {pads:?} do not fit values of shape {shape:?}"));
    }
    let mut added = vec![[0_i64; 2]; shape.len()];
    for (i, axis) in named.into_iter().enumerate() {
        let ends = [pads[i], pads[i + listed]];
        match axis {
            Some(axis) => added[axis] = ends,
            None if ends == [0, 0] => {}
            None => return Err("it mixes the images of a batch".into()),
        }
    }
    let length = |(&length, ends): (&usize, &[i64; 2])| {
        let sum = (length as i64).checked_add(ends[0])?.checked_add(ends[1])?;
        usize::try_from(sum).ok().filter(|&sum| sum > 0)
    };
    let output: Option<Vec<usize>> = shape.iter().zip(&added).map(length).collect();
    let output = output.ok_or_else(|| format!("pads of {pads:?} do not fit values of shape {shape:?}"))?;
    let count = crate::element_count(&output);
    importer.account(count.unwrap_or(usize::MAX))?;
    let along = |at: usize, axis: usize| -> Option<usize> {
        let (at, length) = (at as i64 - added[axis][0], shape[axis] as i64);
        let from = match &*mode {
            "edge" => at.clamp(0, length - 1),
            "reflect" if at < 0 => -at,
            "reflect" if at >= length => 2 * (length - 1) - at,
            _ => at,
        };
        (0..length).contains(&from).then_some(from as usize)
    };
    if !["constant", "edge", "reflect"].contains(&&*mode) {
        return Err(format!("the mode {mode} is not supported"));
    }
    let source = |i: usize| {
        let at = place(i, &output).into_iter().enumerate().map(|(axis, at)| along(at, axis));
        Some(flat(at.collect::<Option<Vec<_>>>()?.into_iter(), &shape))
    };
    let mut constants = vec![("pads", Constant::Integers(pads))];
    constants.push(("value", Constant::Floats(Tensor { shape: Vec::new(), values: vec![fill] })));
    let onnx = vec![OnnxNode { op_type: "Pad", attributes: Vec::new(), constants }];
    let moved = Rearrange::new(&shape, &output, source, fill, onnx)?;
    push_moved(importer, node, moved, input)
}
