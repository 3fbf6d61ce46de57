//! Models as PyTorch exports them, against its float64 logits and input gradients, and a model of
//! ours against onnxruntime. `fixtures/make.py` made the files.

use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};

use struthio::data::mnist_test;
use struthio::network::{Classifier, Loss, Network, OutputKind, onnx};

const TARGET: usize = 3;

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)
}

fn array(name: &str) -> Vec<f32> {
    let file = BufReader::new(File::open(fixture(name)).expect("fixture"));
    npyz::NpyFile::new(file).expect("NumPy file").into_vec().expect("f32 values")
}

/// ‖a − b‖ / ‖b‖
fn relative_error(a: &[f32], b: &[f32]) -> f64 {
    assert_eq!(a.len(), b.len());
    let square = |f: &dyn Fn(usize) -> f64| (0..a.len()).map(f).map(|v| v * v).sum::<f64>();
    (square(&|i| a[i] as f64 - b[i] as f64) / square(&|i| b[i] as f64)).sqrt()
}

fn logits_and_gradients(network: &Network, images: usize) -> (Vec<f32>, Vec<f32>) {
    let test = mnist_test().expect("MNIST");
    let mut session = network.session();
    for (i, row) in session.inputs(images).chunks_exact_mut(784).enumerate() {
        test.write_image(i, row).expect("an image");
    }
    let logits = session.forward().expect("works").to_vec();
    let mut seeds = vec![0.0; logits.len()];
    for (row, seed) in logits.chunks_exact(10).zip(seeds.chunks_exact_mut(10)) {
        Loss::CrossEntropy(TARGET).value_and_seed(row, seed);
    }
    (logits, session.backward(&seeds).expect("works").to_vec())
}

#[test]
fn agrees_with_float64_pytorch() {
    for (name, kind) in [
        ("plain_legacy", OutputKind::Logits),
        ("viewed_softmax_legacy", OutputKind::Probabilities),
        ("normalized_log_softmax_legacy", OutputKind::LogProbabilities),
        ("residual_dynamo", OutputKind::Logits),
        ("batchnorm_dynamo", OutputKind::Logits),
        ("classic_legacy", OutputKind::Logits),
        ("mobile_legacy", OutputKind::Logits),
        ("mobile_dynamo", OutputKind::Logits),
    ] {
        let network = onnx::read(&fixture(&format!("{name}.onnx"))).expect(name);
        assert_eq!(network.output_kind(), kind, "{name}");
        assert_eq!(network.input().shape, [1, 28, 28], "{name}");
        let (logits, gradient) = logits_and_gradients(&network, 8);
        let error = relative_error(&logits, &array(&format!("{name}.logits.npy")));
        assert!(error < 1e-5, "{name}: logits off by {error}");
        let error = relative_error(&gradient, &array(&format!("{name}.gradient.npy")));
        assert!(error < 1e-5, "{name}: gradient off by {error}");
    }
}

#[test]
fn onnxruntime_agrees_with_our_export() {
    let bytes = std::fs::read(fixture("struthio_fc32-10.onnx")).expect("fixture");
    let network = onnx::read_bytes("fixture", &bytes).expect("valid");
    assert_eq!(onnx::write(&network), bytes, "reading and writing again changes the file");
    let (logits, _) = logits_and_gradients(&network, 200);
    let theirs = array("struthio_fc32-10.onnxruntime.npy");
    let worst = logits.iter().zip(&theirs).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    assert!(worst < 1e-4, "{worst}");
}
