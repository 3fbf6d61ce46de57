//! What is computed of constants alone, when the file is read: weights that are divided by their norm, shapes, and
//! anything else that an operator can do.

use super::constants::{self, picked};
use super::elementwise::{BINARY, binary, chosen};
use super::places::{self, Places, together};
use super::shapes::from_front;
use super::{linear, moves, quantised, reductions, shapes};
use crate::network::graph::{Graph, ValueId};
use crate::network::layout;
use crate::network::onnx::import::{BATCH, Importer, Value};
use crate::network::onnx::proto::NodeProto;
use crate::network::onnx::tensors::{ConstantTensor, Values};
use crate::network::plan::{Plan, Wanted};

pub(super) const OF_THE_BATCH: &str = "it computes with the size of the batch, which is not known";

/// Evaluates `node`, which reads constants only.
pub(super) fn node<'a>(importer: &mut Importer<'a>, node: &'a NodeProto) -> Result<(), String> {
    let operator = node.op_type.as_str();
    let result = match operator {
        "Constant" => return constants::constant(importer, node),
        "ConstantOfShape" => return constants::filled(importer, node),
        "Identity" | "Dropout" | "Cast" => return super::pass_through(importer, node),
        "Flatten" | "Reshape" | "Squeeze" | "Unsqueeze" => return shapes::reshape(importer, node),
        "Shape" => return shapes::shape(importer, node),
        "Split" => return moves::split_constant(importer, node),
        _ if BINARY.contains(&operator) => of_several(importer, node)?,
        "Where" => {
            let mut input = |position| importer.constant(node, position);
            let (condition, a, b) = (input(0)?, input(1)?, input(2)?);
            chosen(&condition, &a, &b)?
        }
        "Range" => range(importer, node)?,
        "Neg" | "Not" | "Floor" | "Ceil" => of_one(operator, importer.constant(node, 0)?)?,
        "Transpose" | "Concat" | "Gather" | "Slice" | "Expand" => moved(importer, node)?,
        "MatMul" => {
            let (a, b) = (importer.constant(node, 0)?, importer.constant(node, 1)?);
            linear::product(&a, &b)?
        }
        _ if operator.starts_with("Reduce") => reductions::of_constant(importer, node)?,
        "DequantizeLinear" => quantised::dequantised(importer, node)?,
        "QuantizeLinear" => quantised::quantised(importer, node)?,
        _ => return by_rows(importer, node),
    };
    importer.account_made(result.len())?;
    importer.produce(node, Value::Constant(result));
    Ok(())
}

/// An operator of two constants, or of any number of them.
fn of_several<'a>(importer: &mut Importer<'a>, node: &'a NodeProto) -> Result<ConstantTensor, String> {
    let mut result = importer.constant(node, 0)?;
    for position in 1..node.input.len() {
        let mut next = importer.constant(node, position)?;
        let full = |tensor: &ConstantTensor| tensor.shape.iter().copied().map(Some).collect::<Vec<_>>();
        let shape = super::legacy::second_shape(node, importer.opset, &full(&result), &full(&next))?;
        if let Some(shape) = shape {
            next.shape = shape.into_iter().flatten().collect();
        }
        importer.account_made(
            crate::element_count(&together(&result.shape, &next.shape)?).unwrap_or(usize::MAX),
        )?;
        result = binary(&node.op_type, &result, &next)?;
    }
    if node.op_type == "Mean" {
        let count = ConstantTensor::scalar(node.input.len() as f32);
        result = binary("Div", &result, &count)?;
    }
    Ok(result)
}

fn of_one(operator: &str, tensor: ConstantTensor) -> Result<ConstantTensor, String> {
    let values = match tensor.values {
        Values::Integers(list) if list.contains(&BATCH) => return Err(OF_THE_BATCH.into()),
        Values::Integers(list) => Values::Integers(match operator {
            "Not" => list.into_iter().map(|value| i64::from(value == 0)).collect(),
            "Neg" => list.into_iter().map(i64::saturating_neg).collect(),
            _ => list,
        }),
        Values::Floats(list) => Values::Floats(match operator {
            "Neg" => list.into_iter().map(|value| -value).collect(),
            "Floor" => list.into_iter().map(f32::floor).collect(),
            "Ceil" => list.into_iter().map(f32::ceil).collect(),
            _ => return Err(format!("{operator} of floating-point constants is not supported")),
        }),
    };
    Ok(ConstantTensor { shape: tensor.shape, values })
}

