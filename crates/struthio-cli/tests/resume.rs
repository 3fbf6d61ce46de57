//! Runs that are stopped, in every way a process can be, end with the bytes of runs that were not.
#![cfg(unix)]

mod common;

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use common::{Sandbox, files, fixture, text};
use struthio::network::{Architecture, onnx};
use struthio::paper::PAPER_TABLE_1;
use struthio::training::{Method, Recipe, TrainingCache, WeightDecay, train};

type Files = BTreeMap<String, Vec<u8>>;

const WORK: &str = ".struthio-partial";
const IMAGES: &str = "mnist:test[0..400]";

fn attack<'a>(model: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    [&["attack", model, "--data", IMAGES, "--out", "run"], more].concat()
}

fn model() -> String {
    fixture("struthio_fc32-10.onnx")
}

/// Starts a command without waiting for it.
fn start(sandbox: &Sandbox, arguments: &[&str]) -> Child {
    let mut command = sandbox.command(arguments);
    command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("starts")
}

fn kill(mut child: Child) {
    child.kill().expect("killed, or ended before");
    child.wait().expect("ends");
}

/// Sends SIGINT, as Ctrl-C does; returns how the process ended and what it said.
fn interrupt(child: Child) -> (ExitStatus, String) {
    let pid = child.id().to_string();
    assert!(Command::new("kill").args(["-INT", &pid]).status().expect("kill").success());
    let output = child.wait_with_output().expect("ends");
    (output.status, text(&output.stderr))
}

/// Waits until `ready`, or the process has ended.
fn wait_until(child: &mut Child, mut ready: impl FnMut() -> bool) {
    let start = Instant::now();
    while !ready() && child.try_wait().expect("a process").is_none() {
        assert!(start.elapsed() < Duration::from_secs(60), "nothing happens");
    }
}

fn uninterrupted(arguments: &[&str]) -> (Files, Duration) {
    let sandbox = Sandbox::new();
    let start = Instant::now();
    sandbox.succeed(arguments);
    (files(&sandbox.path().join("run")), start.elapsed())
}

fn assert_same(folder: &Path, expected: &Files, what: &str) {
    let found = files(folder);
    let names = |files: &Files| files.keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(&found), names(expected), "{what}");
    for (name, bytes) in expected {
        assert!(&found[name] == bytes, "{what}: {name} differs");
    }
    assert!(folder.join("timing.json").exists() && !folder.join(WORK).exists(), "{what}");
}

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
        let resumed = attack(&model, &["--resume", "--quiet", "--threads", "1", "--lanes", "9"]);
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
        ["attack", &model, "--data", "mnist:test[0..40]", "--target", "all", "--out", "run", "--quiet"];
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
    let (expected, whole) = uninterrupted(&attack(&model, &[]));
    let sandbox = Sandbox::new();
    // Without --out, so that the message has to name the folder.
    let child = start(&sandbox, &["attack", &model, "--data", IMAGES]);
    std::thread::sleep(whole / 2);
    let (status, said) = interrupt(child);
    assert_eq!(status.code(), Some(130), "{said}");
    assert!(said.contains("error: interrupted"), "{said}");
    let folder = sandbox.path().join("runs/attack-struthio_fc32-10-1");
    let kept = std::fs::metadata(folder.join(WORK).join("outcomes.jsonl")).expect("a journal").len();
    assert!(kept > 1000, "{kept} bytes");
    let (_, command) = said.split_once("to continue: ").expect("a command");
    let continued = Command::new("sh").args(["-c", command]).current_dir(sandbox.path()).output();
    let continued = continued.expect("starts");
    assert_eq!(continued.status.code(), Some(0), "{}", text(&continued.stderr));
    assert!(text(&continued.stderr).contains("of 400 images were done before"));
    assert_same(&folder, &expected, command);
}

#[test]
fn without_out_the_latest_unfinished_run_of_this_command_is_continued() {
    let sandbox = Sandbox::new();
    let model = model();
    let arguments = ["attack", &model, "--data", IMAGES];
    let stopped = |more: &[&str], number: usize| {
        let mut child = start(&sandbox, &[&arguments[..], more].concat());
        let journal =
            sandbox.path().join(format!("runs/attack-struthio_fc32-10-{number}/{WORK}/outcomes.jsonl"));
        wait_until(&mut child, || std::fs::metadata(&journal).is_ok_and(|file| file.len() > 0));
        kill(child);
    };
    stopped(&[], 1);
    stopped(&[], 2);
    stopped(&["--seed", "5"], 3);
    let resume = |more: &[&str]| {
        let output = sandbox.struthio(&[&arguments[..], &["--resume"], more].concat());
        assert_eq!(output.status.code(), Some(0));
        text(&output.stderr)
    };
    assert!(resume(&[]).contains("continuing the run in runs/attack-struthio_fc32-10-2"));
    assert!(resume(&[]).contains("continuing the run in runs/attack-struthio_fc32-10-1"));
    assert!(resume(&[]).contains("no run to continue; starting in runs/attack-struthio_fc32-10-4"));
    assert!(resume(&["--seed", "5"]).contains("continuing the run in runs/attack-struthio_fc32-10-3"));
}

