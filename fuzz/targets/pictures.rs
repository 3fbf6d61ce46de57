#![no_main]

use struthio_fuzz::{limits, pictures};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| limits::check(|| pictures(bytes)));
