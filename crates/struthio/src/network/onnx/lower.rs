//! Translating single ONNX nodes into ops, folding what is known when the file is read.

use super::import::{BATCH, Importer, Value};
use super::proto::NodeProto;
use super::tensors::{self, ConstantTensor, Values};
use crate::network::graph::ValueId;
use crate::network::ops::{
    Add, Affine, Linear, LogSoftmax, Op, Relu, Reshape, Sigmoid, Softmax, Tanh, Tensor,
};

/// Every operator that [`node`] translates.
pub(super) const SUPPORTED: [&str; 25] = [
    "Add",
    "BatchNormalization",
    "Cast",
    "Concat",
    "Constant",
    "Div",
    "Dropout",
    "Flatten",
    "Gather",
    "Gemm",
    "Identity",
    "LogSoftmax",
    "MatMul",
    "Mul",
    "Relu",
    "Reshape",
    "Shape",
    "Sigmoid",
    "Slice",
    "Softmax",
    "Squeeze",
    "Sub",
    "Tanh",
    "Transpose",
    "Unsqueeze",
];

/// Adds what `node` computes to the importer's graph.
pub(super) fn node<'a>(importer: &mut Importer<'a>, node: &'a NodeProto) -> Result<(), String> {
    if importer.is_produced(node) {
        return Ok(()); // merged into the node before it
    }
    match node.op_type.as_str() {
        "Relu" => elementwise(importer, node, Relu),
        "Sigmoid" => elementwise(importer, node, Sigmoid),
        "Tanh" => elementwise(importer, node, Tanh),
        "Softmax" => over_last_axis(importer, node, |width| Softmax::new(width).into()),
        "LogSoftmax" => over_last_axis(importer, node, |width| LogSoftmax::new(width).into()),
        "Gemm" => gemm(importer, node),
        "MatMul" => matmul(importer, node),
        "Add" | "Sub" | "Mul" | "Div" => arithmetic(importer, node),
        "BatchNormalization" => batch_normalization(importer, node),
        "Identity" | "Dropout" | "Cast" => pass_through(importer, node),
        "Flatten" | "Reshape" | "Squeeze" | "Unsqueeze" => reshape(importer, node),
        "Constant" => constant(importer, node),
        "Shape" | "Gather" | "Slice" | "Concat" => shape_arithmetic(importer, node),
        "Transpose" => transpose(importer, node),
        _ => Err("this operator is not supported".into()),
    }
}

fn push<'a>(
    importer: &mut Importer<'a>,
    node: &'a NodeProto,
    op: impl Into<Box<dyn Op>>,
    inputs: &[ValueId],
) -> Result<(), String> {
    let value = importer.graph.push(node.label(), op, inputs)?;
    importer.produce(node, Value::Computed(value));
    Ok(())
}

fn elementwise<'a>(
    importer: &mut Importer<'a>,
    node: &'a NodeProto,
    op: impl Op + 'static,
) -> Result<(), String> {
    let input = importer.computed(node, 0)?;
    push(importer, node, op, &[input])
}

fn over_last_axis<'a>(
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

fn gemm<'a>(importer: &mut Importer<'a>, node: &'a NodeProto) -> Result<(), String> {
    let input = importer.computed(node, 0)?;
    let weight = importer.constant(node, 1)?;
    let bias = match importer.optional(node, 2)? {
        Some(Value::Constant(bias)) => Some(bias),
        Some(Value::Computed(_)) => return Err("its third input must be a constant".into()),
        None => None,
    };
    if node.int("transA", 0) != 0 {
        return Err("transA is not supported".into());
    }
    let mut weight = matrix(&weight)?;
    if node.int("transB", 0) != 0 {
        weight = transposed(&weight);
    }
    let (alpha, beta) = (node.float("alpha", 1.0), node.float("beta", 1.0));
    if alpha != 1.0 {
        weight.values.iter_mut().for_each(|w| *w *= alpha);
    }
    let outputs = weight.shape[1];
    let mut bias = match bias {
        Some(bias) => broadcast(&bias, &[outputs])?,
        None => vec![0.0; outputs],
    };
    if beta != 1.0 {
        bias.iter_mut().for_each(|b| *b *= beta);
    }
    let op = Linear::new(weight, Tensor { shape: vec![outputs], values: bias })?;
    push(importer, node, op, &[input])
}

