//! Constants, and what can be computed with them when the file is read.

use crate::network::layout::repeated;
use crate::network::onnx::import::{Importer, Value};
use crate::network::onnx::proto::NodeProto;
use crate::network::onnx::tensors::{self, ConstantTensor, Values};
use crate::network::ops::Tensor;

pub(super) fn constant<'a>(importer: &mut Importer<'a>, node: &'a NodeProto) -> Result<(), String> {
    let tensor = if let Some(tensor) = node.attribute("value").and_then(|a| a.t.as_ref()) {
        importer.set_constant_type(node, tensor.data_type);
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

/// A constant of one value again and again.
pub(super) fn filled<'a>(importer: &mut Importer<'a>, node: &'a NodeProto) -> Result<(), String> {
    let shape = importer.constant(node, 0)?;
    let sizes: Option<Vec<usize>> = shape.as_integers()?.iter().map(|&d| usize::try_from(d).ok()).collect();
    let shape = sizes.ok_or("its shape depends on the size of the batch, or is negative")?;
    let count = crate::element_count(&shape);
    importer.account_made(count.unwrap_or(usize::MAX))?;
    let count = shape.iter().product();
    let value = node.attribute("value").and_then(|a| a.t.as_ref());
    let values = match value.map(|tensor| tensors::decode(tensor, importer.folder)).transpose()? {
        None => Values::Floats(vec![0.0; count]),
        Some(ConstantTensor { values: Values::Floats(values), .. }) if values.len() == 1 => {
            Values::Floats(vec![values[0]; count])
        }
        Some(ConstantTensor { values: Values::Integers(values), .. }) if values.len() == 1 => {
            Values::Integers(vec![values[0]; count])
        }
        Some(_) => return Err("its value must be one number".into()),
    };
    importer.produce(node, Value::Constant(ConstantTensor { shape, values }));
    Ok(())
}

/// The elements of `tensor` at these places of its row-major order, as a tensor of `shape`.
pub(super) fn picked(
    tensor: &ConstantTensor,
    shape: Vec<usize>,
    places: impl Iterator<Item = usize>,
) -> ConstantTensor {
    let values = match &tensor.values {
        Values::Floats(values) => Values::Floats(places.map(|at| values[at]).collect()),
        Values::Integers(values) => Values::Integers(places.map(|at| values[at]).collect()),
    };
    ConstantTensor { shape, values }
}

/// All values as floating-point numbers.
pub(super) fn floats(tensor: &ConstantTensor) -> Vec<f32> {
    match &tensor.values {
        Values::Floats(values) => values.clone(),
        Values::Integers(values) => values.iter().map(|&value| value as f32).collect(),
    }
}

pub(super) fn matrix(tensor: &ConstantTensor) -> Result<Tensor, String> {
    match tensor.shape[..] {
        [inputs, outputs] if inputs > 0 && outputs > 0 => {
            Ok(Tensor { shape: tensor.shape.clone(), values: tensor.floats()?.to_vec() })
        }
        _ => Err(format!("its weight must be a matrix, found shape {:?}", tensor.shape)),
    }
}

pub(super) fn transposed(matrix: &Tensor) -> Tensor {
    let [rows, columns] = [matrix.shape[0], matrix.shape[1]];
    let values = (0..rows * columns).map(|i| matrix.values[i % rows * columns + i / rows]).collect();
    Tensor { shape: vec![columns, rows], values }
}

/// The shape of the constant, with axes of length one in front so that it has as many as `shape`; it may
/// have a batch axis of length one.
pub(super) fn aligned(constant: &ConstantTensor, shape: &[usize]) -> Result<Vec<usize>, String> {
    let extra = constant.shape.len().saturating_sub(shape.len());
    let (front, own) = constant.shape.split_at(extra);
    let missing = shape.len() - own.len();
    if extra > 1
        || front.iter().any(|&d| d != 1)
        || own.iter().zip(&shape[missing..]).any(|(&c, &s)| c != s && c != 1)
    {
        return Err(format!(
            "a constant of shape {:?} does not fit values of shape {shape:?}",
            constant.shape
        ));
    }
    Ok([&vec![1; missing], own].concat())
}

/// The constant repeated to `shape` (without the batch) by the rules of `NumPy`; it may have a batch
/// axis of length one in front.
pub(super) fn broadcast(constant: &ConstantTensor, shape: &[usize]) -> Result<Vec<f32>, String> {
    let values = constant.floats()?;
    let own = aligned(constant, shape)?;
    let source = repeated(&own, shape);
    Ok((0..shape.iter().product()).map(|i| values[source(i)]).collect())
}
