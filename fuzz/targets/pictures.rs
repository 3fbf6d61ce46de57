#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| struthio_fuzz::pictures(bytes));
