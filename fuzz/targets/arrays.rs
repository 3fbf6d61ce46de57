#![no_main]

use struthio_fuzz::{arrays, limits};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| limits::check(|| arrays(bytes)));
