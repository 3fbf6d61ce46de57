//! Weights that are kept as whole numbers of few bits.

use super::constants::floats;
use super::places::expanded;
use super::shapes::from_front;
use crate::network::onnx::import::Importer;
use crate::network::onnx::proto::NodeProto;
use crate::network::onnx::tensors::{ConstantTensor, Values};

/// The numbers that a quantised constant stands for: (x − zero point) · scale.
pub(super) fn dequantised<'a>(
    importer: &mut Importer<'a>,
    node: &'a NodeProto,
) -> Result<ConstantTensor, String> {
    let tensor = importer.constant(node, 0)?;
    let whole = tensor.as_integers()?;
    let (scales, zeros) = scales_and_zeros(importer, node, &tensor.shape)?;
    let values = whole.iter().zip(scales.iter().zip(&zeros));
    let values = values.map(|(&x, (&scale, &zero))| ((x as f64 - f64::from(zero)) * f64::from(scale)) as f32);
    let result = ConstantTensor { values: Values::Floats(values.collect()), shape: tensor.shape.clone() };
    let data_type = importer.type_of_constant(node, 0);
    if let (Some(data_type), Some(name)) = (data_type, node.input.first()) {
        importer.note_type(data_type, name);
    }
    Ok(result)
}

/// A constant rounded to whole numbers of eight bits.
pub(super) fn quantised<'a>(
    importer: &mut Importer<'a>,
    node: &'a NodeProto,
) -> Result<ConstantTensor, String> {
    use crate::network::onnx::proto::data_type::{INT8, UINT8};
    let tensor = importer.constant(node, 0)?;
    let (scales, zeros) = scales_and_zeros(importer, node, &tensor.shape)?;
    // The zero point has the type of the result; without one that is uint8.
    let wanted = match importer.type_of_constant(node, 2) {
        Some(data_type) => data_type,
        None if node.input.get(2).is_some_and(|name| !name.is_empty()) => {
            return Err("the type of its zero point is not known".into());
        }
        None if node.int("output_dtype", 0) != 0 => node.int("output_dtype", 0) as i32,
        None => UINT8,
    };
    let [low, high] = match wanted {
        UINT8 => [0.0, 255.0],
        INT8 => [-128.0, 127.0],
        other => {
            let name = crate::network::onnx::proto::data_type::name(other);
            return Err(format!("it quantises to {name}; supported are int8 and uint8"));
        }
    };
    let values = tensor.floats()?.iter().zip(scales.iter().zip(&zeros));
    let values =
        values.map(|(&x, (&scale, &zero))| ((x / scale).round_ties_even() + zero).clamp(low, high) as i64);
    Ok(ConstantTensor { values: Values::Integers(values.collect()), shape: tensor.shape.clone() })
}

/// Scale and zero point of every element of values of `shape`.
fn scales_and_zeros<'a>(
    importer: &mut Importer<'a>,
    node: &'a NodeProto,
    shape: &[usize],
) -> Result<(Vec<f32>, Vec<f32>), String> {
    if node.int("block_size", 0) != 0 {
        return Err(format!("its block_size of {} is not supported", node.int("block_size", 0)));
    }
    let scale = importer.constant(node, 1)?;
    let zero = match importer.optional(node, 2)? {
        Some(_) => importer.constant(node, 2)?,
        None => ConstantTensor::scalar(0.0),
    };
    // One for all, or one for each position along an axis.
    let along = |tensor: &ConstantTensor, what: &str| -> Result<Vec<f32>, String> {
        let values = floats(tensor);
        let count = shape.iter().product();
        if let [only] = values[..] {
            return Ok(vec![only; count]);
        }
        let axis = from_front(node.int("axis", 1), shape.len())?;
        if tensor.shape != [shape[axis]] {
            return Err(format!(
                "its {what} of shape {:?} does not fit axis {axis} of {shape:?}",
                tensor.shape
            ));
        }
        let mut own = vec![1; shape.len()];
        own[axis] = shape[axis];
        Ok(expanded(&own, shape)?.sources.into_iter().map(|at| values[at as usize]).collect())
    };
    importer.account(2 * shape.iter().product::<usize>())?;
    Ok((along(&scale, "scale")?, along(&zero, "zero point")?))
}
