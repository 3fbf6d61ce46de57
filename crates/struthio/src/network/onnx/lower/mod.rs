//! Translating single ONNX nodes into ops, folding what is known when the file is read.

mod activations;
mod arithmetic;
pub(super) mod classical;
mod constants;
mod linear;
mod moves;
mod resizing;
mod shapes;
mod stacked;
mod windows;

use super::import::{Importer, Value};
use super::proto::{NodeProto, data_type};
use super::tensors::{ConstantTensor, Values};
use crate::network::graph::ValueId;
use crate::network::ops::{LogSoftmax, Op, Relu, Sigmoid, Softmax, Tanh};

/// Every operator that [`node`] translates.
pub(super) const SUPPORTED: [&str; 45] = [
    "Add",
    "AveragePool",
    "BatchNormalization",
    "Cast",
    "Clip",
    "Concat",
    "Constant",
    "ConstantOfShape",
    "Conv",
    "Div",
    "Dropout",
    "Elu",
    "Erf",
    "Flatten",
    "Gather",
    "Gelu",
    "Gemm",
    "GlobalAveragePool",
    "GlobalMaxPool",
    "HardSigmoid",
    "HardSwish",
    "Identity",
    "LRN",
    "LeakyRelu",
    "LogSoftmax",
    "MatMul",
    "MaxPool",
    "Mul",
    "PRelu",
    "Pad",
    "ReduceMean",
    "Relu",
    "Reshape",
    "Resize",
    "Shape",
    "Sigmoid",
    "Slice",
    "Softmax",
    "Split",
    "Squeeze",
    "Sub",
    "Tanh",
    "Transpose",
    "Unsqueeze",
    "Upsample",
];

/// Adds what `node` computes to the importer's graph.
pub(super) fn node<'a>(importer: &mut Importer<'a>, node: &'a NodeProto) -> Result<(), String> {
    if importer.is_produced(node) {
        return Ok(()); // merged into the node before it
    }
    if stacked::node(importer, node)? {
        return Ok(());
    }
    if node.domain == classical::DOMAIN {
        return classical::node(importer, node);
    }
    match node.op_type.as_str() {
        "Relu" => activations::elementwise(importer, node, Relu),
        "Sigmoid" => activations::elementwise(importer, node, Sigmoid),
        "Tanh" => activations::elementwise(importer, node, Tanh),
        "LeakyRelu" | "Elu" | "HardSigmoid" | "HardSwish" | "Clip" | "PRelu" | "Erf" | "Gelu" => {
            activations::with_parameters(importer, node)
        }
        "Softmax" => {
            activations::over_an_axis(importer, node, |width, axis| Softmax::new(width, axis).into())
        }
        "LogSoftmax" => {
            activations::over_an_axis(importer, node, |width, axis| LogSoftmax::new(width, axis).into())
        }
        "Gemm" => linear::gemm(importer, node),
        "MatMul" => linear::matmul(importer, node),
        "Add" | "Sub" | "Mul" | "Div" => arithmetic::arithmetic(importer, node),
        "BatchNormalization" => arithmetic::batch_normalization(importer, node),
        "Identity" | "Dropout" | "Cast" => pass_through(importer, node),
        "Flatten" | "Reshape" | "Squeeze" | "Unsqueeze" => shapes::reshape(importer, node),
        "Constant" => constants::constant(importer, node),
        "ConstantOfShape" => constants::filled(importer, node),
        "Conv" => windows::conv(importer, node),
        "MaxPool" => windows::max_pool(importer, node),
        "AveragePool" => windows::average_pool(importer, node),
        "GlobalAveragePool" | "GlobalMaxPool" => windows::global_pool(importer, node),
        "ReduceMean" => windows::reduce_mean(importer, node),
        "LRN" => windows::lrn(importer, node),
        "Slice" | "Concat" if moves::is_computed(importer, node) => moves::part_or_join(importer, node),
        "Slice" => moves::slice_of_constant(importer, node),
        "Shape" | "Gather" | "Concat" => shapes::shape_arithmetic(importer, node),
        "Split" => moves::split(importer, node),
        "Pad" => moves::pad(importer, node),
        "Resize" | "Upsample" => resizing::resize(importer, node),
        "Transpose" => moves::transpose(importer, node),
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
    importer.account(importer.graph.features(value))?;
    importer.produce(node, Value::Computed(value));
    Ok(())
}

/// The axes of `node`, an input at `position` or an attribute, counted without the batch.
fn axes<'a>(
    importer: &mut Importer<'a>,
    node: &'a NodeProto,
    position: usize,
    rank: usize,
) -> Result<Vec<usize>, String> {
    let axes = match importer.optional(node, position)? {
        Some(Value::Constant(axes)) => axes.as_integers()?.to_vec(),
        Some(Value::Computed(_)) => return Err("its axes must be constant".into()),
        None => node.ints("axes").map(<[i64]>::to_vec).unwrap_or_default(),
    };
    axes.into_iter().map(|axis| image_axis(axis, rank)).collect()
}

/// An axis of the images, which have `rank`, from one counted with the batch.
fn image_axis(axis: i64, rank: usize) -> Result<usize, String> {
    match shapes::from_front(axis, rank + 1)? {
        0 => Err("it mixes the images of a batch".into()),
        axis => Ok(axis - 1),
    }
}

/// Operators that change nothing in inference.
fn pass_through<'a>(importer: &mut Importer<'a>, node: &'a NodeProto) -> Result<(), String> {
    let value = importer.value(node, 0)?;
    let value = match node.op_type.as_str() {
        "Cast" => cast(value, node.int("to", 0) as i32)?,
        "Dropout" => {
            if let Some(Value::Constant(training)) = importer.optional(node, 2)?
                && training.as_integers()?.iter().any(|&flag| flag != 0)
            {
                return Err("it is in training mode; export the model for inference".into());
            }
            value
        }
        _ => value,
    };
    importer.produce(node, value);
    Ok(())
}

/// Everything that depends on the image is f32 here; only constants can become integers.
fn cast(value: Value, to: i32) -> Result<Value, String> {
    let to_float =
        matches!(to, data_type::FLOAT | data_type::DOUBLE | data_type::FLOAT16 | data_type::BFLOAT16);
    let to_integer = matches!(to, data_type::INT32 | data_type::INT64);
    Ok(match value {
        Value::Computed(_) if to_float => value,
        Value::Constant(ConstantTensor { shape, values }) if to_float || to_integer => {
            let values = match values {
                Values::Integers(list) if to_float => {
                    Values::Floats(list.iter().map(|&i| i as f32).collect())
                }
                Values::Floats(list) if to_integer => {
                    Values::Integers(list.iter().map(|&f| f as i64).collect())
                }
                same => same,
            };
            Value::Constant(ConstantTensor { shape, values })
        }
        _ => return Err(format!("a cast to ONNX data type {to} is not supported here")),
    })
}