/// x·W for a constant W, together with the addition of a constant row that may follow.
fn matmul<'a>(importer: &mut Importer<'a>, node: &'a NodeProto) -> Result<(), String> {
    let input = importer.computed(node, 0)?;
    let weight = matrix(&importer.constant(node, 1)?)?;
    let outputs = weight.shape[1];
    let mut bias = Tensor::zeros(vec![outputs]);
    let mut result = node;
    if let Some(add) =
        importer.only_reader(node).filter(|next| next.op_type == "Add" && next.input.len() == 2)
    {
        let other = usize::from(node.output.first() == add.input.first());
        if let Ok(constant) = importer.constant(add, other)
            && let Ok(values) = broadcast(&constant, &[outputs])
        {
            bias.values = values;
            result = add;
        }
    }
    push(importer, result, Linear::new(weight, bias)?, &[input])
}

fn arithmetic<'a>(importer: &mut Importer<'a>, node: &'a NodeProto) -> Result<(), String> {
    let operator = node.op_type.as_str();
    let (left, right) = (importer.value(node, 0)?, importer.value(node, 1)?);
    match (left, right) {
        (Value::Computed(a), Value::Computed(b)) => match operator {
            "Add" => push(importer, node, Add, &[a, b]),
            "Sub" => {
                let shape = importer.graph.shape(b).to_vec();
                let count = shape.iter().product();
                let negate = Affine::new(shape, vec![-1.0; count], vec![0.0; count])?;
                let negated = importer.graph.push(format!("{}.negated", node.label()), negate, &[b])?;
                push(importer, node, Add, &[a, negated])
            }
            _ => {
                Err("the product or quotient of two values that both depend on the image is not supported"
                    .into())
            }
        },
        (Value::Computed(x), Value::Constant(c)) => {
            let shape = importer.graph.shape(x).to_vec();
            let c = broadcast(&c, &shape)?;
            let (ones, zeros) = (vec![1.0; c.len()], vec![0.0; c.len()]);
            let op = match operator {
                "Add" => Affine::new(shape, ones, c)?,
                "Sub" => Affine::new(shape, ones, c.iter().map(|c| -c).collect())?,
                "Mul" => Affine::new(shape, c, zeros)?,
                _ => Affine::new(shape, c.iter().map(|c| 1.0 / c).collect(), zeros)?,
            };
            push(importer, node, op, &[x])
        }
        (Value::Constant(c), Value::Computed(x)) => {
            let shape = importer.graph.shape(x).to_vec();
            let c = broadcast(&c, &shape)?;
            let (ones, zeros) = (vec![1.0; c.len()], vec![0.0; c.len()]);
            let op = match operator {
                "Add" => Affine::new(shape, ones, c)?,
                "Sub" => Affine::new(shape, vec![-1.0; c.len()], c)?,
                "Mul" => Affine::new(shape, c, zeros)?,
                _ => return Err("the quotient of a constant and a value is not supported".into()),
            };
            push(importer, node, op, &[x])
        }
        (Value::Constant(_), Value::Constant(_)) => {
            Err("arithmetic on two constants is not supported".into())
        }
    }
}

/// The inference form: (x − mean) / √(variance + ε) · scale + bias, one of each per channel.
fn batch_normalization<'a>(importer: &mut Importer<'a>, node: &'a NodeProto) -> Result<(), String> {
    let input = importer.computed(node, 0)?;
    let shape = importer.graph.shape(input).to_vec();
    let channels = shape[0];
    let epsilon = node.float("epsilon", 1e-5) as f64;
    let mut constant = |position| broadcast(&importer.constant(node, position)?, &[channels]);
    let (gamma, beta, mean, variance) = (constant(1)?, constant(2)?, constant(3)?, constant(4)?);
    let plane: usize = shape.iter().skip(1).product();
    let (mut scale, mut offset) = (Vec::new(), Vec::new());
    for (((gamma, beta), mean), variance) in gamma.into_iter().zip(beta).zip(mean).zip(variance) {
        let factor = gamma as f64 / (variance as f64 + epsilon).sqrt();
        scale.extend(std::iter::repeat_n(factor as f32, plane));
        offset.extend(std::iter::repeat_n((beta as f64 - mean as f64 * factor) as f32, plane));
    }
    push(importer, node, Affine::new(shape, scale, offset)?, &[input])
}

