use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::*;
use crate::fanout::call::Status;
use crate::moderation::decide::decide;
use crate::policy::example::policy;
use crate::policy::scope_path::ScopePath;

/// The plan of rules on models of the costs 1, 2 and 3, for the label `x`; `m9` is disabled.
fn plan(rules: &str) -> Arc<Plan> {
    plan_with("{}", rules)
}

fn plan_with(defaults: &str, rules: &str) -> Arc<Plan> {
    let defaults: serde_json::Value = serde_json::from_str(defaults).unwrap();
    let mut rules: serde_json::Value = serde_json::from_str(rules).unwrap();
    for rule in rules.as_object_mut().unwrap().values_mut() {
        rule.as_object_mut().unwrap().entry("label").or_insert("x".into());
    }
    let platform = serde_json::json!({ "defaults": defaults, "rules": rules }).to_string();
    let model = |rest: &str| format!(r#"{{"endpoint": {{"sagemaker": "m"}}, {rest}}}"#);
    let models = [1, 2, 3].map(|cost| model(&format!(r#""cost": {cost}"#)));
    let disabled = model(r#""enabled": false"#);
    let documents = [
        ("models/m1", &*models[0]),
        ("models/m2", &models[1]),
        ("models/m3", &models[2]),
        ("models/m9", &disabled),
        ("scopes/platform", &platform),
    ];
    policy(&documents).unwrap().plan(&ScopePath::Platform).unwrap()
}

fn content(rest: &str) -> Content {
    let text = r#"{"client": "a", "content_id": "r-1", "fields": {"text": ""}"#;
    Content::parse(&format!("{text}{rest}}}"), "text").unwrap()
}

/// Which models are asked, and what each rule says: its outcome, or why it has no score.
fn run(plan: &Plan, content: &Content, scores: &[(&str, f64)]) -> (String, Vec<String>) {
    let scores: BTreeMap<_, _> = scores.iter().copied().collect();
    let mut asked = Vec::new();
    let verdict = decide(plan, content, |call| {
        let name = call.model.name.as_str();
        asked.push(name.to_owned());
        let score = scores.get(name)?;
        let nothing = Call::without_scores(Status::Ok, Duration::ZERO);
        Some(Call { scores: vec![Some(*score)], ..nothing })
    });
    let said = |finding: &Finding<'_>| match finding.cause {
        None => finding.outcome.as_str().to_owned(),
        Some(cause) => format!("{}: {cause:?}", finding.outcome.as_str()),
    };
    (asked.join(" "), verdict.findings.iter().map(said).collect())
}

#[test]
fn a_stage_that_cannot_change_the_verdict_is_spared() {
    let plan = plan(
        r#"{"a": {"model": "m1", "reject_at": 0.9, "review_at": 0.5}, "b": {"model": "m2", "review_at": 0.5},
            "c": {"model": "m3", "reject_at": 0.9}}"#,
    );
    let content = content("");
    let run = |score: f64| run(&plan, &content, &[("m1", score), ("m2", 0.0), ("m3", 0.0)]);
    let (all, spared) = ("m1 m2 m3".to_owned(), "approve: Spared");
    assert_eq!(run(0.1), (all, vec!["approve".to_owned(); 3]));
    assert_eq!(
        run(0.6),
        ("m1 m3".to_owned(), ["review", spared, "approve"].map(str::to_owned).into())
    );
    assert_eq!(run(0.9), ("m1".to_owned(), ["reject", spared, spared].map(str::to_owned).into()));
}

#[test]
fn a_required_rule_is_judged_with_all_that_it_looks_at() {
    let plan = plan(
        r#"{"a": {"model": "m1", "reject_at": 0.9}, "b": {"model": "m2", "review_at": 0.5},
            "c": {"model": "m3", "review_at": 0.5, "required": true, "when": "scores.b > 0.1"}}"#,
    );
    let (asked, said) = run(&plan, &content(""), &[("m1", 0.9), ("m2", 0.2), ("m3", 0.7)]);
    assert_eq!((asked.as_str(), said[2].as_str()), ("m1 m2 m3", "review"));
    let (asked, said) = run(&plan, &content(""), &[("m1", 0.9), ("m2", 0.1), ("m3", 0.7)]);
    assert_eq!((asked.as_str(), said[2].as_str()), ("m1 m2", "approve: When"));
}

#[test]
fn a_rule_takes_part_for_the_contents_that_it_is_for() {
    let plan = plan(
        r#"{"a": {"model": "m1", "review_at": 0.5, "when": "content.rating <= 2"},
            "b": {"model": "m2", "review_at": 0.5, "when": "scores.a > 0.5"}}"#,
    );
    let run = |rest: &str, a| run(&plan, &content(rest), &[("m1", a), ("m2", 0.9)]);
    let said = |said: [&str; 2]| said.map(str::to_owned).to_vec();
    assert_eq!(run(r#", "rating": 5"#, 0.9), ("m2".to_owned(), said(["approve: When", "review"])));
    assert_eq!(run(r#", "rating": 1"#, 0.4), ("m1".to_owned(), said(["approve", "approve: When"])));
    let content = content("");
    let verdict = decide(&plan, &content, |_| Some(Call::skipped()));
    assert!(verdict.findings[0].when_error.as_ref().unwrap().contains("content.rating"));
    assert!(verdict.degraded);
}

#[test]
fn the_first_stage_is_spared_too_where_everything_is_rejected() {
    let rules = r#"{"a": {"model": "m1", "reject_at": 0.9}, "b": {"model": "m2", "reject_at": 0.9, "required": true}}"#;
    let plan = plan_with(r#"{"decision": "reject"}"#, rules);
    let (asked, said) = run(&plan, &content(""), &[("m1", 0.9), ("m2", 0.1)]);
    assert_eq!(
        (asked.as_str(), &*said),
        ("m2", &["approve: Spared", "approve"].map(str::to_owned)[..])
    );
    let plan = plan_with(r#"{"decision": "review"}"#, rules);
    let (asked, said) = run(&plan, &content(""), &[("m1", 0.9), ("m2", 0.1)]);
    assert_eq!((asked.as_str(), said[0].as_str()), ("m1 m2", "reject"));
}

/// The result of a call with one score.
fn scored(score: f64) -> Option<Call> {
    Some(Call { scores: vec![Some(score)], ..Call::without_scores(Status::Ok, Duration::ZERO) })
}

#[test]
fn a_call_that_hangs_counts_for_nothing_until_it_is_over() {
    let plan = plan(
        r#"{"a": {"model": "m1", "reject_at": 0.9, "on_failure": "reject"},
            "b": {"model": "m2", "review_at": 0.5}, "c": {"model": "m3", "review_at": 0.5}}"#,
    );
    let content = content("");
    let begin = || {
        let mut course = Course::new(&plan, &content);
        assert_eq!(course.begin_stage(), Some(vec![0]));
        assert!(course.awaits_stage());
        assert_eq!(course.begin_stage(), Some(vec![1]));
        course.settle(1, scored(0.6));
        assert!(!course.awaits_stage());
        // Whatever comes of the first call, it can be no milder than `review`.
        assert_eq!(course.begin_stage(), Some(vec![]));
        assert!(!course.awaits_stage());
        assert_eq!(course.begin_stage(), None);
        course
    };
    for (late, expected) in [
        (scored(0.1), Outcome::Review),
        (scored(0.9), Outcome::Reject),
        (Some(Call::without_scores(Status::Timeout, Duration::ZERO)), Outcome::Reject),
    ] {
        let mut course = begin();
        course.settle(0, late);
        let verdict = course.end();
        assert_eq!((verdict.decision, verdict.findings.len()), (expected, 3));
        assert_eq!(verdict.findings[2].cause, Some(Cause::Spared));
    }
}

#[test]
fn a_rule_that_waits_for_a_late_score_is_asked_for_in_time() {
    let plan = plan(
        r#"{"a": {"model": "m1", "on_failure": "approve"},
            "b": {"model": "m2", "reject_at": 0.5, "when": "scores.a > 0.5"}}"#,
    );
    let content = content("");
    let late = |late: Option<Call>| {
        let mut course = Course::new(&plan, &content);
        assert_eq!(course.begin_stage(), Some(vec![0]));
        assert_eq!(course.begin_stage(), Some(vec![1]));
        course.settle(1, scored(0.9));
        course.settle(0, late);
        let verdict = course.end();
        let finding = &verdict.findings[1];
        (verdict.decision, finding.cause, finding.when_error.is_some())
    };
    assert_eq!(late(scored(0.9)), (Outcome::Reject, None, false));
    assert_eq!(late(scored(0.1)), (Outcome::Approve, Some(Cause::When), false));
    let timeout = Call::without_scores(Status::Timeout, Duration::ZERO);
    assert_eq!(late(Some(timeout)), (Outcome::Reject, None, true));
}

#[test]
fn what_could_make_the_verdict_certain_is_waited_for() {
    let plan = plan(
        r#"{"a": {"model": "m1", "review_at": 0.5, "on_failure": "review"},
            "b": {"model": "m2", "review_at": 0.5},
            "c": {"model": "m3", "review_at": 0.5, "when": "scores.a > 0.5"}}"#,
    );
    let content = content("");
    let timeout = || Call::without_scores(Status::Timeout, Duration::ZERO);
    for (score, is_degraded) in [(Some(0.6), false), (Some(0.1), true), (None, true)] {
        let mut course = Course::new(&plan, &content);
        (0..3).for_each(|_| drop(course.begin_stage()));
        course.settle(0, Some(timeout()));
        assert!(course.awaits_any());
        // It looks at what is not certain, so neither is it.
        course.settle(2, scored(0.9));
        assert!(course.awaits_any());
        match score {
            Some(score) => course.settle(1, scored(score)),
            None => course.give_up(Some(&timeout())),
        }
        assert!(!course.awaits_any());
        let verdict = course.end();
        assert_eq!((verdict.decision, verdict.degraded), (Outcome::Review, is_degraded));
        let cause = verdict.findings[1].cause;
        assert_eq!(cause, score.is_none().then_some(Cause::Failure(Status::Timeout)));
    }
}

#[test]
fn each_stage_has_an_equal_share_of_the_time_left() {
    let plan = plan(r#"{"a": {"model": "m1"}, "b": {"model": "m2"}, "c": {"model": "m3"}}"#);
    let content = content("");
    let mut course = Course::new(&plan, &content);
    let begun = Instant::now();
    let second = Duration::from_secs(1);
    let mut end_of_next = |now: Duration| {
        course.begin_stage().unwrap();
        course.end_of_stage(begun + now, begun + 6 * second) - begun
    };
    assert_eq!(end_of_next(Duration::ZERO), 2 * second);
    assert_eq!(end_of_next(2 * second), 4 * second);
    assert_eq!(end_of_next(5 * second), 6 * second);
    assert_eq!(course.end_of_stage(begun + 7 * second, begun), begun + 7 * second);
}

#[test]
fn a_pattern_that_takes_too_long_lets_its_own_rule_take_part_and_no_other() {
    let hard = "content.fields.text.matches('a[ab]{60}c')";
    let light = "content.fields.text.matches('never') || client == 'b'";
    let rule = |when: &str| serde_json::json!({"model": "m1", "review_at": 0.5, "when": when});
    let plan = plan(&serde_json::json!({"a": rule(hard), "b": rule(light)}).to_string());
    // Letters in no order, so that no two places look the same.
    let next = |last: &u32| Some(last.wrapping_mul(1_664_525).wrapping_add(1_013_904_223));
    let noise = std::iter::successors(Some(1), next).take(20_000);
    let text: String = noise.map(|n| if n >> 16 & 1 == 0 { 'a' } else { 'b' }).collect();
    let text = format!(r#"{{"client": "a", "content_id": "r-1", "fields": {{"text": "{text}"}}}}"#);
    let content = Content::parse(&text, "text").unwrap();
    let (_, said) = run(&plan, &content, &[("m1", 0.6)]);
    assert_eq!(said, ["review", "approve: When"]);
    let verdict = decide(&plan, &content, |_| Some(Call::skipped()));
    let errors: Vec<_> =
        verdict.findings.iter().map(|finding| finding.when_error.as_deref()).collect();
    assert_eq!(errors, [Some("the texts are too long for all these patterns and searches"), None]);
}

#[test]
fn a_stage_that_is_left_out_is_not_even_evaluated() {
    let plan = plan(
        r#"{"a": {"model": "m1", "reject_at": 0.9},
            "b": {"model": "m2", "review_at": 0.5, "when": "content.rating <= 2"},
            "c": {"model": "m3", "review_at": 0.5, "when": "content.rating <= 2"},
            "d": {"model": "m3", "review_at": 0.5, "required": true}}"#,
    );
    let (asked, said) = run(&plan, &content(r#", "rating": 5"#), &[("m1", 0.9), ("m3", 0.1)]);
    assert_eq!(asked, "m1 m3");
    assert_eq!(said, ["reject", "approve: Spared", "approve: When", "approve"]);
}

#[test]
fn a_label_that_the_answer_lacks_fails_the_rules_that_look_at_it_and_no_others() {
    let plan = plan(
        r#"{"a": {"model": "m1", "reject_at": 0.5},
            "b": {"model": "m1", "label": "nope", "on_failure": "approve"}}"#,
    );
    let lacking = Call {
        scores: vec![Some(0.9), None],
        ..Call::without_scores(Status::Failed, Duration::ZERO)
    };
    let content = content("");
    let verdict = decide(&plan, &content, |_| Some(lacking.clone()));
    assert_eq!((verdict.decision, verdict.degraded), (Outcome::Reject, false));
    assert_eq!(verdict.findings[1].cause, Some(Cause::Failure(Status::Failed)));
}

#[test]
fn rules_of_a_disabled_model_follow_on_failure_without_a_call() {
    let plan = plan(r#"{"a": {"model": "m9", "on_failure": "reject"}}"#);
    let expected = vec!["reject: Failure(Skipped)".to_owned()];
    assert_eq!(run(&plan, &content(""), &[]), (String::new(), expected));
}

#[test]
fn a_verdict_is_known_where_no_unknown_score_could_change_it() {
    let plan = plan(
        r#"{"a": {"model": "m1", "reject_at": 0.9, "review_at": 0.5},
            "b": {"model": "m2", "review_at": 0.5}}"#,
    );
    let content = content("");
    let is_known = |score: f64| {
        let verdict = decide(&plan, &content, |call| {
            let scores = (call.model.name.as_str() == "m1").then(|| vec![Some(score)])?;
            Some(Call { scores, ..Call::without_scores(Status::Ok, Duration::ZERO) })
        });
        (verdict.decision.as_str(), verdict.is_known)
    };
    assert_eq!(is_known(0.1), ("approve", false));
    assert_eq!(is_known(0.6), ("review", true));
    assert_eq!(is_known(0.9), ("reject", true));
    assert!(!decide(&plan, &content, |_| None).is_known);
}
