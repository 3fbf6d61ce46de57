//! Runs that are stopped, in every way a process can be, end with the bytes of runs that were not.
#![cfg(unix)]

mod common;

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::Command;

use common::stopping::{
    WORK, assert_same, attack, has_outcomes, interrupt, kill, model, start, uninterrupted, wait_until,
};
use common::{Sandbox, files, fixture, text};
use struthio::network::{Architecture, onnx};
use struthio::paper::PAPER_TABLE_1;
use struthio::training::{Method, Recipe, TrainingCache, train};

/// Numbers in [0, 1), the same in every run of the tests.
fn draws() -> impl FnMut() -> f64 {
    let mut state = 2013_u64;
    move || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 11) as f64 / (1_u64 << 53) as f64
    }
}

#[test]
fn attack_killed_at_random_moments() {
    let model = model();
    let arguments = attack(&model, &["--quiet"]);
    let (expected, whole) = uninterrupted(&arguments);
    let mut draw = draws();
    for i in 0..10 {
        let sandbox = Sandbox::new();
        let resumed = attack(&model, &["--resume", "--quiet", "--threads", "1"]);
        let mut moment = whole.mul_f64((i as f64 + draw()) / 9.0);
        for kills in 0..=i % 3 {
            let child = start(&sandbox, if kills == 0 { &arguments } else { &resumed });
            std::thread::sleep(moment);
            kill(child);
            moment = whole.mul_f64(0.5 * draw());
        }
        sandbox.succeed(&resumed);
        assert_same(&sandbox.path().join("run"), &expected, &format!("moment {i}"));
    }
}

/// The end of a run is short, so these kills wait for a file to appear.
#[test]
fn attack_killed_while_it_begins_and_ends() {
    let model = model();
    let arguments =
        ["attack", &model, "--data", "mnist:test[0..20]", "--target", "all", "--out", "run", "--quiet"];
    let (expected, _) = uninterrupted(&arguments);
    assert!(expected.contains_key("targets.parquet"));
    let partial = |name: &str| format!("{WORK}/{name}");
    let moments = [
        WORK.to_owned(),
        "manifest.json".to_owned(),
        partial("outcomes.jsonl"),
        partial("results.parquet"),
        "results.parquet".to_owned(),
        "targets.parquet".to_owned(),
        "adversarial.npy".to_owned(),
        "report.html".to_owned(),
        "summary.json".to_owned(),
        "timing.json".to_owned(),
    ];
    for moment in moments {
        let sandbox = Sandbox::new();
        let awaited = sandbox.path().join("run").join(&moment);
        let mut child = start(&sandbox, &arguments);
        wait_until(&mut child, || awaited.exists());
        kill(child);
        sandbox.succeed(&[&arguments[..], &["--resume"]].concat());
        assert_same(&sandbox.path().join("run"), &expected, &moment);
    }
}

#[test]
fn a_finished_run_is_printed_again_and_not_repeated() {
    let sandbox = Sandbox::new();
    let model = model();
    let arguments = attack(&model, &["--format", "json"]);
    let resumed = [&arguments[..], &["--resume"]].concat();
    let first = sandbox.succeed(&resumed);
    let written = |name: &str| {
        let metadata = std::fs::metadata(sandbox.path().join("run").join(name)).expect("a file");
        metadata.modified().expect("a time")
    };
    let before = written("results.parquet");
    let again = sandbox.struthio(&resumed);
    assert_eq!((again.status.code(), text(&again.stdout)), (Some(0), first));
    assert!(text(&again.stderr).contains("complete"));
    assert_eq!(written("results.parquet"), before);
    assert!(sandbox.fail(&arguments).contains("finished run"));
}

