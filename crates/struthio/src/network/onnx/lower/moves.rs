//! Operators that only move values: transposition, slices, splits, padding and joining.

use super::constants::{floats, picked};
use super::places::{self, Places, cut, expanded, gathered, together, transposed};
use super::shapes::from_front;
use super::{axes, image_axis, push};
use crate::network::graph::ValueId;
use crate::network::onnx::import::{BATCH, Importer, Value};
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

/// Appends the elements at `places` of `input`, which are `onnx` in a file.
fn push_places<'a>(
    importer: &mut Importer<'a>,
    node: &'a NodeProto,
    places: &Places,
    onnx: OnnxNode,
    input: ValueId,
) -> Result<(), String> {
    let shape = importer.graph.shape(input).to_vec();
    if places.sources.is_empty() {
        return Err(format!("nothing is left of values of shape {shape:?}"));
    }
    importer.account(places.sources.len())?;
    let source = |i: usize| Some(places.source(i));
    let moved = Rearrange::new(&shape, &places.shape, source, 0.0, vec![onnx])?;
    push_moved(importer, node, moved, input)
}

pub(super) fn transpose<'a>(importer: &mut Importer<'a>, node: &'a NodeProto) -> Result<(), String> {
    let input = importer.computed(node, 0)?;
    let shape = importer.graph.shape(input).to_vec();
    let unbatched = importer.is_unbatched(node);
    let rank = shape.len() + usize::from(!unbatched);
    let permutation = node.ints("perm").map_or_else(|| (0..rank as i64).rev().collect(), <[i64]>::to_vec);
    if (0..).zip(&permutation).all(|(i, &p)| i == p) && permutation.len() == rank {
        let value = importer.value(node, 0)?;
        importer.produce(node, value);
        return Ok(());
    }
    let axes: Result<Vec<usize>, String> = match permutation.split_first() {
        _ if unbatched => permutation.iter().map(|&axis| from_front(axis, rank)).collect(),
        Some((0, rest)) => rest.iter().map(|&axis| image_axis(axis, shape.len())).collect(),
        _ => Err(super::MIXES.to_owned()),
    };
    let places = transposed(&shape, &axes?)?;
    let whole = if unbatched {
        std::iter::once(0).chain(permutation.iter().map(|axis| axis + 1)).collect()
    } else {
        permutation
    };
    let attributes = vec![("perm", Attribute::Integers(whole))];
    let onnx = OnnxNode { op_type: "Transpose", attributes, constants: Vec::new() };
    push_places(importer, node, &places, onnx, input)
}

/// The axis of a `Concat`, which the first version need not say.
pub(super) fn concat_axis(opset: i64, node: &NodeProto) -> Result<i64, String> {
    match node.attribute("axis") {
        Some(axis) => Ok(axis.i),
        None if opset < 4 => Ok(1),
        None => Err("it does not say along which axis".into()),
    }
}

/// `Concat` of values that depend on the image, perhaps with constants between them.
pub(super) fn concat<'a>(importer: &mut Importer<'a>, node: &'a NodeProto) -> Result<(), String> {
    let inputs = (0..node.input.len()).map(|i| importer.computed(node, i)).collect::<Result<Vec<_>, _>>()?;
    let shapes: Vec<&[usize]> = inputs.iter().map(|&value| importer.graph.shape(value)).collect();
    let rank = shapes.first().map_or(0, |shape| shape.len());
    let op = Concat::new(&shapes, image_axis(concat_axis(importer.opset, node)?, rank)?)?;
    push(importer, node, op, &inputs)
}

/// The elements with constant indices along one axis, which is dropped where the index is a single number.
pub(super) fn gather<'a>(importer: &mut Importer<'a>, node: &'a NodeProto) -> Result<(), String> {
    let input = importer.computed(node, 0)?;
    let indices = importer.constant(node, 1)?;
    let shape = importer.graph.shape(input).to_vec();
    let axis = image_axis(node.int("axis", 0), shape.len())?;
    let places = gathered(&shape, axis, indices.as_integers()?, &indices.shape)?;
    let constants = vec![(
        "indices",
        Constant::Indices { shape: indices.shape.clone(), values: indices.as_integers()?.to_vec() },
    )];
    let attributes = vec![("axis", Attribute::Integer(axis as i64 + 1))];
    push_places(importer, node, &places, OnnxNode { op_type: "Gather", attributes, constants }, input)
}

