//! `struthio transfer`: matrices of models whose relation is known.

mod common;

use common::{Sandbox, files, fixture, text};
use serde_json::Value;
#[cfg(unix)]
use struthio::network::{Architecture, onnx};

const IMAGES: &str = "mnist:test[0..40]";

fn json(text: &str) -> Value {
    serde_json::from_str(text).expect("JSON")
}

/// `shares[row][column]` in the size of this number.
fn shares(summary: &Value, size: usize, what: &str) -> Vec<Vec<f64>> {
    let rows = summary["transfer"]["rows"].as_array().expect("rows");
    let cells = |row: &Value| {
        let cells = row["sizes"][size]["cells"].as_array().expect("cells").clone();
        cells.iter().map(|cell| cell[what]["rate"].as_f64().expect("a rate")).collect()
    };
    rows.iter().map(cells).collect()
}

#[test]
fn twins_fool_each_other_and_the_same_bytes_come_of_any_threads() {
    let sandbox = Sandbox::new();
    let model = fixture("struthio_fc32-10.onnx");
    let twin = sandbox.path().join("twin.onnx");
    std::fs::copy(&model, &twin).expect("copied");
    let run = |out: &str, more: &[&str]| {
        let base = ["transfer", &model, "twin.onnx", "--data", IMAGES, "--out", out, "--quiet"];
        let out_text = sandbox.succeed(&[&base[..], &["--format", "json"], more].concat());
        (json(&out_text), files(&sandbox.path().join(out)))
    };
    let (summary, expected) = run("a", &["--threads", "1"]);
    assert_eq!(shares(&summary, 0, "fooled"), [[1.0, 1.0], [1.0, 1.0]]);
    assert_eq!(shares(&summary, 0, "same_class"), [[1.0, 1.0], [1.0, 1.0]]);
    assert_eq!(summary["transfer"]["angles"]["pairs"][0]["cosine"], 1.0);
    let names: Vec<&str> = expected.keys().map(String::as_str).collect();
    let of_models = ["1-struthio_fc32-10", "2-twin"].into_iter().flat_map(|model| {
        ["adversarial.npy", "results.parquet"].map(|file| format!("models/{model}/{file}"))
    });
    let expected_names: Vec<String> = ["SHA256SUMS", "manifest.json"]
        .map(String::from)
        .into_iter()
        .chain(of_models)
        .chain(["report.html", "summary.json"].map(String::from))
        .collect();
    assert_eq!(names, expected_names);
    let (_, again) = run("b", &["--threads", "3", "--lanes", "7"]);
    for (name, bytes) in &expected {
        assert!(again.get(name) == Some(bytes), "{name} differs");
    }
    let resumed = sandbox.struthio(&[
        "transfer",
        &model,
        "twin.onnx",
        "--data",
        IMAGES,
        "--out",
        "a",
        "--resume",
        "--format",
        "json",
    ]);
    assert_eq!(json(&text(&resumed.stdout))["transfer"], summary["transfer"]);
    assert!(text(&resumed.stderr).contains("complete"));
}

