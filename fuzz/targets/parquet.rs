#![no_main]

use struthio_fuzz::{limits, parquet};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| limits::check(|| parquet(bytes)));
