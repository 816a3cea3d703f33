//! What rules permit and ask for.

use super::*;

#[test]
fn the_first_rule_that_permits_a_difference_names_it() {
    let rules = r#"
        [[rule]]
        name = "for others"
        model = "other-*"
        field = "**"
        ignore = true
        [[rule]]
        name = "close"
        field = "scores.*"
        ulp = 4
        [[rule]]
        name = "near"
        client = ["x", "toy*"]
        field = "**"
        absolute = 0.1
        kinds = ["value", "ulp"]
    "#;
    let answer = |ham: &str, p: &str| format!(r#"{{"scores": {{"ham": {ham}}}, "p": {p}}}"#);
    let old = answer("0.1", "0.5");
    assert_eq!(
        ruled(rules, &old, &answer("0.10000000000000002", "0.55")),
        ["p value (near)", "scores.ham ulp (close)"]
    );
    assert_eq!(ruled(rules, &old, &answer("0.15", "0.7")), ["p value", "scores.ham value (near)"]);
    assert_eq!(ruled(rules, &old, &answer("null", "0.5")), ["scores.ham null"]);
}

#[test]
fn text_can_be_made_to_count() {
    let rules = "[[rule]]\nfield = \"**\"\ntext = \"exact\"\nkinds = [\"number_format\"]\n";
    let found = ruled(rules, r#"{"a": 1.0, "b": 1}"#, r#"{"b":1,"a":1.00}"#);
    assert_eq!(found, ["a number_format", "body key_order (text)", "body whitespace (text)"]);
}

#[test]
fn text_that_counts_is_looked_at_beside_values_that_differ() {
    let rules = |text: &str| {
        format!("[[rule]]\nfield = \"a\"\nulp = 4\n[[rule]]\nfield = \"body\"\n{text}\n")
    };
    let (old, new) = (r#"{"a": 0.1}"#, r#"{"a":0.10000000000000002}"#);
    assert_eq!(ruled(&rules("text = \"exact\""), old, new), ["a ulp (rule 1)", "body whitespace"]);
    assert_eq!(ruled(&rules("case = \"any\""), old, new), ["a ulp (rule 1)"]);
}

#[test]
fn ignoring_a_field_ignores_what_is_in_it_and_nothing_else() {
    let rules = "[[rule]]\nfield = \"model\"\nignore = true\n";
    let found = ruled(rules, r#"{"model": {"v": 1}, "p": 1}"#, r#"{"model": {"v": 2}, "p": 2}"#);
    assert_eq!(found, ["model.v value (rule 1)", "p value"]);
    let all = "[[rule]]\nfield = \"**\"\nignore = true\n";
    let old = reply(answer("text/plain", "1"));
    let new = reply(Answer { status: 500, ..answer("text/plain", "1") });
    assert_eq!(compared(&old, &new, None, all), ["status status"]);
}

#[test]
fn flips_of_labels_are_permitted_where_they_were_narrow() {
    let rules = "[[rule]]\nfield = \"label\"\nmargin = 0.01\n";
    let answer = |label: &str, a: &str| {
        format!(r#"{{"label": "{label}", "scores": {{"a": {a}, "b": 0.5}}}}"#)
    };
    assert_eq!(
        ruled(rules, &answer("a", "0.505"), &answer("b", "0.505")),
        ["label label (rule 1)"]
    );
    assert_eq!(ruled(rules, &answer("a", "0.52"), &answer("b", "0.52")), ["label label"]);
}

#[test]
fn order_rules_find_elements_that_belong_together() {
    let any = "[[rule]]\nfield = \"l\"\norder = \"any\"\n";
    assert_eq!(ruled(any, r#"{"l": [1, 2, 3]}"#, r#"{"l": [3, 1, 2]}"#), ["l[] order (rule 1)"]);
    assert_eq!(
        ruled(any, r#"{"l": [1, 2, 3]}"#, r#"{"l": [3, 9, 1]}"#),
        ["l[] value", "l[] order (rule 1)"]
    );
    assert_eq!(ruled(any, r#"{"l": [1, 2]}"#, r#"{"l": [2]}"#), ["l[] length"]);
    let key = "[[rule]]\nname = \"by id\"\nfield = \"l[]\"\norder = { key = \"id\" }\n";
    let list = |items: &[(u8, &str)]| {
        let items: Vec<_> =
            items.iter().map(|(id, p)| format!(r#"{{"id":{id},"p":{p}}}"#)).collect();
        format!(r#"{{"l":[{}]}}"#, items.join(","))
    };
    let old = list(&[(1, "0.1"), (2, "0.2"), (3, "0.3")]);
    let new = list(&[(3, "0.3"), (2, "0.7"), (4, "0.4")]);
    let expected = ["l[] missing", "l[] extra", "l[] order (by id)", "l[].p value"];
    assert_eq!(ruled(key, &old, &new), expected);
}

#[test]
fn renamed_columns_are_compared_by_their_new_names() {
    let csv = |rules: &str, old: &str, new: &str| {
        let [old, new] = [old, new].map(|body| reply(answer("text/csv", body)));
        compared(&old, &new, None, rules)
    };
    let rename = "[[rename]]\nold = \"id\"\nnew = \"key\"\n";
    assert_eq!(csv(rename, "id,p\nx,0.5\n", "key,p\nx,0.5\n"), Vec::<String>::new());
    let keyed = format!("[[rule]]\nfield = \"body\"\norder = {{ key = \"key\" }}\n{rename}");
    let moved = csv(&keyed, "id,p\nx,1\ny,2\n", "key,p\ny,2\nx,1\n");
    assert_eq!(moved, ["body order (rule 1)"]);
}

#[test]
fn renamed_fields_are_compared_by_their_new_names() {
    let rules = "[[rename]]\nold = \"rows[].prob\"\nnew = \"rows[].scores.p\"\n";
    let old = r#"{"rows": [{"prob": 0.5}]}"#;
    assert!(ruled(rules, old, old).is_empty());
    assert_eq!(
        ruled(rules, old, r#"{"rows": [{"scores": {"p": 0.6}}]}"#),
        ["rows[].scores.p value"]
    );
    assert_eq!(ruled(rules, old, r#"{"rows": [{"prob": 0.6}]}"#), ["rows[].scores.p value"]);
    let swap = "[[rename]]\nold = \"a\"\nnew = \"b\"\n[[rename]]\nold = \"b\"\nnew = \"a\"\n";
    assert_eq!(ruled(swap, r#"{"a":1,"b":2}"#, r#"{"b":1,"a":2}"#), Vec::<String>::new());
    let taken = "[[rename]]\nold = \"a\"\nnew = \"b\"\n";
    assert_eq!(ruled(taken, r#"{"a":1,"b":2}"#, r#"{"b":2}"#), ["a missing"]);
    let below = "[[rename]]\nold = \"a\"\nnew = \"b.c\"\n";
    assert_eq!(ruled(below, r#"{"a":1,"b":2}"#, r#"{"b":2}"#), ["a missing"]);
    assert_eq!(ruled(below, r#"{"a":1,"b":2}"#, r#"{"a":5,"b":2}"#), ["a value"]);
    let into_itself = "[[rename]]\nold = \"a\"\nnew = \"a.b\"\n";
    assert_eq!(ruled(into_itself, r#"{"a":1}"#, r#"{"a":{"b":2}}"#), ["a.b value"]);
}

#[test]
fn lateness_is_compared_where_a_rule_asks() {
    let timed = |us| Reply { latency_us: Some(us), ..reply(answer("text/plain", "1")) };
    let rules = "[[rule]]\nfield = \"latency\"\nat_most = \"200ms\"\nratio = 2.0\n";
    let (quick, slow) = (timed(50_000), timed(90_000));
    assert!(compared(&quick, &slow, None, rules).is_empty());
    assert_eq!(compared(&quick, &timed(100_001), None, rules), ["latency late"]);
    assert_eq!(compared(&timed(150_000), &timed(200_001), None, rules), ["latency late"]);
    assert!(compared(&quick, &timed(9_000_000), None, "").is_empty());
}

#[test]
fn headers_are_compared_where_a_rule_asks() {
    let with = |name: &str, value: &str| {
        let headers = [(name.to_owned(), value.to_owned())].into();
        reply(Answer { headers, ..answer("text/plain", "1") })
    };
    let rules = "[[rule]]\nfield = \"header.X-Version\"\ncase = \"any\"\n";
    let old = with("X-Version", "a");
    assert!(compared(&old, &with("x-version", "a"), None, rules).is_empty());
    assert_eq!(
        compared(&old, &with("x-version", "A"), None, rules),
        ["header.x-version header (rule 1)"]
    );
    assert_eq!(compared(&old, &with("x-other", "a"), None, rules), ["header.x-version header"]);
    assert!(compared(&old, &with("x-version", "b"), None, "").is_empty());
}