#[test]
fn another_run_is_not_continued() {
    let sandbox = Sandbox::new();
    let model = model();
    let mut child = start(&sandbox, &attack(&model, &[]));
    let run = sandbox.path().join("run");
    wait_until(&mut child, || run.join(WORK).join("outcomes.jsonl").exists());
    kill(child);
    let before = files(&run);
    let other = sandbox.path().join("struthio_fc32-10.onnx");
    std::fs::copy(fixture("plain_legacy.onnx"), &other).expect("copied");
    let other = other.display().to_string();
    for (arguments, fragments) in [
        (attack(&model, &[]), &["unfinished run of this command", "--resume continues it"][..]),
        (
            attack(&model, &["--target", "3"]),
            &["--target closest", "a different command needs another folder"],
        ),
        (attack(&model, &["--resume", "--target", "3"]), &["command:", "--target closest", "--target 3"]),
        (attack(&model, &["--resume", "--seed", "7"]), &["seed: 0 there, 7 now"]),
        (attack(&other, &["--resume"]), &["model: struthio_fc32-10.onnx with SHA-256"]),
        (vec!["attack", &model, "--data", "mnist:test[0..9]", "--out", "run", "--resume"], &["data: "]),
        (
            vec!["gradient", &model, "--data", "mnist:test[0..9]", "--out", "run"],
            &["not empty", "struthio attack"],
        ),
        (vec!["reproduce", "--out", "run", "--resume"], &["command:", "struthio reproduce"]),
    ] {
        let message = sandbox.fail(&arguments);
        for fragment in fragments {
            assert!(message.contains(fragment), "{arguments:?}: {message}");
        }
    }
    assert_eq!(files(&run), before, "nothing was touched");

    let manifest = std::fs::read_to_string(run.join("manifest.json")).expect("a manifest");
    let version = format!("\"struthio\": \"{}\"", env!("CARGO_PKG_VERSION"));
    std::fs::write(run.join("manifest.json"), manifest.replace(&version, "\"struthio\": \"0.0.1\""))
        .expect("written");
    let message = sandbox.fail(&attack(&model, &["--resume"]));
    assert!(message.contains("version of struthio: 0.0.1"), "{message}");
}

#[test]
fn two_processes_do_not_share_a_folder() {
    let model = model();
    let arguments = attack(&model, &[]);
    let resumed = attack(&model, &["--resume"]);
    let (expected, _) = uninterrupted(&arguments);
    let sandbox = Sandbox::new();
    let run = sandbox.path().join("run");
    let mut child = start(&sandbox, &arguments);
    wait_until(&mut child, || run.join(WORK).join("outcomes.jsonl").exists());
    for second in [&arguments, &resumed] {
        let message = sandbox.fail(second);
        assert!(message.contains("another struthio is at work in the folder run"), "{message}");
    }
    assert!(child.wait().expect("ends").success(), "the first is not disturbed");
    assert_same(&run, &expected, "two processes");

    // All at once on a folder that none of them has yet: one of them does the work.
    let sandbox = Sandbox::new();
    let children: Vec<Child> = (0..4).map(|_| start(&sandbox, &arguments)).collect();
    let codes: Vec<_> = children.into_iter().map(|mut child| child.wait().expect("ends").code()).collect();
    assert_eq!(codes.iter().filter(|code| **code == Some(0)).count(), 1, "{codes:?}");
    assert_eq!(codes.iter().filter(|code| **code == Some(2)).count(), 3, "{codes:?}");
    assert_same(&sandbox.path().join("run"), &expected, "four processes");
}

