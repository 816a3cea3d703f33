//! What holds of any expression: nothing panics, and what was accepted never fails for its types.
//!
//! `PROPTEST_CASES` says how many expressions each property is tried on.

mod choices;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use proptest::collection::vec;
use proptest::prelude::*;

use self::choices::Choices;
use super::*;

/// Values that are hard on what calculates with them.
fn values() -> impl Strategy<Value = (Vec<&'static str>, f64, f64)> {
    let text = prop::sample::select(vec!["", "review", "7", "-1e400", "é((", "nan", "0.1"]);
    let number = prop::sample::select(vec![0.0, -0.0, 2.0, 4.5, -3.0, 1e308, 0.25]);
    (vec(text, 9), number.clone(), number)
}

/// Evaluates with all facts, or with none of the optional ones.
fn evaluate(
    condition: &Condition,
    (texts, rating, score): &(Vec<&str>, f64, f64),
    complete: bool,
) -> Result<bool, String> {
    let optional = |text| complete.then_some(text);
    let names = ["title", "my field"].into_iter().filter(|_| complete);
    let fields: BTreeMap<_, _> =
        names.zip(&texts[7..]).map(|(name, text)| (name.to_owned(), (*text).to_owned())).collect();
    When::new(condition).holds(&Facts {
        client: texts[0],
        content_id: texts[1],
        r#type: optional(texts[2]),
        locale: optional(texts[3]),
        site: optional(texts[4]),
        author_id: optional(texts[5]),
        product_id: optional(texts[6]),
        rating: complete.then_some(*rating),
        fields: &fields,
        scores: &|_| complete.then_some(*score),
    })
}

fn is_of_a_value(reason: &str) -> bool {
    ["a division by zero", "a number is too large", "a result is not a number"].contains(&reason)
        || reason.ends_with("() got what it cannot turn into a number")
}

fn is_absence(reason: &str) -> bool {
    reason.ends_with(" is absent")
}

fn is_limit(fault: &str) -> bool {
    fault.contains("at most ") || fault.contains("more than ")
}

fn cases(usually: u32) -> ProptestConfig {
    let asked = std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok());
    ProptestConfig { cases: asked.unwrap_or(usually), ..ProptestConfig::default() }
}

/// Parses, and evaluates what is accepted; only an absent or impossible value may make that fail.
fn withstand(text: &str, values: &(Vec<&str>, f64, f64)) -> Result<(), TestCaseError> {
    let Ok(condition) = Condition::parse(text) else { return Ok(()) };
    for complete in [true, false] {
        if let Err(reason) = evaluate(&condition, values, complete) {
            prop_assert!(is_of_a_value(&reason) || is_absence(&reason), "{text}: {reason}");
        }
    }
    Ok(())
}

#[test]
fn no_seed_of_the_fuzzer_is_too_much() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus/condition");
    let seeds: Vec<_> = fs::read_dir(folder).unwrap().map(|file| file.unwrap().path()).collect();
    assert!(seeds.len() >= 15, "only {} seeds were found", seeds.len());
    for seed in seeds {
        let text = fs::read_to_string(seed).unwrap();
        withstand(&text, &(vec!["7"; 9], 2.0, 0.5)).unwrap();
    }
}

proptest! {
    #![proptest_config(cases(5_000))]

    #[test]
    fn what_has_its_types_right_is_accepted_and_fails_only_for_a_value(
        bytes in vec(any::<u8>(), 0..96),
        values in values(),
    ) {
        let text = Choices::new(&bytes).truth(3);
        match Condition::parse(&text) {
            Err(fault) => prop_assert!(is_limit(&fault), "{text}: {fault}"),
            Ok(condition) => {
                if let Err(reason) = evaluate(&condition, &values, true) {
                    prop_assert!(is_of_a_value(&reason), "{text}: {reason}");
                }
                withstand(&text, &values)?;
            }
        }
    }

    #[test]
    fn what_is_nearly_right_is_refused_or_fails_only_for_a_value(
        bytes in vec(any::<u8>(), 0..96),
        changes in vec(any::<u8>(), 1..12),
        values in values(),
    ) {
        let text = Choices::new(&bytes).truth(3);
        withstand(&Choices::new(&changes).spoilt(&text), &values)?;
    }
}

proptest! {
    #![proptest_config(cases(45_000))]

    #[test]
    fn no_heap_of_tokens_is_too_much(bytes in vec(any::<u8>(), 1..101), values in values()) {
        withstand(&Choices::new(&bytes).soup(), &values)?;
    }

    #[test]
    fn no_bytes_are_too_much(bytes in vec(any::<u8>(), 0..64), values in values()) {
        withstand(&String::from_utf8_lossy(&bytes), &values)?;
    }
}
