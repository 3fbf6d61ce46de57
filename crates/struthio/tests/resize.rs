//! `Resize` and `Upsample` against onnxruntime and PyTorch. `fixtures/make_resize.py` made the files.

use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};

use struthio::data::mnist_test;
use struthio::network::ops::{Resize, Sampling};
use struthio::network::{Architecture, Classifier, Graph, Network, Plan, Wanted, onnx};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/resize")
}

fn evaluate(network: &Network, image: &[f32]) -> Vec<f32> {
    let mut session = network.session();
    session.inputs(1).copy_from_slice(image);
    session.forward().expect("works").to_vec()
}

#[test]
fn agrees_with_onnxruntime_and_pytorch() {
    let image: Vec<f32> = (0..70).map(|i| ((i * 37 + 11) % 101) as f32 / 101.0).collect();
    let mut cases = 0;
    for entry in std::fs::read_dir(folder()).expect("fixtures") {
        let path = entry.expect("an entry").path();
        if path.extension().is_none_or(|extension| extension != "onnx") {
            continue;
        }
        let network = onnx::read(&path).unwrap_or_else(|error| panic!("{error}"));
        let file = BufReader::new(File::open(path.with_extension("npy")).expect("fixture"));
        let expected: Vec<f32> =
            npyz::NpyFile::new(file).expect("NumPy file").into_vec().expect("f32 values");
        let found = evaluate(&network, &image);
        assert_eq!(found.len(), expected.len(), "{}", path.display());
        let worst = found.iter().zip(&expected).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(worst < 2e-6, "{}: {worst}\n{found:?}\n{expected:?}", path.display());
        cases += 1;
    }
    assert!(cases > 25, "{cases}");
}

/// What does the scaling before a network of another size is the op, and a flat input is a square.
#[test]
fn networks_take_images_of_other_sizes() {
    let built = |name: &str, shape: &[usize]| {
        name.parse::<Architecture>().and_then(|of| of.initialise(shape, 3)).expect("built")
    };
    let image = mnist_test().expect("MNIST").image(5).expect("an image");
    let op = Resize::new([1, 28, 28], [32, 32], None, Sampling::SMOOTH).expect("sizes");
    let mut graph = Graph::new(vec![1, 28, 28]);
    graph.then("scale", op).expect("fits");
    let mut plan = Plan::new(&graph, Wanted::InputGradient);
    plan.inputs(1).copy_from_slice(&image);
    let larger = plan.forward(&graph).to_vec();
    for shape in [&[1, 32, 32][..], &[32, 32], &[1024]] {
        let network = built("fc12-10", shape);
        let expected = evaluate(&network, &larger);
        for from in [&[1, 28, 28][..], &[28, 28], &[784]] {
            let resized = network.clone().resized("test", from).expect("scaled");
            assert_eq!(resized.input().shape, from);
            assert_eq!(evaluate(&resized, &image), expected, "{shape:?} {from:?}");
        }
    }
    let colour = built("fc12-10", &[1, 32, 32]).resized("grey.onnx", &[3, 28, 28]);
    let message = colour.expect_err("three channels").to_string();
    assert!(message.contains("grey.onnx") && message.contains("[3, 28, 28]"), "{message}");
}
