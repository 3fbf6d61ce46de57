use super::constants::broadcast;
use super::push;
use crate::network::graph::ValueId;
use crate::network::onnx::import::{Importer, Value};
use crate::network::onnx::proto::NodeProto;
use crate::network::onnx::tensors::ConstantTensor;
use crate::network::ops::{Add, Affine};

pub(super) fn arithmetic<'a>(importer: &mut Importer<'a>, node: &'a NodeProto) -> Result<(), String> {
    let operator = node.op_type.as_str();
    let (left, right) = (importer.value(node, 0)?, importer.value(node, 1)?);
    match (left, right) {
        (Value::Computed(a), Value::Computed(b)) => match operator {
            "Add" => push(importer, node, Add, &[a, b]),
            "Sub" => {
                let shape = importer.graph.shape(b).to_vec();
                let count = shape.iter().product();
                importer.account(2 * count)?;
                let negate = Affine::new(shape, vec![-1.0; count], vec![0.0; count])?;
                let negated = importer.graph.push(format!("{}.negated", node.label()), negate, &[b])?;
                push(importer, node, Add, &[a, negated])
            }
            _ => {
                Err("the product or quotient of two values that both depend on the image is not supported"
                    .into())
            }
        },
        (Value::Computed(x), Value::Constant(c)) => with_constant(importer, node, x, &c, false),
        (Value::Constant(c), Value::Computed(x)) => with_constant(importer, node, x, &c, true),
        (Value::Constant(_), Value::Constant(_)) => {
            Err("arithmetic on two constants is not supported".into())
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
    let shape = importer.graph.shape(x).to_vec();
    importer.account(2 * shape.iter().product::<usize>())?;
    let c = broadcast(c, &shape)?;
    let filled = |value: f32| vec![value; c.len()];
    let (scale, offset) = match (node.op_type.as_str(), constant_first) {
        ("Add", _) => (filled(1.0), c),
        ("Sub", false) => (filled(1.0), c.iter().map(|c| -c).collect()),
        ("Sub", true) => (filled(-1.0), c),
        ("Mul", _) => (c.clone(), filled(0.0)),
        (_, false) => (c.iter().map(|c| 1.0 / c).collect(), filled(0.0)),
        (_, true) => return Err("the quotient of a constant and a value is not supported".into()),
    };
    push(importer, node, Affine::new(shape, scale, offset)?, &[x])
}

/// The inference form: (x − mean) / √(variance + ε) · scale + bias, one of each per channel.
pub(super) fn batch_normalization<'a>(
    importer: &mut Importer<'a>,
    node: &'a NodeProto,
) -> Result<(), String> {
    if node.int("training_mode", 0) != 0 {
        return Err("it is in training mode; export the model for inference".into());
    }
    let input = importer.computed(node, 0)?;
    let shape = importer.graph.shape(input).to_vec();
    let channels = shape[0];
    importer.account(2 * shape.iter().product::<usize>())?;
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
