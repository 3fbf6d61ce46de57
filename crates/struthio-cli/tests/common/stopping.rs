//! Commands that are stopped on their way, and what must come of them.
#![allow(dead_code, reason = "each test file uses a part of this")]

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use super::{Sandbox, files, fixture, text};

type Files = BTreeMap<String, Vec<u8>>;

/// Where a run keeps what is not complete.
pub const WORK: &str = ".struthio-partial";
/// Enough for a second or so.
pub const IMAGES: &str = "mnist:test[0..400]";

/// Few lanes spread the outcomes over the whole run.
pub fn attack<'a>(model: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    [&["attack", model, "--data", IMAGES, "--lanes", "6", "--out", "run"], more].concat()
}

pub fn model() -> String {
    fixture("struthio_fc32-10.onnx")
}

/// Starts a command without waiting for it.
pub fn start(sandbox: &Sandbox, arguments: &[&str]) -> Child {
    let mut command = sandbox.command(arguments);
    command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("starts")
}

pub fn kill(mut child: Child) {
    child.kill().expect("killed, or ended before");
    child.wait().expect("ends");
}

/// Sends SIGINT, as Ctrl-C does; returns how the process ended and what it still said.
pub fn interrupt(child: Child) -> (ExitStatus, String) {
    let pid = child.id().to_string();
    assert!(Command::new("kill").args(["-INT", &pid]).status().expect("kill").success());
    let output = child.wait_with_output().expect("ends");
    (output.status, text(&output.stderr))
}

/// Kills the process as soon as it has filed a few outcomes in `run`.
pub fn kill_on_the_way(mut child: Child, run: &Path) {
    wait_until(&mut child, || has_outcomes(run));
    kill(child);
    assert!(has_outcomes(run), "killed too late");
}

/// Whether an unfinished run has a few outcomes.
pub fn has_outcomes(run: &Path) -> bool {
    std::fs::metadata(run.join(WORK).join("outcomes.jsonl")).is_ok_and(|journal| journal.len() > 2000)
}

/// Waits until `ready`, or the process has ended.
pub fn wait_until(child: &mut Child, mut ready: impl FnMut() -> bool) {
    let start = Instant::now();
    while !ready() && child.try_wait().expect("a process").is_none() {
        assert!(start.elapsed() < Duration::from_secs(300), "nothing happens");
        std::thread::sleep(Duration::from_micros(100));
    }
}

pub fn uninterrupted(arguments: &[&str]) -> (Files, Duration) {
    let sandbox = Sandbox::new();
    let start = Instant::now();
    sandbox.succeed(arguments);
    (files(&sandbox.path().join("run")), start.elapsed())
}

pub fn assert_same(folder: &Path, expected: &Files, what: &str) {
    let found = files(folder);
    let names = |files: &Files| files.keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(&found), names(expected), "{what}");
    for (name, bytes) in expected {
        assert!(&found[name] == bytes, "{what}: {name} differs");
    }
    assert!(folder.join("timing.json").exists() && !folder.join(WORK).exists(), "{what}");
}
