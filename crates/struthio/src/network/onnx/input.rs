//! What a file says about its input, completed by what the user or the data say.

use super::proto::{DimensionProto, DimensionValue, ValueInfoProto, data_type};
use crate::error::Result as Outcome;

/// What is known of a model's input besides the file.
#[derive(Clone, Copy, Default)]
pub struct InputShape<'a> {
    /// The shape of one image that was asked for.
    pub asked: Option<&'a [usize]>,
    /// Gives the shape of the images that the model is to take, if they have one; asked only if the file
    /// leaves sizes open.
    pub of_data: Option<&'a dyn Fn() -> Outcome<Option<Vec<usize>>>>,
}

/// The input of a graph.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Input {
    /// The batch size the file was fixed to, if it was.
    pub fixed_batch: Option<i64>,
    /// Shape of one image.
    pub shape: Vec<usize>,
    /// Its element type in the file.
    pub data_type: i32,
    /// Whether the file has no axis for the batch, so that the model takes one image at a time.
    pub unbatched: bool,
    /// What the user has to know about it.
    pub notes: Vec<String>,
}

const REMEDY: &str = "say what one image is by --input-shape, such as --input-shape 3,32,32";

impl Input {
    pub fn of(input: &ValueInfoProto, known: InputShape<'_>) -> Result<Self, String> {
        let name = &input.name;
        let tensor = input.r#type.as_ref().and_then(|t| t.tensor_type.as_ref());
        let tensor = tensor.ok_or_else(|| format!("its input '{name}' is not a tensor"))?;
        let data_type = tensor.elem_type;
        if !data_type::is_float(data_type) && data_type != data_type::UINT8 {
            return Err(format!(
                "its input '{name}' has the type {}; expected float, float16, bfloat16, double, or uint8",
                data_type::name(data_type)
            ));
        }
        let mut found = Self {
            fixed_batch: None,
            shape: Vec::new(),
            data_type,
            unbatched: false,
            notes: note_on_type(name, data_type).into_iter().collect(),
        };
        let dims = tensor.shape.as_ref().map_or(&[][..], |shape| &shape.dim);
        match (known.asked, dims.split_first()) {
            (Some(asked), None) => found.shape = asked.to_vec(),
            (Some(asked), Some((batch, image))) if image.len() == asked.len() => {
                found.fixed_batch = fixed(batch);
                check(name, image, asked)?;
                found.shape = asked.to_vec();
            }
            (Some(asked), Some(_)) if dims.len() == asked.len() => {
                check(name, dims, asked)?;
                found.shape = asked.to_vec();
                found.unbatched = true;
                found.notes.push(format!(
                    "the input '{name}' has no batch axis; the model is taken for one of single images"
                ));
            }
            (Some(asked), Some(_)) => {
                return Err(format!(
                    "its input '{name}' has {} axes ({}), which --input-shape with {} sizes does not fit: expected those of one image, without the batch",
                    dims.len(),
                    written(dims),
                    asked.len()
                ));
            }
            (None, None) => {
                return Err(format!("the file declares no shape of its input '{name}'; {REMEDY}"));
            }
            (None, Some((_, []))) => {
                return Err(format!(
                    "its input '{name}' has a single axis ({}), no batch axis and those of an image; {REMEDY}",
                    written(dims)
                ));
            }
            (None, Some((batch, image))) => {
                found.fixed_batch = fixed(batch);
                let (shape, note) = declared(name, image, known.of_data)?;
                found.shape = shape;
                found.notes.extend(note);
            }
        }
        match crate::element_count(&found.shape) {
            Some(1..=0xFF_FFFF) => Ok(found),
            _ => Err(format!("its input '{name}' of shape {:?} is too large, or empty", found.shape)),
        }
    }
}

fn note_on_type(name: &str, data_type: i32) -> Option<String> {
    match data_type {
        data_type::FLOAT => None,
        data_type::UINT8 => Some(format!(
            "the input '{name}' wants bytes: pixels of [0, 1] are multiplied by 255 first, and not rounded; distances stay in [0, 1]"
        )),
        other => Some(format!(
            "the input '{name}' is of {}; everything is computed in float32",
            data_type::name(other)
        )),
    }
}

/// The size, if the axis has a usable one.
fn fixed(dim: &DimensionProto) -> Option<i64> {
    match dim.value {
        Some(DimensionValue::Value(size)) if size > 0 => Some(size),
        _ => None,
    }
}

/// The axes as they are declared: `3 × h × w`.
fn written(dims: &[DimensionProto]) -> String {
    let axis = |dim: &DimensionProto| match &dim.value {
        Some(DimensionValue::Value(size)) => size.to_string(),
        Some(DimensionValue::Parameter(name)) if !name.is_empty() => name.clone(),
        _ => "?".to_owned(),
    };
    dims.iter().map(axis).collect::<Vec<_>>().join(" × ")
}

fn fits(dims: &[DimensionProto], shape: &[usize]) -> bool {
    dims.len() == shape.len()
        && dims.iter().zip(shape).all(|(dim, &size)| fixed(dim).is_none_or(|fixed| fixed == size as i64))
}

fn check(name: &str, dims: &[DimensionProto], asked: &[usize]) -> Result<(), String> {
    if fits(dims, asked) {
        return Ok(());
    }
    Err(format!("--input-shape is {asked:?}, but an image of its input '{name}' is {}", written(dims)))
}

