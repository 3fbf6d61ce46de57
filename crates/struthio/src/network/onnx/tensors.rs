//! Constant tensors of a file, decoded.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Component, Path};

use super::proto::{EXTERNAL, TensorProto, data_type};

/// A constant value.
#[derive(Debug, Clone)]
pub(super) struct ConstantTensor {
    pub shape: Vec<usize>,
    pub values: Values,
}

#[derive(Debug, Clone)]
pub(super) enum Values {
    Floats(Vec<f32>),
    Integers(Vec<i64>),
}

impl ConstantTensor {
    /// One number.
    pub fn scalar(value: f32) -> Self {
        Self { shape: Vec::new(), values: Values::Floats(vec![value]) }
    }

    pub fn integers(values: Vec<i64>) -> Self {
        Self { shape: vec![values.len()], values: Values::Integers(values) }
    }

    /// Number of elements.
    pub fn len(&self) -> usize {
        match &self.values {
            Values::Floats(values) => values.len(),
            Values::Integers(values) => values.len(),
        }
    }

    pub fn floats(&self) -> Result<&[f32], String> {
        match &self.values {
            Values::Floats(values) => Ok(values),
            Values::Integers(_) => Err("expected floating-point values, found integers".into()),
        }
    }

    pub fn as_integers(&self) -> Result<&[i64], String> {
        match &self.values {
            Values::Integers(values) => Ok(values),
            Values::Floats(_) => Err("expected integers, found floating-point values".into()),
        }
    }
}

/// Decodes a tensor; `folder` is where external data is looked for.
pub(super) fn decode(tensor: &TensorProto, folder: Option<&Path>) -> Result<ConstantTensor, String> {
    let shape = tensor
        .dims
        .iter()
        .map(|&d| {
            usize::try_from(d).map_err(|_| format!("tensor '{}' has the negative size {d}", tensor.name))
        })
        .collect::<Result<Vec<_>, _>>()?;
    let count = crate::element_count(&shape)
        .ok_or_else(|| format!("tensor '{}' of shape {shape:?} is too large", tensor.name))?;
    let external;
    let raw = if tensor.data_location == EXTERNAL {
        external = read_external(tensor, folder)?;
        &external
    } else {
        &tensor.raw_data
    };
    let values = numbers(tensor, raw)?;
    let decoded = ConstantTensor { shape, values };
    let (name, shape, found) = (&tensor.name, &decoded.shape, decoded.len());
    if found != count {
        return Err(format!("tensor '{name}' of shape {shape:?} needs {count} values, found {found}"));
    }
    // An empty list stands for an input that is left out.
    if found == 0 && shape[..] != [0] && matches!(decoded.values, Values::Floats(_)) {
        return Err(format!("tensor '{name}' of shape {shape:?} is empty"));
    }
    Ok(decoded)
}

