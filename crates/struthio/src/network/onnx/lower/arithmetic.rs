//! Arithmetic of values that depend on the image, with one another and with constants.

use super::constants::{aligned, floats};
use super::elementwise::binary;
use super::legacy::second_shape;
use super::places::together;
use super::windows::normalisation;
use super::{moves, push};
use crate::network::graph::ValueId;
use crate::network::onnx::import::{Importer, Value};
use crate::network::onnx::proto::NodeProto;
use crate::network::onnx::tensors::ConstantTensor;
use crate::network::ops::{
    Affine, Arithmetic, Clip, Op, Operator, Power, Rearrange, Reciprocal, Relu, Reshape, Sqrt, per_channel,
};

pub(super) fn arithmetic<'a>(importer: &mut Importer<'a>, node: &'a NodeProto) -> Result<(), String> {
    let operator = node.op_type.as_str();
    let (left, right) = operands(importer, node, 0, 1)?;
    let kind = match operator {
        "Add" => Operator::Add,
        "Sub" => Operator::Sub,
        "Mul" => Operator::Mul,
        _ => Operator::Div,
    };
    match (left, right) {
        (Value::Computed(a), Value::Computed(b)) => {
            let op = Arithmetic::new(kind, [a, b].map(|value| importer.graph.shape(value)))?;
            push(importer, node, op, &[a, b])
        }
        (Value::Computed(x), Value::Constant(c)) => with_constant(importer, node, x, &c, false),
        (Value::Constant(c), Value::Computed(x)) => with_constant(importer, node, x, &c, true),
        (Value::Constant(_), Value::Constant(_)) => Err("both of its operands are constant".into()),
    }
}

/// Two operands of `node`, the second one lined up with the first as the opset has it.
fn operands<'a>(
    importer: &mut Importer<'a>,
    node: &'a NodeProto,
    first: usize,
    second: usize,
) -> Result<(Value, Value), String> {
    let (first, second) = (importer.value(node, first)?, importer.value(node, second)?);
    let batch = importer.fixed_batch.and_then(|batch| usize::try_from(batch).ok());
    let unbatched = importer.is_unbatched(node);
    let full = |value: &Value| -> Vec<Option<usize>> {
        match value {
            Value::Constant(tensor) => tensor.shape.iter().copied().map(Some).collect(),
            Value::Computed(value) => {
                let batch = if unbatched { None } else { Some(batch) };
                batch.into_iter().chain(importer.graph.shape(*value).iter().copied().map(Some)).collect()
            }
        }
    };
    let Some(shape) = second_shape(node, importer.opset, &full(&first), &full(&second))? else {
        return Ok((first, second));
    };
    let second = match second {
        Value::Constant(tensor) => {
            Value::Constant(ConstantTensor { shape: shape.into_iter().flatten().collect(), ..tensor })
        }
        Value::Computed(value) => {
            let image = match (&first, &shape[..]) {
                // A single number for each image.
                (Value::Computed(first), []) => vec![1; importer.graph.shape(*first).len()],
                (Value::Computed(_), [front, image @ ..]) if *front == batch => {
                    image.iter().copied().flatten().collect()
                }
                _ => return Err(super::MIXES.into()),
            };
            let op = Reshape::between(importer.graph.shape(value), image)?;
            Value::Computed(importer.graph.push(format!("{}.second", node.label()), op, &[value])?)
        }
    };
    Ok((first, second))
}

pub(super) fn negative<'a>(importer: &mut Importer<'a>, node: &'a NodeProto) -> Result<(), String> {
    let x = importer.computed(node, 0)?;
    let shape = importer.graph.shape(x).to_vec();
    let constants = vec![1; shape.len()];
    push_affine(importer, node, x, Affine::new(shape, constants, vec![-1.0], vec![0.0])?)
}

/// A constant power, the same for all values.
pub(super) fn power<'a>(importer: &mut Importer<'a>, node: &'a NodeProto) -> Result<(), String> {
    let x = importer.computed(node, 0)?;
    let exponents = floats(&importer.constant(node, 1)?);
    match exponents.split_first() {
        Some((&exponent, rest)) if rest.iter().all(|&other| other == exponent) => {
            let op: Box<dyn Op> = if exponent == 0.5 { Sqrt.into() } else { Power { exponent }.into() };
            push(importer, node, op, &[x])
        }
        _ => Err("its exponents differ; supported is one for all values".into()),
    }
}

