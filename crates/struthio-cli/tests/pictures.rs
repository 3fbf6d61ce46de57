//! `attack --png`, and what is said before a long run.
#![cfg(unix)]

mod common;

use common::stopping::{WORK, assert_same, kill, model, start, wait_until};
use common::{Sandbox, files, text};
use serde_json::Value;

const IMAGES: &str = "mnist:test[0..30]";

/// The grey levels of a PNG file, read by the `png` crate alone.
fn levels(file: &[u8]) -> (u32, u32, Vec<u8>) {
    let mut reader = png::Decoder::new(std::io::Cursor::new(file)).read_info().expect("a header");
    let mut bytes = vec![0; reader.output_buffer_size().expect("a small image")];
    let info = reader.next_frame(&mut bytes).expect("pixels");
    assert_eq!((info.color_type, info.bit_depth), (png::ColorType::Grayscale, png::BitDepth::Eight));
    (info.width, info.height, bytes)
}

#[test]
fn pictures_are_those_of_the_records_and_are_counted() {
    let (sandbox, model) = (Sandbox::new(), model());
    let attack = ["attack", &model, "--data", IMAGES, "--quiet", "--format", "json"];
    let plain = sandbox.succeed(&[&attack[..], &["--out", "plain"]].concat());
    let out = sandbox.succeed(&[&attack[..], &["--out", "run", "--png"]].concat());
    let [plain, out] = [plain, out].map(|text| serde_json::from_str::<Value>(&text).expect("JSON"));
    assert_eq!(plain["attack"], out["attack"], "the attack is the same");
    assert!(plain.get("pictures").is_none());
    let (found, survivors) = (&out["pictures"]["wanted"], &out["attack"]["survive_rounding"]);
    assert!(survivors.as_u64() < found.as_u64(), "{survivors} of {found}");
    assert_eq!(&out["pictures"]["written"], found);
    assert_eq!(out["pictures"]["failed"], 0);
    let ratio = out["pictures"]["ratio"]["mean"].as_f64().expect("a ratio");
    assert!((0.99..1.05).contains(&ratio), "{ratio}");

    let all = files(&sandbox.path().join("run"));
    let pictures: Vec<_> = all.iter().filter(|(name, _)| is_png(name)).collect();
    assert_eq!(pictures.len() as u64, found.as_u64().expect("a count"));
    let records = npyz::NpyFile::new(&all["png/adversarial.npy"][..]).expect("an array");
    let records = records.into_vec::<f32>().expect("f32");
    let mut rows: Vec<&[f32]> = records.chunks_exact(784).collect();
    for (name, file) in pictures {
        let (width, height, bytes) = levels(file);
        assert_eq!((width, height), (28, 28), "{name}");
        let is_this = |row: &&[f32]| row.iter().zip(&bytes).all(|(&x, &byte)| x == f32::from(byte) / 255.0);
        let at = rows.iter().position(is_this).expect("one of the records");
        rows.swap_remove(at);
    }
    let sums = text(&all["SHA256SUMS"]);
    assert!(sums.contains("  png/0-7-to-"), "{sums}");
    let report = text(&all["report.html"]);
    assert!(report.contains("survive rounding to 8 bits, as in a PNG file. A second search"), "{report}");
}

#[test]
fn pictures_go_to_a_folder_of_their_own() {
    let (sandbox, model) = (Sandbox::new(), model());
    let base = ["attack", &model, "--data", "mnist:test[0..5]", "--out"];
    let out = sandbox.succeed(&[&base[..], &["run", "--png", "pictures", "--target", "3"]].concat());
    assert!(out.contains(" pictures written, read back, and still adversarial"), "{out}");
    let names: Vec<String> = files(&sandbox.path().join("pictures")).into_keys().collect();
    assert!(!names.is_empty() && names.iter().all(|name| name.ends_with("-to-3.png")), "{names:?}");
    assert!(!files(&sandbox.path().join("run")).into_keys().any(|name| is_png(&name)));
    let error = sandbox.fail(&[&base[..], &["other", "--png", "pictures"]].concat());
    assert!(error.contains("pictures is not empty; name another with --png"), "{error}");
    assert!(!sandbox.path().join("other").exists());
}

#[test]
fn a_run_stopped_among_its_pictures_goes_on() {
    let model = model();
    let arguments = ["attack", &model, "--data", IMAGES, "--out", "run", "--quiet", "--png"];
    let whole = Sandbox::new();
    whole.succeed(&arguments);
    let expected = files(&whole.path().join("run"));
    let first = expected.keys().find(|name| is_png(name)).expect("a picture");
    for moment in [format!("{WORK}/png/outcomes.jsonl"), "png/adversarial.npy".into(), first.clone()] {
        let sandbox = Sandbox::new();
        let awaited = sandbox.path().join("run").join(&moment);
        let mut child = start(&sandbox, &arguments);
        wait_until(&mut child, || awaited.exists());
        kill(child);
        sandbox.succeed(&[&arguments[..], &["--resume", "--threads", "1"]].concat());
        assert_same(&sandbox.path().join("run"), &expected, &moment);
    }
}

#[test]
fn shapes_that_are_no_pictures_are_refused_before_the_attack() {
    let (sandbox, model) = (Sandbox::new(), common::fixture("sklearn_mlp.onnx"));
    let [x, y] =
        ["x.npy", "y.npy"].map(|name| std::fs::File::create(sandbox.path().join(name)).expect("made"));
    let write = |file, shape: &[u64], values: Vec<u8>| {
        use npyz::WriterBuilder;
        let options = npyz::WriteOptions::new().default_dtype().shape(shape).writer(file);
        let mut writer = options.begin_nd().expect("a header");
        writer.extend(values).and_then(|()| writer.finish()).expect("written");
    };
    write(x, &[2, 64], vec![9; 2 * 64]);
    write(y, &[2], vec![1, 7]);
    let error =
        sandbox.fail(&["attack", &model, "--data", "x.npy,y.npy", "--out", "run", "--png", "--quiet"]);
    assert!(error.contains("[64] are no pictures"), "{error}");
    assert!(!sandbox.path().join("run").exists());
}

#[test]
fn a_wrong_normalisation_is_named_at_once_and_in_the_results() {
    let (sandbox, model) = (Sandbox::new(), model());
    let output = sandbox.struthio(&[
        "attack",
        &model,
        "--data",
        "mnist:test[0..60]",
        "--mean",
        "5",
        "--std",
        "5",
        "--out",
        "run",
        "--budget",
        "5",
    ]);
    let said = text(&output.stderr);
    let remedy = "are classified wrongly as they are; with no normalisation, ";
    assert!(said.contains(remedy), "{said}");
    let summary = std::fs::read_to_string(sandbox.path().join("run/summary.json")).expect("a summary");
    assert!(summary.contains(remedy), "{summary}");
    let right = sandbox.struthio(&["attack", &model, "--data", "mnist:test[0..5]", "--out", "right"]);
    assert!(!text(&right.stderr).contains("wrongly"), "{}", text(&right.stderr));
}

fn is_png(name: &str) -> bool {
    std::path::Path::new(name).extension().is_some_and(|extension| extension == "png")
}
