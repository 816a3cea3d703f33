//! What a change would do: decisions made again by their stored scores, contents scored now.

#[cfg(test)]
mod contents;
#[cfg(test)]
mod since;

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::later::{gated, review};
use crate::support::{Answer, World, content, until};

/// A router with three models that say their version, and rules on two of them.
async fn world() -> World {
    let world = World::empty().await;
    for model in ["spam", "hate", "alcohol"] {
        let document = json!({"endpoint": {"sagemaker": model}, "version": "7"});
        world.add(&format!("models/{model}"), document).await;
    }
    world.add("scopes/platform", platform()).await;
    world.add("scopes/client/plainstore", json!({})).await;
    world.add("scopes/client/alehouse", json!({})).await;
    world
}

fn platform() -> Value {
    json!({"rules": {
        "spam": {"model": "spam", "label": "spam", "review_at": 0.7, "reject_at": 0.95},
        "alcohol": {"model": "alcohol", "label": "alcohol", "review_at": 0.5},
    }})
}

async fn decide(world: &World, texts: &[&str]) {
    for (index, text) in texts.iter().enumerate() {
        let id = format!("r-{index}");
        world.moderate_with(json!({"content_id": id, "fields": {"text": text}})).await;
    }
}

async fn ask(world: &World, question: Value) -> Answer {
    world.post("/v1/policy/what-if", question.to_string()).await
}

/// The answer to what would be if the platform's rules had these options too.
async fn with_rules(world: &World, rules: Value) -> Value {
    let mut platform = platform();
    for (rule, options) in rules.as_object().unwrap() {
        for (field, value) in options.as_object().unwrap() {
            platform["rules"][rule][field] = value.clone();
        }
    }
    with(world, json!({"scopes/platform": platform})).await
}

async fn with(world: &World, documents: Value) -> Value {
    let answer = ask(world, json!({"documents": documents})).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()
}

/// How many decisions were replayed, and are unchanged, changed and unknown.
fn totals(answer: &Value) -> [u64; 4] {
    ["replayed", "unchanged", "changed", "unknown"]
        .map(|name| answer["decisions"][name].as_u64().unwrap())
}

#[tokio::test]
async fn a_changed_threshold_shows_which_verdicts_change_and_by_which_rule() {
    let world = world().await;
    decide(&world, &["spam=0.6", "spam=0.8", "spam=0.96", "alcohol=0.5 spam=0.6", ""]).await;
    let mut answer = with_rules(&world, json!({"spam": {"review_at": 0.55}})).await;
    let example = answer["changes"][0]["examples"][0].take();
    assert_eq!((&example["client"], &example["content_id"]), (&json!("plainstore"), &json!("r-0")));
    let id = example["decision_id"].as_str().unwrap();
    assert_eq!(world.get(&format!("/v1/decisions/{id}")).await.json()["decision"], "approve");
    let [oldest, newest] = ["oldest", "newest"].map(|end| answer["decisions"][end].take());
    assert!(oldest.as_str().unwrap() <= newest.as_str().unwrap());
    let expected = json!({
        "policy_version": 6,
        "decisions": {"replayed": 5, "unchanged": 4, "changed": 1, "unknown": 0,
                      "other_version": 0, "missing": {}, "oldest": null, "newest": null},
        "rates": {"before": {"approve": 0.4, "review": 0.4, "reject": 0.2},
                  "after": {"approve": 0.2, "review": 0.6, "reject": 0.2}},
        "changes": [{"from": "approve", "to": "review", "count": 1, "share": 0.2,
                     "by": {"spam": 1}, "examples": [null]}],
        "rules": [{"rule": "spam", "changed": 1,
                   "outcomes": [{"from": "approve", "to": "review", "count": 2}]}],
        "contents": [],
    });
    assert_eq!(answer, expected);
    assert_eq!(world.get("/readyz").await.json()["policy_version"], 6);
}

