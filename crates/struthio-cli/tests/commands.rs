//! The real command, end to end, on small jobs.

mod common;

use std::fs::File;
use std::path::Path;

use common::{Sandbox, files, fixture};
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::Field;
use serde_json::Value;

fn array(path: &Path) -> (Vec<u64>, Vec<f32>) {
    let file = npyz::NpyFile::new(File::open(path).expect("a file")).expect("a NumPy array");
    (file.shape().to_vec(), file.into_vec().expect("f32 values"))
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).expect("JSON")
}

#[test]
fn attack_leaves_the_same_bytes_for_any_threads_and_lanes() {
    let sandbox = Sandbox::new();
    let model = fixture("struthio_fc32-10.onnx");
    let run = |out: &str, more: &[&str]| {
        let base = ["attack", &model, "--data", "mnist:test[100..160]", "--out", out, "--quiet"];
        sandbox.succeed(&[&base, more].concat());
        files(&sandbox.path().join(out))
    };
    let expected = run("a", &["--threads", "1", "--lanes", "1"]);
    let names: Vec<&str> = expected.keys().map(String::as_str).collect();
    assert_eq!(
        names,
        ["SHA256SUMS", "adversarial.npy", "manifest.json", "report.html", "results.parquet", "summary.json"]
    );
    for (i, more) in
        [["--threads", "2", "--lanes", "64"], ["--threads", "3", "--lanes", "5"]].iter().enumerate()
    {
        let again = run(&format!("b{i}"), more);
        for (name, bytes) in &expected {
            assert!(again.get(name) == Some(bytes), "{name} differs with {more:?}");
        }
        assert_eq!(again.len(), expected.len());
    }

    // One image alone among others.
    sandbox.succeed(&["attack", &model, "--data", "mnist:test[117..118]", "--out", "alone", "--quiet"]);
    let (shape, alone) = array(&sandbox.path().join("alone/adversarial.npy"));
    let (all_shape, all) = array(&sandbox.path().join("a/adversarial.npy"));
    assert_eq!((shape, all_shape), (vec![1, 1, 28, 28], vec![60, 1, 28, 28]));
    assert_eq!(alone, all[17 * 784..18 * 784]);
}

#[test]
fn attack_prints_what_it_files() {
    let sandbox = Sandbox::new();
    let model = fixture("struthio_fc32-10.onnx");
    let out =
        sandbox.succeed(&["attack", &model, "--data", "mnist:test[0..40]", "--format", "json", "--quiet"]);
    let printed = json(&out);
    let folder = sandbox.path().join(printed["directory"].as_str().expect("a folder"));
    assert_eq!(printed["directory"], "runs/attack-struthio_fc32-10-1");
    let summary = json(&std::fs::read_to_string(folder.join("summary.json")).expect("summary"));
    assert_eq!(summary["attack"], printed["attack"]);
    assert_eq!(summary["attack"]["examples"], 40);
    assert_eq!(summary["attack"]["success_rate"], 1.0);
    let manifest = json(&std::fs::read_to_string(folder.join("manifest.json")).expect("manifest"));
    assert_eq!(manifest["schema_version"], 1);
    assert_eq!(manifest["data"][0]["examples"], 40);
    let timing = json(&std::fs::read_to_string(folder.join("timing.json")).expect("timing"));
    assert!(timing["seconds"].as_f64().expect("seconds") > 0.0);

    // Pixels stay in the box, and an image that was wrong before is left as it is.
    let (_, pixels) = array(&folder.join("adversarial.npy"));
    assert!(pixels.iter().all(|p| (0.0..=1.0).contains(p)));

    // A second run does not touch the first.
    let again = json(&sandbox.succeed(&[
        "attack",
        &model,
        "--data",
        "mnist:test[0..2]",
        "--format",
        "json",
        "--quiet",
    ]));
    assert_eq!(again["directory"], "runs/attack-struthio_fc32-10-2");
}