/// Most numbers of a `Range`, which indexes something.
const LONGEST: i64 = 1 << 24;

fn range<'a>(importer: &mut Importer<'a>, node: &'a NodeProto) -> Result<ConstantTensor, String> {
    let mut one = |position| match importer.constant(node, position)?.as_integers()? {
        [only] if *only != BATCH => Ok(*only),
        [_] => Err(OF_THE_BATCH.to_owned()),
        _ => Err("its ends and its step must be one number each".to_owned()),
    };
    let (start, limit, step) = (one(0)?, one(1)?, one(2)?);
    let distance = limit.checked_sub(start).and_then(|d| d.checked_mul(step.signum()));
    let count = distance
        .map(|d| d.max(0).div_euclid(step.abs().max(1)) + i64::from(d.max(0) % step.abs().max(1) != 0));
    match count {
        Some(count @ 0..=LONGEST) if step != 0 => {
            Ok(ConstantTensor::integers((0..count).map(|i| start + i * step).collect()))
        }
        _ => Err(format!("a range from {start} to {limit} in steps of {step} is not supported")),
    }
}

/// Operators that only move the elements of constants.
fn moved<'a>(importer: &mut Importer<'a>, node: &'a NodeProto) -> Result<ConstantTensor, String> {
    let tensor = importer.constant(node, 0)?;
    let from = &tensor.shape;
    let Places { shape, sources } = match node.op_type.as_str() {
        "Concat" => return joined(importer, node),
        "Transpose" => {
            let axes: Vec<usize> = match node.ints("perm") {
                None => (0..from.len()).rev().collect(),
                Some(axes) => {
                    axes.iter().map(|&axis| from_front(axis, from.len())).collect::<Result<_, _>>()?
                }
            };
            places::transposed(from, &axes)?
        }
        "Gather" => {
            let indices = importer.constant(node, 1)?;
            let axis = from_front(node.int("axis", 0), from.len())?;
            places::gathered(from, axis, indices.as_integers()?, &indices.shape)?
        }
        "Slice" => {
            let mut kept: Vec<Vec<usize>> = from.iter().map(|&length| (0..length).collect()).collect();
            for (axis, [start, end, step]) in moves::cuts(importer, node)? {
                let axis = from_front(axis, from.len())?;
                kept[axis] = places::cut(start, end, step, from[axis])?;
            }
            places::kept(from, &kept)?
        }
        _ => {
            let target = importer.constant(node, 1)?;
            let sizes: Option<Vec<usize>> =
                target.as_integers()?.iter().map(|&size| usize::try_from(size).ok()).collect();
            let sizes = sizes.ok_or("its shape depends on the size of the batch, or is negative")?;
            places::expanded(from, &together(from, &sizes)?)?
        }
    };
    Ok(picked(&tensor, shape, sources.into_iter().map(|at| at as usize)))
}