#[test]
fn damaged_work_is_done_again() {
    let model = model();
    let arguments = attack(&model, &[]);
    let (expected, whole) = uninterrupted(&arguments);
    let flip = |path: &Path, share: f64| {
        let mut bytes = std::fs::read(path).expect("a file");
        let at = (bytes.len() as f64 * share) as usize;
        bytes[at] ^= 1;
        std::fs::write(path, bytes).expect("written");
    };
    let cut = |path: &Path| {
        let bytes = std::fs::read(path).expect("a file");
        std::fs::write(path, &bytes[..bytes.len() / 2]).expect("written");
    };
    let damages: [(&str, &dyn Fn(&Path)); 8] = [
        ("a bit of an outcome", &|work| flip(&work.join("outcomes.jsonl"), 0.5)),
        ("a bit of the first outcome", &|work| flip(&work.join("outcomes.jsonl"), 0.0)),
        ("half of the outcomes", &|work| cut(&work.join("outcomes.jsonl"))),
        ("all outcomes", &|work| std::fs::remove_file(work.join("outcomes.jsonl")).expect("removed")),
        ("a bit of an image", &|work| flip(&work.join("adversarial.npy"), 0.7)),
        ("a bit of the header", &|work| flip(&work.join("adversarial.npy"), 0.0)),
        ("half of the images", &|work| cut(&work.join("adversarial.npy"))),
        ("foreign files", &|work| std::fs::write(work.join("results.parquet"), b"half").expect("written")),
    ];
    for (what, damage) in damages {
        let sandbox = Sandbox::new();
        let run = sandbox.path().join("run");
        let child = start(&sandbox, &arguments);
        std::thread::sleep(whole / 2);
        kill(child);
        damage(&run.join(WORK));
        sandbox.succeed(&attack(&model, &["--resume"]));
        assert_same(&run, &expected, what);
    }
    let sandbox = Sandbox::new();
    let child = start(&sandbox, &arguments);
    std::thread::sleep(whole / 2);
    kill(child);
    cut(&sandbox.path().join("run/manifest.json"));
    let message = sandbox.fail(&attack(&model, &["--resume"]));
    assert!(message.contains("not empty") && message.contains("--out"), "{message}");
}

#[test]
fn a_full_disk_is_said_and_survived() {
    let model = model();
    let arguments = attack(&model, &["--quiet"]);
    let (expected, _) = uninterrupted(&arguments);
    let sandbox = Sandbox::new();
    // A limit on the size of files, met by an error rather than a signal.
    let script = r#"trap '' XFSZ; ulimit -f 1000; exec "$0" "$@""#;
    let limited = Command::new("sh")
        .args(["-c", script, env!("CARGO_BIN_EXE_struthio")])
        .args(&arguments)
        .current_dir(sandbox.path())
        .output()
        .expect("starts");
    let said = text(&limited.stderr);
    assert_eq!(limited.status.code(), Some(2), "{said}");
    assert!(
        said.contains("cannot write run/") && said.contains("to continue once that is mended: "),
        "{said}"
    );
    let left: Vec<String> = files(&sandbox.path().join("run")).into_keys().collect();
    assert!(left.iter().all(|name| name == "manifest.json" || name.starts_with(WORK)), "{left:?}");
    sandbox.succeed(&attack(&model, &["--resume", "--quiet"]));
    assert_same(&sandbox.path().join("run"), &expected, "full disk");
}

#[test]
fn a_folder_removed_meanwhile_is_noticed() {
    let sandbox = Sandbox::new();
    let model = model();
    let arguments = ["attack", &model, "--data", "mnist:test", "--search", "bisection", "--out", "run"];
    let mut child = start(&sandbox, &arguments);
    let run = sandbox.path().join("run");
    wait_until(&mut child, || run.join(WORK).join("outcomes.jsonl").exists());
    std::fs::remove_dir_all(&run).expect("removed");
    let output = child.wait_with_output().expect("ends");
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("the folder run was removed") && said.contains("start the run again"), "{said}");
    assert!(!run.exists());
}

#[test]
fn folders_that_cannot_be_written() {
    use std::os::unix::fs::PermissionsExt;
    let sandbox = Sandbox::new();
    let model = model();
    let run = sandbox.path().join("run");
    std::fs::create_dir(&run).expect("made");
    std::fs::set_permissions(&run, std::fs::Permissions::from_mode(0o555)).expect("set");
    // Permissions do not hold root back; to it, another file system says no.
    let root = std::fs::write(run.join("probe"), b"").is_ok();
    let out = if root { "/proc" } else { "run" };
    if root {
        std::fs::remove_file(run.join("probe")).expect("removed");
        assert!(
            sandbox.fail(&["attack", &model, "--data", IMAGES, "--out", "/proc/sys"]).contains("/proc/sys")
        );
    } else {
        let message = sandbox.fail(&["attack", &model, "--data", IMAGES, "--out", out, "--resume"]);
        assert!(message.contains("cannot write to run") && message.contains("--out"), "{message}");
    }
    std::fs::write(sandbox.path().join("file"), b"in the way").expect("written");
    let message = sandbox.fail(&["attack", &model, "--data", IMAGES, "--out", "file", "--resume"]);
    assert!(message.contains("file: it is not a folder") && message.contains("--out"), "{message}");
}

