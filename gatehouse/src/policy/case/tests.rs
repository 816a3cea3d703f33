//! How cases are read, and how answers are held against them.

use super::super::document::Format;
use super::*;

fn file(text: &str) -> File {
    let document = Format::Yaml.read(text);
    File { path: "tests/ads.yaml".into(), format: Format::Yaml, document }
}

fn case(extra: &str) -> Case {
    let text = format!("- {{name: an ad, client: toybox, content: {{text: Win!}}, {extra}}}");
    read(&file(&text)).unwrap().remove(0)
}

fn answer(decision: &str, rules: &[&str]) -> Value {
    let reasons: Vec<_> = rules
        .iter()
        .map(|rule| json!({"rule": rule, "score": 0.81, "threshold": 0.7, "set_by": "platform"}))
        .collect();
    json!({"before": {}, "after": {"decision": decision, "reasons": reasons, "calls": [],
        "degraded": false}})
}

#[test]
fn a_content_is_its_fields_or_all_that_the_router_takes() {
    let fields = case("verdict: reject, site: en-GB").content;
    let expected = json!({"client": "toybox", "site": "en-GB", "content_id": "policy-test-1",
        "fields": {"text": "Win!"}});
    assert_eq!(fields, expected);
    let whole = "- name: x\n  client: a\n  verdict: approve\n  content: {fields: {text: b}, \
                 rating: 2, content_id: r-1}\n";
    let expected =
        json!({"client": "a", "content_id": "r-1", "rating": 2, "fields": {"text": "b"}});
    assert_eq!(read(&file(whole)).unwrap()[0].content, expected);
}

#[test]
fn each_faulty_case_is_told_by_its_file_number_and_name() {
    let text = "\
- {name: one, client: a, content: {text: b}, verdict: accept}
- {name: two, client: a, content: {text: b}, verdict: approve, rule: [spam]}
- {client: a, content: {text: b}, verdict: approve}
- {name: four, client: a, content: {text: b, rating: 2}, verdict: approve}
- {name: five, client: a, content: {fields: {text: b}, client: b}, verdict: approve}
- six
";
    let faults = read(&file(text)).unwrap_err();
    let expected = [
        "case 1, `one`: unknown variant `accept`",
        "case 2, `two`: unknown field `rule`",
        "case 3: missing field `name`",
        "case 4, `four`: content: `rating` is no text",
        "case 5, `five`: content: `client` stands beside `content`",
        "case 6: invalid type",
    ];
    assert_eq!(faults.len(), expected.len());
    for (fault, expected) in faults.iter().zip(expected) {
        assert!(fault.starts_with(&format!("`tests/ads.yaml`: {expected}")), "{fault}");
    }
    assert!(read(&file("a: 1")).unwrap_err()[0].contains("must hold a list of cases"));
    assert!(read(&file("a: 1\na: 2")).unwrap_err()[0].contains("line 2, column 1"));
}

#[test]
fn a_verdict_is_right_by_its_decision_and_its_rules_where_they_are_named() {
    let named = case("verdict: review, rules: [spam, hate]");
    let any = case("verdict: review");
    assert_eq!(named.judge(&answer("review", &["hate", "spam"])), Ok(Judgement::Right));
    assert_eq!(any.judge(&answer("review", &["contact"])), Ok(Judgement::Right));
    let wrong = Actual {
        verdict: "review (spam)".to_owned(),
        reasons: "spam 0.81 of 0.7, set by platform".to_owned(),
    };
    assert_eq!(named.judge(&answer("review", &["spam"])), Ok(Judgement::Wrong(wrong)));
    assert_eq!(named.expected(), "review (hate, spam)");
    let approved = any.judge(&answer("approve", &[])).unwrap();
    assert!(matches!(approved, Judgement::Wrong(actual) if actual.verdict == "approve"));
    assert!(any.judge(&json!({"after": {}})).is_err());
}

#[test]
fn a_model_that_failed_proves_nothing_and_a_refusal_is_the_cases_fault() {
    let case = case("verdict: review");
    let mut degraded = answer("review", &["spam"]);
    degraded["after"]["degraded"] = json!(true);
    degraded["after"]["calls"] =
        json!([{"model": "spam", "status": "timeout"}, {"model": "hate", "status": "ok"}]);
    let unproven = Judgement::Unproven("degraded (model spam: timeout)".to_owned());
    assert_eq!(case.judge(&degraded), Ok(unproven));
    let refused = |status: u16| {
        case.judge(&json!({"error": {"status": status, "detail": "no such client"}})).unwrap()
    };
    assert!(matches!(refused(404), Judgement::Wrong(actual) if actual.reasons == "no such client"));
    assert_eq!(refused(503), Judgement::Unproven("no such client".to_owned()));
    assert!(matches!(refused(429), Judgement::Unproven(_)));
}

#[test]
fn the_example_of_the_help_text_is_read() {
    let example = super::super::test::HELP.split("\n\n").nth(1).unwrap();
    let cases = read(&file(example)).unwrap();
    assert_eq!(cases.iter().map(Case::expected).collect::<Vec<_>>(), ["reject (spam)", "review"]);
    assert_eq!(cases[0].content["fields"]["text"], "Win a free prize!");
}