/// The shape that the file declares, its open sizes being those of the data.
fn declared(
    name: &str,
    dims: &[DimensionProto],
    of_data: Option<&dyn Fn() -> Outcome<Option<Vec<usize>>>>,
) -> Result<(Vec<usize>, Option<String>), String> {
    let sizes: Option<Vec<usize>> =
        dims.iter().map(|dim| fixed(dim).and_then(|size| usize::try_from(size).ok())).collect();
    if let Some(shape) = sizes {
        return Ok((shape, None));
    }
    let open = format!("an image of its input '{name}' is {}, with sizes left open", written(dims));
    let data = of_data.map_or(Ok(None), |of_data| of_data()).map_err(|error| error.to_string())?;
    let Some(data) = data else {
        return Err(format!("{open}; {REMEDY}"));
    };
    let turned = match data[..] {
        [a, b, c] => vec![data.clone(), vec![c, a, b], vec![b, c, a]],
        [a, b] => vec![data.clone(), vec![1, a, b], vec![a, b, 1]],
        _ => vec![data.clone()],
    };
    match turned.into_iter().find(|shape| fits(dims, shape)) {
        Some(shape) => {
            let note = format!("{open}; they are taken from the data, which makes it {shape:?}");
            Ok((shape, Some(note)))
        }
        None => Err(format!("{open}, and the images of the data, {data:?}, do not fit; {REMEDY}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::onnx::proto::{TensorShapeProto, TensorTypeProto, TypeProto};

    fn input(data_type: i32, dims: &[&str]) -> ValueInfoProto {
        let value = |dim: &&str| match dim.parse() {
            Ok(size) => DimensionValue::Value(size),
            Err(_) => DimensionValue::Parameter((*dim).to_owned()),
        };
        let dim = dims.iter().map(|dim| DimensionProto { value: Some(value(dim)) }).collect();
        let tensor = TensorTypeProto { elem_type: data_type, shape: Some(TensorShapeProto { dim }) };
        ValueInfoProto { name: "x".into(), r#type: Some(TypeProto { tensor_type: Some(tensor) }) }
    }

    fn asked(dims: &[&str], asked: &[usize]) -> Result<Input, String> {
        Input::of(&input(1, dims), InputShape { asked: Some(asked), of_data: None })
    }

    #[test]
    fn open_sizes_are_those_asked_for_or_of_the_data() {
        let found = asked(&["n", "3", "h", "w"], &[3, 8, 6]).expect("fits");
        assert_eq!((found.shape, found.fixed_batch, found.unbatched), (vec![3, 8, 6], None, false));
        for (dims, data, expected) in [
            (["n", "3", "h", "w"], &[3, 8, 6][..], Some(&[3, 8, 6][..])),
            (["n", "3", "h", "w"], &[8, 6, 3], Some(&[3, 8, 6])),
            (["n", "h", "w", "3"], &[3, 8, 6], Some(&[8, 6, 3])),
            (["n", "1", "h", "w"], &[8, 6], Some(&[1, 8, 6])),
            (["n", "3", "h", "w"], &[1, 8, 6], None),
            (["n", "3", "h", "w"], &[192], None),
        ] {
            let of_data = || Ok(Some(data.to_vec()));
            let found = Input::of(&input(1, &dims), InputShape { asked: None, of_data: Some(&of_data) });
            match expected {
                Some(shape) => {
                    let found = found.expect("fits");
                    assert_eq!(found.shape, shape);
                    assert!(found.notes[0].contains("taken from the data"), "{:?}", found.notes);
                }
                None => assert!(found.expect_err("no fit").contains("--input-shape"), "{dims:?} {data:?}"),
            }
        }
    }

    #[test]
    fn an_axis_of_the_batch_may_be_missing() {
        let found = asked(&["28", "28"], &[28, 28]).expect("fits");
        assert!(found.unbatched && found.notes[0].contains("no batch axis"), "{found:?}");
        let found = asked(&[], &[28, 28]).expect("fits");
        assert_eq!((found.shape, found.unbatched), (vec![28, 28], false));
        assert_eq!(asked(&["4", "28", "28"], &[28, 28]).expect("fits").fixed_batch, Some(4));
    }

    #[test]
    fn refusals_say_what_to_do() {
        let plain = |data_type, dims: &[&str]| {
            Input::of(&input(data_type, dims), InputShape::default()).expect_err("refused")
        };
        for (message, fragment) in [
            (plain(1, &[]), "declares no shape of its input 'x'; say what one image is by --input-shape"),
            (plain(1, &["784"]), "a single axis (784)"),
            (plain(1, &["n", "3", "h", "w"]), "3 × h × w, with sizes left open; say"),
            (plain(8, &["n", "3"]), "has the type string; expected float, float16"),
            (asked(&["n", "3", "h", "w"], &[1, 8, 8]).expect_err("refused"), "[1, 8, 8], but"),
            (asked(&["n", "3"], &[1, 3, 8, 8]).expect_err("refused"), "with 4 sizes does not fit"),
            (asked(&["n", "9999999999"], &[9_999_999_999]).expect_err("refused"), "too large"),
        ] {
            assert!(message.contains(fragment), "{message}");
        }
    }

    #[test]
    fn types_are_called_by_their_names() {
        for (data_type, fragment) in [(2, "multiplied by 255"), (10, "is of float16"), (11, "is of double")] {
            let found = Input::of(&input(data_type, &["n", "3"]), InputShape::default()).expect("valid");
            assert!(found.notes[0].contains(fragment), "{:?}", found.notes);
        }
    }
}