#[test]
fn results_have_the_documented_columns() {
    let sandbox = Sandbox::new();
    let model = fixture("struthio_fc32-10.onnx");
    let run =
        ["attack", &model, "--data", "mnist:test[300..360]", "--target", "7", "--out", "run", "--quiet"];
    sandbox.succeed(&run);
    let file = File::open(sandbox.path().join("run/results.parquet")).expect("a file");
    let reader = SerializedFileReader::new(file).expect("a Parquet file");
    let columns = reader.metadata().file_metadata().schema_descr().columns();
    let names: Vec<&str> = columns.iter().map(|column| column.name()).collect();
    assert_eq!(
        names,
        [
            "index",
            "label",
            "predicted",
            "status",
            "target",
            "adversarial_label",
            "rms",
            "l2",
            "linf",
            "forwards",
            "gradients",
            "attack",
            "c",
            "optimality_residual",
            "survives_rounding"
        ]
    );
    let (_, adversarial) = array(&sandbox.path().join("run/adversarial.npy"));
    let test = struthio::data::mnist_test().expect("MNIST");
    let mut seen = std::collections::BTreeSet::new();
    for (i, row) in reader.get_row_iter(None).expect("rows").enumerate() {
        let row = row.expect("a row");
        let value = |name: &str| {
            let found = row.get_column_iter().find(|(column, _)| *column == name).expect("a column");
            found.1.clone()
        };
        assert_eq!(value("index"), Field::Long(300 + i as i64));
        let Field::Str(status) = value("status") else { panic!("a status") };
        let image = &adversarial[i * 784..(i + 1) * 784];
        let square = |(a, b): (&f32, &f32)| (*a as f64 - *b as f64).powi(2);
        let distance =
            image.iter().zip(&test.image(300 + i).expect("an image")).map(square).sum::<f64>().sqrt();
        match value("l2") {
            Field::Double(l2) => {
                assert_eq!(status, "found");
                assert!((l2 - distance).abs() < 1e-9);
                assert_eq!(value("adversarial_label"), Field::Int(7));
                assert!(matches!(value("rms"), Field::Double(rms) if (rms - l2 / 28.0).abs() < 1e-12));
            }
            other => {
                assert_eq!(other, Field::Null);
                assert_ne!(status, "found");
                assert_eq!((distance, value("rms"), value("linf")), (0.0, Field::Null, Field::Null));
            }
        }
        seen.insert(status);
    }
    for status in ["found", "already_wrong", "is_target"] {
        assert!(seen.contains(status), "{seen:?}");
    }
}

#[cfg(target_os = "linux")]
#[test]
fn standard_error_may_be_unwritable() {
    let sandbox = Sandbox::new();
    let full = File::options().write(true).open("/dev/full").expect("Linux has it");
    let model = fixture("struthio_fc32-10.onnx");
    let mut command = sandbox.command(&["attack", &model, "--data", "mnist:test[0..5]", "--out", "run"]);
    assert_eq!(command.stderr(full).output().expect("starts").status.code(), Some(0));
}

#[test]
fn targets() {
    let sandbox = Sandbox::new();
    let model = fixture("struthio_fc32-10.onnx");
    let run = |target: &str| {
        let arguments = [
            "attack",
            &model,
            "--data",
            "mnist:test[0..12]",
            "--target",
            target,
            "--out",
            target,
            "--format",
            "json",
            "--quiet",
        ];
        json(&sandbox.succeed(&arguments))["attack"].clone()
    };
    let mean = |summary: &Value| summary["l2"]["mean"].as_f64().expect("found some");
    let (closest, random, all, three) = (run("closest"), run("random"), run("all"), run("3"));
    assert!(sandbox.path().join("all/targets.parquet").exists());
    assert!(!sandbox.path().join("closest/targets.parquet").exists());
    // The best of all targets is the closest, up to where a targeted search must beat every class.
    assert!((mean(&all) / mean(&closest) - 1.0).abs() < 0.01, "{all} {closest}");
    assert!(mean(&random) > mean(&closest));
    assert!(mean(&three) > mean(&closest));
}

#[test]
fn a_softmax_at_the_end_is_recognised_and_said() {
    let sandbox = Sandbox::new();
    let model = fixture("viewed_softmax_legacy.onnx");
    let output = sandbox.struthio(&["attack", &model, "--data", "mnist:test[0..30]", "--out", "run"]);
    assert_eq!(output.status.code(), Some(0));
    assert!(common::text(&output.stderr).contains("ends in a softmax; its logits are used"));
    let summary = std::fs::read_to_string(sandbox.path().join("run/summary.json")).expect("summary");
    assert!(summary.contains("ends in a softmax"));
}

#[test]
fn gradient_writes_what_pytorch_computes() {
    let sandbox = Sandbox::new();
    let digits = "zero\none\ntwo\nthree\nfour\nfive\nsix\nseven\neight\nnine\n";
    std::fs::write(sandbox.path().join("digits.txt"), digits).expect("written");
    for (name, class) in [("viewed_softmax_legacy", "3"), ("batchnorm_dynamo", "three")] {
        let model = fixture(&format!("{name}.onnx"));
        let data = ["--data", "mnist:test[0..8]", "--classes", "digits.txt"];
        let class = ["--class", class, "--out", name, "--quiet"];
        sandbox.succeed(&[&["gradient", &model][..], &data, &class].concat());
        for kind in ["logits", "gradient"] {
            let (shape, ours) = array(&sandbox.path().join(name).join(format!("{kind}.npy")));
            let (_, theirs) = array(Path::new(&fixture(&format!("{name}.{kind}.npy"))));
            assert_eq!(shape[0], 8);
            let square = |f: &dyn Fn(usize) -> f64| (0..ours.len()).map(|i| f(i).powi(2)).sum::<f64>();
            let error = (square(&|i| (ours[i] - theirs[i]) as f64) / square(&|i| theirs[i] as f64)).sqrt();
            assert!(error < 1e-5, "{name} {kind}: {error}");
        }
    }
}

