//! Commands on data of one's own: the same images give the same results, wherever they come from.

mod common;

use std::fmt::Write;
use std::path::Path;

use common::{Sandbox, files, fixture};
use struthio::data::{Dataset, mnist_test};

fn write_png(path: &Path, width: usize, height: usize, color: png::ColorType, bytes: &[u8]) {
    std::fs::create_dir_all(path.parent().expect("a folder")).expect("made");
    let file = std::fs::File::create(path).expect("made");
    let mut encoder = png::Encoder::new(file, width as u32, height as u32);
    encoder.set_color(color);
    encoder.write_header().and_then(|mut writer| writer.write_image_data(bytes)).expect("written");
}

fn bytes(data: &Dataset, i: usize) -> Vec<u8> {
    data.image(i).expect("an image").iter().map(|pixel| (255.0 * pixel).round() as u8).collect()
}

/// Writes images of MNIST as a folder with a table of labels in words.
fn write_digits(folder: &Path, data: &Dataset) {
    let mut table = "file,label\n".to_owned();
    for i in 0..data.len() {
        let file = format!("{i}.png");
        write_png(&folder.join(&file), 28, 28, png::ColorType::Grayscale, &bytes(data, i));
        writeln!(table, "{file},digit {}", data.label(i)).expect("written");
    }
    std::fs::write(folder.join("labels.csv"), table).expect("written");
}

fn names() -> String {
    (0..10).map(|digit| format!("digit {digit}")).collect::<Vec<_>>().join("\n")
}

#[test]
fn an_attack_finds_the_same_in_a_folder_as_in_mnist() {
    let sandbox = Sandbox::new();
    let model = fixture("struthio_fc32-10.onnx");
    write_digits(
        &sandbox.path().join("digits"),
        &mnist_test().and_then(|test| test.range(0..12)).expect("a part"),
    );
    std::fs::write(sandbox.path().join("names.txt"), names()).expect("written");
    sandbox.succeed(&["attack", &model, "--data", "mnist:test[2..10]", "--out", "mnist", "--quiet"]);
    let data = ["--data", "digits[2..10]", "--classes", "names.txt"];
    let attack = [&["attack", &model, "--out", "folder"], &data[..]].concat();
    sandbox.succeed(&attack);
    let (expected, found) = (files(&sandbox.path().join("mnist")), files(&sandbox.path().join("folder")));
    for name in ["results.parquet", "adversarial.npy"] {
        assert!(found[name] == expected[name], "{name} differs");
    }
    let text = |name: &str| common::text(&found[name]);
    assert!(text("report.html").contains("<p class=\"verdict\">digit "));
    let manifest: serde_json::Value = serde_json::from_str(&text("manifest.json")).expect("JSON");
    assert_eq!(manifest["data"][0]["name"], "digits[2..10]");
    assert_eq!(manifest["class_names"][9], "digit 9");
    let command = manifest["command"].as_array().expect("words");
    assert!(command.windows(2).any(|pair| pair[0] == "--classes" && pair[1] == "names.txt"), "{command:?}");

    // Names are part of the run, even that of a class without images; and a class can be aimed at by name.
    let other = names().replace("digit 8", "digit eight");
    std::fs::write(sandbox.path().join("names.txt"), other).expect("written");
    let message = sandbox.fail(&[&attack[..], &["--resume"]].concat());
    assert!(message.contains("class names"), "{message}");
    std::fs::write(sandbox.path().join("names.txt"), names()).expect("written");
    let aimed = sandbox.succeed(&[&["attack", &model, "--target", "digit 8"], &data[..]].concat());
    assert!(aimed.contains("8 examples"), "{aimed}");
    let message = sandbox.fail(&[&["attack", &model, "--target", "digit x"], &data[..]].concat());
    assert!(message.contains("'digit x' is not in names.txt"), "{message}");
}

#[test]
fn colour_images_of_any_size() {
    let sandbox = Sandbox::new();
    for (class, width, height) in [("0", 40, 33), ("1", 32, 32), ("2", 9, 70)] {
        let path = sandbox.path().join("photos").join(class).join("a.png");
        let pixels: Vec<u8> = (0..width * height * 3).map(|i| (i * 7 % 251) as u8).collect();
        write_png(&path, width, height, png::ColorType::Rgb, &pixels);
    }
    write_png(&sandbox.path().join("photos/2/grey.png"), 50, 50, png::ColorType::Grayscale, &[90; 2500]);
    let model = fixture("colour.onnx");
    for more in [&[][..], &["--normalize", "imagenet"]] {
        let out = if more.is_empty() { "plain" } else { "normalized" };
        let command =
            ["gradient", &model, "--data", "photos/", "--threads", "2", "--out", out, "--format", "json"];
        let result: serde_json::Value =
            serde_json::from_str(&sandbox.succeed(&[&command, more].concat())).expect("JSON");
        assert_eq!(result["gradient"], serde_json::json!([4, 3, 32, 32]));
    }
    let logits = |out: &str| std::fs::read(sandbox.path().join(out).join("logits.npy")).expect("logits");
    assert!(logits("plain") != logits("normalized"));
    let manifest =
        std::fs::read_to_string(sandbox.path().join("normalized/manifest.json")).expect("a manifest");
    assert!(manifest.contains("\"photos\"") && manifest.contains("\"imagenet\""), "{manifest}");
}

