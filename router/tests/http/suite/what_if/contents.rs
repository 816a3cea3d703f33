//! Contents that are scored now, once, for the verdicts before and after.

use serde_json::{Value, json};

use super::{ask, platform, world};
use crate::support::content;

#[tokio::test]
async fn contents_are_scored_once_and_judged_by_both() {
    let world = world().await;
    let mut platform = platform();
    platform["rules"]["spam"]["review_at"] = json!(0.5);
    // Required, since the verdict is certain without it.
    let hate = json!({"model": "hate", "label": "hate", "review_at": 0.5, "required": true});
    platform["rules"]["hate"] = hate;
    let question = json!({
        "documents": {"scopes/platform": platform},
        "decisions": 0,
        "contents": [content(json!({"fields": {"text": "spam=0.6 hate=0.3"}}))],
    });
    let answer = ask(&world, question).await.json();
    let contents = &answer["contents"][0];
    let (before, after) = (&contents["before"], &contents["after"]);
    assert_eq!((&before["decision"], &after["decision"]), (&json!("approve"), &json!("review")));
    assert_eq!((&before["policy_version"], &after["policy_version"]), (&json!(6), &json!(7)));
    let rules = |side: &Value| -> Vec<(String, f64)> {
        let reasons = side["reasons"].as_array().unwrap().iter();
        let text = |reason: &Value| reason["rule"].as_str().unwrap().to_owned();
        reasons.map(|reason| (text(reason), reason["score"].as_f64().unwrap())).collect()
    };
    assert_eq!(rules(before), [("alcohol".to_owned(), 0.0), ("spam".to_owned(), 0.6)]);
    assert_eq!(rules(after)[1..], [("hate".to_owned(), 0.3), ("spam".to_owned(), 0.6)]);
    for model in ["spam", "alcohol", "hate"] {
        assert_eq!(world.sagemaker.payloads(model).len(), 1, "{model}");
    }
    assert_eq!(answer["decisions"]["replayed"], 0);
    assert_eq!(answer["rates"], Value::Null);
    let id = after["decision_id"].as_str().unwrap();
    world.get(&format!("/v1/decisions/{id}")).await.refused(404);
}

#[tokio::test]
async fn a_model_that_the_change_moves_is_asked_at_both_places() {
    let world = world().await;
    let moved = json!({"endpoint": {"sagemaker": "crashed"}, "version": "7"});
    let text = json!({"text": "spam=0.1"});
    let question = json!({
        "documents": {"models/spam": moved, "scopes/client/new": {}}, "decisions": 0,
        "contents": [content(json!({"fields": text})),
                     content(json!({"fields": text, "client": "new"}))],
    });
    let answer = ask(&world, question).await.json();
    let decisions = |index: usize| {
        ["before", "after"].map(|side| answer["contents"][index][side]["decision"].as_str())
    };
    assert_eq!(decisions(0), [Some("approve"), Some("review")]);
    assert_eq!(decisions(1), [None, Some("review")]);
    assert_eq!(world.sagemaker.payloads("spam").len(), 1);
    assert_eq!(world.sagemaker.payloads("crashed").len(), 2);
}

#[tokio::test]
async fn a_failed_call_is_made_anew_where_the_change_gives_it_another_chance() {
    let world = world().await;
    let failing = json!({"endpoint": {"sagemaker": "html"}, "version": "7"});
    world.change("models/spam", failing.clone()).await;
    let mut patient = failing;
    patient["timeout_ms"] = json!(9000);
    let plainstore = |options: Value| json!({ "scopes/client/plainstore": options });
    let mut asked = 0;
    for (documents, calls) in [
        (plainstore(json!({"rules": {"spam": {"on_failure": "reject"}}})), 1),
        (plainstore(json!({"defaults": {"deadline_ms": 60_000}})), 2),
        (json!({ "models/spam": patient }), 2),
    ] {
        let question = json!({"documents": documents,
            "contents": [content(json!({"fields": {"text": ""}}))]});
        let answer = ask(&world, question).await.json();
        assert_eq!(answer["contents"][0]["before"]["degraded"], true, "{answer}");
        assert_eq!(answer["contents"][0]["after"]["degraded"], true, "{answer}");
        asked += calls;
        assert_eq!(world.sagemaker.payloads("html").len(), asked, "{documents}");
    }
}

#[tokio::test]
async fn contents_that_cannot_be_judged_say_why_in_their_place() {
    let world = world().await;
    let contents = json!([
        content(json!({"fields": {"text": ""}})),
        content(json!({"fields": {"text": ""}, "client": "nobody"})),
        {"client": "plainstore"},
        7,
    ]);
    let question = json!({"documents": {}, "decisions": 0, "contents": contents});
    let answer = ask(&world, question).await.json();
    let kinds = answer["contents"].as_array().unwrap().iter().map(|c| c["error"]["type"].as_str());
    let invalid = Some("/problems/invalid");
    assert_eq!(
        kinds.collect::<Vec<_>>(),
        [None, Some("/problems/unknown-client"), invalid, invalid]
    );
    let many = vec![content(json!({"fields": {"text": ""}})); 101];
    let question = json!({"documents": {}, "decisions": 0, "contents": many});
    assert!(ask(&world, question).await.refused(422).contains("contents: "));
}

#[tokio::test]
async fn a_third_what_if_at_once_is_to_come_again() {
    let world = world().await;
    let gate = json!({"endpoint": {"sagemaker": "gate"}, "version": "7"});
    world.change("models/spam", gate).await;
    let question = |text: &str| {
        json!({"documents": {}, "decisions": 0,
        "contents": [content(json!({"fields": {"text": text}}))]})
    };
    let third = async {
        world.sagemaker.reached("gate", 2).await;
        let third = ask(&world, question("third")).await;
        world.sagemaker.open_gate(2);
        third
    };
    let (first, second, third) =
        tokio::join!(ask(&world, question("one")), ask(&world, question("two")), third);
    assert_eq!((first.status.as_u16(), second.status.as_u16()), (200, 200));
    third.refused(503);
    assert_eq!(third.headers["retry-after"], "1");
}