/// A model whose classes are in another order is the same model once their names say so.
#[cfg(unix)]
#[test]
fn classes_in_another_order_are_mapped_by_their_names() {
    let sandbox = Sandbox::new();
    let model = fixture("struthio_fc32-10.onnx");
    let mut graph = onnx::read(std::path::Path::new(&model)).expect("a model").graph().clone();
    // The last layer's columns, moved one to the right: class j becomes class j + 1, the last the first.
    let turned: Vec<_> = graph
        .parameters()
        .map(|tensor| {
            let mut tensor = tensor.clone();
            if tensor.shape.last() == Some(&10) {
                tensor.values.chunks_exact_mut(10).for_each(|row| row.rotate_right(1));
            }
            tensor.values
        })
        .collect();
    graph.parameters_mut().zip(turned).for_each(|(tensor, values)| tensor.values = values);
    let network = struthio::network::Network::new("turned", graph).expect("a classifier");
    std::fs::write(sandbox.path().join("turned.onnx"), onnx::write(&network)).expect("written");
    let names: Vec<String> = (0..10).map(|digit| format!("digit {digit}\n")).collect();
    std::fs::write(sandbox.path().join("own.txt"), names.concat()).expect("written");
    let mut turned = names.clone();
    turned.rotate_right(1);
    std::fs::write(sandbox.path().join("turned.txt"), turned.concat()).expect("written");

    let base = ["transfer", &model, "turned.onnx", "--data", IMAGES, "--format", "json", "--quiet"];
    let mapped =
        json(&sandbox.succeed(&[&base[..], &["--classes", "own.txt", "--classes", "turned.txt"]].concat()));
    assert_eq!(shares(&mapped, 0, "fooled"), [[1.0, 1.0], [1.0, 1.0]]);
    assert_eq!(shares(&mapped, 0, "same_class"), [[1.0, 1.0], [1.0, 1.0]]);
    let unmapped = json(&sandbox.succeed(&base));
    let clean = &unmapped["models"][1]["attack"];
    assert!(clean["attacked"].as_u64().expect("a count") < 20, "without names nearly all is wrong: {clean}");
    let doubts = |summary: &Value| summary["notes"].to_string().contains("the order of its classes");
    assert!(doubts(&unmapped) && !doubts(&mapped), "{}", unmapped["notes"]);
    let folder = sandbox.path().join(mapped["directory"].as_str().expect("a folder"));
    let manifest = json(&std::fs::read_to_string(folder.join("manifest.json")).expect("a manifest"));
    assert_eq!(manifest["models"][0].get("class_order"), None);
    assert_eq!(manifest["models"][1]["class_order"], serde_json::json!([1, 2, 3, 4, 5, 6, 7, 8, 9, 0]));

    std::fs::write(sandbox.path().join("other.txt"), names.concat().replace("digit 3", "three"))
        .expect("written");
    let message = sandbox.fail(&[&base[..], &["--classes", "own.txt", "--classes", "other.txt"]].concat());
    assert!(message.contains("'digit 3' is not in other.txt"), "{message}");
    let message = sandbox.fail(
        &[&base[..], &["--classes", "own.txt", "--classes", "turned.txt", "--classes", "own.txt"]].concat(),
    );
    assert!(message.contains("--classes is given 3 times for 2 models"), "{message}");
}

#[test]
fn models_that_do_not_go_together_are_refused() {
    let sandbox = Sandbox::new();
    let model = fixture("struthio_fc32-10.onnx");
    let message = sandbox.fail(&["transfer", &model, &fixture("colour.onnx"), "--data", IMAGES]);
    assert!(message.contains("struthio_fc32-10.onnx takes images of shape"), "{message}");
    assert!(message.contains("colour.onnx of shape [3,"), "{message}");
    let message = sandbox.fail(&["transfer", &model, &fixture("four_classes.onnx"), "--data", IMAGES]);
    assert!(message.contains("has 10 classes") && message.contains("four_classes.onnx has 4"), "{message}");
    let message = sandbox.fail(&["transfer", &model, &model, "--data", IMAGES, "--rms", "0.1,0"]);
    assert!(message.contains("--rms must be above 0 and at most 1, found 0"), "{message}");
    let message = sandbox.fail(&["transfer", &model, &model, "--data", IMAGES, "--noise", "nan"]);
    assert!(message.contains("--noise must be above 0"), "{message}");
    assert!(!sandbox.path().join("runs").exists());
}

#[cfg(unix)]
#[test]
fn a_killed_transfer_ends_with_the_same_bytes() {
    use common::stopping::{WORK, assert_same, kill, start, uninterrupted, wait_until};
    let model = fixture("struthio_fc32-10.onnx");
    let other = Sandbox::new();
    let architecture: Architecture = "fc16-10".parse().expect("valid");
    let network = architecture.initialise(&[1, 28, 28], 3).expect("valid");
    let path = other.path().join("other.onnx");
    std::fs::write(&path, onnx::write(&network)).expect("written");
    let path = path.display().to_string();
    let arguments = ["transfer", &model, &path, "--data", "mnist:test[0..60]", "--out", "run", "--quiet"];
    let (expected, _) = uninterrupted(&arguments);
    let moments = [
        format!("{WORK}/models/1-struthio_fc32-10/outcomes.jsonl"),
        "models/1-struthio_fc32-10/adversarial.npy".to_owned(),
        format!("{WORK}/models/2-other/outcomes.jsonl"),
        "report.html".to_owned(),
        "summary.json".to_owned(),
        "timing.json".to_owned(),
    ];
    let sandbox = Sandbox::new();
    let resumed = [&arguments[..], &["--resume"]].concat();
    for moment in &moments {
        let awaited = sandbox.path().join("run").join(moment);
        let mut child = start(&sandbox, &resumed);
        wait_until(&mut child, || awaited.exists());
        kill(child);
    }
    sandbox.succeed(&resumed);
    assert_same(&sandbox.path().join("run"), &expected, "six kills");
}
