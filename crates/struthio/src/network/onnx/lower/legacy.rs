//! How operands were lined up before opset 7, and the number of axes that they had to have.

use crate::network::onnx::proto::NodeProto;

/// The first version that lines up operands as `NumPy` does.
const NUMPY: i64 = 7;
/// The same for `Sum`, `Max`, `Min` and `Mean`.
const NUMPY_OF_MANY: i64 = 8;

/// In an old `opset` the shape that the second operand of `node` has to take, so that lining up by `NumPy`'s rules does
/// what the node says; both shapes with all axes, the batch as `None`.
pub(super) fn second_shape(
    node: &NodeProto,
    opset: i64,
    first: &[Option<usize>],
    second: &[Option<usize>],
) -> Result<Option<Vec<Option<usize>>>, String> {
    let since =
        if matches!(node.op_type.as_str(), "Sum" | "Max" | "Min" | "Mean") { NUMPY_OF_MANY } else { NUMPY };
    if opset >= since {
        return Ok(None);
    }
    if node.int("broadcast", 0) == 0 {
        return if first == second {
            Ok(None)
        } else {
            Err(format!(
                "its operands have the shapes {} and {}; in opset {opset} they must be the same without broadcast = 1",
                written(first),
                written(second)
            ))
        };
    }
    if second.iter().all(|&size| size == Some(1)) {
        return Ok(Some(Vec::new())); // a single number goes with everything
    }
    let room = first.len().checked_sub(second.len());
    let axis = match (room, node.attribute("axis").map(|axis| axis.i)) {
        (Some(room), None) => Some(room),
        (Some(room), Some(axis)) => {
            let axis = if axis < 0 { axis.saturating_add(first.len() as i64) } else { axis };
            usize::try_from(axis).ok().filter(|&axis| axis <= room)
        }
        (None, _) => None,
    };
    let fits = |&axis: &usize| {
        second.iter().zip(&first[axis..]).all(|(second, first)| second == first || *second == Some(1))
    };
    let Some(axis) = axis.filter(fits) else {
        let from =
            node.attribute("axis").map_or_else(|| "the last axes".to_owned(), |a| format!("axis {}", a.i));
        return Err(format!(
            "its second operand of shape {} does not fit the first of shape {} along {from} (opset {opset})",
            written(second),
            written(first)
        ));
    };
    let after = first.len() - axis - second.len();
    Ok(Some([&vec![Some(1); axis][..], second, &vec![Some(1); after]].concat()))
}

fn written(shape: &[Option<usize>]) -> String {
    let size = |size: &Option<usize>| size.map_or_else(|| "batch".to_owned(), |size| size.to_string());
    format!("[{}]", shape.iter().map(size).collect::<Vec<_>>().join(", "))
}
