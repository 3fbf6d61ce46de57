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
    let values = match tensor.data_type {
        data_type::FLOAT => Values::Floats(pick(raw, &tensor.float_data, f32::from_le_bytes)),
        data_type::DOUBLE => {
            let doubles = pick(raw, &tensor.double_data, f64::from_le_bytes);
            Values::Floats(doubles.into_iter().map(|value| value as f32).collect())
        }
        data_type::INT64 => Values::Integers(pick(raw, &tensor.int64_data, i64::from_le_bytes)),
        data_type::BOOL => Values::Integers(if raw.is_empty() {
            tensor.int32_data.iter().map(|&value| i64::from(value)).collect()
        } else {
            raw.iter().map(|&byte| i64::from(byte)).collect()
        }),
        data_type::INT32 => {
            let narrow = pick(raw, &tensor.int32_data, i32::from_le_bytes);
            Values::Integers(narrow.into_iter().map(i64::from).collect())
        }
        other => {
            return Err(format!(
                "tensor '{}' has ONNX data type {other}; supported are float (1), double (11), int32 (6), int64 (7) and bool (9)",
                tensor.name
            ));
        }
    };
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
