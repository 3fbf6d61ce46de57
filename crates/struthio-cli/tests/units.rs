//! `struthio units`, end to end on a small job.

mod common;

use common::{Sandbox, files, fixture};
use serde_json::Value;

#[test]
fn units_leave_the_same_bytes_for_any_threads() {
    let sandbox = Sandbox::new();
    let model = fixture("struthio_fc32-10.onnx");
    let run = |out: &str, threads: &str| {
        let base =
            ["units", &model, "--layer", "all", "--data", "mnist:test[100..300]", "--maximise", "--out", out];
        let printed =
            sandbox.succeed(&[&base[..], &["--threads", threads, "--format", "json", "-q"]].concat());
        (serde_json::from_str::<Value>(&printed).expect("JSON"), files(&sandbox.path().join(out)))
    };
    let (printed, expected) = run("a", "1");
    let names: Vec<&str> = expected.keys().map(String::as_str).collect();
    assert_eq!(names, ["SHA256SUMS", "directions.csv", "manifest.json", "report.html", "summary.json"]);
    let summary: Value = serde_json::from_slice(&expected["summary.json"]).expect("JSON");
    assert_eq!(summary["layers"], printed["layers"]);
    let layers = summary["layers"].as_array().expect("layers");
    assert_eq!(layers.len(), 2, "the nonlinearity and the logits");
    assert!(layers.iter().all(|layer| layer["comparisons"].as_array().is_some_and(|all| all.len() == 5)));
    assert!(run("b", "3").1 == expected);
}

#[test]
fn nothing_is_left_of_a_wrong_layer_or_too_few_images() {
    let sandbox = Sandbox::new();
    let model = fixture("struthio_fc32-10.onnx");
    let message = sandbox.fail(&["units", &model, "--layer", "relu9", "--data", "mnist:test[0..50]"]);
    assert!(message.contains("no layer 'relu9'") && message.contains("Linear, 32"), "{message}");
    let message = sandbox.fail(&["units", &model, "--layer", "all", "--data", "mnist:test[0..5]"]);
    assert!(message.contains("too few images (5)"), "{message}");
    assert!(!sandbox.path().join("runs").exists());
}

#[test]
fn attributes_take_the_place_of_labels_and_a_finished_run_is_printed_again() {
    let sandbox = Sandbox::new();
    let model = fixture("struthio_fc32-10.onnx");
    let width = |i: usize| if i.is_multiple_of(3) { "thin" } else { "bold" };
    let rows: Vec<String> = (100..160).map(|i| format!("{i},{},{}", width(i), i % 7)).collect();
    let table = format!("index,width,slant\n{}\n", rows.join("\n"));
    std::fs::write(sandbox.path().join("table.csv"), table).expect("written");
    let base =
        ["units", &model, "--layer", "all", "--data", "mnist:test[100..160]", "--attributes", "table.csv"];
    let message = sandbox.fail(&base);
    assert!(message.contains("choose an attribute; there are: width, slant"), "{message}");
    let chosen = [&base[..], &["--attribute", "width", "--out", "run", "--format", "json"]].concat();
    let printed = sandbox.succeed(&chosen);
    let summary: Value = serde_json::from_str(&printed).expect("JSON");
    let entropy = summary["layers"][0]["kinds"][0]["label_entropy"].as_f64().expect("a number");
    assert!(entropy > 0.0 && entropy <= 1.0, "two values have at most one bit: {entropy}");
    let manifest: Value =
        serde_json::from_slice(&files(&sandbox.path().join("run"))["manifest.json"]).expect("JSON");
    assert_eq!(manifest["class_names"], serde_json::json!(["bold", "thin"]));
    assert_eq!(sandbox.succeed(&[&chosen[..], &["--resume"]].concat()), printed);
    let other = [&base[..], &["--attribute", "slant", "--out", "run", "--resume", "-q"]].concat();
    assert!(sandbox.fail(&other).contains("slant"));
}
