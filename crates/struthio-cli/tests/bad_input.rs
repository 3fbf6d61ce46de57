//! Bad input: exit code 2, a message that says what and how, no panic, nothing half-written.

mod common;

use common::{Sandbox, fixture};

fn assert_mentions(message: &str, fragments: &[&str]) {
    for fragment in fragments {
        assert!(message.contains(fragment), "'{fragment}' is not in:\n{message}");
    }
}

/// Runs `attack` on a model; the message must mention `fragments`, and no run may be left behind.
fn refused_model(name: &str, bytes: Option<&[u8]>, fragments: &[&str]) {
    let sandbox = Sandbox::new();
    let path = match bytes {
        Some(bytes) => {
            std::fs::write(sandbox.path().join(name), bytes).expect("written");
            name.to_owned()
        }
        None => fixture(name),
    };
    for command in ["attack", "gradient"] {
        let message = sandbox.fail(&[command, &path, "--data", "mnist:test[0..5]"]);
        assert_mentions(&message, &[name]);
        assert_mentions(&message, fragments);
    }
    assert!(!sandbox.path().join("runs").exists());
}

#[test]
fn broken_onnx() {
    let whole = std::fs::read(fixture("plain_legacy.onnx")).expect("fixture");
    refused_model("empty.onnx", Some(b""), &["the file is empty"]);
    refused_model("garbage.onnx", Some(b"this is not a model at all, just text\n"), &["not an ONNX model"]);
    for share in [10, 50, 90, 99] {
        refused_model("truncated.onnx", Some(&whole[..whole.len() * share / 100]), &[]);
    }
    refused_model("missing.onnx.data", Some(b"x"), &["not an ONNX model"]);
}

/// Bytes changed at random must give an error or a result, never a panic, a hang or a crash.
#[test]
fn mutated_onnx() {
    let models = ["viewed_softmax_legacy.onnx", "mobile_legacy.onnx", "classic_legacy.onnx"];
    let models = models.map(|name| std::fs::read(fixture(name)).expect("fixture"));
    let sandbox = Sandbox::new();
    let path = sandbox.path().join("mutated.onnx");
    let mut state = 12_345_u64;
    let mut next = |bound: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % bound
    };
    for i in 0..240 {
        let mut bytes = models[i % 3].clone();
        for _ in 0..=next(6) {
            // The structure of the file is in its first and last bytes, weights are between.
            let at = if next(2) == 0 { next(6000) } else { bytes.len() - 1 - next(1200) };
            bytes[at] = next(256) as u8;
        }
        std::fs::write(&path, &bytes).expect("written");
        let output = sandbox.struthio(&["gradient", "mutated.onnx", "--data", "mnist:test[0..2]"]);
        let message = common::text(&output.stderr);
        assert!(matches!(output.status.code(), Some(0 | 2)), "{:?}\n{message}", output.status);
        assert!(!message.contains("panicked"), "{message}");
    }
}

#[test]
fn unusable_models() {
    refused_model(
        "unsupported.onnx",
        None,
        &[
            "operator ConvTranspose is not supported (2 nodes)",
            "operator com.example.Twist is not supported (1 node)",
        ],
    );
    refused_model("nan_weight.onnx", None, &["classify", "NaN", "[784, 10]", "must be finite"]);
    refused_model("colour.onnx", None, &["[1, 28, 28]", "784 values", "[3, 32, 32]", "3072 values"]);
    refused_model("four_classes.onnx", None, &["labels go up to 7", "4 classes"]);
}

#[test]
fn external_data_that_is_missing_or_elsewhere() {
    let sandbox = Sandbox::new();
    let model = std::fs::read(fixture("batchnorm_dynamo.onnx")).expect("fixture");
    std::fs::write(sandbox.path().join("alone.onnx"), &model).expect("written");
    let message = sandbox.fail(&["attack", "alone.onnx", "--data", "mnist:test[0..5]"]);
    assert_mentions(&message, &["batchnorm_dynamo.onnx.data", "cannot read"]);
    std::fs::write(sandbox.path().join("batchnorm_dynamo.onnx.data"), b"short").expect("written");
    let message = sandbox.fail(&["attack", "alone.onnx", "--data", "mnist:test[0..5]"]);
    assert_mentions(&message, &["has 5 bytes"]);
}

