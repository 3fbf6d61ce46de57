//! A folder holds one run of one process, and says so when it is asked for anything else.
#![cfg(unix)]

mod common;

use std::path::Path;
use std::process::{Child, Command};

use common::stopping::{
    IMAGES, WORK, assert_same, attack, has_outcomes, kill_on_the_way, model, start, uninterrupted, wait_until,
};
use common::{Sandbox, files, fixture, text};

type Damage<'a> = &'a dyn Fn(&Path);

#[test]
fn another_run_is_not_continued() {
    let sandbox = Sandbox::new();
    let model = model();
    let run = sandbox.path().join("run");
    kill_on_the_way(start(&sandbox, &attack(&model, &[])), &run);
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
fn without_out_the_latest_unfinished_run_of_this_command_is_continued() {
    let sandbox = Sandbox::new();
    let model = model();
    let arguments = ["attack", &model, "--data", IMAGES];
    let stopped = |more: &[&str], number: usize| {
        let run = sandbox.path().join(format!("runs/attack-struthio_fc32-10-{number}"));
        kill_on_the_way(start(&sandbox, &[&arguments[..], more].concat()), &run);
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
fn two_processes_do_not_share_a_folder() {
    let model = model();
    // Slow enough to be still at work when the others come.
    let arguments = [
        "attack",
        &model,
        "--data",
        "mnist:test[0..60]",
        "--search",
        "bisection",
        "--lanes",
        "4",
        "--out",
        "run",
    ];
    let resumed = [&arguments[..], &["--resume"]].concat();
    let (expected, _) = uninterrupted(&arguments);
    let sandbox = Sandbox::new();
    let run = sandbox.path().join("run");
    let mut child = start(&sandbox, &arguments);
    wait_until(&mut child, || run.join(WORK).join("outcomes.jsonl").exists());
    for second in [&arguments[..], &resumed] {
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
    let (expected, _) = uninterrupted(&arguments);
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
    let damages: [(&str, Damage<'_>); 8] = [
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
        kill_on_the_way(start(&sandbox, &arguments), &run);
        damage(&run.join(WORK));
        let output = sandbox.struthio(&attack(&model, &["--resume"]));
        assert_eq!(output.status.code(), Some(0), "{what}");
        let said = text(&output.stderr);
        assert_eq!(said.contains("stored results are damaged"), what != "foreign files", "{what}: {said}");
        assert_same(&run, &expected, what);
    }
}

/// Without a manifest nothing tells what run it was: the work is neither lost nor mixed with that of another.
#[test]
fn work_without_its_manifest_is_kept() {
    let model = model();
    let (expected, _) = uninterrupted(&attack(&model, &[]));
    let sandbox = Sandbox::new();
    let run = sandbox.path().join("run");
    kill_on_the_way(start(&sandbox, &attack(&model, &[])), &run);
    let manifest = std::fs::read(run.join("manifest.json")).expect("a manifest");
    let resumed = attack(&model, &["--resume"]);
    for (damage, said) in [(Some(&manifest[..100]), "is damaged"), (None, "is missing")] {
        match damage {
            Some(bytes) => std::fs::write(run.join("manifest.json"), bytes).expect("written"),
            None => std::fs::remove_file(run.join("manifest.json")).expect("removed"),
        }
        let message = sandbox.fail(&resumed);
        assert!(message.contains(&format!("manifest.json {said}")) && message.contains(WORK), "{message}");
        assert!(has_outcomes(&run));
    }
    std::fs::write(run.join("manifest.json"), manifest).expect("written");
    assert!(text(&sandbox.struthio(&resumed).stderr).contains("of 400 images were done before"));
    assert_same(&run, &expected, "the manifest was put back");
}

#[test]
fn links_are_not_followed_out_of_the_folder() {
    use std::os::unix::fs::symlink;
    let model = model();
    let resumed = attack(&model, &["--resume", "--quiet"]);
    for name in ["outcomes.jsonl", "adversarial.npy", "lock", "results.parquet", "manifest.json", ""] {
        let sandbox = Sandbox::new();
        let run = sandbox.path().join("run");
        kill_on_the_way(start(&sandbox, &attack(&model, &[])), &run);
        let (link, elsewhere) = (run.join(WORK).join(name), sandbox.path().join("outside"));
        if name.is_empty() {
            std::fs::rename(run.join(WORK), &elsewhere).expect("moved");
            symlink(&elsewhere, run.join(WORK)).expect("linked");
        } else {
            std::fs::write(&elsewhere, b"somebody's").expect("written");
            let _ = std::fs::remove_file(&link);
            symlink(&elsewhere, &link).expect("linked");
        }
        let outside = || {
            let mut files = files(sandbox.path());
            files.retain(|name, _| name.starts_with("outside"));
            files
        };
        let before = outside();
        let message = sandbox.fail(&resumed);
        assert!(message.contains(WORK) && message.contains("remove it"), "{name}: {message}");
        assert!(outside() == before, "{name}: something was written");
        if !name.is_empty() {
            std::fs::remove_file(&link).expect("removed");
            sandbox.succeed(&resumed);
        }
    }
}

#[test]
fn a_finished_run_that_was_damaged_is_not_called_complete() {
    let sandbox = Sandbox::new();
    let model = model();
    let resumed = attack(&model, &["--resume"]);
    sandbox.succeed(&resumed);
    let run = sandbox.path().join("run");
    let check = Command::new("sha256sum").args(["-c", "--quiet", "SHA256SUMS"]).current_dir(&run).status();
    assert!(check.map_or(true, |status| status.success()), "the sums are those of the files");
    for name in files(&run).into_keys().chain(["timing.json".to_owned()]) {
        let whole = std::fs::read(run.join(&name)).expect("a file");
        let first_line = whole.iter().position(|&byte| byte == b'\n').map_or(0, |end| end + 1);
        for left in [0, first_line.min(whole.len() - 1), whole.len() / 2] {
            std::fs::write(run.join(&name), &whole[..left]).expect("written");
            let message = sandbox.fail(&resumed);
            assert!(message.contains(&name), "{name}: {message}");
        }
        std::fs::remove_file(run.join(&name)).expect("removed");
        let message = sandbox.fail(&resumed);
        assert!(message.contains(&name) && message.contains("missing"), "{name}: {message}");
        std::fs::write(run.join(&name), whole).expect("written");
        sandbox.succeed(&resumed);
    }
    // What others put there is none of the run's business.
    std::fs::write(run.join("notes.txt"), b"mine").expect("written");
    sandbox.succeed(&resumed);
}

/// Opening a pipe for reading waits for somebody to write to it.
#[test]
fn a_pipe_in_place_of_a_file_is_no_reason_to_hang() {
    let sandbox = Sandbox::new();
    let model = model();
    let resumed = attack(&model, &["--resume"]);
    sandbox.succeed(&resumed);
    let run = sandbox.path().join("run");
    for name in files(&run).into_keys().chain(["timing.json".to_owned()]) {
        let path = run.join(&name);
        let whole = std::fs::read(&path).expect("a file");
        std::fs::remove_file(&path).expect("removed");
        assert!(Command::new("mkfifo").arg(&path).status().expect("mkfifo").success());
        let mut child = start(&sandbox, &resumed);
        wait_until(&mut child, || false);
        let output = child.wait_with_output().expect("ends");
        let message = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{name}: {message}");
        assert!(message.contains(&name), "{name}: {message}");
        std::fs::remove_file(&path).expect("removed");
        std::fs::write(&path, whole).expect("written");
    }
}

#[test]
fn a_full_disk_is_said_and_survived() {
    let model = model();
    let arguments = attack(&model, &["--quiet"]);
    let (expected, _) = uninterrupted(&arguments);
    let sandbox = Sandbox::new();
    let script = r#"ulimit -f 1000; exec "$0" "$@""#;
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
    assert!(said.contains("the folder run was removed") && said.contains("start again"), "{said}");
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
    if std::fs::write(run.join("probe"), b"").is_ok() {
        // Permissions do not hold root back; the file system of processes does.
        let message =
            sandbox.fail(&["attack", &model, "--data", IMAGES, "--out", "/proc/struthio", "--resume"]);
        assert!(message.contains("/proc/struthio") && message.contains("--out"), "{message}");
    } else {
        let message = sandbox.fail(&["attack", &model, "--data", IMAGES, "--out", "run", "--resume"]);
        assert!(message.contains("cannot write to run") && message.contains("--out"), "{message}");
    }
    std::fs::write(sandbox.path().join("file"), b"in the way").expect("written");
    let message = sandbox.fail(&["attack", &model, "--data", IMAGES, "--out", "file", "--resume"]);
    assert!(message.contains("file: it is not a folder") && message.contains("--out"), "{message}");
}
