#![no_main]

mod policy;

use std::collections::BTreeMap;

use policy::condition::{Condition, Facts, Work};

// Text as an expression: what is accepted is evaluated on all facts and on as few as there can
// be, and only an absent or impossible value may make that fail.
libfuzzer_sys::fuzz_target!(|text: &str| {
    let Ok(condition) = Condition::parse(text) else { return };
    assert_eq!(condition.as_str(), text);
    let text = Some("review 7");
    let fields = [("title".to_owned(), "Ale, 7 %".to_owned())].into();
    let work = Work::default();
    let full = Facts {
        client: "alehouse",
        content_id: "r-1",
        r#type: text,
        locale: text,
        site: text,
        author_id: text,
        product_id: text,
        rating: Some(4.5),
        fields: &fields,
        scores: &|_| Some(0.25),
        work: &work,
    };
    let none = BTreeMap::new();
    let empty = Facts {
        r#type: None,
        locale: None,
        site: None,
        author_id: None,
        product_id: None,
        rating: None,
        fields: &none,
        scores: &|_| None,
        ..full
    };
    for facts in [full, empty] {
        if let Err(reason) = condition.holds(&facts) {
            assert!(!reason.starts_with("it "), "{reason}");
        }
    }
    assert!(condition.rules().iter().all(|rule| !rule.as_str().is_empty()));
});