fn pass_through<'a>(importer: &mut Importer<'a>, node: &'a NodeProto) -> Result<(), String> {
    let value = importer.value(node, 0)?;
    importer.produce(node, value);
    Ok(())
}

fn constant<'a>(importer: &mut Importer<'a>, node: &'a NodeProto) -> Result<(), String> {
    let tensor = if let Some(tensor) = node.attribute("value").and_then(|a| a.t.as_ref()) {
        tensors::decode(tensor, importer.folder)?
    } else if let Some(ints) = node.attribute("value_ints") {
        ConstantTensor::integers(ints.ints.clone())
    } else if let Some(int) = node.attribute("value_int") {
        ConstantTensor { shape: Vec::new(), values: Values::Integers(vec![int.i]) }
    } else if let Some(float) = node.attribute("value_float") {
        ConstantTensor { shape: Vec::new(), values: Values::Floats(vec![float.f]) }
    } else if let Some(floats) = node.attribute("value_floats") {
        ConstantTensor { shape: vec![floats.floats.len()], values: Values::Floats(floats.floats.clone()) }
    } else {
        return Err("it has no numeric value".into());
    };
    importer.produce(node, Value::Constant(tensor));
    Ok(())
}

fn reshape<'a>(importer: &mut Importer<'a>, node: &'a NodeProto) -> Result<(), String> {
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
fn shape_arithmetic<'a>(importer: &mut Importer<'a>, node: &'a NodeProto) -> Result<(), String> {
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

fn transpose<'a>(importer: &mut Importer<'a>, node: &'a NodeProto) -> Result<(), String> {
    let identity = |permutation: &[i64]| permutation.iter().enumerate().all(|(i, &p)| i as i64 == p);
    let permutation = node.attribute("perm").map(|a| a.ints.clone()).unwrap_or_default();
    match importer.value(node, 0)? {
        value if !permutation.is_empty() && identity(&permutation) => importer.produce(node, value),
        Value::Constant(tensor) if tensor.shape.len() == 2 => {
            let Tensor { shape, values } = transposed(&matrix(&tensor)?);
            importer.produce(node, Value::Constant(ConstantTensor { shape, values: Values::Floats(values) }));
        }
        _ => return Err("only constant matrices can be transposed".into()),
    }
    Ok(())
}

fn matrix(tensor: &ConstantTensor) -> Result<Tensor, String> {
    match tensor.shape[..] {
        [_, outputs] if outputs > 0 => {
            Ok(Tensor { shape: tensor.shape.clone(), values: tensor.floats()?.to_vec() })
        }
        _ => Err(format!("its weight must be a matrix, found shape {:?}", tensor.shape)),
    }
}

fn transposed(matrix: &Tensor) -> Tensor {
    let [rows, columns] = [matrix.shape[0], matrix.shape[1]];
    let values = (0..rows * columns).map(|i| matrix.values[i % rows * columns + i / rows]).collect();
    Tensor { shape: vec![columns, rows], values }
}

/// The constant repeated to `shape` (without the batch) by the rules of `NumPy`; it may have a batch
/// axis of length one in front.
fn broadcast(constant: &ConstantTensor, shape: &[usize]) -> Result<Vec<f32>, String> {
    let values = constant.floats()?;
    let complaint =
        || format!("a constant of shape {:?} does not fit values of shape {shape:?}", constant.shape);
    let extra = constant.shape.len().saturating_sub(shape.len());
    let (front, own) = constant.shape.split_at(extra);
    if front.iter().any(|&d| d != 1) {
        return Err(complaint());
    }
    let offset = shape.len() - own.len();
    if own.iter().zip(&shape[offset..]).any(|(&c, &s)| c != s && c != 1) {
        return Err(complaint());
    }
    let count: usize = shape.iter().product();
    let source = |mut flat: usize| {
        let (mut index, mut stride) = (0, 1);
        for axis in (0..shape.len()).rev() {
            let at = flat % shape[axis];
            flat /= shape[axis];
            if axis >= offset {
                let length = own[axis - offset];
                index += if length == 1 { 0 } else { at * stride };
                stride *= length;
            }
        }
        values[index]
    };
    Ok((0..count).map(source).collect())
}
