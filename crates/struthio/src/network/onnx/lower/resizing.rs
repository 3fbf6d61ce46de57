//! Images scaled inside of a model: `Resize` and its forerunner `Upsample`.

use super::constants::floats;
use super::{axes, push};
use crate::network::onnx::import::{BATCH, Importer, Value};
use crate::network::onnx::proto::NodeProto;
use crate::network::ops::{Coordinates, Interpolation, Resize, Rounding, Sampling};

/// The height and width that are asked for, and the factors if those were given.
type Target = ([usize; 2], Option<[f32; 2]>);

pub(super) fn resize<'a>(importer: &mut Importer<'a>, node: &'a NodeProto) -> Result<(), String> {
    let input = importer.computed(node, 0)?;
    let shape = importer.graph.shape(input);
    let shape: [usize; 3] = shape.try_into().map_err(|_| {
        format!("only images of channels × height × width are supported, found shape {shape:?}")
    })?;
    if let Some(policy) = node.text("keep_aspect_ratio_policy").filter(|policy| policy != "stretch") {
        return Err(format!("keep_aspect_ratio_policy {policy} is not supported"));
    }
    let (size, factors) = target(importer, node, shape)?;
    let shrinks = (0..2).any(|axis| factors.map_or(size[axis] < shape[axis + 1], |f| f[axis] < 1.0));
    let sampling = sampling(node, importer.opset, shrinks)?;
    // The antialiasing filter is defined by the sizes.
    let factors = factors.filter(|_| !sampling.antialias);
    importer.account(size[0].saturating_add(size[1]).saturating_mul(4))?;
    push(importer, node, Resize::new(shape, size, factors, sampling)?, &[input])
}

fn target<'a>(importer: &mut Importer<'a>, node: &'a NodeProto, shape: [usize; 3]) -> Result<Target, String> {
    // Before opset 11, the factors are the second input or an attribute.
    let early = node.op_type == "Upsample" || importer.opset < 11;
    let scales = match given(importer, node, if early { 1 } else { 2 }, "scales")? {
        Some(tensor) => floats(&tensor),
        None => node.attribute("scales").map(|list| list.floats.clone()).unwrap_or_default(),
    };
    let sizes = if early { None } else { given(importer, node, 3, "sizes")? };
    let named = axes(importer, node, usize::MAX, 3)?;
    if let Some(sizes) = sizes {
        let sizes = along(sizes.as_integers()?, &named, "sizes")?;
        let batch = sizes[0].is_none_or(|n| n == BATCH || Some(n) == importer.fixed_batch);
        let whole = |at: usize, size: usize| sizes[at].is_none_or(|wanted| wanted == size as i64);
        if !batch || !whole(1, shape[0]) {
            return Err(format!("its sizes change the batch or the {} channels", shape[0]));
        }
        let side = |at: usize| match sizes[at] {
            None => Ok(shape[at - 1]),
            Some(BATCH) => Err("its sizes depend on the size of the batch".to_owned()),
            Some(n) => usize::try_from(n).map_err(|_| format!("its sizes must be positive, found {n}")),
        };
        return Ok(([side(2)?, side(3)?], None));
    }
    if scales.is_empty() {
        return Err("it has neither scales nor sizes".into());
    }
    let scales = along(&scales, &named, "scales")?.map(|factor| factor.unwrap_or(1.0));
    if scales[..2] != [1.0; 2] {
        return Err(format!("its scales {scales:?} change the batch or the channels"));
    }
    let factors = [scales[2], scales[3]];
    let side = |axis: usize| (shape[axis + 1] as f32 * factors[axis]).floor() as usize;
    Ok(([side(0), side(1)], Some(factors)))
}

/// The constant at `position` of `node`, if it is there and not empty.
fn given<'a>(
    importer: &mut Importer<'a>,
    node: &'a NodeProto,
    position: usize,
    name: &str,
) -> Result<Option<crate::network::onnx::tensors::ConstantTensor>, String> {
    match importer.optional(node, position)? {
        Some(Value::Constant(tensor)) => Ok(Some(tensor).filter(|tensor| tensor.len() > 0)),
        Some(Value::Computed(_)) => Err(format!("its {name} must be constant")),
        None => Ok(None),
    }
}

/// `values` for the four axes of a batch of images: all in order, or those of `named` (counted without the batch).
fn along<T: Copy>(values: &[T], named: &[usize], what: &str) -> Result<[Option<T>; 4], String> {
    let mut all = [None; 4];
    let places: Vec<usize> =
        if named.is_empty() { (0..4).collect() } else { named.iter().map(|axis| axis + 1).collect() };
    if places.len() != values.len() {
        return Err(format!("its {what} are {}, for {} axes", values.len(), places.len()));
    }
    places.into_iter().zip(values).for_each(|(place, &value)| all[place] = Some(value));
    Ok(all)
}

/// What the attributes say, as the version `opset` defines them; `shrinks` if a factor is below one.
fn sampling(node: &NodeProto, opset: i64, shrinks: bool) -> Result<Sampling, String> {
    let text = |name: &str, default: &str| node.text(name).map_or_else(|| default.to_owned(), Into::into);
    let refuse = |name: &str, value: &str| Err(format!("{name} {value} is not supported"));
    let mode = text("mode", "nearest");
    let early = node.op_type == "Upsample" || opset < 11;
    let coordinates = text("coordinate_transformation_mode", "half_pixel");
    let coordinates = match coordinates.as_str() {
        _ if early => Coordinates::Asymmetric,
        "half_pixel" => Coordinates::HalfPixel,
        "half_pixel_symmetric" => Coordinates::HalfPixelSymmetric,
        "pytorch_half_pixel" => Coordinates::PytorchHalfPixel,
        "align_corners" => Coordinates::AlignCorners,
        "asymmetric" => Coordinates::Asymmetric,
        "tf_half_pixel_for_nn" => Coordinates::TfHalfPixelForNn,
        other => return refuse("coordinate_transformation_mode", other),
    };
    let rounding = text("nearest_mode", "round_prefer_floor");
    let interpolation = match mode.as_str() {
        // Not written down then; other runtimes take the next pixel where images shrink.
        "nearest" if early => Interpolation::Nearest(if shrinks { Rounding::Ceil } else { Rounding::Floor }),
        "nearest" => Interpolation::Nearest(match rounding.as_str() {
            "round_prefer_floor" => Rounding::PreferFloor,
            "round_prefer_ceil" => Rounding::PreferCeil,
            "floor" => Rounding::Floor,
            "ceil" => Rounding::Ceil,
            other => return refuse("nearest_mode", other),
        }),
        "linear" | "bilinear" => Interpolation::Linear,
        "cubic" if !early => Interpolation::Cubic { slope: node.float("cubic_coeff_a", -0.75) },
        other => return refuse("mode", other),
    };
    let antialias = node.int("antialias", 0) != 0 && shrinks && mode != "nearest";
    let usual = matches!(coordinates, Coordinates::HalfPixel | Coordinates::PytorchHalfPixel);
    if antialias && (interpolation != Interpolation::Linear || !usual) {
        return Err(format!("antialias is not supported with mode {mode} and these coordinates"));
    }
    let inside = node.int("exclude_outside", 0) != 0;
    Ok(Sampling { interpolation, coordinates, antialias, inside })
}
