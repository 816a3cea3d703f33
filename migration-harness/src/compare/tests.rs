//! What is compared, and how differences are named.

mod ruled;

use std::collections::BTreeMap;

use super::*;

fn answer(content_type: &str, body: &str) -> Answer {
    let content_type = Some(content_type.to_owned());
    Answer { status: 200, content_type, headers: BTreeMap::new(), body: body.to_owned().into() }
}

fn reply(answer: Answer) -> Reply {
    Reply { answer: Ok(answer), latency_us: None }
}

fn compared(old: &Reply, new: &Reply, noise: Option<&Reply>, rules: &str) -> Vec<String> {
    let rules = Rules::parse(rules).unwrap();
    let case = Case { model: "spam", client: Some("toybox"), old, new, noise };
    let found = case.differences(&rules);
    found
        .iter()
        .map(|found| format!("{} {}{}", found.field, found.kind.name(), permit(found)))
        .collect()
}

fn permit(difference: &Difference) -> String {
    match &difference.permit {
        None => String::new(),
        Some(Permit::TextOnly) => " (text)".to_owned(),
        Some(Permit::Noise) => " (noise)".to_owned(),
        Some(Permit::Rule(name)) => format!(" ({name})"),
    }
}

fn differences(content_type: &str, old: &str, new: &str) -> Vec<String> {
    let [old, new] = [old, new].map(|body| reply(answer(content_type, body)));
    compared(&old, &new, None, "")
}

fn json(old: &str, new: &str) -> Vec<String> {
    differences("application/json", old, new)
}

fn ruled(rules: &str, old: &str, new: &str) -> Vec<String> {
    let [old, new] = [old, new].map(|body| reply(answer("application/json", body)));
    compared(&old, &new, None, rules)
}

