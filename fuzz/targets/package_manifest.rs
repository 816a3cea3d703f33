#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| fuzz::package_manifest(bytes));
