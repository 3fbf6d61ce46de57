use super::constants::{aligned, floats};
use super::push;
use super::windows::normalisation;
use crate::network::graph::ValueId;
use crate::network::onnx::import::{BATCH, Importer, Value};
use crate::network::onnx::proto::NodeProto;
use crate::network::onnx::tensors::{ConstantTensor, Values};
use crate::network::ops::{Affine, Arithmetic, Operator, per_channel};

pub(super) fn arithmetic<'a>(importer: &mut Importer<'a>, node: &'a NodeProto) -> Result<(), String> {
    let operator = node.op_type.as_str();
    let (left, right) = (importer.value(node, 0)?, importer.value(node, 1)?);
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
        (Value::Constant(a), Value::Constant(b)) => {
            importer.produce(node, Value::Constant(of_constants(kind, &a, &b)?));
            Ok(())
        }
    }
}

/// Arithmetic on shapes and the like: of equally many values, or with a single one.
fn of_constants(
    operator: Operator,
    a: &ConstantTensor,
    b: &ConstantTensor,
) -> Result<ConstantTensor, String> {
    let (longer, count) = if a.len() < b.len() { (b, b.len()) } else { (a, a.len()) };
    if [a, b].iter().any(|tensor| tensor.len() != count && tensor.len() != 1) {
        return Err(format!("constants of shapes {:?} and {:?} are not supported", a.shape, b.shape));
    }
    let values = match (&a.values, &b.values) {
        (Values::Integers(a), Values::Integers(b)) => {
            let of = |i: usize| {
                let (a, b) = (a[i % a.len()], b[i % b.len()]);
                match operator {
                    _ if a == BATCH || b == BATCH => None, // the batch size is not known
                    Operator::Add => a.checked_add(b),
                    Operator::Sub => a.checked_sub(b),
                    Operator::Mul => a.checked_mul(b),
                    Operator::Div => a.checked_div(b),
                }
            };
            let values: Option<Vec<i64>> = (0..count).map(of).collect();
            Values::Integers(values.ok_or("it computes with the size of the batch, or overflows")?)
        }
        (Values::Floats(a), Values::Floats(b)) => {
            let of = |i: usize| {
                let (a, b) = (a[i % a.len()], b[i % b.len()]);
                match operator {
                    Operator::Add => a + b,
                    Operator::Sub => a - b,
                    Operator::Mul => a * b,
                    Operator::Div => a / b,
                }
            };
            Values::Floats((0..count).map(of).collect())
        }
        _ => return Err("it mixes integers and floating-point numbers".into()),
    };
    Ok(ConstantTensor { shape: longer.shape.clone(), values })
}

/// x ∘ c, or c ∘ x if `constant_first`, for a constant c.
fn with_constant<'a>(
    importer: &mut Importer<'a>,
    node: &'a NodeProto,
    x: ValueId,
    c: &ConstantTensor,
    constant_first: bool,
) -> Result<(), String> {
    let shape = importer.graph.shape(x).to_vec();
    let aligned = aligned(c, &shape)?;
    let c = floats(c);
    let filled = |value: f32| vec![value; c.len()];
    let (scale, offset) = match (node.op_type.as_str(), constant_first) {
        ("Add", _) => (filled(1.0), c),
        ("Sub", false) => (filled(1.0), c.iter().map(|c| -c).collect()),
        ("Sub", true) => (filled(-1.0), c),
        ("Mul", _) => (c.clone(), filled(0.0)),
        (_, false) => (c.iter().map(|c| 1.0 / c).collect(), filled(0.0)),
        (_, true) => return Err("the quotient of a constant and a value is not supported".into()),
    };
    push_affine(importer, node, x, Affine::new(shape, aligned, scale, offset)?)
}

fn push_affine<'a>(
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
    let (scale, offset) = normalisation(importer, node, shape[0])?;
    let [scale, offset] = [scale, offset].map(|values| values.into_iter().map(|v| v as f32).collect());
    let constants = per_channel(&shape);
    push_affine(importer, node, input, Affine::new(shape, constants, scale, offset)?)
}