#[test]
fn differences_of_text_only_are_told_apart_and_permitted() {
    let old = r#"{"a": 1, "b": [1.5, "x"]}"#;
    assert!(json(old, old).is_empty());
    assert_eq!(json(old, r#"{"b": [1.5, "x"], "a": 1}"#), ["body key_order (text)"]);
    assert_eq!(json(old, r#"{"a": 1, "b": [1.50, "x"]}"#), ["b[] number_format (text)"]);
    assert_eq!(json(old, r#"{"a": 1, "b": [1.5, "\u0078"]}"#), ["b[] escape (text)"]);
    assert_eq!(json(old, r#"{"a":1,"b":[1.5,"x"]}"#), ["body whitespace (text)"]);
    let all = json(old, r#"{"b":[15e-1,"\u0078"],"a":1}"#);
    assert_eq!(
        all,
        [
            "b[] number_format (text)",
            "b[] escape (text)",
            "body key_order (text)",
            "body whitespace (text)"
        ]
    );
    assert_eq!(json(r#"{"a":{"b":1,"c":2}}"#, r#"{"a":{"c":2,"b":1}}"#), ["a key_order (text)"]);
    assert_eq!(json("1", "\u{feff}1"), ["body whitespace (text)"]);
}

#[test]
fn numbers_are_compared_by_their_64_bits_and_named_by_how_they_came_to_differ() {
    let old = r#"{"s": {"p": 0.1}}"#;
    assert_eq!(json(old, r#"{"s": {"p": 0.10000000000000002}}"#), ["s.p ulp"]);
    assert_eq!(json(old, r#"{"s": {"p": 0.1000000000000001}}"#), ["s.p value"]);
    assert_eq!(json("0.0", "-0.0"), ["body ulp"]);
    assert_eq!(json("-5e-324", "5e-324"), ["body ulp"]);
    assert_eq!(json("[7]", "[8]"), ["[] value"]);
    assert_eq!(json("[18446744073709551616]", "[18446744073709551617]"), ["[] value"]);
    let old = "[0.9731234567]";
    assert_eq!(json(old, "[0.9731234312057495]"), ["[] float32"]);
    assert_eq!(json(old, "[0.97312343]"), ["[] float32"]);
    assert_eq!(json(old, "[0.973123]"), ["[] rounded"]);
    assert_eq!(json("[0.125]", "[0.12]"), ["[] rounded"]);
    assert_eq!(json("[0.125]", "[0.13]"), ["[] rounded"]);
    assert_eq!(json(old, "[0.974]"), ["[] value"]);
    assert_eq!(json("[0.3]", "[0.0]"), ["[] value"]);
}

#[test]
fn what_json_cannot_say_is_still_a_number() {
    assert!(json("[NaN, 1]", "[NaN, 1]").is_empty());
    assert_eq!(json("[NaN, 1]", "[NaN,1]"), ["body whitespace (text)"]);
    assert_eq!(json("[NaN]", "[nan]"), ["[] number_format (text)"]);
    assert_eq!(json("[Infinity]", "[-Infinity]"), ["[] value"]);
    assert_eq!(json("[0.5]", "[NaN]"), ["[] value"]);
    assert_eq!(json("[1e400]", "[1e401]"), ["[] value"]);
    assert_eq!(json("[NaN]", "[null]"), ["[] null"]);
    assert_eq!(json("[NaN]", "[\"NaN\"]"), ["[] type"]);
}

#[test]
fn types_and_nulls_are_told_apart() {
    assert_eq!(json(r#"{"n": 1}"#, r#"{"n": 1.0}"#), ["n type"]);
    assert_eq!(json(r#"{"n": 1}"#, r#"{"n": "1"}"#), ["n type"]);
    assert_eq!(json(r#"{"n": null}"#, r#"{"n": "1"}"#), ["n null"]);
    assert_eq!(json(r#"{"n": [1]}"#, r#"{"n": {"a": 1}}"#), ["n type"]);
    assert_eq!(json("true", "false"), ["body value"]);
}

#[test]
fn strings_are_named_by_what_makes_them_differ() {
    assert_eq!(json(r#"{"a": "é"}"#, "{\"a\": \"e\u{301}\"}"), ["a unicode"]);
    assert_eq!(json(r#"{"a": "Ära"}"#, r#"{"a": "äRA"}"#), ["a case"]);
    assert_eq!(json(r#"{"a": "x"}"#, r#"{"a": "X"}"#), ["a case"]);
    assert_eq!(json(r#"{"a": "x"}"#, r#"{"a": "y"}"#), ["a value"]);
    assert_eq!(json(r#"["\ud800"]"#, r#"["\ud801"]"#), ["[] value"]);
}

#[test]
fn the_seeds_of_the_fuzz_target_hold_what_it_demands() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../fuzz/corpus/comparison");
    let mut seeds = 0;
    for seed in std::fs::read_dir(folder).unwrap() {
        let seed = std::fs::read(seed.unwrap().path()).unwrap();
        let mut parts = seed.splitn(4, |byte| *byte == 0);
        let mut text = || String::from_utf8_lossy(parts.next().unwrap_or_default()).into_owned();
        let (media_type, rules) = (text(), Rules::parse(&text()));
        let rules = rules.unwrap_or_default();
        let [old, new] = [text(), text()].map(|body| reply(answer(&media_type, &body)));
        for (old, new) in [(&old, &new), (&new, &old), (&old, &old)] {
            let case = Case { model: "spam", client: None, old, new, noise: Some(new) };
            let found = case.differences(&rules);
            let is_equal = old.answer == new.answer;
            assert_eq!(found.is_empty(), is_equal, "{found:?} of {case:?}");
        }
        seeds += 1;
    }
    assert!(seeds > 10);
}

#[test]
fn labels_are_known_by_name_or_by_their_scores() {
    assert_eq!(json(r#"{"label": "spam"}"#, r#"{"label": "ham"}"#), ["label label"]);
    let answer =
        |class: &str| format!(r#"{{"class": "{class}", "scores": {{"a": 0.6, "b": 0.4}}}}"#);
    assert_eq!(json(&answer("a"), &answer("b")), ["class label"]);
    assert_eq!(json(&answer("x"), &answer("b")), ["class value"]);
    let [old, new] =
        ["a", "b"].map(|class| reply(self::answer("application/json", &answer(class))));
    let case = Case { model: "m", client: None, old: &old, new: &new, noise: None };
    let margin = case.differences(&Rules::default())[0].distance.unwrap();
    assert!((margin - 0.2).abs() < 1e-12);
}

#[test]
fn exchanged_values_are_swapped() {
    let scores =
        |a: &str, b: &str, c: &str| format!(r#"{{"s": {{"a": {a}, "b": {b}, "c": {c}}}}}"#);
    assert_eq!(
        json(&scores("0.1", "0.9", "0.5"), &scores("0.9", "0.1", "0.5")),
        ["s.a swapped", "s.b swapped"]
    );
    let three = json(&scores("0.1", "0.9", "0.5"), &scores("0.9", "0.1", "0.7"));
    assert_eq!(three, ["s.a swapped", "s.b swapped", "s.c value"]);
    assert_eq!(json(&scores("0.1", "0.9", "0.5"), &scores("0.9", "0.5", "0.1")).len(), 3);
}

#[test]
fn members_and_lengths_are_told_apart() {
    let old = r#"{"a": 1, "b.c": 2, "l": [1, 2], "x": {"y": 1}, "status": 1}"#;
    let new = r#"{"a": 1, "l": [3, 4, 1], "x": {"y": 2, "z": 3}, "status": 2}"#;
    let expected = [
        r#"["b.c"] missing"#,
        r#"["status"] value"#,
        "l[] value",
        "l[] length",
        "x.y value",
        "x.z extra",
    ];
    assert_eq!(json(old, new), expected);
}

#[test]
fn a_member_that_comes_twice_is_noticed() {
    let (once, twice) = (r#"{"a": 1, "b": 2}"#, r#"{"a": 0, "a": 1, "b": 2}"#);
    assert_eq!(json(once, twice), ["a extra"]);
    assert_eq!(json(twice, once), ["a missing"]);
    assert_eq!(json(twice, r#"{"a": 1, "a": 3, "b": 2}"#), ["a value"]);
}

#[test]
fn an_element_more_or_less_does_not_make_all_behind_it_differ() {
    assert_eq!(json("[1, 2, 3]", "[1, 2, 2, 3]"), ["[] length"]);
    assert_eq!(json("[1, 2, 3]", "[1, 3]"), ["[] length"]);
    assert_eq!(json("[1, 2, 3]", "[1, 9, 8, 3]"), ["[] value", "[] length"]);
}

#[test]
fn the_same_elements_in_another_order_are_of_one_kind() {
    let list = |ids: &[u8]| {
        let items: Vec<_> = ids.iter().map(|id| format!(r#"{{"id": {id}}}"#)).collect();
        format!(r#"{{"items": [{}]}}"#, items.join(", "))
    };
    assert_eq!(json(&list(&[1, 2, 3]), &list(&[3, 1, 2])), ["items[] order"]);
    assert_eq!(json(&list(&[1, 2, 2]), &list(&[2, 1, 1])), ["items[].id value"]);
}

#[test]
fn lines_are_compared_one_by_one_and_named_without_their_number() {
    let lines = |old: &str, new: &str| differences("application/jsonlines", old, new);
    let old = "{\"a\": 1}\n{\"a\": 2}\n";
    assert_eq!(lines(old, "{\"a\":1}\r\n\n{\"a\":2}"), ["body whitespace (text)"]);
    assert_eq!(lines(old, "{\"a\": 1}\r\n{\"a\": 2}"), ["body whitespace (text)"]);
    assert_eq!(lines(old, "{\"a\": 1}\n{\"a\": 3}\n"), ["a value"]);
    assert_eq!(lines(old, "{\"a\": 1}\n{\"b"), ["body text"]);
    assert_eq!(lines(old, "{\"a\": 1}\n{\"a\""), ["body truncated"]);
    assert_eq!(lines(old, "{\"a\": 1}\n"), ["body truncated"]);
    assert_eq!(lines(old, "{\"a\": 2}\n"), ["body length"]);
    assert_eq!(lines(old, "{\"a\": 2}\n{\"a\": 1}\n"), ["body order"]);
}

#[test]
fn cells_are_compared_by_the_names_of_their_columns() {
    let csv = |old: &str, new: &str| differences("text/csv; charset=utf-8", old, new);
    let old = "id,score\nx,0.5\ny,0.25\n";
    assert_eq!(csv(old, "id,score\nx,0.5\ny,0.75\n"), ["score value"]);
    assert_eq!(
        csv(old, "score,id\n0.50,x\n0.25,y\n"),
        ["body key_order (text)", "score number_format (text)"]
    );
    assert_eq!(csv(old, "id,score\r\n\"x\",0.5\r\ny,0.25\r\n"), ["body escape (text)"]);
    assert_eq!(csv(old, "id,score\r\nx,0.5\r\ny,0.25\r\n"), ["body whitespace (text)"]);
    assert_eq!(csv(old, "id,score\ny,0.25\nx,0.5\n"), ["body order"]);
    assert_eq!(csv(old, "id,score\nx,0.5\n"), ["body truncated"]);
    assert_eq!(csv(old, "id,p\nx,0.5\ny,0.25\n"), ["p extra", "score missing"]);
    assert_eq!(csv("0.97,0.03\n", "0.97,0.04\n"), ["2 value"]);
    assert_eq!(csv("0.975\n", "0.97\n"), ["body rounded"].map(|it| it.replace("body", "1")));
    assert_eq!(csv("0.97\n", "1\n"), ["1 type"]);
    assert_eq!(csv("007\n", "7\n"), ["1 type"]);
    assert_eq!(csv("spam\n", "ham\n"), ["1 value"]);
    assert_eq!(csv("spam\nham\n", "ham\nham\n"), ["1 value"]);
}

#[test]
fn rules_say_how_csv_is_written() {
    let [old, new] = ["a;b\n", "a;c\n"].map(|body| reply(answer("text/csv", body)));
    let header = "[csv]\nheader = true\ndelimiter = \";\"\n";
    assert_eq!(compared(&old, &new, None, header), ["b missing", "c extra"]);
    let none = "[csv]\nheader = false\ndelimiter = \";\"\n";
    assert_eq!(compared(&old, &new, None, none), ["2 value"]);
}

#[test]
fn other_text_is_compared_as_text() {
    let text = |old: &str, new: &str| differences("text/plain", old, new);
    assert!(text("1.0", "1.0").is_empty());
    assert_eq!(text("1.0", "1.00"), ["body text"]);
    assert_eq!(text("data: 1\n\n", "data: 1\n"), ["body text"]);
    assert_eq!(text("data: 1\n\ndata: 2\n\n", "data: 1\n\n"), ["body truncated"]);
    assert_eq!(text("Ok", "ok"), ["body case"]);
    assert_eq!(json("{\"a\"", "{\"b\""), ["body text"]);
    assert_eq!(json("{\"a\": 1}", "{\"a\""), ["body truncated"]);
    assert_eq!(json("{\"a\": 1}", ""), ["body truncated"]);
}

#[test]
fn bytes_that_are_no_text_are_compared_too() {
    let bytes =
        |body: &'static [u8]| reply(Answer { body: body.into(), ..answer("image/png", "") });
    assert_eq!(compared(&bytes(b"\xff\x00"), &bytes(b"\xff\x01"), None, ""), ["body text"]);
    assert!(compared(&bytes(b"\xff\x00"), &bytes(b"\xff\x00"), None, "").is_empty());
}

#[test]
fn parameters_and_case_of_the_content_type_do_not_matter_and_the_type_does() {
    let old = reply(answer("application/json", "1"));
    let same = reply(answer("Application/JSON; charset=utf-8", "1"));
    assert!(compared(&old, &same, None, "").is_empty());
    let other = reply(answer("text/plain", "2"));
    assert_eq!(compared(&old, &other, None, ""), ["content_type content_type"]);
    let rule =
        "[[rule]]\nfield = \"content_type\"\nvalues = [[\"application/json\", \"text/plain\"]]\n";
    let both = ["body value", "content_type content_type (rule 1)"];
    assert_eq!(compared(&old, &other, None, rule), both);
}

#[test]
fn an_answer_that_does_not_say_its_type_is_read_as_what_it_looks_like() {
    let bare = |body: &str| reply(Answer { content_type: None, ..answer("", body) });
    assert_eq!(compared(&bare("{\"a\": 1}"), &bare("{\"a\": 2}"), None, ""), ["a value"]);
    assert_eq!(compared(&bare("1"), &bare("2"), None, ""), ["body text"]);
}

#[test]
fn another_status_is_the_one_difference() {
    let old = reply(answer("application/json", "1"));
    let new = reply(Answer { status: 500, ..answer("text/plain", "oops") });
    assert_eq!(compared(&old, &new, None, ""), ["status status"]);
    let rule = "[[rule]]\nfield = \"status\"\nvalues = [[200, 500]]\n";
    assert_eq!(compared(&old, &new, None, rule), ["status status (rule 1)"]);
}

#[test]
fn errors_of_one_status_have_their_bodies_compared() {
    let problem = |code: &str| {
        let body = format!(r#"{{"code": "{code}"}}"#);
        reply(Answer { status: 422, ..answer("application/problem+json", &body) })
    };
    assert_eq!(compared(&problem("E1"), &problem("E2"), None, ""), ["code value"]);
}

#[test]
fn calls_without_an_answer_are_the_same_where_they_failed_alike() {
    let failed = |reason: &str| Reply { answer: Err(reason.to_owned()), latency_us: None };
    let answered = reply(answer("text/plain", "1"));
    let late = failed("read timed out");
    assert!(compared(&late, &failed("no answer within 50ms"), None, "").is_empty());
    assert_eq!(compared(&late, &failed("connection refused"), None, ""), ["response error"]);
    assert_eq!(compared(&late, &answered, None, ""), ["response unanswered"]);
    let (unknown, garbage) = (failed("no answer was captured"), failed("invalid HTTP version"));
    assert_eq!(compared(&unknown, &garbage, None, ""), ["response error"]);
    assert!(compared(&garbage, &garbage, None, "").is_empty());
    assert_eq!(compared(&answered, &late, None, ""), ["response error"]);
}

#[test]
fn what_the_legacy_system_itself_varies_in_is_noise() {
    let body = |at: u32, p: &str| {
        reply(answer("application/json", &format!(r#"{{"at": {at}, "p": {p}}}"#)))
    };
    let (old, new, noise) = (body(1, "0.5"), body(2, "0.7"), body(3, "0.50"));
    let far = body(9, "0.7");
    assert_eq!(compared(&old, &far, Some(&noise), ""), ["at value", "p value"]);
    let failed = Reply { answer: Err("timed out".to_owned()), latency_us: None };
    assert_eq!(compared(&old, &failed, Some(&failed), ""), ["response error"]);
    assert_eq!(compared(&old, &new, Some(&noise), ""), ["at value (noise)", "p value"]);
    let rule = "[[rule]]\nfield = \"at\"\nignore = true\n";
    assert_eq!(compared(&old, &new, Some(&noise), rule), ["at value (rule 1)", "p value"]);
}

#[test]
fn many_elements_that_differ_alike_are_one_difference_with_the_largest_distance() {
    let [old, new] =
        ["[1.0, 2.0, 3.0]", "[1.5, 4.5, 3.5]"].map(|it| reply(answer("application/json", it)));
    let case = Case { model: "m", client: None, old: &old, new: &new, noise: None };
    let found = case.differences(&Rules::default());
    assert_eq!((found.len(), found[0].distance), (1, Some(2.5)));
}

#[test]
fn an_answer_that_differs_in_everything_has_a_limited_number_of_differences() {
    let object = |name: &str| {
        let members: Vec<_> = (0..5_000).map(|n| format!("\"{name}{n}\": 1")).collect();
        format!("{{{}}}", members.join(","))
    };
    let found = json(&object("a"), &object("b"));
    assert_eq!(found.len(), 1_002);
    assert!(found.contains(&"(more fields) extra".to_owned()));
}

#[test]
fn an_empty_line_of_a_single_column_is_an_empty_cell() {
    let csv = |old: &str, new: &str| differences("text/csv", old, new);
    assert_eq!(csv("0.9\n\n0.8\n", "0.9\n0.8\n"), ["body length"]);
    assert_eq!(csv("p\n0.9\n\n", "p\r\n0.9\r\n"), ["body whitespace (text)"]);
    assert_eq!(csv("a,b\n\n1,2\n", "a,b\n1,2\n"), ["body whitespace (text)"]);
}

#[test]
fn csv_that_is_cut_off_within_quotes_is_truncated() {
    let old = "id,text\n1,\"hello, world\"\n";
    for new in ["id,text\n1,\"hello, world", "id,text\n1,\"hel"] {
        assert_eq!(differences("text/csv", old, new), ["body truncated"], "{new}");
    }
}

#[test]
fn a_column_that_has_a_name_alone_is_compared() {
    let csv = |old: &str, new: &str| differences("text/csv", old, new);
    assert_eq!(csv("id,score,why\nx,0.5\n", "id,score\nx,0.5\n"), ["why missing"]);
}

#[test]
fn csv_of_too_many_cells_is_compared_as_text() {
    let old = "1\n".repeat(600_000);
    assert_eq!(differences("text/csv", &old, &format!("{old}2\n")), ["body text"]);
}