#[test]
fn ctrl_c_says_how_to_continue() {
    let model = model();
    let slow = ["attack", &model, "--data", "mnist:test[0..60]", "--search", "bisection", "--lanes", "2"];
    let (expected, _) = uninterrupted(&[&slow[..], &["--out", "run"]].concat());
    let sandbox = Sandbox::new();
    let folder = sandbox.path().join("runs/attack-struthio_fc32-10-1");
    // Without --out, so that the message has to name the folder.
    let mut child = start(&sandbox, &slow);
    wait_until(&mut child, || has_outcomes(&folder));
    let (status, said) = interrupt(child);
    assert_eq!(status.code(), Some(130), "{said}");
    assert!(said.contains("error: interrupted"), "{said}");
    assert!(has_outcomes(&folder));
    let (_, command) = said.split_once("to continue: ").expect("a command");
    let continued = Command::new("sh").args(["-c", command]).current_dir(sandbox.path()).output();
    let continued = continued.expect("starts");
    assert_eq!(continued.status.code(), Some(0), "{}", text(&continued.stderr));
    assert!(text(&continued.stderr).contains("of 60 images were done before"));
    assert_same(&folder, &expected, command);
}

#[test]
fn a_training_continues_from_its_checkpoint() {
    let training = "train fc100-10 --data mnist:train[0..10000] --epochs 24 --spectral-penalty 0.001";
    let arguments: Vec<&str> = training.split(' ').chain(["-o", "model.onnx"]).collect();
    // Two at once, which share the place in the cache: both succeed.
    let reference = Sandbox::new();
    let other: Vec<&str> = training.split(' ').chain(["-o", "other.onnx"]).collect();
    let both = [start(&reference, &arguments), start(&reference, &other)];
    both.into_iter().for_each(|mut child| assert!(child.wait().expect("ends").success()));
    let made = files(reference.path());
    let expected = &made["model.onnx"];
    assert!(made.len() == 3 && made.values().all(|bytes| bytes == expected), "{:?}", made.keys());

    let sandbox = Sandbox::new();
    let cache = sandbox.path().join("cache/struthio");
    let checkpoint = || {
        let names = std::fs::read_dir(&cache).into_iter().flatten().flatten().map(|entry| entry.path());
        names.into_iter().find(|path| path.extension().is_some_and(|extension| extension == "checkpoint"))
    };
    let mut child = start(&sandbox, &arguments);
    wait_until(&mut child, || checkpoint().is_some());
    kill(child);
    assert!(checkpoint().is_some(), "killed before it was finished");
    // What a process leaves that was killed while it wrote the next checkpoint.
    let name = checkpoint().expect("one").file_name().expect("a name").display().to_string();
    std::fs::write(cache.join(format!(".{name}.struthio-kill01")), b"half").expect("written");

    let mut child = start(&sandbox, &arguments);
    let mut first = String::new();
    BufReader::new(child.stderr.as_mut().expect("piped")).read_line(&mut first).expect("a line");
    assert!(first.contains("continuing after epoch ") && first.contains(" of 24"), "{first}");
    let (status, said) = interrupt(child);
    assert_eq!(status.code(), Some(130), "{said}");
    assert!(said.contains("to continue: ") && said.contains("--resume"), "{said}");
    assert!(!sandbox.path().join("model.onnx").exists());

    let output = sandbox.struthio(&[&arguments[..], &["--resume"]].concat());
    assert_eq!(output.status.code(), Some(0));
    assert!(text(&output.stderr).contains("continuing after epoch "));
    assert_eq!(&std::fs::read(sandbox.path().join("model.onnx")).expect("a model"), expected);
    let left = files(sandbox.path());
    assert!(left.len() == 2 && left.values().all(|bytes| bytes == expected), "{:?}", left.keys());
}

#[test]
fn a_damaged_checkpoint_is_said_and_not_used() {
    let sandbox = Sandbox::new();
    let arguments =
        ["train", "fc20-10", "--data", "mnist:train[0..1000]", "--epochs", "2", "-o", "model.onnx"];
    sandbox.succeed(&arguments);
    let expected = files(sandbox.path());
    let cached = expected.keys().find(|name| name.starts_with("cache/")).expect("a cached network");
    let cached = sandbox.path().join(cached);
    std::fs::remove_file(&cached).expect("removed");
    std::fs::write(cached.with_extension("checkpoint"), b"damaged").expect("written");
    let output = sandbox.struthio(&arguments);
    assert_eq!(output.status.code(), Some(0));
    assert!(text(&output.stderr).contains("is damaged and not used"));
    assert!(files(sandbox.path()) == expected);
}

