#![no_main]
#![expect(dead_code, unused_imports, reason = "the rest of the harness is not here")]

//! The harness's comparison and its rules by themselves: what is around them takes minutes to
//! build, and they are private to it.

mod compare;
mod difference;
mod error;
mod json;
mod record;
mod rules;

use std::collections::BTreeMap;

use compare::Case;
use record::{Answer, Reply};
use rules::Rules;

// A media type, rules and two bodies, with zero bytes between them: nothing differs from itself,
// whatever else differs is noticed, and a difference has a field.
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let mut parts = bytes.splitn(4, |byte| *byte == 0).map(<[u8]>::to_vec);
    let mut part = || parts.next().unwrap_or_default();
    let content_type = String::from_utf8(part()).ok();
    let rules = String::from_utf8_lossy(&part()).into_owned();
    let rules = Rules::parse(&rules).unwrap_or_default();
    let [old, new] = [part(), part()].map(|body| {
        let (content_type, headers) = (content_type.clone(), BTreeMap::new());
        let answer = Answer { status: 200, content_type, headers, body: body.into() };
        Reply { answer: Ok(answer), latency_us: None }
    });
    for (old, new) in [(&old, &new), (&new, &old), (&old, &old)] {
        let case = Case { model: "spam", client: Some("toybox"), old, new, noise: Some(new) };
        let found = case.differences(&rules);
        let has_renames = rules.judge(case.model, case.client).has_renames();
        assert!(found.is_empty() == (old == new) || has_renames, "{found:?} of {case:?}");
        assert!(found.iter().all(|difference| !difference.field.is_empty()));
    }
    let _ = rules.check_all_were_met();
});
