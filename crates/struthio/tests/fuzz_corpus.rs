//! What fuzzing begins with, and what it found: no file panics, takes long or needs much memory.
//!
//! `fuzz/` has the targets, which run here on `fuzz/corpus` and `fuzz/regressions`.

use std::panic::catch_unwind;
use std::path::{Path, PathBuf};

#[path = "../../../fuzz/src/lib.rs"]
mod targets;

use targets::limits;

/// The files for a target, of which there must be some in `corpus`.
fn files(target: &str) -> Vec<PathBuf> {
    let fuzz = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz");
    let in_folder = |kind: &str| -> Vec<PathBuf> {
        let entries = std::fs::read_dir(fuzz.join(kind).join(target)).into_iter().flatten();
        entries.map(|entry| entry.expect("readable").path()).collect()
    };
    let corpus = in_folder("corpus");
    assert!(!corpus.is_empty(), "no corpus for {target}");
    [corpus, in_folder("regressions")].concat()
}

/// One test, so that nothing else is counted.
#[test]
fn no_file_is_too_much() {
    let large = || drop(std::hint::black_box(vec![1_u8; 257 << 20]));
    assert!(catch_unwind(|| limits::check(large)).is_err(), "memory is not counted");
    for (name, target) in targets::TARGETS {
        for file in files(name) {
            let bytes = std::fs::read(&file).expect("readable");
            let result = catch_unwind(|| limits::check(|| target(&bytes)));
            assert!(result.is_ok(), "the target {name} breaks on {}", file.display());
        }
    }
}