/// A cache with a stand-in for every network of the paper, trained for a moment.
fn quick_cache(folder: &Path) {
    let data = struthio::data::mnist_train().expect("MNIST");
    let some = data.range(0..1000).expect("MNIST");
    let cache = TrainingCache::new(folder);
    std::fs::create_dir_all(folder).expect("made");
    let half = |range| data.range(range).expect("MNIST");
    let halves = [half(0..30_000), half(30_000..60_000)];
    let of_table_1 = PAPER_TABLE_1.iter().map(|network| {
        let (architecture, recipe) = network.recipe(0, true).expect("valid");
        (architecture, &data, recipe)
    });
    let of_table_3 = [("fc100-100-10", 0), ("fc123-456-10", 0), ("fc100-100-10", 1)].map(|(name, half)| {
        let architecture: Architecture = name.parse().expect("valid");
        let recipe = Recipe::for_architecture(&architecture, half as u64);
        (architecture, &halves[half], recipe)
    });
    for (architecture, data, recipe) in of_table_1.chain(of_table_3) {
        let mut brief = recipe.clone();
        match &mut brief.method {
            Method::Lbfgs { max_evaluations } => *max_evaluations = 5,
            Method::Sgd { epochs, .. } => *epochs = 2,
            Method::Autoencoder { encoder, max_evaluations } => {
                (encoder.epochs, *max_evaluations) = (1, 5);
            }
        }
        let never = std::sync::atomic::AtomicBool::new(false);
        let trained = train(&architecture, &some, &brief, 2, &never, &mut |_| {}).expect("trained");
        std::fs::write(cache.path(&architecture, data, &recipe).expect("data"), onnx::write(&trained))
            .expect("written");
    }
}

#[test]
fn reproduce_killed_a_few_times() {
    let sandbox = Sandbox::new();
    quick_cache(&sandbox.path().join("networks"));
    let other = fixture("struthio_fc32-10.onnx");
    let arguments = |out: &'static str| {
        let small = ["reproduce", "--quick", "--samples", "30", "--cache", "networks"];
        let alexnet = ["--alexnet", &other, "--photos", "mnist:test[100..160]"];
        [&small[..], &alexnet, &["--out", out, "--resume"]].concat()
    };
    let whole = arguments("whole");
    sandbox.succeed(&whole[..whole.len() - 1]);
    let expected = files(&sandbox.path().join("whole"));
    let units: serde_json::Value = serde_json::from_slice(&expected["units.json"]).expect("JSON");
    assert_eq!(units["alexnet"]["layers"].as_array().map(Vec::len), Some(2));
    assert!(text(&expected["report.html"]).contains("Figures 3, 4"));
    let resumed = arguments("killed");
    let run = sandbox.path().join("killed");
    let moments = [
        "networks/fc10-1e-2/seed-0/adversarial.npy".to_owned(),
        "networks/fc10-1/seed-0/summary.json".to_owned(),
        format!("{WORK}/networks/fc200-200-10/seed-0/outcomes.jsonl"),
        "networks/fc100-100-10/seed-0/test/adversarial.npy".to_owned(),
        format!("{WORK}/halves/fc123-456-10-p1/outcomes.jsonl"),
        "transfer.json".to_owned(),
        "summary.json".to_owned(),
        "timing.json".to_owned(),
    ];
    let cached = sandbox.path().join("networks");
    let cached_softmax =
        || files(&cached).into_keys().filter(|name| name.starts_with("fc10-")).collect::<Vec<_>>();
    for moment in &moments {
        let mut child = start(&sandbox, &resumed);
        wait_until(&mut child, || run.join(moment).exists());
        kill(child);
        if moment.contains("fc200") {
            // Networks whose attack is finished are not needed again.
            assert_eq!(cached_softmax().len(), 3);
            cached_softmax()
                .iter()
                .for_each(|name| std::fs::remove_file(cached.join(name)).expect("removed"));
        }
    }
    sandbox.succeed(&resumed);
    assert_same(&run, &expected, "eight kills");
    let again = sandbox.struthio(&resumed);
    assert_eq!(text(&again.stdout), sandbox.succeed(&arguments("whole")), "printed from the files");
    assert!(text(&again.stderr).contains("complete"));
    assert!(cached_softmax().is_empty(), "nothing was trained again");
}
