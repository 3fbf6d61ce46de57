//! Convolutions, pooling, and what else runs over height and width.

use super::constants::{broadcast, floats};
use super::push;
use super::reductions::over_axes;
use crate::network::graph::ValueId;
use crate::network::onnx::import::Importer;
use crate::network::onnx::opsets;
use crate::network::onnx::proto::NodeProto;
use crate::network::ops::{AveragePool, Conv, Lrn, MaxPool, Mean, Tensor, Window};

/// The first input, and its shape if that is channels × height × width.
fn image<'a>(importer: &mut Importer<'a>, node: &'a NodeProto) -> Result<(ValueId, [usize; 3]), String> {
    let input = importer.computed(node, 0)?;
    let shape = importer.graph.shape(input);
    let image = shape.try_into().map_err(|_| {
        format!("only images of channels × height × width are supported, found shape {shape:?}")
    })?;
    Ok((input, image))
}

/// The window of `node`, of `size` unless that is an attribute too.
fn window(node: &NodeProto, size: Option<[usize; 2]>, input: [usize; 3]) -> Result<Window, String> {
    let pair = |name: &str| -> Result<Option<[usize; 2]>, String> {
        let Some(list) = node.ints(name).filter(|list| !list.is_empty()) else { return Ok(None) };
        let sizes: Option<Vec<usize>> = list.iter().map(|&n| usize::try_from(n).ok()).collect();
        let pair = sizes.and_then(|sizes| <[usize; 2]>::try_from(sizes).ok());
        pair.map(Some).ok_or_else(|| format!("its {name} must be two sizes, found {list:?}"))
    };
    let size = match (size, pair("kernel_shape")?) {
        (Some(size), None) => size,
        (Some(size), Some(told)) if size == told => size,
        (None, Some(told)) => told,
        (size, told) => return Err(format!("its kernel_shape {told:?} does not fit its weight {size:?}")),
    };
    let mut window = Window::of(size);
    window.stride = pair("strides")?.unwrap_or([1; 2]);
    window.dilation = pair("dilations")?.unwrap_or([1; 2]);
    window.positions([usize::MAX >> 32; 2])?; // that it is one at all
    match node.text("auto_pad").as_deref() {
        None | Some("" | "NOTSET") => {
            let pads = node.ints("pads").unwrap_or(&[]);
            let sizes: Option<Vec<usize>> = pads.iter().map(|&n| usize::try_from(n).ok()).collect();
            match sizes.as_deref() {
                Some([]) => {}
                Some(&[top, left, bottom, right]) => {
                    (window.before, window.after) = ([top, left], [bottom, right]);
                }
                _ => return Err(format!("its pads must be four sizes, none negative, found {pads:?}")),
            }
        }
        Some("VALID") => {}
        Some(same @ ("SAME_UPPER" | "SAME_LOWER")) => {
            for axis in 0..2 {
                let positions = input[axis + 1].div_ceil(window.stride[axis]);
                let reach = (positions.max(1) - 1) * window.stride[axis] + window.extent(axis);
                let all = reach.saturating_sub(input[axis + 1]);
                let less = all / 2;
                let (before, after) =
                    if same == "SAME_UPPER" { (less, all - less) } else { (all - less, less) };
                (window.before[axis], window.after[axis]) = (before, after);
            }
        }
        Some(other) => return Err(format!("auto_pad {other} is not supported")),
    }
    Ok(window)
}

/// Lets a window of pooling also take positions that only begin inside the image (`ceil_mode`).
fn rounded_up(window: Window, input: [usize; 3]) -> Result<Window, String> {
    let positions = window.positions([input[1], input[2]])?;
    let mut rounded = window;
    for axis in 0..2 {
        let next = positions[axis] * window.stride[axis];
        let padded = input[axis + 1] + window.before[axis] + window.after[axis];
        let reach = window.extent(axis);
        if next + reach > padded
            && !(padded - reach).is_multiple_of(window.stride[axis])
            && next < input[axis + 1] + window.before[axis]
        {
            rounded.after[axis] += next + reach - padded;
        }
    }
    Ok(rounded)
}