#[test]
fn a_training_continues_from_its_checkpoint() {
    let arguments =
        ["train", "fc100-10", "--data", "mnist:train[0..10000]", "--epochs", "24", "-o", "model.onnx"];
    // Two at once, which share the place in the cache: both succeed.
    let reference = Sandbox::new();
    let other = arguments.map(|word| if word == "model.onnx" { "other.onnx" } else { word });
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

    let child = start(&sandbox, &arguments);
    std::thread::sleep(Duration::from_millis(400));
    let (status, said) = interrupt(child);
    assert_eq!(status.code(), Some(130), "{said}");
    assert!(said.contains("continuing after epoch ") && said.contains(" of 24"), "{said}");
    assert!(said.contains("to continue: ") && said.contains("--resume"), "{said}");
    assert!(!sandbox.path().join("model.onnx").exists());

    let output = sandbox.struthio(&[&arguments[..], &["--resume"]].concat());
    assert_eq!(output.status.code(), Some(0));
    assert!(text(&output.stderr).contains("continuing after epoch "));
    assert_eq!(&std::fs::read(sandbox.path().join("model.onnx")).expect("a model"), expected);
    let left = files(sandbox.path()).into_keys().filter(|name| !name.ends_with(".onnx"));
    assert_eq!(left.collect::<Vec<_>>(), Vec::<String>::new());

    // A damaged checkpoint is said and not used.
    let cached = std::fs::read_dir(&cache).expect("a cache").next().expect("one").expect("a file").path();
    std::fs::remove_file(&cached).expect("removed");
    std::fs::write(cached.with_extension("checkpoint"), b"damaged").expect("written");
    let output = sandbox.struthio(&arguments);
    assert!(text(&output.stderr).contains("is damaged and not used"));
    assert_eq!(&std::fs::read(sandbox.path().join("model.onnx")).expect("a model"), expected);
    assert!(!cached.with_extension("checkpoint").exists());
}

/// A cache with a stand-in for every network of the paper, trained for a moment.
fn quick_cache(folder: &Path) {
    let data = struthio::data::mnist_train().expect("MNIST");
    let some = data.range(0..1000).expect("MNIST");
    let cache = TrainingCache::new(folder);
    std::fs::create_dir_all(folder).expect("made");
    for network in &PAPER_TABLE_1 {
        let architecture: Architecture = network.architecture.parse().expect("valid");
        let weight_decay = WeightDecay { lambdas: network.lambdas.to_vec() };
        let recipe = Recipe { weight_decay, ..Recipe::for_architecture(&architecture, 0) };
        let mut brief = recipe.clone();
        match &mut brief.method {
            Method::Lbfgs { max_evaluations } => *max_evaluations = 5,
            Method::Sgd { epochs, .. } => *epochs = 2,
        }
        let never = std::sync::atomic::AtomicBool::new(false);
        let trained = train(&architecture, &some, &brief, 2, &never, &mut |_| {}).expect("trained");
        std::fs::write(cache.path(&architecture, &data, &recipe), onnx::write(&trained)).expect("written");
    }
}

#[test]
fn reproduce_killed_a_few_times() {
    let sandbox = Sandbox::new();
    quick_cache(&sandbox.path().join("networks"));
    let arguments = |out: &'static str| {
        ["reproduce", "--quick", "--samples", "30", "--cache", "networks", "--out", out, "--resume"]
    };
    sandbox.succeed(&arguments("whole")[..8]);
    let expected = files(&sandbox.path().join("whole"));
    let resumed = arguments("killed");
    let run = sandbox.path().join("killed");
    let moments = [
        "networks/fc10-1e-2/seed-0/adversarial.npy".to_owned(),
        "networks/fc10-1/seed-0/summary.json".to_owned(),
        format!("{WORK}/networks/fc200-200-10/seed-0/outcomes.jsonl"),
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
    assert_same(&run, &expected, "five kills");
    let again = sandbox.struthio(&resumed);
    assert_eq!(text(&again.stdout), sandbox.succeed(&arguments("whole")), "printed from the files");
    assert!(text(&again.stderr).contains("complete"));
    assert!(cached_softmax().is_empty(), "nothing was trained again");
}
