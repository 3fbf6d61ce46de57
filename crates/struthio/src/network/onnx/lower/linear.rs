use super::constants::{broadcast, matrix, transposed};
use super::places::{expanded, together};
use super::push;
use crate::network::onnx::import::{Importer, Value};
use crate::network::onnx::proto::NodeProto;
use crate::network::onnx::tensors::{ConstantTensor, Values};
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

/// Most products of numbers in one of constants: some seconds.
const MOST_PRODUCTS: usize = 1 << 31;

/// The product of two constants by the rules of `NumPy`: vectors count as matrices of one row or column, and the axes
/// before the last two are repeated.
pub(super) fn product(a: &ConstantTensor, b: &ConstantTensor) -> Result<ConstantTensor, String> {
    let (mut left, mut right) = (a.shape.clone(), b.shape.clone());
    if left.is_empty() || right.is_empty() {
        return Err("it multiplies a single number".into());
    }
    if left.len() == 1 {
        left.insert(0, 1);
    }
    if right.len() == 1 {
        right.push(1);
    }
    let ([outer_a @ .., rows, inner], [outer_b @ .., between, columns]) = (&left[..], &right[..]) else {
        return Err("it multiplies a single number".into());
    };
    let (rows, inner, columns) = (*rows, *inner, *columns);
    if *between != inner {
        return Err(format!("constants of shapes {:?} and {:?} cannot be multiplied", a.shape, b.shape));
    }
    let outer = together(outer_a, outer_b)?;
    let products = crate::element_count(&[&outer[..], &[rows, inner, columns]].concat());
    if products.is_none_or(|products| products > MOST_PRODUCTS) {
        return Err(format!(
            "constants of shapes {:?} and {:?} are too large to be multiplied",
            a.shape, b.shape
        ));
    }
    let (from_a, from_b) = (expanded(outer_a, &outer)?.sources, expanded(outer_b, &outer)?.sources);
    let (x, y) = (a.floats()?, b.floats()?);
    let mut values = Vec::new();
    let pairs = from_a.into_iter().zip(from_b).map(|(at, bt)| (at as usize, bt as usize));
    for (at, bt) in pairs {
        for (row, column) in (0..rows).flat_map(|row| (0..columns).map(move |column| (row, column))) {
            let x = &x[(at * rows + row) * inner..][..inner];
            let y = y[bt * inner * columns + column..].iter().step_by(columns);
            values.push(x.iter().zip(y).map(|(&x, &y)| f64::from(x) * f64::from(y)).sum::<f64>() as f32);
        }
    }
    let own = [(a.shape.len() > 1, rows), (b.shape.len() > 1, columns)];
    let shape = outer.into_iter().chain(own.into_iter().filter(|(has, _)| *has).map(|(_, d)| d)).collect();
    Ok(ConstantTensor { shape, values: Values::Floats(values) })
}