#[tokio::test]
async fn a_rule_that_is_disabled_demands_nothing() {
    let world = world().await;
    decide(&world, &["spam=0.8", "spam=0.96 alcohol=0.9", "alcohol=0.6"]).await;
    let answer = with_rules(&world, json!({"spam": {"enabled": false}})).await;
    assert_eq!(totals(&answer), [3, 1, 2, 0]);
    let changes: Vec<_> = answer["changes"].as_array().unwrap().iter().collect();
    let shown = changes.iter().map(|c| (c["from"].as_str(), c["to"].as_str(), &c["by"]));
    let by = json!({"spam": 1});
    let expected = [(Some("review"), Some("approve"), &by), (Some("reject"), Some("review"), &by)];
    assert_eq!(shown.collect::<Vec<_>>(), expected);
    let outcomes = json!([
        {"from": "approve", "to": null, "count": 1},
        {"from": "review", "to": null, "count": 1},
        {"from": "reject", "to": null, "count": 1},
    ]);
    assert_eq!(answer["rules"], json!([{"rule": "spam", "changed": 2, "outcomes": outcomes}]));
}

#[tokio::test]
async fn a_new_rule_is_judged_by_scores_that_nobody_had_asked_for() {
    let world = world().await;
    decide(&world, &["hate=0.6", "hate=0.4"]).await;
    let rule = json!({"model": "spam", "label": "hate", "reject_at": 0.5});
    let answer = with_rules(&world, json!({"hate": rule})).await;
    assert_eq!(totals(&answer), [2, 1, 1, 0]);
    assert_eq!(answer["changes"][0]["to"], "reject");
    assert_eq!(answer["changes"][0]["by"], json!({"hate": 1}));
    let unheard = json!({"model": "spam", "label": "nudity", "reject_at": 0.5});
    let answer = with_rules(&world, json!({"nudity": unheard})).await;
    assert_eq!(totals(&answer), [2, 0, 0, 2]);
    assert_eq!(answer["decisions"]["missing"], json!({"spam": 2}));
}

#[tokio::test]
async fn without_a_score_a_verdict_is_unknown_unless_it_is_certain_anyway() {
    let world = world().await;
    decide(&world, &["hate=0.9", "spam=0.8", "spam=0.99"]).await;
    let rule = |reject_at: Value| {
        json!({"hate": {"model": "hate", "label": "hate",
        "on_failure": "approve", "review_at": 0.5, "reject_at": reject_at}})
    };
    let answer = with_rules(&world, rule(json!(0.6))).await;
    assert_eq!(totals(&answer), [3, 1, 0, 2]);
    assert_eq!(answer["decisions"]["missing"], json!({"hate": 2}));
    assert_eq!(answer["rates"]["after"]["reject"], 1.0);
    assert_eq!(answer["rules"], json!([]));
    // A rule that can only have people look changes nothing about what they look at already.
    assert_eq!(totals(&with_rules(&world, rule(Value::Null)).await), [3, 2, 0, 1]);
    assert_eq!(world.sagemaker.payloads("hate").len(), 0);
}

#[tokio::test]
async fn what_was_spared_is_unknown_once_it_matters() {
    let world = world().await;
    let model = json!({"endpoint": {"sagemaker": "alcohol"}, "version": "7", "cost": 5.0});
    world.change("models/alcohol", model).await;
    decide(&world, &["spam=0.96 alcohol=0.9", "spam=0.6 alcohol=0.9"]).await;
    let mild = json!({"rules": {"alcohol": {"on_failure": "approve"}}});
    let answer = with(&world, json!({"scopes/client/plainstore": mild})).await;
    assert_eq!(totals(&answer), [2, 2, 0, 0]);
    let answer = with_rules(&world, json!({"spam": {"enabled": false}})).await;
    assert_eq!(totals(&answer), [2, 1, 0, 1]);
    assert_eq!(answer["decisions"]["missing"], json!({"alcohol": 1}));
}

