#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| fuzz::v2_infer(bytes));