/// Constants one after the other along an axis.
fn joined<'a>(importer: &mut Importer<'a>, node: &'a NodeProto) -> Result<ConstantTensor, String> {
    let mut parts = Vec::with_capacity(node.input.len());
    for i in 0..node.input.len() {
        let part = importer.constant(node, i)?;
        importer.account_made(part.len())?; // a name may be read a thousand times
        parts.push(part);
    }
    let first = parts.first().ok_or("it has no input")?;
    let axis = from_front(moves::concat_axis(importer.opset, node)?, first.shape.len())?;
    let fits = |part: &ConstantTensor| {
        part.shape.len() == first.shape.len()
            && (0..part.shape.len()).all(|i| i == axis || part.shape[i] == first.shape[i])
    };
    if let Some(other) = parts.iter().find(|part| !fits(part)) {
        return Err(format!("constants of shapes {:?} and {:?} cannot be joined", first.shape, other.shape));
    }
    let mut shape = first.shape.clone();
    shape[axis] = parts.iter().map(|part| part.shape[axis]).sum();
    let outer: usize = shape[..axis].iter().product();
    let runs: Vec<usize> = parts.iter().map(|part| part.shape[axis..].iter().product()).collect();
    let rounds = || {
        (0..outer)
            .flat_map(|o| parts.iter().zip(&runs).map(move |(part, run)| (part, o * run..(o + 1) * run)))
    };
    let values = if parts.iter().all(|part| matches!(part.values, Values::Integers(_))) {
        let all = rounds().map(|(part, span)| Ok(&part.as_integers()?[span]));
        Values::Integers(all.collect::<Result<Vec<_>, String>>()?.concat())
    } else {
        let all = rounds().map(|(part, span)| Ok(&part.floats()?[span]));
        Values::Floats(all.collect::<Result<Vec<_>, String>>()?.concat())
    };
    Ok(ConstantTensor { shape, values })
}

/// Evaluates `node` as it would be for a batch of images: the first axis of its first input counts them.
fn by_rows<'a>(importer: &mut Importer<'a>, node: &'a NodeProto) -> Result<(), String> {
    let name = node.input.first().ok_or("it has no input")?;
    let tensor = importer.constant(node, 0)?;
    let (rows, image) = tensor.shape.split_first().map_or((1, &[][..]), |(rows, image)| (*rows, image));
    if matches!(tensor.values, Values::Integers(_)) {
        return Err(format!("{} of whole numbers is not supported", node.op_type));
    }
    let graph = std::mem::replace(&mut importer.graph, Graph::new(image.to_vec()));
    let hidden = importer.exchange(name, Some(Value::Computed(ValueId::INPUT)));
    importer.folding = true;
    let translated = super::computed(importer, node);
    importer.folding = false;
    importer.exchange(name, hidden);
    let small = std::mem::replace(&mut importer.graph, graph);
    translated?;
    for output in node.output.iter().filter(|name| !name.is_empty()) {
        let Some(Value::Computed(value)) = importer.exchange(output, None) else { continue };
        let mut result = evaluated(&small, value, rows, tensor.floats()?)?;
        if tensor.shape.is_empty() {
            result.shape.remove(0);
        }
        importer.account_made(result.len())?;
        importer.exchange(output, Some(Value::Constant(result)));
    }
    Ok(())
}

/// What is computed of a constant may take so many times its numbers, and so many besides.
const GROWTH: usize = 16;
const SMALL: usize = 1 << 24;

/// `value` of the graph for so many rows of `inputs`.
pub(super) fn evaluated(
    graph: &Graph,
    value: ValueId,
    rows: usize,
    inputs: &[f32],
) -> Result<ConstantTensor, String> {
    let graph = graph.pruned(value).ok_or("it does not depend on its first input")?;
    if inputs.is_empty() {
        return Err("it reads a constant without any value".into());
    }
    let held = (0..=graph.nodes().len()).map(|value| graph.features(ValueId(value)));
    let most = GROWTH.saturating_mul(inputs.len()).saturating_add(SMALL);
    if held.fold(0, usize::saturating_add).saturating_mul(rows) > most {
        return Err(format!("it makes more than {most} numbers of {}", inputs.len()));
    }
    let (shape, features) = (graph.shape(graph.output()).to_vec(), graph.features(graph.output()));
    let mut plan = Plan::new(&graph, Wanted::InputGradient);
    plan.inputs(rows).copy_from_slice(inputs);
    let mut values = vec![0.0; rows * features];
    let stored = plan.forward(&graph).chunks_exact(features.max(1));
    for (stored, row) in stored.zip(values.chunks_exact_mut(features.max(1))) {
        layout::to_row_major(&shape, stored, row);
    }
    Ok(ConstantTensor { shape: [&[rows], &shape[..]].concat(), values: Values::Floats(values) })
}