#[tokio::test]
async fn conditions_see_the_stored_content() {
    let world = world().await;
    for rating in [1, 5] {
        let fields = json!({"text": "alcohol=0.9"});
        world.moderate_with(json!({"rating": rating, "fields": fields})).await;
    }
    let answer = with_rules(&world, json!({"alcohol": {"when": "content.rating < 3.0"}})).await;
    assert_eq!(totals(&answer), [2, 1, 1, 0]);
    let outcomes = json!([{"from": "review", "to": null, "count": 1}]);
    assert_eq!(answer["rules"][0]["outcomes"], outcomes);
    assert_eq!(answer["changes"][0]["by"], json!({"alcohol": 1}));
}

#[tokio::test]
async fn scores_of_another_version_are_used_and_counted() {
    let world = world().await;
    decide(&world, &["spam=0.8", "spam=0.1"]).await;
    let spam = |version: Value| json!({"models/spam": {"endpoint": {"sagemaker": "spam"}, "version": version}});
    let others = async |documents: Value| {
        let answer = with(&world, documents).await;
        assert_eq!(totals(&answer), [2, 2, 0, 0]);
        answer["decisions"]["other_version"].as_u64().unwrap()
    };
    assert_eq!(others(json!({})).await, 0);
    assert_eq!(others(spam(json!("8"))).await, 2);
    // Where none is registered, that of the newest decision counts.
    assert_eq!(others(spam(Value::Null)).await, 0);
    let older = "UPDATE decisions SET calls = replace(calls, '\"7\"', '\"6\"')
                 WHERE decision = 'review'";
    sqlx::query(older).execute(&mut world.database.connect().await).await.unwrap();
    let registered = json!({"endpoint": {"sagemaker": "spam"}});
    world.change("models/spam", registered).await;
    assert_eq!(others(json!({})).await, 1);
}

#[tokio::test]
async fn decisions_that_cannot_be_read_are_unknown() {
    let world = world().await;
    decide(&world, &["spam=0.8", "spam=0.1", "spam=0.2", "spam=0.3"]).await;
    let mut database = world.database.connect().await;
    for sql in [
        "UPDATE decisions SET calls = NULL WHERE content_id = 'r-0'",
        "UPDATE decisions SET calls = '[{}]' WHERE content_id = 'r-1'",
        "UPDATE decisions SET request = '{}' WHERE content_id = 'r-2'",
    ] {
        sqlx::query(sql).execute(&mut database).await.unwrap();
    }
    let answer = with(&world, json!({})).await;
    assert_eq!(totals(&answer), [4, 1, 0, 3]);
    assert_eq!(answer["decisions"]["missing"], json!({"alcohol": 1, "spam": 1}));
}

#[tokio::test]
async fn the_newest_decisions_are_replayed_as_many_as_asked_for() {
    let world = world().await;
    let lines = |client: &str, count: usize, text: &str| -> String {
        let line = |index| {
            let id = format!("{client}-{index}");
            let content =
                content(json!({"client": client, "content_id": id, "fields": {"text": text}}));
            format!("{content}\n")
        };
        (0..count).map(line).collect()
    };
    world.post_lines(lines("plainstore", 150, "spam=0.8")).await;
    world.post_lines(lines("alehouse", 50, "spam=0.1")).await;
    let question = async |more: Value| {
        let mut question = json!({"documents": {"models/spam": {
            "endpoint": {"sagemaker": "spam"}, "version": "7", "enabled": false}}});
        question.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        ask(&world, question).await
    };
    let counted = async |more: Value| totals(&question(more).await.json());
    // The rules of a model that is switched off have people look.
    assert_eq!(counted(json!({})).await, [200, 150, 50, 0]);
    assert_eq!(counted(json!({"decisions": 60})).await, [60, 10, 50, 0]);
    assert_eq!(counted(json!({"client": "plainstore"})).await, [150, 150, 0, 0]);
    assert_eq!(counted(json!({"client": "alehouse", "decisions": 7})).await, [7, 0, 7, 0]);
    let answer = question(json!({})).await.json();
    assert_eq!(answer["changes"][0]["examples"].as_array().unwrap().len(), 10);
    question(json!({"client": "nobody"})).await.refused(404);
    question(json!({"decisions": 10_001})).await.refused(422);
    question(json!({"decisions": 0})).await.refused(422);
}

