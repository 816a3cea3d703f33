#![no_main]

//! The router's reader of answers by itself, as its conditions are in `condition.rs`.

mod policy {
    pub(crate) mod distinct;
}
mod fanout {
    pub(crate) mod reader;
}

use fanout::reader::Form;

// Bytes as what a model answers, in each of the forms: a score is one, or said to be none, and a
// fault is one short line, whatever the answer says.
libfuzzer_sys::fuzz_target!(|body: &[u8]| {
    let forms = [
        Form::Own,
        Form::Tensors(Vec::new()),
        Form::Tensors(vec!["ham", "spam"]),
        Form::Tensors(vec!["spam"]),
        Form::Places(vec![("spam", "/scores/spam"), ("ham", "/predictions/0/p"), ("all", "")]),
    ];
    for form in forms {
        match form.read(body) {
            Ok(reading) => {
                let mut scores = reading.scores.valid.into_values();
                assert!(scores.all(|score| (0.0..=1.0).contains(&score)));
            }
            Err(fault) => assert!(fault.len() < 100 && fault.is_ascii(), "{fault}"),
        }
    }
});
