#![no_main]

use struthio_fuzz::{limits, tables};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| limits::check(|| tables(bytes)));
