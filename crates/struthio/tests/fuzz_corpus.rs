//! What fuzzing found, and what it begins with: no file panics, takes long or needs much memory.
//!
//! `fuzz/` has the targets, which run here on `fuzz/corpus` and `fuzz/regressions`.

use std::alloc::{GlobalAlloc, Layout, System};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

#[path = "../../../fuzz/src/lib.rs"]
mod targets;

/// What a file below 1 MiB may take.
const LONGEST: Duration = Duration::from_secs(5);
const MOST_MEMORY: usize = 256 << 20;

/// The allocator of the system, which counts.
struct Counting;

static HELD: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);

#[global_allocator]
static ALLOCATOR: Counting = Counting;

#[expect(unsafe_code, reason = "an allocator cannot be written without")]
// SAFETY: everything is handed on to the allocator of the system.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let held = HELD.fetch_add(layout.size(), Ordering::Relaxed) + layout.size();
        PEAK.fetch_max(held, Ordering::Relaxed);
        // SAFETY: the caller promises what the system wants.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        HELD.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: the caller promises what the system wants.
        unsafe { System.dealloc(pointer, layout) }
    }
}

/// The files for a target, which there must be some of in `corpus`.
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
    let block = std::hint::black_box(vec![1_u8; 1 << 20]);
    assert!(PEAK.load(Ordering::Relaxed) >= block.len(), "memory is not counted");
    for (name, target) in targets::TARGETS {
        for file in files(name) {
            let bytes = std::fs::read(&file).expect("readable");
            let (start, before) = (Instant::now(), HELD.load(Ordering::Relaxed));
            PEAK.store(before, Ordering::Relaxed);
            let survived = std::panic::catch_unwind(|| target(&bytes)).is_ok();
            assert!(survived, "{name} panics on {}", file.display());
            let (took, memory) = (start.elapsed(), PEAK.load(Ordering::Relaxed).saturating_sub(before));
            assert!(took < LONGEST, "{name} takes {took:?} for {}", file.display());
            assert!(memory < MOST_MEMORY, "{name} takes {memory} bytes for {}", file.display());
        }
    }
}
