//! Files built message by message: what exporters rarely write, and what nobody should.

use prost::Message;

use super::proto::{
    AttributeProto, DimensionProto, DimensionValue, GraphProto, ModelProto, NodeProto, OperatorSetIdProto,
    TensorProto, TensorShapeProto, TensorTypeProto, TypeProto, ValueInfoProto, data_type,
};
use crate::network::{Classifier, Network, OutputKind};

pub(super) fn node(op_type: &str, inputs: &[&str], output: &str) -> NodeProto {
    NodeProto {
        op_type: op_type.into(),
        input: inputs.iter().map(ToString::to_string).collect(),
        output: vec![output.into()],
        ..NodeProto::default()
    }
}

pub(super) fn with_int(mut node: NodeProto, name: &str, value: i64) -> NodeProto {
    node.attribute.push(AttributeProto {
        name: name.into(),
        i: value,
        r#type: 2,
        ..AttributeProto::default()
    });
    node
}

pub(super) fn floats(name: &str, dims: &[i64], values: &[f32]) -> TensorProto {
    TensorProto {
        dims: dims.to_vec(),
        data_type: data_type::FLOAT,
        float_data: values.to_vec(),
        name: name.into(),
        ..TensorProto::default()
    }
}

pub(super) fn integers(name: &str, values: &[i64]) -> TensorProto {
    TensorProto {
        dims: vec![values.len() as i64],
        data_type: data_type::INT64,
        int64_data: values.to_vec(),
        name: name.into(),
        ..TensorProto::default()
    }
}

/// Reads a model of input `image` (batch × shape) and output `logits`.
fn read(shape: &[i64], nodes: Vec<NodeProto>, initializer: Vec<TensorProto>) -> crate::Result<Network> {
    read_in(17, shape, nodes, initializer)
}

