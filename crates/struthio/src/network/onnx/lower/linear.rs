use super::constants::{broadcast, matrix, transposed};
use super::push;
use crate::network::onnx::import::{Importer, Value};
use crate::network::onnx::proto::NodeProto;
use crate::network::ops::{Linear, Tensor};

pub(super) fn gemm<'a>(importer: &mut Importer<'a>, node: &'a NodeProto) -> Result<(), String> {
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
pub(super) fn matmul<'a>(importer: &mut Importer<'a>, node: &'a NodeProto) -> Result<(), String> {
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
