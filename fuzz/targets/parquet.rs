#![no_main]

use std::sync::Once;

use struthio_fuzz::{limits, parquet};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    // Panics of the crate for Parquet are caught, so they must not abort already; others still do.
    static HOOK: Once = Once::new();
    HOOK.call_once(|| drop(std::panic::take_hook()));
    limits::check(|| parquet(bytes));
});
