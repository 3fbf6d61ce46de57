//! `struthio transfer`: matrices of models whose relation is known.

mod common;

use common::{Sandbox, files, fixture, text};
use serde_json::Value;
#[cfg(unix)]
use struthio::network::Architecture;
use struthio::network::ops::{Affine, AveragePool, Op, Reshape, Window};
use struthio::network::{Classifier, Graph, Network, ValueId, onnx};

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
    // Twice the same distances have their median: 0.0338 becomes 0.034, 0.068 and 0.136.
    let median = summary["models"][0]["attack"]["rms"]["median"].as_f64().expect("a median");
    let rounded: f64 = format!("{median:.1e}").parse().expect("a number");
    let sizes = summary["transfer"]["rows"][1]["sizes"].as_array().expect("sizes");
    let asked: Vec<f64> = sizes.iter().filter_map(|sized| sized["size"]["rms"].as_f64()).collect();
    assert_eq!(asked, [rounded, 2.0 * rounded, 4.0 * rounded]);
    let followed = summary["transfer"]["curves"][0]["rms"][12].as_f64().expect("a size");
    assert!((followed / rounded - 12.0).abs() < 1e-9, "{followed} {rounded}");
    assert!(summary["notes"].to_string().contains(&format!("times {rounded}, the median")));
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

/// `struthio_fc32-10.onnx` behind `ops`, in a file of the sandbox.
fn behind(sandbox: &Sandbox, name: &str, input: &[usize], ops: Vec<Box<dyn Op>>) -> String {
    let network = onnx::read(std::path::Path::new(&fixture("struthio_fc32-10.onnx"))).expect("a model");
    let mut graph = Graph::new(input.to_vec());
    for (i, op) in ops.into_iter().enumerate() {
        graph.then(format!("before {i}"), op).expect("fits");
    }
    let more = graph.nodes().len();
    for node in network.graph().nodes() {
        let inputs: Vec<ValueId> = node.inputs.iter().map(|value| ValueId(value.0 + more)).collect();
        graph.push(&node.name, node.op.clone(), &inputs).expect("fits");
    }
    let path = sandbox.path().join(name);
    std::fs::write(&path, onnx::write(&Network::new(name, graph).expect("a model"))).expect("written");
    name.to_owned()
}

/// A model with its normalisation inside, and the same one that wants normalised pixels.
#[test]
fn every_model_may_have_a_normalisation_of_its_own() {
    let sandbox = Sandbox::new();
    let inside = fixture("struthio_fc32-10.onnx");
    let shape = onnx::read(std::path::Path::new(&inside)).expect("a model").input().shape.clone();
    let ones = vec![1; shape.len()];
    // Undoes (x − 0.1307) / 0.3081.
    let undo = Affine::new(shape.clone(), ones, vec![0.3081], vec![0.1307]).expect("fits");
    let outside = behind(&sandbox, "outside.onnx", &shape, vec![undo.into()]);
    let base = [
        "transfer", &inside, &outside, "--data", IMAGES, "--rms", "0.05", "--draws", "1", "--format", "json",
    ];
    let run = |more: &[&str]| json(&sandbox.succeed(&[&base[..], more].concat()));

    let one_for_all = run(&[]);
    let wrong = &one_for_all["transfer"]["unchanged"][1];
    assert!(wrong["rate"].as_f64() > Some(0.5), "{wrong}");
    let notes = one_for_all["notes"].to_string();
    assert!(notes.contains("outside.onnx: gets") && !notes.contains("fc32-10.onnx: gets"), "{notes}");
    assert!(notes.contains("as in --normalize none --normalize mnist"), "{notes}");

    for options in [
        &["--normalize", "none", "--normalize", "mnist"][..],
        &["--mean", "0", "--std", "1", "--mean", "0.1307", "--std", "0.3081"],
    ] {
        let each = run(options);
        assert_eq!(each["transfer"]["unchanged"][0], each["transfer"]["unchanged"][1]);
        let fooled = shares(&each, 1, "fooled");
        assert!(fooled[0][1] == fooled[0][0] && fooled[1][0] == fooled[1][1], "{fooled:?}");
        assert!(each["notes"].to_string().contains("outside.onnx: its pixels are normalised by --"));
        let folder = sandbox.path().join(each["directory"].as_str().expect("a folder"));
        let manifest = json(&std::fs::read_to_string(folder.join("manifest.json")).expect("a manifest"));
        let command = manifest["command"].to_string();
        assert!(command.contains("\"--normalize\",\"mnist\"") || command.contains("\"0.1307\""), "{command}");
        let report = std::fs::read_to_string(folder.join("report.html")).expect("a report");
        assert!(report.contains("outside.onnx: its pixels are normalised by"));
    }
    let message = sandbox
        .fail(&[&base[..], &["--normalize", "none", "--normalize", "none", "--normalize", "mnist"]].concat());
    assert!(message.contains("--normalize is given 3 times for 2 models"), "{message}");
    let message = sandbox.fail(&[&base[..], &["--mean", "0", "--std", "1", "--std", "1"]].concat());
    assert!(message.contains("--mean is given 1 times and --std 2 times"), "{message}");
}

/// A model of images twice as large, which it takes the means of four pixels of.
#[test]
fn models_of_other_sizes_scale_the_images() {
    let sandbox = Sandbox::new();
    let small = fixture("struthio_fc32-10.onnx");
    let shape = onnx::read(std::path::Path::new(&small)).expect("a model").input().shape.clone();
    let window = Window { stride: [2, 2], ..Window::of([2, 2]) };
    let pool = AveragePool::new([1, 56, 56], window, [[0; 2]; 2]).expect("fits");
    let large = behind(&sandbox, "large.onnx", &[1, 56, 56], vec![pool.into(), Reshape::new(shape).into()]);
    let base = ["--data", IMAGES, "--draws", "1", "--format", "json"];
    let summary = json(&sandbox.succeed(&[&["transfer", &small, &large], &base[..]].concat()));
    let wrong = |model: usize| summary["transfer"]["unchanged"][model]["rate"].as_f64().expect("a rate");
    assert!((wrong(0) - wrong(1)).abs() <= 0.1, "{} {}", wrong(0), wrong(1));
    let fooled = shares(&summary, 3, "fooled");
    assert!(fooled.iter().flatten().all(|&share| share > 0.5), "{fooled:?}");
    let said = "large.onnx: images of 28 × 28 are scaled to its 56 × 56";
    assert!(summary["notes"].to_string().contains(said), "{}", summary["notes"]);
    let folder = sandbox.path().join(summary["directory"].as_str().expect("a folder"));
    let adversarial = std::fs::read(folder.join("models/2-large/adversarial.npy")).expect("images");
    assert_eq!(adversarial.len(), 128 + 40 * 784 * 4, "in the pixels that all models share");

    let first = [&["transfer", &large, &small], &base[..]].concat();
    let message = sandbox.fail(&[&first[..], &["-q"]].concat());
    assert!(message.contains("[1, 56, 56]") && message.contains("--size"), "{message}");
    let sized = json(&sandbox.succeed(&[&first[..], &["--size", "28"]].concat()));
    let rms =
        |summary: &Value, row: usize| summary["transfer"]["rows"][row]["sizes"][0]["rms"]["mean"].clone();
    assert_eq!((rms(&sized, 0), rms(&sized, 1)), (rms(&summary, 1), rms(&summary, 0)));
    let message = sandbox.fail(&[&first[..], &["-q", "--size", "28by28"]].concat());
    assert!(message.contains("240x320"), "{message}");
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
