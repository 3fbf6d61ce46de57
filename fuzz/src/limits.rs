//! What a file below 1 MiB may take.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

const LONGEST: Duration = Duration::from_secs(5);
const MOST_MEMORY: usize = 256 << 20;

static HELD: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);

/// The allocator of the system, which counts.
struct Counting;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

#[allow(unsafe_code, reason = "an allocator cannot be written without")]
// SAFETY: everything is handed on to the allocator of the system.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        add(layout.size());
        // SAFETY: the caller promises what the system wants.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        add(layout.size());
        // SAFETY: as above.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        HELD.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: as above.
        unsafe { System.dealloc(pointer, layout) }
    }
}

fn add(bytes: usize) {
    let held = HELD.fetch_add(bytes, Ordering::Relaxed) + bytes;
    PEAK.fetch_max(held, Ordering::Relaxed);
}

/// Runs `work`.
///
/// # Panics
///
/// If it takes too long or too much memory.
pub fn check(work: impl FnOnce()) {
    let (start, before) = (Instant::now(), HELD.load(Ordering::Relaxed));
    PEAK.store(before, Ordering::Relaxed);
    work();
    let (took, memory) = (start.elapsed(), PEAK.load(Ordering::Relaxed).saturating_sub(before));
    assert!(took < LONGEST, "it takes {took:?}");
    assert!(memory < MOST_MEMORY, "it takes {memory} bytes of memory");
}
