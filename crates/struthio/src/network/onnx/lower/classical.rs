//! What scikit-learn's classifiers are exported as: the operators of `ai.onnx.ml`.

use super::push;
use crate::network::graph::ValueId;
use crate::network::onnx::import::{Importer, Value};
use crate::network::onnx::proto::NodeProto;
use crate::network::ops::{
    Affine, Arithmetic, Linear, Op, Operator, Reduce, Reduction, Sigmoid, Softmax, Tensor,
};

/// The name of the operators' domain.
pub(in crate::network::onnx) const DOMAIN: &str = "ai.onnx.ml";

/// Every operator of that domain that [`node`] translates.
pub(in crate::network::onnx) const SUPPORTED: [&str; 4] =
    ["LinearClassifier", "Normalizer", "Scaler", "ZipMap"];

/// Adds what `node` computes to the importer's graph.
pub(super) fn node<'a>(importer: &mut Importer<'a>, node: &'a NodeProto) -> Result<(), String> {
    match node.op_type.as_str() {
        "LinearClassifier" => linear_classifier(importer, node),
        "Normalizer" => normalizer(importer, node),
        "Scaler" => scaler(importer, node),
        // A probability under the name of each class is still a probability.
        "ZipMap" => {
            let value = importer.value(node, 0)?;
            importer.produce(node, value);
            Ok(())
        }
        _ => Err("this operator is not supported".into()),
    }
}

/// The input, which must be one row of values.
fn row<'a>(importer: &mut Importer<'a>, node: &'a NodeProto) -> Result<(ValueId, usize), String> {
    let input = importer.computed(node, 0)?;
    match importer.graph.shape(input) {
        &[features] => Ok((input, features)),
        shape => Err(format!("it takes one row of values per image, found shape {shape:?}")),
    }
}

fn floats<'a>(node: &'a NodeProto, name: &str) -> &'a [f32] {
    node.attribute(name).map_or(&[], |attribute| &attribute.floats)
}

/// x·Wᵀ + b and what `post_transform` says; only the scores, its second output, depend differentiably on x.
fn linear_classifier<'a>(importer: &mut Importer<'a>, node: &'a NodeProto) -> Result<(), String> {
    if node.output.get(1).is_none_or(|name| name.is_empty() || importer.is_known(name)) {
        return Ok(()); // nobody asks for the scores, or they are there
    }
    let (input, features) = row(importer, node)?;
    let (coefficients, intercepts) = (floats(node, "coefficients"), floats(node, "intercepts"));
    let classes = coefficients.len() / features.max(1);
    if classes == 0 || classes * features != coefficients.len() || ![0, classes].contains(&intercepts.len()) {
        return Err(format!(
            "{} coefficients and {} intercepts do not fit {features} values",
            coefficients.len(),
            intercepts.len()
        ));
    }
    let transform = node.text("post_transform").unwrap_or("NONE".into());
    let alone = classes == 1;
    if alone && transform != "LOGISTIC" {
        return Err(format!("a single row of coefficients with post_transform {transform} is not supported"));
    }
    // A single row stands for class 1, and its negative for class 0: their sigmoids add up to one.
    let columns: Vec<(usize, f32)> =
        if alone { vec![(0, -1.0), (0, 1.0)] } else { (0..classes).map(|class| (class, 1.0)).collect() };
    let outputs = columns.len();
    let mut weight = Tensor::zeros(vec![features, outputs]);
    let mut bias = Tensor::zeros(vec![outputs]);
    for (to, (class, sign)) in columns.into_iter().enumerate() {
        for i in 0..features {
            weight.values[i * outputs + to] = sign * coefficients[class * features + i];
        }
        bias.values[to] = sign * intercepts.get(class).copied().unwrap_or(0.0);
    }
    let scores =
        importer.graph.push(format!("{}.scores", node.label()), Linear::new(weight, bias)?, &[input])?;
    let op: Option<Box<dyn Op>> = match &*transform {
        "NONE" => None,
        "SOFTMAX" => Some(Softmax::new(outputs, 0).into()),
        "LOGISTIC" => Some(Sigmoid.into()),
        other => return Err(format!("post_transform {other} is not supported")),
    };
    let value = match op {
        Some(op) => importer.graph.push(format!("{}.probabilities", node.label()), op, &[scores])?,
        None => scores,
    };
    importer.produce_output(node, 1, Value::Computed(value));
    Ok(())
}

/// x divided by its norm.
fn normalizer<'a>(importer: &mut Importer<'a>, node: &'a NodeProto) -> Result<(), String> {
    let (input, features) = row(importer, node)?;
    let norm = node.text("norm").unwrap_or("MAX".into());
    let reduction = match &*norm {
        "L1" => Reduction::L1,
        "L2" => Reduction::L2,
        other => return Err(format!("the norm {other} is not supported")),
    };
    let norm = Reduce::new(reduction, &[features], &[0])?;
    let norm = importer.graph.push(format!("{}.norm", node.label()), norm, &[input])?;
    push(importer, node, Arithmetic::new(Operator::Div, [&[features], &[1]])?, &[input, norm])
}

/// (x − offset)·scale
fn scaler<'a>(importer: &mut Importer<'a>, node: &'a NodeProto) -> Result<(), String> {
    let (input, features) = row(importer, node)?;
    let [offset, scale] = [("offset", 0.0), ("scale", 1.0)].map(|(name, default)| {
        let given = floats(node, name);
        match given.len() {
            0 => Ok(vec![default; features]),
            1 => Ok(vec![given[0]; features]),
            count if count == features => Ok(given.to_vec()),
            count => Err(format!("its {name} has {count} values for {features}")),
        }
    });
    let (offset, scale) = (offset?, scale?);
    let shift = offset.iter().zip(&scale).map(|(&o, &s)| (-f64::from(o) * f64::from(s)) as f32).collect();
    push(importer, node, Affine::new(vec![features], vec![features], scale, shift)?, &[input])
}
