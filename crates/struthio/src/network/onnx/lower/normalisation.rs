//! Operators that give groups of values of each image zero mean and unit variance.

use super::arithmetic::push_affine;
use super::constants::{aligned, broadcast, floats};
use super::image_axis;
use crate::network::onnx::import::{Importer, Value};
use crate::network::onnx::proto::NodeProto;
use crate::network::onnx::tensors::ConstantTensor;
use crate::network::ops::{Affine, Standardize, per_channel};

/// The version from which a `GroupNormalization` has a scale for each channel, not for each group.
const PER_CHANNEL: i64 = 21;

/// `InstanceNormalization`, `GroupNormalization` and `LayerNormalization`.
pub(super) fn standardize<'a>(importer: &mut Importer<'a>, node: &'a NodeProto) -> Result<(), String> {
    let input = importer.computed(node, 0)?;
    let shape = importer.graph.shape(input).to_vec();
    let &channels = shape.first().ok_or("it needs at least one axis besides the batch")?;
    let scale = importer.constant(node, 1)?;
    let offset = match importer.optional(node, 2)? {
        None => None,
        Some(Value::Constant(offset)) => Some(offset),
        Some(Value::Computed(_)) => return Err("its third input must be a constant".into()),
    };
    let (groups, constants) = match node.op_type.as_str() {
        "LayerNormalization" => {
            let axis = image_axis(node.int("axis", -1), shape.len())?;
            (shape[..axis].iter().product(), aligned(&scale, &shape)?)
        }
        "InstanceNormalization" => (channels, per_channel(&shape)),
        _ => {
            let groups = usize::try_from(node.int("num_groups", 0)).unwrap_or(0);
            if groups == 0 || !channels.is_multiple_of(groups) {
                return Err(format!("{channels} channels cannot be divided into {groups} groups"));
            }
            (groups, per_channel(&shape))
        }
    };
    let each = |tensor: &ConstantTensor| -> Result<Vec<f32>, String> {
        if node.op_type == "LayerNormalization" {
            return if aligned(tensor, &shape)? == constants {
                Ok(floats(tensor))
            } else {
                Err(format!(
                    "its scale and its bias have the shapes {:?} and {:?}",
                    scale.shape, tensor.shape
                ))
            };
        }
        if node.op_type == "GroupNormalization" && importer.opset < PER_CHANNEL {
            let of_groups = broadcast(tensor, &[groups])?;
            return Ok((0..channels).map(|channel| of_groups[channel / (channels / groups)]).collect());
        }
        broadcast(tensor, &[channels])
    };
    let scales = each(&scale)?;
    let offsets = offset.as_ref().map_or_else(|| Ok(vec![0.0; scales.len()]), each)?;
    importer.account(shape.iter().product())?;
    let op = Standardize::new(&shape, groups, node.float("epsilon", 1e-5))?;
    let plain = importer.graph.push(format!("{}.plain", node.label()), op, &[input])?;
    push_affine(importer, node, plain, Affine::new(shape, constants, scales, offsets)?)
}