#[test]
fn normalisation_by_name_is_that_by_numbers() {
    let sandbox = Sandbox::new();
    let model = fixture("plain_legacy.onnx");
    let logits = |out: &str, options: &[&str]| {
        let command = ["gradient", &model, "--data", "mnist[0..9]", "--out", out];
        sandbox.succeed(&[&command, options].concat());
        std::fs::read(sandbox.path().join(out).join("logits.npy")).expect("logits")
    };
    let by_numbers = logits("a", &["--mean", "0.1307", "--std", "0.3081"]);
    assert!(logits("b", &["--normalize", "mnist"]) == by_numbers);
    assert!(logits("c", &[]) != by_numbers);
}

#[test]
fn a_network_trained_on_a_folder() {
    let sandbox = Sandbox::new();
    let part = mnist_test().and_then(|test| test.range(0..60)).expect("a part");
    for i in 0..part.len() {
        let path = sandbox.path().join(format!("train/{}/{i}.png", part.label(i)));
        write_png(&path, 28, 28, png::ColorType::Grayscale, &bytes(&part, i));
    }
    let text = sandbox.succeed(&["train", "fc10", "--data", "train", "-o", "x.onnx"]);
    assert!(text.contains("(0 of 60)") && !text.contains("test error"), "{text}");
}

/// Images of MNIST beside each other in `folder`, without labels; every tenth file is damaged.
fn write_pictures(folder: &Path, data: &Dataset) {
    for i in 0..data.len() {
        let path = folder.join(format!("{i:03}.png"));
        write_png(&path, 28, 28, png::ColorType::Grayscale, &bytes(data, i));
        if i % 10 == 7 {
            let whole = std::fs::read(&path).expect("read");
            std::fs::write(&path, &whole[..whole.len() / 2]).expect("written");
        }
    }
}

#[test]
fn pictures_without_labels_have_the_predictions_of_the_model() {
    let sandbox = Sandbox::new();
    let model = fixture("struthio_fc32-10.onnx");
    let part = mnist_test().and_then(|test| test.range(0..20)).expect("a part");
    write_pictures(&sandbox.path().join("photos"), &part);
    let output = sandbox.struthio(&["attack", &model, "--data", "photos/", "--out", "run"]);
    let said = common::text(&output.stderr);
    for part in [
        "no labels",
        "predictions of struthio_fc32-10.onnx",
        "2 of 20 files",
        "007.png: damaged PNG",
        "017.png",
    ] {
        assert!(said.contains(part), "'{part}' is not in:\n{said}");
    }
    let found = files(&sandbox.path().join("run"));
    let json = |name: &str| -> serde_json::Value { serde_json::from_slice(&found[name]).expect("JSON") };
    let summary = json("summary.json");
    assert_eq!(summary["attack"]["examples"], 18);
    // What the model says is right by definition, so all are attacked.
    assert_eq!(summary["attack"]["attacked"], 18);
    assert!(summary["notes"].to_string().contains("predictions of"), "{}", summary["notes"]);
    assert!(common::text(&found["report.html"]).contains("007.png: damaged PNG"));
    let refused = sandbox.fail(&["attack", &model, "--data", "photos/", "--strict"]);
    assert!(refused.contains("007.png: damaged PNG"), "{refused}");

    let one = sandbox.succeed(&["attack", &model, "--data", "photos/003.png", "--out", "one"]);
    assert!(one.contains("on 003.png: 1 example"), "{one}");
    let refused = sandbox.fail(&["train", "fc10", "--data", "photos", "-o", "x.onnx", "--quiet"]);
    assert!(refused.contains("no labels") && refused.contains("sub-folder"), "{refused}");
    let spectrum = ["spectrum", &model, "--data", "photos[0..4]", "--out", "gains"];
    sandbox.succeed(&spectrum);
    let other = fixture("struthio_fc32-10.onnx");
    let transfer =
        ["transfer", &model, &other, "--data", "photos[0..7]", "--out", "both", "--format", "json"];
    let both: serde_json::Value = serde_json::from_str(&sandbox.succeed(&transfer)).expect("JSON");
    assert!(both["notes"].to_string().contains("predictions of"), "{}", both["notes"]);
}

