#![no_main]

use struthio_fuzz::{limits, onnx};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| limits::check(|| onnx(bytes)));
