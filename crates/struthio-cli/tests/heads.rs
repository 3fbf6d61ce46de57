//! Models whose output is not a row of logits, through the real command. The distances are those of the closed
//! form, which `make_heads.py` prints.

mod common;

use common::{Sandbox, fixture, text};
use serde_json::Value;

const MEAN: f64 = 0.549_638;
const LARGEST: f64 = 0.932_759;

/// The summary of an attack, and what was said.
fn attack(model: &str, data: &str, more: &[&str]) -> (Value, String) {
    let sandbox = Sandbox::new();
    let (model, data) = (fixture(model), fixture(data));
    let arguments = [&["attack", &model, "--data", &data, "--format", "json"], more].concat();
    let output = sandbox.struthio(&arguments);
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{said}");
    (serde_json::from_str(&text(&output.stdout)).expect("JSON"), said)
}

fn count(summary: &Value, status: &str) -> u64 {
    let statuses = summary["attack"]["statuses"].as_array().expect("statuses");
    statuses.iter().filter(|of| of["status"] == status).map(|of| of["count"].as_u64().expect("a count")).sum()
}

fn assert_l2(summary: &Value, mean: f64, largest: f64) {
    let l2 = &summary["attack"]["l2"];
    for (found, exact) in [(&l2["mean"], mean), (&l2["max"], largest)] {
        let found = found.as_f64().expect("a distance");
        assert!((found / exact - 1.0).abs() < 1e-3, "{found}, exact {exact}");
    }
}

#[test]
fn every_head_of_one_network_gives_the_same_distances() {
    for (model, note) in [
        ("heads_plain.onnx", ""),
        ("heads_percent.onnx", "ends in a softmax, then a constant factor or offset; its logits are used"),
        ("heads_clipped.onnx", "ends in a softmax, then a clip; its logits are used"),
        (
            "heads_embedding_first.onnx",
            "of the 2 outputs of the model, 'logits' (10) is taken for class scores",
        ),
    ] {
        let (summary, said) = attack(model, "heads_digits.npz", &[]);
        assert_eq!((count(&summary, "found"), count(&summary, "already_wrong")), (27, 3), "{model}");
        assert_l2(&summary, MEAN, LARGEST);
        assert!(said.contains(note), "{model}: {said}");
    }
}

#[test]
fn one_sigmoid_stands_for_two_classes() {
    let (summary, said) = attack("heads_one_sigmoid.onnx", "heads_two.npz", &[]);
    assert_eq!(count(&summary, "found"), 30);
    assert_l2(&summary, 1.372_083, 1.876_482);
    assert!(said.contains("one output per image, a sigmoid: taken as the probability of class 1"), "{said}");
}

#[test]
fn outputs_are_listed_and_may_be_asked_for() {
    let sandbox = Sandbox::new();
    let model = fixture("heads_embedding_first.onnx");
    let listed = sandbox.succeed(&["inspect", &model]);
    for part in ["embedding", "taken", "called as class scores are", "as hidden layers do"] {
        assert!(listed.contains(part), "{part}: {listed}");
    }
    let inspect = sandbox.succeed(&["inspect", &model, "--format", "json", "--output", "embedding"]);
    let inspected: Value = serde_json::from_str(&inspect).expect("JSON");
    assert_eq!(inspected["classes"], 12);
    let taken: Vec<bool> = inspected["outputs"]
        .as_array()
        .expect("outputs")
        .iter()
        .map(|output| output["taken"].as_bool().expect("a bool"))
        .collect();
    assert_eq!(taken, [true, false]);
    let refused = sandbox.fail(&["inspect", &model, "--output", "scores"]);
    assert!(refused.contains("no output called 'scores'") && refused.contains("'logits' (10"), "{refused}");

    let data = fixture("heads_digits.npz");
    let run = ["attack", &model, "--data", &data, "--output", "logits", "--out", "run"];
    sandbox.succeed(&run);
    let manifest = std::fs::read_to_string(sandbox.path().join("run/manifest.json")).expect("a manifest");
    let manifest: Value = serde_json::from_str(&manifest).expect("JSON");
    let command: Vec<&str> =
        manifest["command"].as_array().expect("words").iter().filter_map(Value::as_str).collect();
    assert!(command.windows(2).any(|words| words == ["--output", "logits"]), "{command:?}");
}

#[test]
fn transfer_takes_an_output_for_each_model() {
    let sandbox = Sandbox::new();
    let (first, second) = (fixture("heads_embedding_first.onnx"), fixture("heads_percent.onnx"));
    let data = fixture("heads_digits.npz");
    let base = ["transfer", &first, &second, "--data", &data, "--rms", "0.05", "--noise", "0.1"];
    let run = [&base[..], &["--output", "logits", "--output", "y", "--format", "json"]].concat();
    sandbox.succeed(&run);
    let refused = sandbox.fail(&[&base[..], &["--output", "a", "--output", "b", "--output", "c"]].concat());
    assert!(refused.contains("--output is given 3 times for 2 models"), "{refused}");
}

#[test]
fn exports_of_scikit_learn_are_attacked() {
    for (model, data) in [
        ("sklearn_mlp.onnx", "heads_digits.npz"),
        ("sklearn_mlp_binary.onnx", "heads_two.npz"),
        ("sklearn_logistic.onnx", "heads_digits.npz"),
        ("sklearn_logistic_binary.onnx", "heads_two.npz"),
        ("sklearn_scaled.onnx", "heads_digits.npz"),
    ] {
        let (summary, said) = attack(model, data, &[]);
        assert!(count(&summary, "found") >= 25, "{model}: {summary}");
        assert!(said.contains("of the 2 outputs of the model, "), "{model}: {said}");
    }
}