/// Like [`read`], in this opset.
fn read_in(
    opset: i64,
    shape: &[i64],
    nodes: Vec<NodeProto>,
    initializer: Vec<TensorProto>,
) -> crate::Result<Network> {
    let info = |name: &str, shape: &[i64]| {
        let batch = DimensionValue::Parameter("batch".into());
        let dims = std::iter::once(batch).chain(shape.iter().map(|&d| DimensionValue::Value(d)));
        let dim = dims.map(|value| DimensionProto { value: Some(value) }).collect();
        let tensor_type =
            TensorTypeProto { elem_type: data_type::FLOAT, shape: Some(TensorShapeProto { dim }) };
        ValueInfoProto { name: name.into(), r#type: Some(TypeProto { tensor_type: Some(tensor_type) }) }
    };
    let graph = GraphProto {
        node: nodes,
        name: "test".into(),
        initializer,
        input: vec![info("image", shape)],
        output: vec![info("logits", &[])],
    };
    let model = ModelProto {
        graph: Some(graph),
        opset_import: vec![OperatorSetIdProto { domain: String::new(), version: opset }],
        ..ModelProto::default()
    };
    super::read_bytes("test", &model.encode_to_vec())
}

fn evaluate(network: &Network, image: &[f32], seed: &[f32]) -> (Vec<f32>, Vec<f32>) {
    let mut session = network.session();
    session.inputs(1).copy_from_slice(image);
    let logits = session.forward().expect("works").to_vec();
    (logits, session.backward(seed).expect("works").to_vec())
}

pub(super) fn message(result: crate::Result<Network>) -> String {
    result.expect_err("refused").to_string()
}

#[test]
fn constants_are_reshaped() {
    let nodes = vec![
        node("Unsqueeze", &["bias", "axes"], "column"),
        node("Add", &["image", "column"], "sum"),
        node("Flatten", &["sum"], "logits"),
    ];
    let constants = vec![floats("bias", &[2], &[10.0, 20.0]), integers("axes", &[1])];
    let network = read(&[2, 3], nodes, constants).expect("valid");
    let (logits, _) = evaluate(&network, &[0.0; 6], &[0.0; 6]);
    assert_eq!(logits, [10.0, 10.0, 10.0, 20.0, 20.0, 20.0]);
}

#[test]
fn a_softmax_runs_over_the_axis_it_is_asked_to() {
    // Channel c of every pixel is ln(1 + c) more than channel 0, so its share is (1 + c) / 6.
    let pixel = |p: usize| p as f32 / 2.0;
    let image: Vec<f32> =
        (0..3).flat_map(|c| (0..4).map(move |p| pixel(p) + (1.0 + c as f32).ln())).collect();
    for axis in [1, -3, 2] {
        let softmax = with_int(node("Softmax", &["image"], "shares"), "axis", axis);
        let nodes =
            vec![softmax, node("Mul", &["shares", "six"], "scaled"), node("Flatten", &["scaled"], "logits")];
        let network = read(&[3, 2, 2], nodes, vec![floats("six", &[], &[6.0])]).expect("valid");
        // Probabilities are attacked at their logarithms, without the factor that all share.
        let (logarithms, _) = evaluate(&network, &image, &[0.0; 12]);
        let shares: Vec<f32> = logarithms.iter().map(|log| 6.0 * log.exp()).collect();
        for (i, share) in shares.iter().enumerate() {
            // Down a column the second pixel is 1 more than the first.
            let down = 6.0 / (1.0 + (if i / 2 % 2 == 0 { 1.0_f32 } else { -1.0 }).exp());
            let expected = if axis == 2 { down } else { (1 + i / 4) as f32 };
            assert!((share - expected).abs() < 1e-5, "{shares:?}");
        }
    }
}

#[test]
fn channels_may_be_normalised_where_they_are_last() {
    let flat = || read(&[2, 2, 3], vec![node("Flatten", &["image"], "logits")], Vec::new()).expect("valid");
    let (means, deviations) = ([0.0, 1.0, 2.0], [1.0, 2.0, 4.0]);
    let network = flat().normalized("test", &means, &deviations).expect("three channels");
    let (logits, gradient) = evaluate(&network, &[2.0; 12], &[1.0; 12]);
    assert_eq!((&logits[..3], &logits[9..]), (&[2.0, 0.5, 0.0][..], &[2.0, 0.5, 0.0][..]));
    assert_eq!(gradient[6..9], [1.0, 0.5, 0.25]);
    assert!(flat().normalized("test", &[0.0; 4], &[1.0; 4]).is_err());
}

/// A node that feeds nothing but a shape must not disturb the gradient.
#[test]
fn dead_nodes_change_nothing() {
    let weight = floats("weight", &[2, 2], &[1.0, 2.0, 3.0, 4.0]);
    let nodes = vec![
        node("MatMul", &["image", "weight"], "hidden"),
        node("Relu", &["hidden"], "dead"),
        node("Shape", &["dead"], "shape"),
        node("Reshape", &["hidden", "shape"], "logits"),
    ];
    let network = read(&[2], nodes, vec![weight]).expect("valid");
    let (logits, gradient) = evaluate(&network, &[1.0, 1.0], &[1.0, -1.0]);
    assert_eq!((logits, gradient), (vec![4.0, 6.0], vec![-1.0, -1.0]));
}

#[test]
fn a_softmax_before_a_reshape_is_taken_off() {
    let nodes = vec![
        node("Softmax", &["image"], "probabilities"),
        node("Reshape", &["probabilities", "shape"], "logits"),
    ];
    let network = read(&[1, 3], nodes, vec![integers("shape", &[-1, 3])]).expect("valid");
    assert_eq!(network.output_kind(), OutputKind::Probabilities);
    assert_eq!(evaluate(&network, &[1.0, 2.0, 3.0], &[0.0; 3]).0, [1.0, 2.0, 3.0]);
}

#[test]
fn batch_normalization_is_affine() {
    let constants = ["gamma", "beta", "mean", "variance"]
        .iter()
        .zip([[2.0, 1.0], [0.5, 0.0], [1.0, -1.0], [4.0, 0.25]])
        .map(|(name, values)| floats(name, &[2], &values))
        .collect();
    let nodes = vec![node("BatchNormalization", &["image", "gamma", "beta", "mean", "variance"], "logits")];
    let network = read(&[2], nodes, constants).expect("valid");
    let (logits, gradient) = evaluate(&network, &[3.0, 1.0], &[1.0, 1.0]);
    // (3 − 1) / 2 · 2 + 0.5 and (1 + 1) / 0.5, up to ε
    assert!((logits[0] - 2.5).abs() < 1e-4 && (logits[1] - 4.0).abs() < 1e-3, "{logits:?}");
    assert!((gradient[0] - 1.0).abs() < 1e-4 && (gradient[1] - 2.0).abs() < 1e-3, "{gradient:?}");
}

#[test]
fn names_are_unique() {
    let nodes = vec![node("Tanh", &["image"], "image"), node("Relu", &["image"], "logits")];
    assert!(message(read(&[3], nodes, Vec::new())).contains("two things are called 'image'"));
}

#[test]
fn what_would_change_the_numbers_is_refused() {
    let cast = with_int(node("Cast", &["image"], "logits"), "to", i64::from(data_type::INT64));
    assert!(message(read(&[3], vec![cast], Vec::new())).contains("cast"));
    let one = ["gamma", "beta", "mean", "variance"].map(|name| floats(name, &[3], &[1.0; 3]));
    let training = node("BatchNormalization", &["image", "gamma", "beta", "mean", "variance"], "logits");
    assert!(
        message(read(&[3], vec![with_int(training, "training_mode", 1)], one.to_vec()))
            .contains("training mode")
    );
}

/// In every opset, whatever says so in it.
#[test]
fn training_mode_is_refused() {
    let stats = || ["gamma", "beta", "mean", "variance"].map(|name| floats(name, &[3], &[1.0; 3])).to_vec();
    let norm = || node("BatchNormalization", &["image", "gamma", "beta", "mean", "variance"], "logits");
    let five = || {
        let mut five = norm();
        five.output.extend(["m", "v", "sm", "sv"].map(String::from));
        five
    };
    for (opset, node, sign) in [
        (6, norm(), "has no is_test, which is 0 then: in opset 6"),
        (5, with_int(norm(), "is_test", 0), "has is_test = 0: in opset 5"),
        (7, five(), "gives 5 outputs: in opset 7"),
        (13, five(), "gives 5 outputs: in opset 13"),
        (14, with_int(norm(), "training_mode", 1), "has training_mode = 1: in opset 14"),
        (6, node("Dropout", &["image"], "logits"), "has no is_test"),
        (1, with_int(node("Dropout", &["image"], "logits"), "is_test", 0), "drops values at random"),
    ] {
        let refused = message(read_in(opset, &[3], vec![node], stats()));
        assert!(refused.contains(sign) && refused.contains("model.eval()"), "{refused}");
    }
    for (opset, node) in [
        (6, with_int(norm(), "is_test", 1)),
        (7, norm()),
        (15, norm()),
        (6, with_int(node("Dropout", &["image"], "logits"), "is_test", 1)),
        (10, node("Dropout", &["image"], "logits")),
    ] {
        read_in(opset, &[3], vec![node], stats()).expect("inference");
    }
    let flags = || {
        let truth = TensorProto {
            data_type: data_type::BOOL,
            int32_data: vec![1],
            name: "training".into(),
            ..TensorProto::default()
        };
        vec![truth, floats("ratio", &[], &[0.5])]
    };
    let dropout = || vec![node("Dropout", &["image", "ratio", "training"], "logits")];
    assert!(message(read_in(13, &[3], dropout(), flags())).contains("training_mode is true"));
}

/// What an attribute means depends on the opset; where it means nothing, it is not read.
#[test]
fn attributes_of_other_opsets_are_refused() {
    let add = || with_int(with_int(node("Add", &["image", "b"], "logits"), "broadcast", 1), "axis", 1);
    let b = || vec![floats("b", &[3], &[1.0; 3])];
    let clip = || {
        let mut clip = node("Clip", &["image"], "logits");
        clip.attribute.push(AttributeProto { name: "max".into(), f: 0.5, ..AttributeProto::default() });
        clip
    };
    for (opset, nodes, fragments) in [
        (7, vec![add()], ["attribute 'broadcast', which Add has from opset 1 to 6", "of opset 7"]),
        (13, vec![clip()], ["attribute 'max', which Clip has from opset 1 to 10", "of opset 13"]),
        (
            12,
            vec![
                with_int(node("Shape", &["image"], "s"), "start", 1),
                node("Expand", &["image", "s"], "logits"),
            ],
            ["'start'", "from opset 15 on"],
        ),
        (17, vec![with_int(node("Relu", &["image"], "logits"), "leak", 1)], ["'leak'", "no version of Relu"]),
        (
            6,
            vec![node("Add", &["image", "b"], "logits")],
            ["[batch, 2, 3] and [3]", "the same without broadcast = 1"],
        ),
        (6, vec![with_int(add(), "x", 0)], ["'x'", "no version of Add"]),
    ] {
        let refused = message(read_in(opset, &[2, 3], nodes, b()));
        for fragment in fragments {
            assert!(refused.contains(fragment), "{refused}");
        }
    }
    let refused = message(read_in(6, &[2, 3], vec![add()], b()));
    assert!(
        refused.contains("[3] does not fit the first of shape [batch, 2, 3] along axis 1 (opset 6)"),
        "{refused}"
    );
}

#[test]
fn everything_that_is_wrong_is_told_at_once() {
    let slopes = floats("slopes", &[4], &[0.1; 4]);
    let nodes = vec![
        node("Det", &["slopes"], "constant"),
        node("PRelu", &["image", "slopes"], "a"),
        node("Relu", &["a"], "b"),
        node("ConvTranspose", &["image", "slopes"], "c"),
        node("ConvTranspose", &["c", "slopes"], "d"),
        with_int(node("Flatten", &["image"], "e"), "axis", 2),
        with_int(node("Concat", &["b", "d", "e", "constant"], "logits"), "axis", 1),
    ];
    let refused = message(read(&[2, 3, 5], nodes, vec![slopes]));
    for fragment in [
        "4 problems",
        "operator ConvTranspose is not supported (2 nodes)",
        "PRelu 'a': a constant of shape [4] does not fit values of shape [2, 3, 5]",
        "Flatten 'e': it mixes the images of a batch: its axis is 2",
        "Det 'constant': this operator is not supported",
    ] {
        assert!(refused.contains(fragment), "{refused}");
    }
}

#[test]
fn quantised_activations_are_refused_by_name() {
    let nodes = vec![
        node("QuantizeLinear", &["image", "scale"], "q"),
        node("DequantizeLinear", &["q", "scale"], "logits"),
    ];
    let refused = message(read(&[3], nodes, vec![floats("scale", &[], &[0.1])]));
    assert!(
        refused.contains("operator QuantizeLinear is not supported (1 node): activations are quantised"),
        "{refused}"
    );
    assert!(refused.contains("operator DequantizeLinear"), "{refused}");
}

#[test]
fn types_have_names() {
    let text = TensorProto { dims: vec![1], data_type: 8, name: "b".into(), ..TensorProto::default() };
    let refused = message(read(&[3], vec![node("Add", &["image", "b"], "logits")], vec![text]));
    assert!(refused.contains("tensor 'b' has the type string"), "{refused}");
    let cast = with_int(node("Cast", &["image"], "logits"), "to", 6);
    let refused = message(read(&[3], vec![cast], Vec::new()));
    assert!(refused.contains("casts values that depend on the image to int32"), "{refused}");
    let double = TensorProto {
        dims: vec![3],
        data_type: data_type::DOUBLE,
        double_data: vec![0.1; 3],
        name: "b".into(),
        ..TensorProto::default()
    };
    let network = read(&[3], vec![node("Add", &["image", "b"], "logits")], vec![double]).expect("valid");
    assert_eq!(network.notes(), ["1 tensor of double: rounded to float32, in which everything is computed"]);
}

#[test]
fn a_newer_opset_is_said() {
    let network = read_in(99, &[3], vec![node("Relu", &["image"], "logits")], Vec::new()).expect("valid");
    let said = |note: &String| note.contains("opset 99; it is read as one of opset 28");
    assert!(network.notes().iter().any(said), "{:?}", network.notes());
}

/// Small files that ask for much: an error at once, not a panic, a hang or all of the memory.
#[test]
fn hostile_sizes_are_refused() {
    let gemm = || vec![node("Gemm", &["image", "weight"], "logits")];
    let huge = 1_i64 << 62;
    for dims in [[0, huge], [huge, 0], [huge, huge], [-1, 3], [3, -3]] {
        message(read(&[3], gemm(), vec![floats("weight", &dims, &[])]));
    }

    for target in
        [vec![0, 5488, 0x6DB6_DB6D_B6DB_6DB7], vec![0, -1, -1], vec![-1; 30], vec![i64::MAX; 3], vec![]]
    {
        let nodes = vec![node("Reshape", &["image", "target"], "logits")];
        message(read(&[1, 28, 28], nodes, vec![integers("target", &target)]));
    }

    let mut doubling: Vec<NodeProto> = vec![node("Shape", &["image"], "s0")];
    for i in 0..40 {
        let (from, to) = (format!("s{i}"), format!("s{}", i + 1));
        doubling.push(node("Concat", &[&from, &from], &to));
    }
    doubling.push(node("Reshape", &["image", "s40"], "logits"));
    message(read(&[3], doubling, Vec::new()));

    let mut products = vec![node("Mul", &["image", "two"], "m0")];
    for i in 0..200 {
        products.push(node("Mul", &[&format!("m{i}"), "two"], &format!("m{}", i + 1)));
    }
    products.push(node("Flatten", &["m200"], "logits"));
    assert!(message(read(&[4096, 4096], products, vec![floats("two", &[], &[2.0])])).contains("too large"));

    let nodes = vec![node("Unsqueeze", &["image", "axes"], "logits")];
    message(read(&[3], nodes, vec![integers("axes", &vec![1; 400_000])]));

    for axis in [i64::MIN, i64::MAX, -5, 2] {
        let nodes = vec![
            with_int(node("Softmax", &["image"], "hidden"), "axis", axis),
            node("Relu", &["hidden"], "logits"),
        ];
        message(read(&[3], nodes, Vec::new()));
    }
    message(read(&[i64::MAX], vec![node("Relu", &["image"], "logits")], Vec::new()));
    message(read(&[1 << 23, 1 << 23], vec![node("Flatten", &["image"], "logits")], Vec::new()));
}