#[test]
fn train_saves_a_model_that_the_other_commands_take() {
    let sandbox = Sandbox::new();
    let arguments = [
        "train",
        "fc16-10",
        "--data",
        "mnist:train[0..3000]",
        "--epochs",
        "4",
        "-o",
        "small.onnx",
        "--format",
        "json",
        "--quiet",
    ];
    let first = json(&sandbox.succeed(&arguments));
    assert_eq!(first["cached"], false);
    assert!(first["test_error"].as_f64().expect("an error") < 0.25, "{first}");
    let bytes = std::fs::read(sandbox.path().join("small.onnx")).expect("model");
    let second = json(&sandbox.succeed(&arguments));
    assert_eq!((&second["cached"], &second["sha256"]), (&Value::Bool(true), &first["sha256"]));
    assert_eq!(std::fs::read(sandbox.path().join("small.onnx")).expect("model"), bytes);
    sandbox.succeed(&["attack", "small.onnx", "--data", "mnist:test[0..20]", "--quiet"]);

    // A damaged cache is noticed and replaced.
    let cached =
        std::fs::read_dir(sandbox.path().join("cache/struthio")).expect("cache").next().expect("one");
    std::fs::write(cached.expect("an entry").path(), b"damaged").expect("written");
    let third = json(&sandbox.succeed(&arguments));
    assert_eq!((&third["cached"], &third["sha256"]), (&Value::Bool(false), &first["sha256"]));
}

#[test]
fn inspect_lists_what_is_executed() {
    let sandbox = Sandbox::new();
    let model = fixture("mobile_legacy.onnx");
    let listed = sandbox.succeed(&["inspect", &model, "--format", "json"]);
    let listed: serde_json::Value = serde_json::from_str(&listed).expect("JSON");
    let layers = listed["layers"].as_array().expect("layers");
    let ops: Vec<&str> = layers.iter().filter_map(|layer| layer["op"].as_str()).collect();
    // The normalisation is part of the convolution, and no arithmetic on shapes is left.
    assert_eq!(ops[..4], ["Rearrange", "Conv", "Relu6", "Conv"], "{ops:?}");
    assert!(!ops.contains(&"Affine"), "{ops:?}");
    assert_eq!(layers[1]["output"], serde_json::json!([8, 14, 14]));
    assert_eq!((&layers[1]["parameters"], &layers[1]["flops"]), (&80.into(), &(2 * 9 * 8 * 196).into()));
    let total: u64 = layers.iter().filter_map(|layer| layer["parameters"].as_u64()).sum();
    assert_eq!(listed["parameters"], total);
    assert!(sandbox.succeed(&["inspect", &model]).contains("8 × 14 × 14"));
}

#[test]
fn spectrum_certifies_less_than_the_attack_finds() {
    let sandbox = Sandbox::new();
    let model = fixture("struthio_fc32-10.onnx");
    let printed = json(&sandbox.succeed(&[
        "spectrum",
        &model,
        "--data",
        "mnist:test[0..40]",
        "--format",
        "json",
        "--quiet",
    ]));
    for name in ["name", "op", "shape", "stride", "circular", "zero_padded", "upper"] {
        assert!(printed["layers"][0].get(name).is_some(), "{name}");
    }
    assert!(printed["network"]["upper"].as_f64().expect("a bound") > 0.0);
    let images = printed["images"].as_array().expect("images");
    assert_eq!(images.len(), 40);
    let mut bracketed = 0;
    for image in images {
        let certified = image["certified_l2"].as_f64().expect("a radius");
        match image["attacked_l2"].as_f64() {
            Some(attacked) => {
                assert!(certified > 0.0 && certified <= attacked, "{image}");
                bracketed += 1;
            }
            None => assert_eq!(certified, 0.0, "{image}"),
        }
    }
    assert!(bracketed > 30);
}

#[test]
fn bench_reports_the_documented_names() {
    let sandbox = Sandbox::new();
    let arguments =
        ["bench", &fixture("struthio_fc32-10.onnx"), "--batch", "50", "--threads", "2", "--format", "json"];
    let first = json(&sandbox.succeed(&arguments));
    for name in ["forward_ms", "gradient_ms", "gemm_gflops", "gemm_share", "checksum"] {
        assert!(first[name].as_f64().expect(name) > 0.0, "{name}");
    }
    assert_eq!((&first["threads"], &first["batch"]), (&Value::from(2), &Value::from(50)));
    let again = json(&sandbox.succeed(&arguments));
    assert_eq!(first["checksum"], again["checksum"]);
}

#[test]
fn help_has_examples_and_version_is_printed() {
    let sandbox = Sandbox::new();
    assert!(sandbox.succeed(&["--version"]).starts_with("struthio "));
    for command in ["reproduce", "train", "attack", "gradient", "inspect", "spectrum", "bench"] {
        let help = sandbox.succeed(&[command, "--help"]);
        assert!(help.contains("Example") && help.contains("struthio "), "{help}");
    }
}
