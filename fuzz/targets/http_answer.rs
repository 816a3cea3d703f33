#![no_main]

#[path = "../src/http_answer.rs"]
mod http_answer;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| http_answer::http_answer(bytes));
