#![no_main]

mod error;
mod import;
mod record;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| import::seeds::read_gor(bytes));