#[test]
fn data_specifications() {
    let sandbox = Sandbox::new();
    let model = fixture("plain_legacy.onnx");
    for (spec, fragments) in [
        ("cifar10", &["cifar10", "there is no file, folder or data set 'cifar10'", "mnist:test"][..]),
        ("mnist:test[5..5]", &["empty"]),
        ("mnist:test[9..5]", &["empty"]),
        ("mnist:test[0..10001]", &["beyond the 10000 images"]),
        ("mnist:train[59999..60001]", &["beyond the 60000 images"]),
        ("mnist:test[a..b]", &["[FROM..TO]"]),
        ("digits.npz", &["digits.npz", "no file, folder or data set"]),
        ("x.npy,y.npy", &["no file x.npy, nor y.npy"]),
    ] {
        assert_mentions(&sandbox.fail(&["attack", &model, "--data", spec]), fragments);
        assert_mentions(&sandbox.fail(&["gradient", &model, "--data", spec]), fragments);
        assert_mentions(&sandbox.fail(&["train", "fc10", "--data", spec, "-o", "x.onnx"]), fragments);
    }
    assert!(!sandbox.path().join("runs").exists() && !sandbox.path().join("x.onnx").exists());
}

#[test]
fn classes_outside_the_model() {
    let sandbox = Sandbox::new();
    let model = fixture("plain_legacy.onnx");
    let message = sandbox.fail(&["attack", &model, "--data", "mnist:test[0..5]", "--target", "10"]);
    assert_mentions(&message, &["class 10 is not one of", "10 classes (0 to 9)"]);
    let message = sandbox.fail(&["attack", &model, "--data", "mnist:test[0..5]", "--target", "ostrich"]);
    assert_mentions(&message, &["unknown target 'ostrich'"]);
    let message = sandbox.fail(&["gradient", &model, "--data", "mnist:test[0..5]", "--class", "12"]);
    assert_mentions(&message, &["class 12", "(0 to 9)"]);
    let message = sandbox.fail(&["gradient", &model, "--data", "mnist:test[0..5]", "--class", "ostrich"]);
    assert_mentions(&message, &["unknown class 'ostrich'", "--classes"]);
}

#[test]
fn places_that_cannot_be_written() {
    let sandbox = Sandbox::new();
    let model = fixture("plain_legacy.onnx");
    std::fs::write(sandbox.path().join("file"), b"in the way").expect("written");
    for out in ["file", "file/below", "/proc/struthio"] {
        let message = sandbox.fail(&["attack", &model, "--data", "mnist:test[0..5]", "--out", out]);
        assert_mentions(&message, &["cannot", out]);
        let message = sandbox.fail(&["gradient", &model, "--data", "mnist:test[0..5]", "--out", out]);
        assert_mentions(&message, &["cannot", out]);
        let message = sandbox.fail(&["reproduce", "--quick", "--out", out]);
        assert_mentions(&message, &["cannot", out]);
    }
    for output in ["no/such/folder/x.onnx", "/proc/x.onnx"] {
        let message = sandbox.fail(&["train", "fc10", "-o", output]);
        assert_mentions(&message, &["cannot write", output]);
    }
    std::fs::create_dir(sandbox.path().join("folder")).expect("made");
    let message = sandbox.fail(&["train", "fc10", "-o", "folder"]);
    assert_mentions(&message, &["folder", "not a regular file"]);
    std::fs::create_dir(sandbox.path().join("full")).expect("made");
    std::fs::write(sandbox.path().join("full/results.parquet"), b"precious").expect("written");
    let message = sandbox.fail(&["attack", &model, "--data", "mnist:test[0..5]", "--out", "full"]);
    assert_mentions(&message, &["full", "not empty", "--out"]);
    assert_eq!(std::fs::read(sandbox.path().join("full/results.parquet")).expect("still there"), b"precious");
}

