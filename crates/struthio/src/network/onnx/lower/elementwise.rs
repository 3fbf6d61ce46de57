//! Arithmetic of constants, element by element, repeated by the rules of `NumPy`.

use super::constants::picked;
use super::fold::OF_THE_BATCH;
use super::places::{expanded, together};
use crate::network::onnx::import::BATCH;
use crate::network::onnx::tensors::{ConstantTensor, Values};

/// Operators of two constants.
pub(super) const BINARY: [&str; 14] =
    ["Add", "And", "Div", "Equal", "Greater", "Less", "Max", "Mean", "Min", "Mul", "Or", "Pow", "Sub", "Sum"];

/// The constant repeated to `shape`.
pub(super) fn repeated(tensor: &ConstantTensor, shape: &[usize]) -> Result<ConstantTensor, String> {
    if tensor.shape == shape {
        return Ok(tensor.clone());
    }
    let places = expanded(&tensor.shape, shape)?;
    Ok(picked(tensor, places.shape, places.sources.into_iter().map(|at| at as usize)))
}

/// `operator` of two constants; of `Mean` the sum.
pub(super) fn binary(
    operator: &str,
    a: &ConstantTensor,
    b: &ConstantTensor,
) -> Result<ConstantTensor, String> {
    let shape = together(&a.shape, &b.shape)?;
    let (a, b) = (repeated(a, &shape)?, repeated(b, &shape)?);
    let values = match (&a.values, &b.values) {
        (Values::Integers(a), Values::Integers(b)) => {
            let of = |(&a, &b)| whole(operator, a, b);
            Values::Integers(a.iter().zip(b).map(of).collect::<Result<_, _>>()?)
        }
        (Values::Floats(a), Values::Floats(b)) => {
            let pairs = a.iter().zip(b).map(|(&a, &b)| (a, b));
            if let Some(compare) = comparison(operator) {
                Values::Integers(pairs.map(|(a, b)| i64::from(compare(a, b))).collect())
            } else {
                let of = floating(operator)?;
                Values::Floats(pairs.map(|(a, b)| of(a, b)).collect())
            }
        }
        // Exponents may be whole numbers.
        (Values::Floats(a), Values::Integers(b)) if operator == "Pow" => {
            Values::Floats(a.iter().zip(b).map(|(&a, &b)| a.powf(b as f32)).collect())
        }
        _ => return Err("it mixes integers and floating-point numbers".into()),
    };
    Ok(ConstantTensor { shape, values })
}

fn comparison(operator: &str) -> Option<fn(f32, f32) -> bool> {
    Some(match operator {
        "Equal" => |a, b| a == b,
        "Less" => |a, b| a < b,
        "Greater" => |a, b| a > b,
        _ => return None,
    })
}

fn floating(operator: &str) -> Result<fn(f32, f32) -> f32, String> {
    Ok(match operator {
        "Add" | "Sum" | "Mean" => |a, b| a + b,
        "Sub" => |a, b| a - b,
        "Mul" => |a, b| a * b,
        "Div" => |a, b| a / b,
        "Max" => f32::max,
        "Min" => f32::min,
        "Pow" => f32::powf,
        _ => return Err(format!("{operator} of floating-point constants is not supported")),
    })
}

/// Arithmetic on sizes, of which that of the batch is not known.
fn whole(operator: &str, a: i64, b: i64) -> Result<i64, String> {
    let batch = a == BATCH || b == BATCH;
    let result = match operator {
        "Mul" if batch && (a == 1 || b == 1) => Some(BATCH),
        "Div" if batch && b == 1 => Some(BATCH),
        "Equal" if batch && (a == b || a.max(b) <= 0) => Some(i64::from(a == b)),
        _ if batch => return Err(OF_THE_BATCH.into()),
        "Add" | "Sum" => a.checked_add(b),
        "Sub" => a.checked_sub(b),
        "Mul" => a.checked_mul(b),
        "Div" => a.checked_div(b),
        "Max" => Some(a.max(b)),
        "Min" => Some(a.min(b)),
        "Pow" => u32::try_from(b).ok().and_then(|b| a.checked_pow(b)),
        "Equal" => Some(i64::from(a == b)),
        "Less" => Some(i64::from(a < b)),
        "Greater" => Some(i64::from(a > b)),
        "And" => Some(i64::from(a != 0 && b != 0)),
        "Or" => Some(i64::from(a != 0 || b != 0)),
        _ => return Err(format!("{operator} of whole numbers is not supported")),
    };
    result.ok_or_else(|| format!("{operator} of {a} and {b} has no result"))
}

/// The elements of `a` where `condition` holds, and those of `b` elsewhere.
pub(super) fn chosen(
    condition: &ConstantTensor,
    a: &ConstantTensor,
    b: &ConstantTensor,
) -> Result<ConstantTensor, String> {
    let shape = together(&together(&condition.shape, &a.shape)?, &b.shape)?;
    let (condition, a, b) = (repeated(condition, &shape)?, repeated(a, &shape)?, repeated(b, &shape)?);
    let condition = condition.as_integers()?;
    let values = match (&a.values, &b.values) {
        (Values::Integers(a), Values::Integers(b)) => Values::Integers(pick(condition, a, b)),
        (Values::Floats(a), Values::Floats(b)) => Values::Floats(pick(condition, a, b)),
        _ => return Err("it mixes integers and floating-point numbers".into()),
    };
    Ok(ConstantTensor { shape, values })
}

fn pick<T: Copy>(condition: &[i64], a: &[T], b: &[T]) -> Vec<T> {
    condition.iter().zip(a.iter().zip(b)).map(|(&c, (&a, &b))| if c != 0 { a } else { b }).collect()
}