/// `Sum`, `Mean`, `Max` or `Min` of any number of values.
pub(super) fn of_many<'a>(importer: &mut Importer<'a>, node: &'a NodeProto) -> Result<(), String> {
    let (mut values, mut constant): (Vec<ValueId>, Option<ConstantTensor>) = (Vec::new(), None);
    for position in 0..node.input.len() {
        let (_, operand) = operands(importer, node, 0, position)?;
        match (operand, constant.take()) {
            (Value::Computed(value), kept) => {
                values.push(value);
                constant = kept;
            }
            (Value::Constant(next), None) => constant = Some(next),
            (Value::Constant(next), Some(before)) => constant = Some(binary(&node.op_type, &before, &next)?),
        }
    }
    let kind = match node.op_type.as_str() {
        "Max" => Operator::Max,
        "Min" => Operator::Min,
        _ => Operator::Add,
    };
    let mut result = *values.first().ok_or("none of its inputs depends on the image")?;
    for (position, &next) in values.iter().enumerate().skip(1) {
        let op = Arithmetic::new(kind, [result, next].map(|value| importer.graph.shape(value)))?;
        result = importer.graph.push(format!("{}.{position}", node.label()), op, &[result, next])?;
        importer.account(importer.graph.features(result))?;
    }
    let shape = importer.graph.shape(result).to_vec();
    let same = constant.as_ref().map(floats).and_then(|values| {
        let (&first, rest) = values.split_first()?;
        rest.iter().all(|&other| other == first).then_some(first)
    });
    let features = importer.graph.features(result);
    if let (Operator::Max | Operator::Min, Some(constant)) = (kind, &constant)
        && constant.len() > features
    {
        return Err(format!(
            "a constant of shape {:?} would repeat values of shape {shape:?}, which is not supported; one number is",
            constant.shape
        ));
    }
    match (kind, constant, same) {
        (Operator::Max, Some(_), Some(0.0)) => push(importer, node, Relu, &[result]),
        (Operator::Max, Some(_), Some(min)) => {
            push(importer, node, Clip { min, max: f32::INFINITY }, &[result])
        }
        (Operator::Min, Some(_), Some(max)) => {
            push(importer, node, Clip { min: f32::NEG_INFINITY, max }, &[result])
        }
        (Operator::Max | Operator::Min, Some(constant), None) => Err(format!(
            "a constant of shape {:?} with different values is not supported; one number is",
            constant.shape
        )),
        (Operator::Max | Operator::Min, None, _) => {
            importer.produce(node, Value::Computed(result));
            Ok(())
        }
        (_, constant, _) => {
            let constant = constant.unwrap_or_else(|| ConstantTensor::scalar(0.0));
            let share = if node.op_type == "Mean" { 1.0 / node.input.len() as f32 } else { 1.0 };
            let constants = aligned(&constant, &shape)?;
            let offset: Vec<f32> = floats(&constant).into_iter().map(|value| value * share).collect();
            let scale = vec![share; offset.len()];
            push_affine(importer, node, result, Affine::new(shape, constants, scale, offset)?)
        }
    }
}

/// x ∘ c, or c ∘ x if `constant_first`, for a constant c.
fn with_constant<'a>(
    importer: &mut Importer<'a>,
    node: &'a NodeProto,
    x: ValueId,
    c: &ConstantTensor,
    constant_first: bool,
) -> Result<(), String> {
    let mut x = repeated_for(importer, node, x, &c.shape)?;
    let shape = importer.graph.shape(x).to_vec();
    let aligned = aligned(c, &shape)?;
    let c = floats(c);
    if node.op_type == "Div" && constant_first {
        x = importer.graph.push(format!("{}.reciprocal", node.label()), Reciprocal, &[x])?;
    }
    let filled = |value: f32| vec![value; c.len()];
    let (scale, offset) = match (node.op_type.as_str(), constant_first) {
        ("Add", _) => (filled(1.0), c),
        ("Sub", false) => (filled(1.0), c.iter().map(|c| -c).collect()),
        ("Sub", true) => (filled(-1.0), c),
        ("Div", false) => (c.iter().map(|c| 1.0 / c).collect(), filled(0.0)),
        _ => (c.clone(), filled(0.0)),
    };
    push_affine(importer, node, x, Affine::new(shape, aligned, scale, offset)?)
}

/// x, repeated along axes of length one where those of a constant of shape `c` are longer.
fn repeated_for<'a>(
    importer: &mut Importer<'a>,
    node: &'a NodeProto,
    x: ValueId,
    c: &[usize],
) -> Result<ValueId, String> {
    let shape = importer.graph.shape(x).to_vec();
    let own = match c.len().checked_sub(shape.len()) {
        Some(1) if c[0] == 1 => &c[1..],
        _ => c,
    };
    let Some(whole) =
        together(&shape, own).ok().filter(|whole| whole.len() == shape.len() && *whole != shape)
    else {
        return Ok(x);
    };
    let (places, onnx) = moves::repetition(&shape, &whole)?;
    importer.account(places.sources.len())?;
    let op = Rearrange::new(&shape, &whole, |i| Some(places.source(i)), 0.0, vec![onnx])?;
    importer.graph.push(format!("{}.repeated", node.label()), op, &[x])
}

pub(super) fn push_affine<'a>(
    importer: &mut Importer<'a>,
    node: &'a NodeProto,
    x: ValueId,
    affine: Affine,
) -> Result<(), String> {
    importer.account(affine.held())?;
    push(importer, node, affine, &[x])
}

pub(super) fn batch_normalization<'a>(
    importer: &mut Importer<'a>,
    node: &'a NodeProto,
) -> Result<(), String> {
    let input = importer.computed(node, 0)?;
    let shape = importer.graph.shape(input).to_vec();
    let &channels = shape.first().ok_or("it needs at least one axis besides the batch")?;
    if node.int("spatial", 1) == 0 && shape.len() > 1 {
        return Err("its attribute spatial = 0, statistics of each pixel, is not supported".into());
    }
    let (scale, offset) = normalisation(importer, node, channels)?;
    let [scale, offset] = [scale, offset].map(|values| values.into_iter().map(|v| v as f32).collect());
    let constants = per_channel(&shape);
    push_affine(importer, node, input, Affine::new(shape, constants, scale, offset)?)
}
