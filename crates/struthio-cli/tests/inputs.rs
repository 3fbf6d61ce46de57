//! Models that leave the shape of an image open, have channels last, or want other types.

mod common;

use std::path::Path;

use common::{Sandbox, fixture, text};
use npyz::WriterBuilder;

fn write<T: npyz::AutoSerialize + Copy>(path: &Path, shape: &[u64], values: &[T]) {
    let file = std::fs::File::create(path).expect("created");
    let options = npyz::WriteOptions::new().default_dtype().shape(shape).writer(file);
    let mut writer = options.begin_nd().expect("begun");
    writer.extend(values.iter().copied()).expect("written");
    writer.finish().expect("finished");
}

fn read(path: &Path) -> Vec<f32> {
    let file = std::io::BufReader::new(std::fs::File::open(path).expect("an array"));
    npyz::NpyFile::new(file).expect("an array").into_vec().expect("floats")
}

/// The logits of images in `x.npy`, and what was said.
fn logits(sandbox: &Sandbox, model: &str, more: &[&str]) -> (Vec<f32>, String) {
    let name = format!("g{}", std::fs::read_dir(sandbox.path()).expect("a folder").count());
    let words = [&["gradient", model, "--data", "x.npy,y.npy", "--out", &name][..], more].concat();
    let output = sandbox.struthio(&words);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    (read(&sandbox.path().join(name).join("logits.npy")), text(&output.stderr))
}

fn assert_near(found: &[f32], expected: &[f32]) {
    assert_eq!(found.len(), expected.len());
    for (found, expected) in found.iter().zip(expected) {
        assert!((found - expected).abs() < 1e-5 * expected.abs().max(1.0), "{found} {expected}");
    }
}

/// Two images of 3 × 4 × 5, channels last, and their labels.
fn images(sandbox: &Sandbox) -> Vec<f32> {
    let images: Vec<f32> = (0..120).map(|i| (i * 37 % 101) as f32 / 100.0).collect();
    write(&sandbox.path().join("x.npy"), &[2, 4, 5, 3], &images);
    write(&sandbox.path().join("y.npy"), &[2], &[0_i64, 1]);
    images
}

fn mean(image: &[f32], channel: usize) -> f32 {
    image.iter().skip(channel).step_by(3).sum::<f32>() / 20.0
}

/// The means of the channels, whatever height and width: `inputs/open.onnx` says N × 3 × h × w.
#[test]
fn open_sizes_are_those_asked_for_or_of_the_data() {
    let sandbox = Sandbox::new();
    let images = images(&sandbox);
    let model = fixture("inputs/open.onnx");
    let expected: Vec<f32> =
        images.chunks_exact(60).flat_map(|image| (0..3).map(|channel| mean(image, channel))).collect();
    let (found, said) = logits(&sandbox, &model, &[]);
    assert_near(&found, &expected);
    assert!(said.contains("taken from the data, which makes it [3, 4, 5]"), "{said}");
    let (found, said) = logits(&sandbox, &model, &["--input-shape", "3,4,5"]);
    assert_near(&found, &expected);
    assert!(!said.contains("taken from the data"), "{said}");

    let listed = sandbox.succeed(&["inspect", &model, "--input-shape", "3,8,6"]);
    assert!(listed.contains("input 3 × 8 × 6"), "{listed}");
    let refused = sandbox.fail(&["inspect", &model]);
    assert!(
        refused.contains("3 × h × w, with sizes left open; say what one image is by --input-shape"),
        "{refused}"
    );
    let refused = sandbox.fail(&["inspect", &model, "--input-shape", "1,8,6"]);
    assert!(refused.contains("--input-shape is [1, 8, 6]"), "{refused}");
}

#[test]
fn a_shape_or_the_axis_of_the_batch_may_be_missing() {
    let sandbox = Sandbox::new();
    for (model, without, with) in [
        ("inputs/no_shape.onnx", "declares no shape of its input 'x'", ["--input-shape", "4,4"]),
        ("inputs/no_batch.onnx", "if the first axis of the input, of size 4", ["--input-shape", "4,4"]),
    ] {
        let model = fixture(model);
        let refused = sandbox.fail(&["inspect", &model]);
        assert!(refused.contains(without) && refused.contains("--input-shape"), "{refused}");
        let listed = sandbox.succeed(&["inspect", &model, with[0], with[1]]);
        assert!(listed.contains("input 4 × 4, 3 classes"), "{listed}");
    }
}

/// `inputs/channels_last.onnx` gives the mean of each channel of N × 4 × 5 × 3.
#[test]
fn channels_may_be_last() {
    let sandbox = Sandbox::new();
    let images = images(&sandbox);
    let model = fixture("inputs/channels_last.onnx");
    let (means, stds) = ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]);
    let expected: Vec<f32> = images
        .chunks_exact(60)
        .flat_map(|image| (0..3).map(|c| (mean(image, c) - means[c]) / stds[c]))
        .collect();
    assert_near(&logits(&sandbox, &model, &["--normalize", "imagenet"]).0, &expected);
    let numbers = ["--mean", "0.485,0.456,0.406", "--std", "0.229,0.224,0.225"];
    assert_near(&logits(&sandbox, &model, &numbers).0, &expected);
    let refused = sandbox.fail(&["inspect", &model, "--mean", "0.1,0.2", "--std", "1,1"]);
    assert!(refused.contains("have 3 channels; give one for each"), "{refused}");
}

/// `inputs/flat.onnx` gives the first value, the one after the first 20, and the one after 40, of 60.
#[test]
fn a_flat_input_takes_one_channel_after_the_other() {
    let sandbox = Sandbox::new();
    let images = images(&sandbox);
    let expected: Vec<f32> =
        images.chunks_exact(60).flat_map(|image| [image[0], image[1], image[2]]).collect();
    let (found, said) = logits(&sandbox, &fixture("inputs/flat.onnx"), &[]);
    assert_near(&found, &expected);
    assert!(said.contains("one channel after the other") && said.contains("reshape it to N × 60"), "{said}");
}

#[test]
fn bytes_are_made_of_pixels() {
    let sandbox = Sandbox::new();
    let images = images(&sandbox);
    let expected: Vec<f32> = images
        .chunks_exact(60)
        .flat_map(|image| (0..3).map(|channel| 255.0 * mean(image, channel)))
        .collect();
    let (found, said) = logits(&sandbox, &fixture("inputs/bytes.onnx"), &[]);
    assert_near(&found, &expected);
    assert!(said.contains("pixels of [0, 1] are multiplied by 255 first"), "{said}");
}