#[tokio::test]
async fn a_content_that_was_decided_anew_is_replayed_once() {
    let world = gated().await;
    let first = world.post("/v1/moderate", review(json!({"deadline_ms": 100}))).await.json();
    assert_eq!((&first["decision"], &first["degraded"]), (&json!("review"), &json!(true)));
    world.sagemaker.open_gate(1);
    let path = format!("/v1/decisions/{}", first["decision_id"].as_str().unwrap());
    until(async || world.get(&path).await.headers.contains_key("link")).await;
    for question in [json!({"documents": {}}), json!({"documents": {}, "client": "plainstore"})] {
        let answer = ask(&world, question).await.json();
        assert_eq!(totals(&answer), [1, 1, 0, 0]);
        assert_eq!(answer["rates"]["before"]["reject"], 1.0, "{answer}");
    }
}

#[tokio::test]
async fn a_client_that_comes_or_goes_has_no_verdict_on_one_side() {
    let world = world().await;
    decide(&world, &["spam=0.8"]).await;
    let answer = with(&world, json!({"scopes/client/plainstore": null})).await;
    assert_eq!(totals(&answer), [1, 0, 1, 0]);
    let change = &answer["changes"][0];
    assert_eq!((&change["from"], &change["to"]), (&json!("review"), &Value::Null));
    world.send("DELETE", "/v1/scopes/client/plainstore", &[], "").await;
    assert_eq!(totals(&with(&world, json!({})).await), [1, 0, 0, 1]);
    let answer = with(&world, json!({"scopes/client/plainstore": {}})).await;
    assert_eq!(totals(&answer), [1, 0, 1, 0]);
}

#[tokio::test]
async fn a_what_if_comes_true_when_the_change_is_made() {
    let world = world().await;
    let text = |index: usize| {
        let score = |step: usize| (index * step % 101) as f64 / 100.0;
        format!("spam={} alcohol={} hate={}", score(37), score(59), score(83))
    };
    let contents: Vec<_> = (0..150)
        .map(|index| {
            let client = ["plainstore", "alehouse"][index % 2];
            json!({"client": client, "content_id": format!("r-{index}"), "rating": index % 5,
                   "fields": {"text": text(index)}})
        })
        .collect();
    let decide = async |dry_run: bool| -> Vec<String> {
        let lines = contents.iter().map(|content| {
            let mut content = content.clone();
            content["dry_run"] = json!(dry_run);
            format!("{content}\n")
        });
        let answers = world.post_lines(lines.collect::<String>()).await.lines();
        answers.iter().map(|answer| answer["decision"].as_str().unwrap().to_owned()).collect()
    };
    decide(false).await;
    for documents in [
        json!({"scopes/client/plainstore": {"rules": {"spam": {"review_at": 0.3}}}}),
        json!({"scopes/client/alehouse": {"rules": {"spam": {"enabled": false}}}}),
        json!({"scopes/client/alehouse": {"defaults": {"decision": "review"}}}),
        json!({"scopes/client/plainstore": {"rules": {
            "hate": {"model": "alcohol", "label": "hate", "reject_at": 0.4,
                     "when": "content.rating > 2.0 && scores.spam > 0.2"}}}}),
        json!({"scopes/client/plainstore": {"rules": {"alcohol": {
            "direction": "below", "review_at": 0.2, "reject_at": 0.1}}}}),
    ] {
        let unchanged = with(&world, json!({})).await;
        assert_eq!(totals(&unchanged), [150, 150, 0, 0]);
        assert_eq!((&unchanged["changes"], &unchanged["rules"]), (&json!([]), &json!([])));

        let predicted = with(&world, documents.clone()).await;
        assert_eq!(predicted["decisions"]["unknown"], 0);
        let before = decide(true).await;
        let made = world.post("/v1/policy/versions", json!({"documents": documents}).to_string());
        assert_eq!(made.await.status, 201);
        let mut actual = BTreeMap::new();
        for pair in before.into_iter().zip(decide(true).await).filter(|(a, b)| a != b) {
            *actual.entry(pair).or_insert(0) += 1;
        }
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let changes = predicted["changes"].as_array().unwrap().iter();
        let expected: BTreeMap<_, _> = changes
            .map(|c| ((text(&c["from"]), text(&c["to"])), c["count"].as_i64().unwrap()))
            .collect();
        assert!(!expected.is_empty());
        assert_eq!(actual, expected);
    }
}