/// The numbers of a tensor, whose raw bytes are `raw`: floating-point ones as f32, whole ones as i64.
fn numbers(tensor: &TensorProto, raw: &[u8]) -> Result<Values, String> {
    // Types narrower than i32 have one of it for each number, float16 and bfloat16 for each pattern of bits.
    let narrow = &tensor.int32_data;
    let integers = |values: Vec<i64>| Ok(Values::Integers(values));
    let widened = |values: Vec<i32>| integers(values.into_iter().map(i64::from).collect());
    let bits = |to: fn(u16) -> f32| {
        let patterns = pick(raw, &narrow.iter().map(|&v| v as u16).collect::<Vec<_>>(), u16::from_le_bytes);
        Ok(Values::Floats(patterns.into_iter().map(to).collect()))
    };
    match tensor.data_type {
        data_type::FLOAT => Ok(Values::Floats(pick(raw, &tensor.float_data, f32::from_le_bytes))),
        data_type::DOUBLE => {
            let doubles = pick(raw, &tensor.double_data, f64::from_le_bytes);
            Ok(Values::Floats(doubles.into_iter().map(|value| value as f32).collect()))
        }
        data_type::FLOAT16 => bits(|pattern| half::f16::from_bits(pattern).to_f32()),
        data_type::BFLOAT16 => bits(|pattern| half::bf16::from_bits(pattern).to_f32()),
        data_type::INT64 => integers(pick(raw, &tensor.int64_data, i64::from_le_bytes)),
        data_type::INT32 => widened(pick(raw, narrow, i32::from_le_bytes)),
        data_type::INT16 if !raw.is_empty() => widened(spread(raw, |b| i16::from_le_bytes(b).into())),
        data_type::UINT16 if !raw.is_empty() => widened(spread(raw, |b| u16::from_le_bytes(b).into())),
        data_type::INT8 if !raw.is_empty() => widened(spread(raw, |b| i8::from_le_bytes(b).into())),
        data_type::UINT8 | data_type::BOOL if !raw.is_empty() => {
            widened(spread(raw, |b| u8::from_le_bytes(b).into()))
        }
        data_type::INT16 | data_type::UINT16 | data_type::INT8 | data_type::UINT8 | data_type::BOOL => {
            widened(narrow.clone())
        }
        data_type::UINT32 if !raw.is_empty() => {
            integers(raw.as_chunks().0.iter().map(|b| u32::from_le_bytes(*b).into()).collect())
        }
        data_type::UINT32 | data_type::UINT64 => {
            let values = pick(raw, &tensor.uint64_data, u64::from_le_bytes);
            integers(values.into_iter().map(|v| v.try_into().unwrap_or(i64::MAX)).collect())
        }
        other => Err(format!(
            "tensor '{}' has the type {}; supported are float, double, float16, bfloat16, bool and whole numbers of 8 to 64 bits",
            tensor.name,
            data_type::name(other)
        )),
    }
}

fn spread<const N: usize>(raw: &[u8], number: fn([u8; N]) -> i32) -> Vec<i32> {
    raw.as_chunks::<N>().0.iter().map(|bytes| number(*bytes)).collect()
}

/// The raw little-endian bytes if there are any, else the typed field.
fn pick<T: Copy, const N: usize>(raw: &[u8], typed: &[T], from_bytes: fn([u8; N]) -> T) -> Vec<T> {
    if raw.is_empty() {
        typed.to_vec()
    } else {
        raw.as_chunks::<N>().0.iter().map(|b| from_bytes(*b)).collect()
    }
}

fn read_external(tensor: &TensorProto, folder: Option<&Path>) -> Result<Vec<u8>, String> {
    let entry = |key: &str| tensor.external_data.iter().find(|e| e.key == key).map(|e| e.value.as_str());
    let name = &tensor.name;
    let location =
        entry("location").ok_or_else(|| format!("tensor '{name}' is external but names no file"))?;
    let folder = folder.ok_or_else(|| format!("tensor '{name}' is in another file, '{location}'"))?;
    let relative = Path::new(location);
    if !relative.components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir)) {
        return Err(format!("tensor '{name}' points outside the model's folder: '{location}'"));
    }
    let path = folder.join(relative);
    let number = |key: &str| match entry(key) {
        None => Ok(None),
        Some(text) => text
            .parse::<u64>()
            .map(Some)
            .map_err(|_| format!("tensor '{name}': {key} '{text}' is not a number")),
    };
    let (offset, length) = (number("offset")?.unwrap_or(0), number("length")?);
    let complain = |error: std::io::Error| {
        format!("cannot read {}, the data of tensor '{name}': {error}", path.display())
    };
    let mut file = File::open(&path).map_err(complain)?;
    let size = file.metadata().map_err(complain)?.len();
    let length = length.unwrap_or(size.saturating_sub(offset));
    if offset.checked_add(length).is_none_or(|end| end > size) {
        return Err(format!(
            "{} has {size} bytes, but tensor '{name}' needs {length} from byte {offset} on",
            path.display()
        ));
    }
    let mut bytes = vec![0; usize::try_from(length).map_err(|_| format!("tensor '{name}' is too large"))?];
    file.seek(SeekFrom::Start(offset)).map_err(complain)?;
    file.read_exact(&mut bytes).map_err(complain)?;
    Ok(bytes)
}
