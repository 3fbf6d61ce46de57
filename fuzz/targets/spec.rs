#![no_main]

use struthio_fuzz::{limits, spec};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| limits::check(|| spec(bytes)));