#[tokio::test]
async fn documents_are_checked_as_for_a_version() {
    let world = world().await;
    let refused = async |documents: Value, status| {
        ask(&world, json!({"documents": documents})).await.refused(status)
    };
    refused(json!({"scopes/platform": {"colour": 1}}), 422).await;
    refused(json!({"models/spam": null}), 409).await;
    refused(json!({"brands/a": {}}), 422).await;
    ask(&world, json!({})).await.refused(422);
    world.post("/v1/policy/what-if", "{").await.refused(400);
    let large = json!({"documents": {}, "x": "x".repeat(9_000_000)});
    ask(&world, large).await.refused(413);
    let stale = [("content-type", "application/json"), ("if-match", "\"5\"")];
    let question = json!({"documents": {}}).to_string();
    world.send("POST", "/v1/policy/what-if", &stale, question).await.refused(412);
}

#[tokio::test]
async fn a_key_learns_of_its_own_clients_alone() {
    let world = world().await;
    decide(&world, &["spam=0.8"]).await;
    let fields = json!({"text": "spam=0.8"});
    world.moderate_with(json!({"client": "alehouse", "fields": fields})).await;
    let make = async |owner: &str, scopes: Value, admin: &str| -> String {
        let headers = [("content-type", "application/json"), ("authorization", admin)];
        let body = json!({"owner": owner, "scopes": scopes}).to_string();
        let made = world.send("POST", "/v1/keys", &headers, body).await;
        assert_eq!(made.status, 201, "{made:?}");
        format!("Bearer {}", made.json()["key"].as_str().unwrap())
    };
    let admin = make("admin", json!(["admin"]), "").await;
    let own = ["options:client/plainstore", "read:plainstore", "ingest:plainstore"];
    let own = make("plainstore", json!(own), &admin).await;
    let blind = make("blind", json!(["options:*"]), &admin).await;
    let two = make("two", json!(["options:*", "read:plainstore", "read:alehouse"]), &admin).await;
    let ask = async |key: &str, question: Value| {
        let headers = [("content-type", "application/json"), ("authorization", key)];
        world.send("POST", "/v1/policy/what-if", &headers, question.to_string()).await
    };
    let off = json!({"rules": {"spam": {"enabled": false}}});
    let documents = json!({"scopes/client/plainstore": off});

    let answer = ask(&own, json!({"documents": documents})).await;
    assert_eq!(totals(&answer.json()), [1, 0, 1, 0]);
    assert!(!String::from_utf8_lossy(&answer.body).contains("alehouse"));
    let others = json!({"documents": documents, "client": "alehouse"});
    assert!(ask(&own, others).await.refused(403).contains("`read:alehouse`"));
    let others = json!({"documents": {"scopes/client/alehouse": off}});
    ask(&own, others).await.refused(403);
    assert_eq!(totals(&ask(&two, json!({"documents": documents})).await.json()), [2, 1, 1, 0]);
    assert!(ask(&blind, json!({"documents": documents})).await.refused(403).contains("read:"));

    let contents = ["plainstore", "alehouse"]
        .map(|client| content(json!({"client": client, "fields": {"text": ""}})));
    let question = json!({"documents": documents, "decisions": 0, "contents": contents});
    let answer = ask(&own, question).await.json();
    assert_eq!(answer["contents"][0]["after"]["decision"], "approve");
    assert_eq!(answer["contents"][1]["error"]["type"], "/problems/forbidden");
}