/// A convolution, together with the normalisation of its output that may follow.
pub(super) fn conv<'a>(importer: &mut Importer<'a>, node: &'a NodeProto) -> Result<(), String> {
    let (input, shape) = image(importer, node)?;
    let weight = importer.constant(node, 1)?;
    let mut weight = Tensor { shape: weight.shape.clone(), values: weight.floats()?.to_vec() };
    let [outputs, _, rows, columns] = weight.shape[..] else {
        return Err(format!("its weight must have four axes, found shape {:?}", weight.shape));
    };
    if weight.values.is_empty() {
        return Err(format!("its weight of shape {:?} has no values", weight.shape));
    }
    let mut bias = match importer.optional(node, 2)? {
        Some(_) => broadcast(&importer.constant(node, 2)?, &[outputs])?,
        None => vec![0.0; outputs],
    };
    let mut result = node;
    if let Some(next) = importer.only_reader(node).filter(|next| next.op_type == "BatchNormalization")
        && next.output.len() == 1
        && next.int("spatial", 1) != 0
        && opsets::check(next, importer.opset).is_ok()
        && let Ok((scale, offset)) = normalisation(importer, next, outputs)
    {
        let per_output = weight.values.len() / outputs;
        for (output, weights) in weight.values.chunks_exact_mut(per_output).enumerate() {
            weights.iter_mut().for_each(|w| *w = (*w as f64 * scale[output]) as f32);
            bias[output] = scale[output].mul_add(bias[output] as f64, offset[output]) as f32;
        }
        result = next;
    }
    let window = window(node, Some([rows, columns]), shape)?;
    let groups = usize::try_from(node.int("group", 1)).unwrap_or(0);
    importer.account(4 * weight.values.len())?;
    let bias = Tensor { shape: vec![outputs], values: bias };
    push(importer, result, Conv::new(shape, weight, bias, window, groups)?, &[input])
}

/// Factor and offset of each channel of a batch normalisation in its inference form,
/// (x − mean) / √(variance + ε) · scale + bias.
pub(super) fn normalisation<'a>(
    importer: &mut Importer<'a>,
    node: &'a NodeProto,
    channels: usize,
) -> Result<(Vec<f64>, Vec<f64>), String> {
    let epsilon = node.float("epsilon", 1e-5) as f64;
    let mut constant = |position| broadcast(&importer.constant(node, position)?, &[channels]);
    let (gamma, beta, mean, variance) = (constant(1)?, constant(2)?, constant(3)?, constant(4)?);
    let scale: Vec<f64> =
        gamma.iter().zip(&variance).map(|(&gamma, &v)| gamma as f64 / (v as f64 + epsilon).sqrt()).collect();
    let offset =
        beta.iter().zip(&mean).zip(&scale).map(|((&beta, &m), scale)| beta as f64 - m as f64 * scale);
    let offset = offset.collect();
    Ok((scale, offset))
}

pub(super) fn max_pool<'a>(importer: &mut Importer<'a>, node: &'a NodeProto) -> Result<(), String> {
    let (input, shape) = image(importer, node)?;
    let mut window = window(node, None, shape)?;
    if node.int("ceil_mode", 0) != 0 {
        window = rounded_up(window, shape)?;
    }
    push(importer, node, MaxPool::new(shape, window)?, &[input])
}

pub(super) fn average_pool<'a>(importer: &mut Importer<'a>, node: &'a NodeProto) -> Result<(), String> {
    let (input, shape) = image(importer, node)?;
    let window = window(node, None, shape)?;
    let counted =
        if node.int("count_include_pad", 0) == 0 { [[0; 2]; 2] } else { [window.before, window.after] };
    let window = if node.int("ceil_mode", 0) == 0 { window } else { rounded_up(window, shape)? };
    push(importer, node, AveragePool::new(shape, window, counted)?, &[input])
}

pub(super) fn global_pool<'a>(importer: &mut Importer<'a>, node: &'a NodeProto) -> Result<(), String> {
    let (input, shape) = image(importer, node)?;
    if node.op_type == "GlobalMaxPool" {
        return push(importer, node, MaxPool::new(shape, Window::of([shape[1], shape[2]]))?, &[input]);
    }
    push(importer, node, AveragePool::global(shape)?, &[input])
}

pub(super) fn reduce_mean<'a>(importer: &mut Importer<'a>, node: &'a NodeProto) -> Result<(), String> {
    over_axes(importer, node, |shape, axes| match shape {
        &[channels, height, width] if axes.len() == 2 && !axes.contains(&0) => {
            Ok(AveragePool::global([channels, height, width])?.into())
        }
        _ => Ok(Mean::new(shape, axes)?.into()),
    })
}

pub(super) fn lrn<'a>(importer: &mut Importer<'a>, node: &'a NodeProto) -> Result<(), String> {
    let (input, shape) = image(importer, node)?;
    let size = usize::try_from(node.int("size", 0)).unwrap_or(0);
    let constants = [node.float("alpha", 1e-4), node.float("beta", 0.75), node.float("bias", 1.0)];
    push(importer, node, Lrn::new(shape[0], size, constants)?, &[input])
}

/// The bounds of a `Clip`: attributes before version 11, inputs since.
pub(super) fn bounds<'a>(importer: &mut Importer<'a>, node: &'a NodeProto) -> Result<[f32; 2], String> {
    let mut bound = |position, name, default| -> Result<f32, String> {
        if importer.optional(node, position)?.is_none() {
            return Ok(node.float(name, default));
        }
        match floats(&importer.constant(node, position)?)[..] {
            [bound] => Ok(bound),
            _ => Err(format!("its {name} must be one number")),
        }
    };
    Ok([bound(1, "min", f32::NEG_INFINITY)?, bound(2, "max", f32::INFINITY)?])
}
