//! Files with several outputs, built message by message.

use prost::Message;

use super::Options;
use super::proto::{
    AttributeProto, DimensionProto, DimensionValue, GraphProto, ModelProto, NodeProto, OperatorSetIdProto,
    TensorProto, TensorShapeProto, TensorTypeProto, TypeProto, ValueInfoProto, data_type,
};
use super::tests::{floats, integers, message, node, with_int};
use crate::network::{Classifier, Network, OutputKind};

fn info(name: &str, elem_type: i32, shape: &[i64]) -> ValueInfoProto {
    let batch = DimensionValue::Parameter("batch".into());
    let dims = std::iter::once(batch).chain(shape.iter().map(|&d| DimensionValue::Value(d)));
    let dim = dims.map(|value| DimensionProto { value: Some(value) }).collect();
    let tensor_type = TensorTypeProto { elem_type, shape: Some(TensorShapeProto { dim }) };
    ValueInfoProto { name: name.into(), r#type: Some(TypeProto { tensor_type: Some(tensor_type) }) }
}

/// A model of six pixels with these outputs, the matrices `w3` to `w12`, and `nodes`.
fn model(nodes: Vec<NodeProto>, outputs: Vec<ValueInfoProto>) -> Vec<u8> {
    model_with(nodes, outputs, Vec::new())
}

fn model_with(nodes: Vec<NodeProto>, outputs: Vec<ValueInfoProto>, more: Vec<TensorProto>) -> Vec<u8> {
    let matrix = |columns: i64| {
        let values: Vec<f32> = (0..6 * columns).map(|i| ((i * 7 + columns) % 11) as f32 - 5.0).collect();
        floats(&format!("w{columns}"), &[6, columns], &values)
    };
    let graph = GraphProto {
        node: nodes,
        name: "test".into(),
        initializer: [3, 4, 5, 12].map(matrix).into_iter().chain(more).collect(),
        input: vec![info("x", data_type::FLOAT, &[6])],
        output: outputs,
    };
    let opset_import = vec![OperatorSetIdProto { domain: String::new(), version: 17 }];
    ModelProto { graph: Some(graph), opset_import, ..ModelProto::default() }.encode_to_vec()
}

fn of(nodes: Vec<NodeProto>, outputs: &[(&str, i64)]) -> Vec<u8> {
    model(nodes, outputs.iter().map(|&(name, size)| info(name, data_type::FLOAT, &[size])).collect())
}

fn read(bytes: &[u8]) -> crate::Result<Network> {
    super::read_bytes("m.onnx", bytes)
}

fn taken(bytes: &[u8]) -> String {
    let network = read(bytes).expect("one is taken");
    let taken: Vec<&str> =
        network.outputs().iter().filter(|output| output.taken).map(|output| output.name.as_str()).collect();
    assert_eq!(taken.len(), 1);
    assert!(network.notes().iter().any(|note| note.contains(taken[0]) && note.contains("--output NAME")));
    taken[0].into()
}

fn matmul(weight: &str, output: &str) -> NodeProto {
    node("MatMul", &["x", weight], output)
}

#[test]
fn the_output_that_looks_like_class_scores_is_taken() {
    let embedding = || vec![matmul("w12", "e"), node("Relu", &["e"], "embedding"), matmul("w3", "logits")];
    assert_eq!(taken(&of(embedding(), &[("embedding", 12), ("logits", 3)])), "logits");
    assert_eq!(taken(&of(embedding(), &[("logits", 3), ("embedding", 12)])), "logits");

    // Without names that tell: probabilities rather than hidden units, and what comes last.
    let hidden =
        vec![matmul("w12", "a"), node("Relu", &["a"], "b"), matmul("w5", "c"), node("Softmax", &["c"], "d")];
    assert_eq!(taken(&of(hidden, &[("b", 12), ("d", 5)])), "d");
    let mut deep = vec![matmul("w5", "1"), node("Tanh", &["x"], "h0")];
    for i in 0..4 {
        deep.push(node("Tanh", &[&format!("h{i}")], &format!("h{}", i + 1)));
    }
    deep.push(node("MatMul", &["h4", "w5"], "2"));
    assert_eq!(taken(&of(deep, &[("1", 5), ("2", 5)])), "2");
    let auxiliary = vec![matmul("w5", "aux_logits"), matmul("w5", "logits")];
    assert_eq!(taken(&of(auxiliary, &[("aux_logits", 5), ("logits", 5)])), "logits");

    // Labels are none, and neither is what cannot be computed: it does not matter.
    let mut labelled = vec![matmul("w5", "z"), node("Softmax", &["z"], "scores")];
    labelled.push(node("ArgMax", &["z"], "label"));
    labelled.push(node("NonMaxSuppression", &["z"], "kept"));
    let outputs = vec![
        info("label", data_type::INT64, &[]),
        info("kept", data_type::FLOAT, &[5]),
        info("scores", data_type::FLOAT, &[5]),
    ];
    assert_eq!(taken(&model(labelled, outputs)), "scores");
}

#[test]
fn an_output_may_be_asked_for() {
    let nodes = vec![matmul("w12", "embedding"), matmul("w3", "logits")];
    let bytes = of(nodes, &[("embedding", 12), ("logits", 3)]);
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("m.onnx");
    std::fs::write(&path, bytes).expect("writable");
    let asked = |name| super::read_with(&path, Options { output: Some(name), ..Options::default() });
    assert_eq!(asked("embedding").expect("there").classes(), 12);
    assert_eq!(asked("logits").expect("there").classes(), 3);
    let refused = asked("scores").expect_err("not there").to_string();
    for part in ["no output called 'scores'", "'embedding' (12", "'logits' (3", "--output"] {
        assert!(refused.contains(part), "{refused}");
    }
}

#[test]
fn what_looks_like_no_class_scores_is_refused() {
    let refused = |nodes, outputs: &[(&str, i64)], parts: &[&str]| {
        let refused = message(read(&of(nodes, outputs)));
        for part in parts.iter().chain(&["--output NAME"]) {
            assert!(refused.contains(part), "{part}: {refused}");
        }
        for (name, size) in outputs {
            assert!(refused.contains(&format!("'{name}' ({size}")), "{refused}");
        }
    };
    let digits = vec![matmul("w5", "first"), matmul("w5", "second")];
    refused(digits, &[("first", 5), ("second", 5)], &["several of its 2 outputs look like class scores"]);
    let boxes = vec![matmul("w4", "boxes"), matmul("w12", "embedding")];
    refused(boxes, &[("boxes", 4), ("embedding", 12)], &["none of its 2 outputs looks like class scores"]);
    // What would be taken cannot be computed, and nothing else is taken for it.
    let main =
        vec![matmul("w5", "aux_logits"), matmul("w5", "z"), node("NonMaxSuppression", &["z"], "logits")];
    let parts = ["'logits' looks most like class scores", "NonMaxSuppression is not supported"];
    refused(main, &[("aux_logits", 5), ("logits", 5)], &parts);
    let only = vec![matmul("w12", "embedding")];
    refused(only, &[("embedding", 12)], &["its only output does not look like class scores"]);
}

#[test]
fn a_single_output_keeps_its_own_problems() {
    let nodes = vec![matmul("w5", "z"), node("NonMaxSuppression", &["z"], "kept")];
    assert!(message(read(&of(nodes, &[("kept", 5)]))).contains("NonMaxSuppression is not supported"));
}

/// Not that none looks like class scores, nor twice what stands before several.
#[test]
fn what_keeps_all_outputs_from_being_computed_is_told() {
    let trunk = || node("NonMaxSuppression", &["x"], "kept");
    let strange = || with_int(node("Relu", &["x"], "strange"), "strength", 2);
    let head = |input: &str, weight: &str, output: &str| node("MatMul", &[input, weight], output);
    let nodes = vec![trunk(), strange(), head("kept", "w5", "a"), head("kept", "w12", "b")];
    let more = vec![node("Add", &["b", "strange"], "c")];
    let outputs = [("a", 5), ("b", 12), ("c", 12)];
    let refused = message(read(&of([nodes, more].concat(), &outputs)));
    for part in ["NonMaxSuppression is not supported (1 node)", "'strength', which no version of Relu has"] {
        assert_eq!(refused.matches(part).count(), 1, "{refused}");
    }
    assert!(!refused.contains("looks like"), "{refused}");

    // One that can be computed is taken; asked for another one, its problem is told.
    let nodes = vec![strange(), head("strange", "w12", "b"), matmul("w5", "scores")];
    let bytes = of(nodes, &[("b", 12), ("scores", 5)]);
    assert_eq!(taken(&bytes), "scores");
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("m.onnx");
    std::fs::write(&path, bytes).expect("writable");
    let refused = message(super::read_with(&path, Options { output: Some("b"), ..Options::default() }));
    assert!(refused.contains("which no version of Relu has"), "{refused}");
}

#[test]
fn notes_are_on_the_output_that_is_taken() {
    let double = |name: &str, dims: [i64; 2]| TensorProto {
        dims: dims.to_vec(),
        data_type: data_type::DOUBLE,
        double_data: (0..dims[0] * dims[1]).map(|i| (i % 7) as f64).collect(),
        name: name.into(),
        ..TensorProto::default()
    };
    let nodes = vec![matmul("d3", "embedding"), matmul("d5", "logits")];
    let outputs = ["embedding", "logits"].map(|name| info(name, data_type::FLOAT, &[]));
    let network = read(&model_with(nodes, outputs.into(), vec![double("d3", [6, 3]), double("d5", [6, 5])]));
    let network = network.expect("one is taken");
    let said = |part: &str| network.notes().iter().any(|note| note.contains(part));
    assert!(said("'logits' (5) is taken") && said("1 tensor of double"), "{:?}", network.notes());
}

/// `torch.stack([a(x), b(x)]).mean(0)`: the members stand before the batch.
#[test]
fn members_before_the_batch_are_averaged() {
    let first = [integers("front", &[0])];
    let stack = |last: NodeProto| {
        let mut nodes = Vec::new();
        for i in ["1", "2"] {
            let named = |name: &str| format!("{name}{i}");
            nodes.push(matmul(if i == "1" { "w5" } else { "v5" }, &named("z")));
            nodes.push(node("Softmax", &[&named("z")], &named("p")));
            nodes.push(node("Unsqueeze", &[&named("p"), "front"], &named("u")));
        }
        nodes.push(with_int(node("Concat", &["u1", "u2"], "all"), "axis", 0));
        nodes.push(last);
        nodes
    };
    let v5 = floats("v5", &[6, 5], &(0..30).map(|i| ((i * 5) % 7) as f32 / 2.0).collect::<Vec<_>>());
    let mean = |axis| {
        let mut mean = with_int(node("ReduceMean", &["all"], "y"), "keepdims", 0);
        mean.attribute.push(AttributeProto {
            name: "axes".into(),
            ints: vec![axis],
            ..AttributeProto::default()
        });
        mean
    };
    let bytes = |nodes| {
        model_with(
            nodes,
            vec![info("y", data_type::FLOAT, &[5])],
            [&first[..], std::slice::from_ref(&v5)].concat(),
        )
    };
    let network = read(&bytes(stack(mean(0)))).expect("an average");
    assert_eq!(network.output_kind(), OutputKind::Combined);
    let x = [0.3, 0.1, 0.9, 0.2, 0.5, 0.7];
    let mut session = network.session();
    session.inputs(1).copy_from_slice(&x);
    let found = session.forward().expect("works").to_vec();
    let member = |weight: &dyn Fn(usize) -> f64| -> Vec<f64> {
        let z: Vec<f64> =
            (0..5).map(|j| (0..6).map(|i| f64::from(x[i]) * weight(i * 5 + j)).sum::<f64>().exp()).collect();
        z.iter().map(|e| e / z.iter().sum::<f64>()).collect()
    };
    let p = member(&|i| ((i * 7 + 5) % 11) as f64 - 5.0);
    let q = member(&|i| ((i * 5) % 7) as f64 / 2.0);
    for (j, found) in found.iter().enumerate() {
        let expected = (0.5 * (p[j] + q[j])).ln();
        assert!((f64::from(*found) - expected).abs() < 1e-5, "{found}, not {expected}");
    }
    let refused = message(read(&bytes(stack(mean(2)))));
    assert!(refused.contains("stand before the batch") && refused.contains("dim=1"), "{refused}");
}