/// Gaps in a folder belong to the run: it ends with the same bytes, and is another if a file was mended meanwhile.
#[cfg(unix)]
#[test]
fn a_folder_with_damaged_files_is_continued() {
    use common::stopping::{kill_on_the_way, start};
    let sandbox = Sandbox::new();
    let model = fixture("struthio_fc32-10.onnx");
    write_pictures(
        &sandbox.path().join("photos"),
        &mnist_test().and_then(|test| test.range(0..400)).expect("a part"),
    );
    let run = |out| ["attack", &model, "--data", "photos", "--lanes", "6", "--quiet", "--out", out];
    sandbox.succeed(&run("whole"));
    kill_on_the_way(start(&sandbox, &run("run")), &sandbox.path().join("run"));
    sandbox.succeed(&[&run("run")[..], &["--resume"]].concat());
    assert!(files(&sandbox.path().join("run")) == files(&sandbox.path().join("whole")), "other bytes");

    kill_on_the_way(start(&sandbox, &run("other")), &sandbox.path().join("other"));
    std::fs::copy(sandbox.path().join("photos/000.png"), sandbox.path().join("photos/007.png"))
        .expect("mended");
    let message = sandbox.fail(&[&run("other")[..], &["--resume"]].concat());
    assert!(message.contains("data: photos with SHA-256"), "{message}");
}

#[test]
fn what_cannot_be_used_is_said_before_anything_is_written() {
    let sandbox = Sandbox::new();
    let model = fixture("struthio_fc32-10.onnx");
    write_png(&sandbox.path().join("one/cat/a.png"), 28, 28, png::ColorType::Grayscale, &[0; 784]);
    std::fs::write(sandbox.path().join("one/cat/b.png"), b"\x89PNG\r\n\x1a\nnonsense").expect("written");
    std::fs::write(sandbox.path().join("one/cat/c.jpeg"), b"text").expect("written");
    std::fs::write(sandbox.path().join("three.txt"), "cat\ndog\nemu\n").expect("written");
    std::fs::write(sandbox.path().join("binary.txt"), b"\xff\xfe\x00").expect("written");
    std::fs::create_dir(sandbox.path().join("nothing")).expect("made");
    for (arguments, fragments) in [
        (
            &["--data", "one", "--strict"][..],
            &["one", "2 times", "cat/b.png", "cat/c.jpeg", "no picture: expected PNG, JPEG, WebP"][..],
        ),
        (&["--data", "nothing"], &["nothing", "no images", "labels.csv"]),
        (&["--data", "three.txt"], &["three.txt", "not an NPZ file"]),
        (&["--data", "mnist[0..3]", "--classes", "three.txt"], &["three.txt: 3 names", "10 classes"]),
        (&["--data", "mnist[0..3]", "--classes", "binary.txt"], &["binary.txt", "UTF-8"]),
        (&["--data", "mnist[0..3]", "--classes", "one"], &["one", "one class name per line"]),
    ] {
        for command in ["attack", "gradient"] {
            let message = sandbox.fail(&[&[command, &model], arguments].concat());
            for fragment in fragments {
                assert!(message.contains(fragment), "'{fragment}' is not in:\n{message}");
            }
        }
    }
    assert!(!sandbox.path().join("runs").exists());
}

/// Dark ink on white is noticed, and --invert makes it what the network wants.
#[test]
fn inverted_digits_are_noticed_and_turned() {
    let sandbox = Sandbox::new();
    let model = fixture("struthio_fc32-10.onnx");
    let test = mnist_test().and_then(|test| test.range(0..12)).expect("a part");
    let folder = sandbox.path().join("dark");
    for i in 0..test.len() {
        let dark: Vec<u8> = bytes(&test, i).iter().map(|level| 255 - level).collect();
        let file = folder.join(format!("{}/{i:02}.png", test.label(i)));
        write_png(&file, 28, 28, png::ColorType::Grayscale, &dark);
    }
    let data = ["attack", &model, "--data", "dark", "--out"];
    sandbox.succeed(&[&data[..], &["wrong"]].concat());
    sandbox.succeed(&[&data[..], &["right", "--invert"]].concat());
    let summary = |run: &str| common::text(&files(&sandbox.path().join(run))["summary.json"]);
    assert!(summary("wrong").contains("with inverted pixels (--invert)"), "{}", summary("wrong"));
    assert!(!summary("right").contains("--invert\"") && summary("right").contains("\"found\""));
    let manifest = common::text(&files(&sandbox.path().join("right"))["manifest.json"]);
    assert!(manifest.contains("\"--invert\""), "{manifest}");
    let message = sandbox.fail(&["attack", &model, "--data", "dark", "--x", "images"]);
    assert!(message.contains("--x and --y"), "{message}");
}
