use super::constants::{aligned, floats};
use super::{image_axis, push, windows};
use crate::network::graph::ValueId;
use crate::network::layout;
use crate::network::onnx::import::Importer;
use crate::network::onnx::proto::NodeProto;
use crate::network::onnx::tensors::ConstantTensor;
use crate::network::ops::{
    Affine, Arithmetic, Attribute, Celu, Clip, Constant, Elu, Erf, Gelu, GeluTanh, HardSigmoid, HardSwish,
    LeakyRelu, OnnxNode, Op, Operator, PRelu, Rearrange, Relu, Relu6, Selu, Sigmoid,
};

pub(super) fn elementwise<'a>(
    importer: &mut Importer<'a>,
    node: &'a NodeProto,
    op: impl Op + 'static,
) -> Result<(), String> {
    let input = importer.computed(node, 0)?;
    push(importer, node, op, &[input])
}

/// Activations with attributes or constant inputs.
pub(super) fn with_parameters<'a>(importer: &mut Importer<'a>, node: &'a NodeProto) -> Result<(), String> {
    let input = importer.computed(node, 0)?;
    let slope = |alpha: f32| {
        if alpha >= 0.0 && alpha.is_finite() {
            Ok(alpha)
        } else {
            Err(format!("alpha {alpha} is not supported"))
        }
    };
    let op: Box<dyn Op> = match node.op_type.as_str() {
        "LeakyRelu" => LeakyRelu { alpha: slope(node.float("alpha", 0.01))? }.into(),
        "Elu" => Elu { alpha: slope(node.float("alpha", 1.0))? }.into(),
        "HardSigmoid" => {
            let (alpha, beta) = (node.float("alpha", 0.2), node.float("beta", 0.5));
            HardSigmoid { alpha: slope(alpha)?, beta }.into()
        }
        "Selu" => {
            // The first version has fewer digits.
            let [alpha, gamma] = if importer.opset < 6 { [1.6732, 1.0507] } else { [1.673_263_2, 1.050_701] };
            let (alpha, gamma) = (node.float("alpha", alpha), node.float("gamma", gamma));
            Selu { alpha: positive("alpha", alpha)?, gamma: positive("gamma", gamma)? }.into()
        }
        "Celu" => Celu { alpha: positive("alpha", node.float("alpha", 1.0))? }.into(),
        "HardSwish" => HardSwish.into(),
        "Erf" => Erf.into(),
        "Gelu" => match node.text("approximate").as_deref() {
            None | Some("none") => Gelu.into(),
            Some("tanh") => GeluTanh.into(),
            Some(other) => return Err(format!("the approximation {other} is not supported")),
        },
        "Clip" => match windows::bounds(importer, node)? {
            [0.0, 6.0] => Relu6.into(),
            [0.0, f32::INFINITY] => Relu.into(),
            [min, max] => Clip { min, max }.into(),
        },
        _ => {
            let slope = importer.constant(node, 1)?;
            check_slopes(importer, input, &slope)?;
            PRelu::new(floats(&slope)).into()
        }
    };
    push(importer, node, op, &[input])
}

fn positive(name: &str, value: f32) -> Result<f32, String> {
    if value > 0.0 && value.is_finite() { Ok(value) } else { Err(format!("{name} {value} is not supported")) }
}

/// Makes sure that `slopes` go with the channels of `input`, or are one: before version 7 one for each channel were a
/// list, since then they are repeated as `NumPy` does, from the last axis on.
fn check_slopes(importer: &Importer<'_>, input: ValueId, slopes: &ConstantTensor) -> Result<(), String> {
    let shape = importer.graph.shape(input);
    let fits = match (importer.opset, slopes.len()) {
        (_, 1) => true,
        (..7, count) => slopes.shape.len() == 1 && shape.first() == Some(&count),
        _ => aligned(slopes, shape)?.iter().skip(1).all(|&d| d == 1),
    };
    if fits {
        return Ok(());
    }
    Err(format!(
        "slopes of shape {:?} for values of shape {shape:?} (opset {}); supported are one, or one for each channel",
        slopes.shape, importer.opset
    ))
}

