//! scikit-learn's classifiers as skl2onnx exports them, against the probabilities of onnxruntime.
//! `fixtures/make_heads.py` made the files.

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};

use struthio::network::{Classifier, Network, OutputKind, argmax, onnx};

const IMAGES: usize = 30;

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)
}

fn floats(source: impl Read) -> Vec<f32> {
    npyz::NpyFile::new(source).expect("NumPy file").into_vec().expect("f32 values")
}

fn images() -> Vec<f32> {
    let file = File::open(fixture("heads_digits.npz")).expect("fixture");
    let mut archive = zip::ZipArchive::new(BufReader::new(file)).expect("an archive");
    floats(archive.by_name("x.npy").expect("images"))
}

fn logits(network: &Network) -> Vec<f32> {
    let images = images();
    let mut session = network.session();
    session.inputs(IMAGES).copy_from_slice(&images);
    session.forward().expect("works").to_vec()
}

/// What the probabilities are, given the logits that are used in their place.
fn probabilities(kind: OutputKind, logits: &[f32]) -> Vec<f64> {
    let exp: Vec<f64> = logits.iter().map(|&z| f64::from(z).exp()).collect();
    let sum: f64 = exp.iter().sum();
    match kind {
        OutputKind::Probabilities => exp.iter().map(|e| e / sum).collect(),
        OutputKind::Sigmoids => exp.iter().map(|e| e / (1.0 + e)).collect(),
        OutputKind::Combined => exp,
        other => panic!("{other:?}"),
    }
}

#[test]
fn probabilities_are_those_of_onnxruntime() {
    for (name, kind, classes) in [
        ("mlp", OutputKind::Probabilities, 10),
        ("mlp_binary", OutputKind::Combined, 2),
        ("logistic", OutputKind::Probabilities, 10),
        ("logistic_binary", OutputKind::Sigmoids, 2),
        ("scaled", OutputKind::Probabilities, 10),
    ] {
        let network = onnx::read(&fixture(&format!("sklearn_{name}.onnx"))).expect(name);
        assert_eq!((network.output_kind(), network.classes()), (kind, classes), "{name}");
        assert!(
            network.notes().iter().any(|note| note.contains("of the 2 outputs")),
            "{:?}",
            network.notes()
        );
        let expected =
            floats(BufReader::new(File::open(fixture(&format!("sklearn_{name}.npy"))).expect(name)));
        let logits = logits(&network);
        assert_eq!(logits.len(), expected.len(), "{name}");
        for (logits, expected) in logits.chunks_exact(classes).zip(expected.chunks_exact(classes)) {
            assert_eq!(network.class_of(logits), argmax(expected), "{name}");
            for (found, expected) in probabilities(kind, logits).iter().zip(expected) {
                assert!((found - f64::from(*expected)).abs() < 2e-6, "{name}: {found}, not {expected}");
            }
        }
    }
}