/// Values repeated along axes of length one.
pub(super) fn expand<'a>(importer: &mut Importer<'a>, node: &'a NodeProto) -> Result<(), String> {
    let input = importer.computed(node, 0)?;
    let target = importer.constant(node, 1)?;
    let target = target.as_integers()?;
    let shape = importer.graph.shape(input).to_vec();
    let image = match target.len().checked_sub(shape.len() + 1) {
        None => target,
        Some(0) if [BATCH, 1].contains(&target[0]) || importer.fixed_batch == Some(target[0]) => &target[1..],
        Some(_) => return Err(super::MIXES.into()),
    };
    let sizes: Option<Vec<usize>> = image.iter().map(|&size| usize::try_from(size).ok()).collect();
    let sizes = sizes.ok_or_else(|| format!("it repeats to the shape {target:?}"))?;
    repeat(importer, node, input, &together(&shape, &sizes)?)
}

/// Appends `input` repeated to the shape `whole` of an image, as `node`.
fn repeat<'a>(
    importer: &mut Importer<'a>,
    node: &'a NodeProto,
    input: ValueId,
    whole: &[usize],
) -> Result<(), String> {
    let shape = importer.graph.shape(input).to_vec();
    if shape == whole {
        importer.produce(node, Value::Computed(input));
        return Ok(());
    }
    let (places, onnx) = repetition(&shape, whole)?;
    push_places(importer, node, &places, onnx, input)
}

/// How values of `shape` become values of the shape `whole`, of as many axes.
pub(super) fn repetition(shape: &[usize], whole: &[usize]) -> Result<(Places, OnnxNode), String> {
    if shape.len() != whole.len() {
        return Err(format!("values of shape {shape:?} cannot be repeated to {whole:?} for each image"));
    }
    let sizes = std::iter::once(1).chain(whole.iter().map(|&size| size as i64)).collect();
    let constants = vec![("shape", Constant::Integers(sizes))];
    Ok((expanded(shape, whole)?, OnnxNode { op_type: "Expand", attributes: Vec::new(), constants }))
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

/// What a `Slice` cuts: axes, each with start, end and step.
pub(super) fn cuts<'a>(
    importer: &mut Importer<'a>,
    node: &'a NodeProto,
) -> Result<Vec<(i64, [i64; 3])>, String> {
    let mut list = |position, name| integers(importer, node, position, name);
    let starts = list(1, "starts")?.unwrap_or_default();
    let ends = list(2, "ends")?.unwrap_or_default();
    let axes = list(3, "axes")?.unwrap_or_else(|| (0..starts.len() as i64).collect());
    let steps = list(4, "steps")?.unwrap_or_else(|| vec![1; starts.len()]);
    if ends.len() != starts.len() || axes.len() != starts.len() || steps.len() != starts.len() {
        return Err("its starts, ends, axes and steps are not equally many".into());
    }
    let each = starts.into_iter().zip(ends).zip(steps).map(|((start, end), step)| [start, end, step]);
    Ok(axes.into_iter().zip(each).collect())
}

