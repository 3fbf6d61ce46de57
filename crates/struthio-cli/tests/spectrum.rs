//! `struthio spectrum`: what its run directory holds, whatever happens on the way.

mod common;

use common::{Sandbox, files, fixture, text};
use serde_json::Value;

fn json(text: &str) -> Value {
    serde_json::from_str(text).expect("JSON")
}

#[test]
fn the_same_bytes_come_of_any_threads_and_a_finished_run_is_printed_again() {
    let sandbox = Sandbox::new();
    let model = fixture("struthio_fc32-10.onnx");
    let base = ["spectrum", &model, "--data", "mnist:test[0..30]", "--full", "--format", "json", "--quiet"];
    let run = |out: &str, threads: &str| {
        let printed = sandbox.succeed(&[&base[..], &["--out", out, "--threads", threads]].concat());
        (json(&printed), files(&sandbox.path().join(out)))
    };
    let (summary, expected) = run("a", "1");
    let names: Vec<&str> = expected.keys().map(String::as_str).collect();
    let all =
        ["SHA256SUMS", "adversarial.npy", "manifest.json", "report.html", "results.parquet", "summary.json"];
    assert_eq!(names, all);
    for column in ["certified_l2", "local_gain"] {
        let bytes = column.as_bytes();
        assert!(expected["results.parquet"].windows(bytes.len()).any(|part| part == bytes), "{column}");
    }
    assert!(summary["layers"][0]["name"].is_string() && summary["layers"].as_array().is_some());
    let [upper, lower] = ["upper", "lower"].map(|end| summary["network"][end].as_f64().expect("a bound"));
    let images = summary["images"].as_array().expect("images");
    let gains: Vec<f64> = images.iter().map(|image| image["local_gain"].as_f64().expect("a gain")).collect();
    assert!(gains.iter().all(|&gain| 0.0 < gain && gain <= upper), "{gains:?} {upper}");
    assert_eq!(gains.iter().copied().fold(0.0, f64::max), lower);
    assert!(summary["certified"]["ratio"]["median"].as_f64().expect("a ratio") >= 1.0);

    let (_, again) = run("b", "3");
    for (name, bytes) in &expected {
        assert!(again.get(name) == Some(bytes), "{name} differs");
    }
    let resumed = sandbox.struthio(&[
        "spectrum",
        &model,
        "--data",
        "mnist:test[0..30]",
        "--full",
        "--out",
        "a",
        "--resume",
        "--format",
        "json",
    ]);
    let mut printed = json(&text(&resumed.stdout));
    printed["directory"] = summary["directory"].clone();
    assert_eq!(printed, summary);
    assert!(text(&resumed.stderr).contains("complete"));
    let refused = sandbox.fail(&["spectrum", &model, "--out", "a", "--resume"]);
    assert!(refused.contains("holds another run") && refused.contains("--full"), "{refused}");
}

#[test]
fn without_data_there_are_the_layers() {
    let sandbox = Sandbox::new();
    let printed = sandbox.succeed(&[
        "spectrum",
        &fixture("struthio_fc32-10.onnx"),
        "--circular",
        "--format",
        "json",
        "--quiet",
    ]);
    let printed = json(&printed);
    assert!(printed["network"]["upper"].is_null() && printed.get("images").is_none(), "{printed}");
    let found = files(&sandbox.path().join("runs/spectrum-struthio_fc32-10-1"));
    let names: Vec<&str> = found.keys().map(String::as_str).collect();
    assert_eq!(names, ["SHA256SUMS", "manifest.json", "report.html", "summary.json"]);
    let page = String::from_utf8_lossy(&found["report.html"]);
    assert!(page.contains("Nothing was proven") && !page.contains("All singular values"));
}

#[cfg(unix)]
#[test]
fn a_killed_spectrum_ends_with_the_same_bytes() {
    use common::stopping::{WORK, assert_same, kill, start, uninterrupted, wait_until};
    let model = fixture("struthio_fc32-10.onnx");
    let arguments = ["spectrum", &model, "--data", "mnist:test[0..200]", "--out", "run", "--quiet"];
    let (expected, _) = uninterrupted(&arguments);
    let sandbox = Sandbox::new();
    let resumed = [&arguments[..], &["--resume"]].concat();
    for moment in
        [&format!("{WORK}/outcomes.jsonl"), "adversarial.npy", "report.html", "summary.json", "timing.json"]
    {
        let awaited = sandbox.path().join("run").join(moment);
        let mut child = start(&sandbox, &resumed);
        wait_until(&mut child, || awaited.exists());
        kill(child);
    }
    sandbox.succeed(&resumed);
    assert_same(&sandbox.path().join("run"), &expected, "five kills");
}