/// x·sigmoid(alpha·x)
pub(super) fn swish<'a>(importer: &mut Importer<'a>, node: &'a NodeProto) -> Result<(), String> {
    let input = importer.computed(node, 0)?;
    let shape = importer.graph.shape(input).to_vec();
    let alpha = node.float("alpha", 1.0);
    let scaled = if alpha == 1.0 {
        input
    } else {
        let op = Affine::new(shape.clone(), vec![1; shape.len()], vec![alpha], vec![0.0])?;
        importer.graph.push(format!("{}.scaled", node.label()), op, &[input])?
    };
    let gate = importer.graph.push(format!("{}.gate", node.label()), Sigmoid, &[scaled])?;
    let op = Arithmetic::new(Operator::Mul, [&shape, &shape])?;
    importer.account(3 * shape.iter().product::<usize>())?;
    push(importer, node, op, &[input, gate])
}

/// Softmax and log-softmax: `op` is made from the length of an axis and the axis.
pub(super) fn over_an_axis<'a>(
    importer: &mut Importer<'a>,
    node: &'a NodeProto,
    op: impl Fn(usize, usize) -> Box<dyn Op>,
) -> Result<(), String> {
    let input = importer.computed(node, 0)?;
    let shape = importer.graph.shape(input).to_vec();
    let axis = image_axis(node.int("axis", if importer.opset < 13 { 1 } else { -1 }), shape.len())?;
    // Before version 13 the operator ran over all axes from `axis` on, as if they were one.
    let together = if importer.opset < 13 { &shape[axis..] } else { &shape[axis..=axis] };
    let long: Vec<usize> = (axis..axis + together.len()).filter(|&axis| shape[axis] != 1).collect();
    match long[..] {
        [] => push(importer, node, op(1, axis), &[input]),
        [axis] if layout::is_contiguous(&shape, axis) => {
            push(importer, node, op(shape[axis], axis), &[input])
        }
        _ => {
            let together = together.len();
            over_scattered(importer, node, [axis, together], op)
        }
    }
}

/// Like [`over_an_axis`], over so many axes from one on, whose values do not lie side by side: they are brought together,
/// and back to where they were.
fn over_scattered<'a>(
    importer: &mut Importer<'a>,
    node: &'a NodeProto,
    [axis, together]: [usize; 2],
    op: impl Fn(usize, usize) -> Box<dyn Op>,
) -> Result<(), String> {
    let input = importer.computed(node, 0)?;
    let shape = importer.graph.shape(input).to_vec();
    let sizes = [&shape[..axis], &shape[axis..axis + together], &shape[axis + together..]];
    let [outer, width, inner] = sizes.map(|axes| axes.iter().product::<usize>());
    let reshape = |name, sizes: &[usize]| {
        let sizes = std::iter::once(-1).chain(sizes.iter().map(|&size| size as i64)).collect();
        OnnxNode {
            op_type: "Reshape",
            attributes: Vec::new(),
            constants: vec![(name, Constant::Integers(sizes))],
        }
    };
    let swap = || OnnxNode {
        op_type: "Transpose",
        attributes: vec![("perm", Attribute::Integers(vec![0, 1, 3, 2]))],
        constants: Vec::new(),
    };
    let rows = [outer * inner, width];
    let there = |i: usize| Some((i / width / inner * width + i % width) * inner + i / width % inner);
    let onnx = vec![reshape("parts", &[outer, width, inner]), swap(), reshape("rows", &rows)];
    let there = Rearrange::new(&shape, &rows, there, 0.0, onnx)?;
    let back = |i: usize| Some((i / inner / width * inner + i % inner) * width + i / inner % width);
    let onnx = vec![reshape("parts", &[outer, inner, width]), swap(), reshape("shape", &shape)];
    let back = Rearrange::new(&rows, &shape, back, 0.0, onnx)?;
    importer.account(3 * shape.iter().product::<usize>())?;
    let name = node.label();
    let gathered = importer.graph.push(format!("{name}.gathered"), there, &[input])?;
    let result = importer.graph.push(format!("{name}.rows"), op(width, 1), &[gathered])?;
    push(importer, node, back, &[result])
}
