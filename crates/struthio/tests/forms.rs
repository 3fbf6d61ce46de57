//! Every form that an operator can have, against onnxruntime; the same after writing the network and reading it
//! again; and slopes against differences. `fixtures/make_forms.py` made the models.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Cursor, Read};
use std::path::Path;

use npyz::NpyFile;
use struthio::network::{Classifier, Network, onnx};
use zip::ZipArchive;

/// A model, images of [0, 1] and the logits.
struct Form {
    model: Vec<u8>,
    images: Vec<f32>,
    logits: Vec<f32>,
}

fn forms() -> BTreeMap<String, Form> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/forms.npz");
    let mut archive = ZipArchive::new(File::open(path).expect("fixture")).expect("an archive");
    let mut bytes = |name: &str| {
        let mut bytes = Vec::new();
        archive.by_name(name).expect("an array").read_to_end(&mut bytes).expect("readable");
        bytes
    };
    let floats = |bytes: Vec<u8>| {
        NpyFile::new(Cursor::new(bytes)).expect("an array").into_vec::<f32>().expect("floats")
    };
    let names: Vec<String> = names().collect();
    assert!(names.len() > 100, "{} forms", names.len());
    names
        .into_iter()
        .map(|name| {
            let model = NpyFile::new(Cursor::new(bytes(&format!("{name}.model.npy")))).expect("an array");
            let form = Form {
                model: model.into_vec::<u8>().expect("bytes"),
                images: floats(bytes(&format!("{name}.images.npy"))),
                logits: floats(bytes(&format!("{name}.logits.npy"))),
            };
            (name, form)
        })
        .collect()
}

fn names() -> impl Iterator<Item = String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/forms.npz");
    let archive = ZipArchive::new(File::open(path).expect("fixture")).expect("an archive");
    let names: Vec<String> = archive.file_names().map(|name| name.expect("a name").into_owned()).collect();
    names.into_iter().filter_map(|name| name.strip_suffix(".model.npy").map(str::to_owned))
}

fn read(name: &str, bytes: &[u8]) -> Network {
    onnx::read_bytes(name, bytes).unwrap_or_else(|error| panic!("{error}"))
}

fn logits(network: &Network, images: &[f32]) -> Vec<f32> {
    let mut session = network.session();
    session.inputs(images.len() / network.input().shape.iter().product::<usize>()).copy_from_slice(images);
    session.forward().expect("works").to_vec()
}

/// The largest difference, in parts of the largest logit.
fn error(found: &[f32], expected: &[f32]) -> f32 {
    assert_eq!(found.len(), expected.len());
    let largest = expected.iter().fold(1.0_f32, |largest, value| largest.max(value.abs()));
    found.iter().zip(expected).map(|(a, b)| (a - b).abs() / largest).fold(0.0, f32::max)
}

#[test]
fn agree_with_onnxruntime() {
    let mut wrong = Vec::new();
    for (name, form) in forms() {
        match onnx::read_bytes(&name, &form.model) {
            Err(refused) => wrong.push(refused.to_string()),
            Ok(network) => {
                let error = error(&logits(&network, &form.images), &form.logits);
                // NaN is wrong, too.
                if error.is_nan() || error > 1e-5 {
                    wrong.push(format!("{name}: off by {error}"));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn stay_the_same_when_written_and_read_again() {
    let mut wrong = Vec::new();
    for (name, form) in forms() {
        let network = read(&name, &form.model);
        match onnx::read_bytes(&name, &onnx::write(&network)) {
            Err(refused) => wrong.push(refused.to_string()),
            Ok(again) => {
                let error = error(&logits(&again, &form.images), &logits(&network, &form.images));
                if error.is_nan() || error > 1e-6 {
                    wrong.push(format!("{name}: off by {error}"));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The gradient of a weighted sum of the logits, along a direction, is what differences say.
#[test]
fn gradients_are_differences() {
    const STEP: f32 = 1e-3;
    for (name, form) in forms() {
        let network = read(&name, &form.model);
        let weights: Vec<f32> = (0..form.logits.len()).map(|i| (i as f32 * 1.7).sin()).collect();
        let sum = |step: f32| -> f64 {
            let moved: Vec<f32> =
                form.images.iter().enumerate().map(|(i, x)| x + step * direction(i)).collect();
            logits(&network, &moved).iter().zip(&weights).map(|(&z, &w)| f64::from(z) * f64::from(w)).sum()
        };
        let mut session = network.session();
        let rows = form.logits.len() / 4;
        session.inputs(rows).copy_from_slice(&form.images);
        session.forward().expect("works");
        let gradient = session.backward(&weights).expect("works");
        let slope: f64 =
            gradient.iter().enumerate().map(|(i, &g)| f64::from(g) * f64::from(direction(i))).sum();
        let middle = sum(0.0);
        let sides = [(sum(STEP) - middle) / f64::from(STEP), (middle - sum(-STEP)) / f64::from(STEP)];
        let scale = form.logits.iter().fold(1.0_f64, |scale, &z| scale.max(f64::from(z.abs())));
        // Roundings of the logits; a kink is passed on one side, if at all.
        let allowed = 0.01 * (slope.abs() + scale);
        let near = |side: f64| (slope - side).abs() < allowed;
        let middle = 0.5 * (sides[0] + sides[1]);
        assert!(
            [sides[0], middle, sides[1]].into_iter().any(near),
            "{name}: {slope}, but differences say {sides:?}"
        );
    }
}

fn direction(i: usize) -> f32 {
    (i as f32 * 2.3).cos()
}