/// Every so many values from one to another along some axes, in either direction.
pub(super) fn slice<'a>(importer: &mut Importer<'a>, node: &'a NodeProto) -> Result<(), String> {
    let input = importer.computed(node, 0)?;
    let shape = importer.graph.shape(input).to_vec();
    let mut kept: Vec<Vec<usize>> = shape.iter().map(|&length| (0..length).collect()).collect();
    let mut onnx = [const { Vec::new() }; 4];
    for (axis, [start, end, step]) in cuts(importer, node)? {
        let all = end >= i64::from(i32::MAX) || end == BATCH || importer.fixed_batch == Some(end);
        if from_front(axis, shape.len() + 1)? == 0 && start == 0 && step == 1 && all {
            continue; // all images of the batch
        }
        let axis = image_axis(axis, shape.len())?;
        kept[axis] = cut(start, end, step, shape[axis])?;
        onnx.iter_mut().zip([start, end, axis as i64 + 1, step]).for_each(|(list, value)| list.push(value));
    }
    let constants = ["starts", "ends", "axes", "steps"].into_iter().zip(onnx);
    let constants = constants.map(|(name, list)| (name, Constant::Integers(list))).collect();
    let onnx = OnnxNode { op_type: "Slice", attributes: Vec::new(), constants };
    push_places(importer, node, &places::kept(&shape, &kept)?, onnx, input)
}

/// The lengths of the parts of an axis of this `length`.
fn parts<'a>(importer: &mut Importer<'a>, node: &'a NodeProto, length: usize) -> Result<Vec<usize>, String> {
    let lengths = if let Some(lengths) = integers(importer, node, 1, "split")? {
        let lengths: Option<Vec<usize>> = lengths.iter().map(|&n| usize::try_from(n).ok()).collect();
        lengths.ok_or("its lengths must not be negative")?
    } else {
        let parts = node.output.len().max(1);
        if node.int("num_outputs", parts as i64) != parts as i64 {
            return Err(format!("its num_outputs is {}, but it has {parts}", node.int("num_outputs", 0)));
        }
        if !length.is_multiple_of(parts) && node.attribute("num_outputs").is_none() {
            return Err(format!("an axis of {length} cannot be divided into {parts} equal parts"));
        }
        let each = length.div_ceil(parts);
        (0..parts).map(|i| length.min((i + 1) * each).saturating_sub(i * each)).collect()
    };
    if lengths.len() != node.output.len()
        || lengths.iter().try_fold(0_usize, |sum, &n| sum.checked_add(n)) != Some(length)
    {
        return Err(format!("parts of {lengths:?} do not fit an axis of {length}"));
    }
    Ok(lengths)
}

pub(super) fn split<'a>(importer: &mut Importer<'a>, node: &'a NodeProto) -> Result<(), String> {
    let input = importer.computed(node, 0)?;
    let shape = importer.graph.shape(input).to_vec();
    let axis = image_axis(node.int("axis", 0), shape.len())?;
    let mut from = 0;
    for (position, length) in parts(importer, node, shape[axis])?.into_iter().enumerate() {
        let mut kept: Vec<Vec<usize>> = shape.iter().map(|&length| (0..length).collect()).collect();
        kept[axis] = (from..from + length).collect();
        let places = places::kept(&shape, &kept)?;
        if places.sources.is_empty() {
            return Err(format!("its part number {} is empty", position + 1));
        }
        let ends = [("starts", from), ("ends", from + length), ("axes", axis + 1)];
        let constants = ends.map(|(name, i)| (name, Constant::Integers(vec![i as i64]))).into();
        let onnx = vec![OnnxNode { op_type: "Slice", attributes: Vec::new(), constants }];
        importer.account(places.sources.len())?;
        let moved = Rearrange::new(&shape, &places.shape, |i| Some(places.source(i)), 0.0, onnx)?;
        let value = importer.graph.push(format!("{}.{position}", node.label()), moved, &[input])?;
        importer.produce_output(node, position, Value::Computed(value));
        from += length;
    }
    Ok(())
}

pub(super) fn split_constant<'a>(importer: &mut Importer<'a>, node: &'a NodeProto) -> Result<(), String> {
    let tensor = importer.constant(node, 0)?;
    let axis = from_front(node.int("axis", 0), tensor.shape.len())?;
    let mut from = 0;
    for (position, length) in parts(importer, node, tensor.shape[axis])?.into_iter().enumerate() {
        let mut kept: Vec<Vec<usize>> = tensor.shape.iter().map(|&length| (0..length).collect()).collect();
        kept[axis] = (from..from + length).collect();
        let Places { shape, sources } = places::kept(&tensor.shape, &kept)?;
        importer.account(sources.len())?;
        let part = picked(&tensor, shape, sources.into_iter().map(|at| at as usize));
        importer.produce_output(node, position, Value::Constant(part));
        from += length;
    }
    Ok(())
}