#[test]
fn requests_that_make_no_sense() {
    let sandbox = Sandbox::new();
    let model = fixture("plain_legacy.onnx");
    let data = ["--data", "mnist:test[0..5]"];
    for (arguments, fragments) in [
        (&["attack", "nowhere.onnx"][..], &["cannot read nowhere.onnx"][..]),
        (&["attack", &model, "--attack", "magic"], &["unknown attack 'magic'", "lbfgs"]),
        (&["attack", &model, "--norm", "linf"], &["not in this version yet"]),
        (&["gradient", &model, "--resume"], &["--resume"]),
        (&["attack", &model, "--mean", "0.1", "--std", "0"], &["--std must be at least 1.2e-38, found 0"]),
        (&["attack", &model, "--mean", "nan", "--std", "1"], &["--mean must be finite"]),
        (&["attack", &model, "--mean", "-0.5", "--std", "1e-45"], &["--std must be at least 1.2e-38"]),
        (&["attack", &model, "--normalize", "imagenet"], &["--normalize has 3 values", "1 channel;"]),
        (&["attack", &model, "--normalize", "cifar"], &["imagenet", "mnist"]),
        (&["attack", &model, "--normalize", "mnist", "--mean", "0", "--std", "1"], &["cannot be used with"]),
        (&["attack", &model, "--classes", "gone.txt"], &["cannot read gone.txt"]),
        (&["attack", "."], &["not a regular file"]),
        (&["attack", &model, "--mean", "0.1,0.2", "--std", "1,1"], &["--mean has 2 values", "1 channel;"]),
        (&["attack", &model, "--budget", "0"], &["budget"]),
        (&["attack", &model, "--threads", "0"], &["threads"]),
    ] {
        assert_mentions(&sandbox.fail(&[arguments, &data].concat()), fragments);
    }
    for (arguments, fragments) in [
        (&["train", "cnn", "-o", "x.onnx"][..], &["unknown architecture 'cnn'", "fc100-100-10"][..]),
        (&["train", "alexnet", "-o", "x.onnx"], &["[1, 28, 28]", "alexnet", "[3, 227, 227]"]),
        (&["train", "ae10", "-o", "x.onnx"], &["1 layers", "as in ae400-10"]),
        (
            &["train", "ae20-10", "-o", "x.onnx", "--weight-decay", "1,2"],
            &["2 values", "1 layers trained with"],
        ),
        (&["train", "fc0-10", "-o", "x.onnx"], &["0 units"]),
        (&["train", "fc5", "-o", "x.onnx"], &["labels go up to 9", "5 classes"]),
        (&["train", "fc20-10", "-o", "x.onnx", "--weight-decay", "1,2,3"], &["3 values", "2 layers"]),
        (&["train", "fc20-10", "-o", "x.onnx", "--weight-decay=-1"], &["zero or positive"]),
        (&["train", "fc20-10", "-o", "x.onnx", "--weight-decay", "NaN"], &["zero or positive"]),
        (&["train", "fc20-10", "-o", "x.onnx", "--spectral-penalty", "-1"], &["zero or positive", "-1"]),
        (&["train", "fc20-10", "-o", "x.onnx", "--spectral-penalty", "NaN"], &["zero or positive", "NaN"]),
        (&["train", "fc20-10", "-o", "x.onnx", "--spectral-penalty=inf"], &["zero or positive", "inf"]),
        (&["train", "ae20-10", "-o", "x.onnx", "--spectral-penalty", "1"], &["without labels"]),
        (&["reproduce", "--alexnet", "model.onnx"], &["--photos"]),
        (&["reproduce", "--normalize", "imagenet"], &["--normalize", "--alexnet"]),
        (&["reproduce", "--samples", "0"], &["samples"]),
    ] {
        assert_mentions(&sandbox.fail(arguments), fragments);
    }
    assert!(!sandbox.path().join("x.onnx").exists());
}
