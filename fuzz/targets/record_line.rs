#![no_main]

//! The harness's reader of records by itself, as the router's conditions are in `condition.rs`.

#[expect(dead_code, reason = "only lines are read here")]
mod error;
#[expect(dead_code, unused_imports, reason = "only lines are read here")]
mod record;

use record::line::{self, Content};

// Bytes as a line of a capture: what is a record is written as one that reads and writes the same.
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    for content in [Content::Calls, Content::Answers] {
        match line::parse(bytes, content) {
            Ok(record) => {
                let mut written = Vec::new();
                line::write(&record, &mut written);
                let mut again = Vec::new();
                line::write(&line::parse(&written, content).expect("what is written is read"), &mut again);
                assert_eq!(again, written);
            }
            Err(reason) => assert!(!reason.is_empty()),
        }
    }
});