/// Most values that padding may make, besides so many times those that are padded.
const MOST_PADDED: usize = 1 << 22;
const MOST_TIMES_PADDED: usize = 16;

pub(super) fn pad<'a>(importer: &mut Importer<'a>, node: &'a NodeProto) -> Result<(), String> {
    let input = importer.computed(node, 0)?;
    let shape = importer.graph.shape(input).to_vec();
    let named = if importer.opset < 2 { "paddings" } else { "pads" };
    let pads = integers(importer, node, 1, named)?.ok_or("it has no pads")?;
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
    if pads.len() % 2 != 0 || named.len() != listed || pads.iter().any(|pad| pad.unsigned_abs() > 1 << 32) {
        return Err(format!("pads of {pads:?} do not fit values of shape {shape:?}"));
    }
    let mut added = vec![[0_i64; 2]; shape.len()];
    for (i, axis) in named.into_iter().enumerate() {
        let ends = [pads[i], pads[i + listed]];
        match axis {
            Some(axis) => added[axis] = ends,
            None if ends == [0, 0] => {}
            None => return Err(super::MIXES.into()),
        }
    }
    let length = |(&length, ends): (&usize, &[i64; 2])| {
        let sum = (length as i64).checked_add(ends[0])?.checked_add(ends[1])?;
        usize::try_from(sum).ok().filter(|&sum| sum > 0)
    };
    let output: Option<Vec<usize>> = shape.iter().zip(&added).map(length).collect();
    let output = output.ok_or_else(|| format!("pads of {pads:?} do not fit values of shape {shape:?}"))?;
    let count = crate::element_count(&output);
    let most = MOST_PADDED + MOST_TIMES_PADDED * importer.graph.features(input);
    if count.is_none_or(|count| count > most) {
        return Err(format!(
            "pads of {pads:?} make {output:?} of {shape:?}, more than {most} values for one image"
        ));
    }
    importer.account(count.unwrap_or(usize::MAX))?;
    let mode = match &*mode {
        "constant" => "constant",
        "edge" => "edge",
        "reflect" => "reflect",
        other => return Err(format!("the mode {other} is not supported")),
    };
    if mode == "reflect" && shape.iter().zip(&added).any(|(&d, ends)| ends.iter().any(|&n| n >= d as i64)) {
        return Err(format!("pads of {pads:?} reflect more than there is of values of shape {shape:?}"));
    }
    let along = |at: usize, axis: usize| -> Option<usize> {
        let (at, length) = (at as i64 - added[axis][0], shape[axis] as i64);
        let from = match mode {
            "edge" => at.clamp(0, length - 1),
            "reflect" if at < 0 => -at,
            "reflect" if at >= length => 2 * (length - 1) - at,
            _ => at,
        };
        (0..length).contains(&from).then_some(from as usize)
    };
    let source = |i: usize| {
        let at = place(i, &output).into_iter().enumerate().map(|(axis, at)| along(at, axis));
        Some(flat(at.collect::<Option<Vec<_>>>()?.into_iter(), &shape))
    };
    let ends = |end: usize| std::iter::once(0).chain(added.iter().map(move |ends| ends[end]));
    let mut constants = vec![("pads", Constant::Integers(ends(0).chain(ends(1)).collect()))];
    constants.push(("value", Constant::Floats(Tensor { shape: Vec::new(), values: vec![fill] })));
    let attributes = vec![("mode", Attribute::Text(mode))];
    let onnx = vec![OnnxNode { op_type: "Pad", attributes, constants }];
    let moved = Rearrange::new(&shape, &output, source, fill, onnx)?;
    push_moved(importer, node, moved, input)
}
