//! Models that are asked one after another, and rules that take part for some contents only.

use serde_json::{Value, json};
use sqlx::Row;

use crate::support::World;

/// A cheap and a dear model, and rules that ask them.
async fn world(rules: Value) -> World {
    let world = World::empty().await;
    let model = |cost: f64| json!({"endpoint": {"sagemaker": "any"}, "cost": cost});
    world.add("models/cheap", model(0.1)).await;
    let dear = json!({"endpoint": {"sagemaker": "dear"}, "cost": 5, "labels": ["hate", "alcohol"]});
    world.add("models/dear", dear).await;
    world.add("scopes/platform", json!({"defaults": {"sample": 0.5}, "rules": rules})).await;
    world.add("scopes/client/plainstore", json!({})).await;
    world
}

fn rules() -> Value {
    json!({"hate": {"model": "dear", "label": "hate", "reject_at": 0.9, "on_failure": "review", "sample": 0.5},
           "spam": {"model": "cheap", "label": "spam", "review_at": 0.5, "reject_at": 0.9}})
}

#[tokio::test]
async fn a_dear_model_is_not_asked_once_the_verdict_is_certain() {
    let world = world(rules()).await;
    assert_eq!(world.moderate("spam=0.6").await["decision"], "review");
    assert_eq!(world.sagemaker.payloads("dear").len(), 1);
    let members = json!({"fields": {"text": "spam=0.9 hate=1"}, "explain": true});
    let verdict = world.moderate_with(members).await;
    assert_eq!(world.sagemaker.payloads("dear").len(), 1);
    assert_eq!((&verdict["decision"], &verdict["degraded"]), (&json!("reject"), &json!(false)));
    let hate = &verdict["reasons"][0];
    assert_eq!((&hate["cause"], &hate["outcome"]), (&json!("certain"), &json!("approve")));
    assert_eq!((&hate["score"], &hate["threshold"]), (&Value::Null, &Value::Null));
    assert_eq!(verdict["calls"][0]["status"], "skipped");
}

#[tokio::test]
async fn a_required_model_is_asked_all_the_same() {
    let mut rules = rules();
    rules["hate"]["required"] = json!(true);
    let world = world(rules).await;
    let verdict = world.moderate("spam=0.9 hate=1").await;
    assert_eq!(verdict["reasons"].as_array().unwrap().len(), 2);
    assert_eq!(world.sagemaker.payloads("dear").len(), 1);
}

#[tokio::test]
async fn a_rule_takes_part_when_its_condition_holds_and_when_it_cannot_be_evaluated() {
    let mut rules = rules();
    rules["hate"]["when"] = json!("scores.spam >= 0.2 && content.rating <= 2");
    let world = world(rules).await;
    let explain = |text: &str, rest: Value| {
        let mut members = json!({"fields": {"text": text}, "explain": true});
        members.as_object_mut().unwrap().extend(rest.as_object().unwrap().clone());
        members
    };
    let verdict = world.moderate_with(explain("spam=0.1 hate=1", json!({"rating": 1}))).await;
    assert_eq!(
        (&verdict["decision"], &verdict["reasons"][0]["cause"]),
        (&json!("approve"), &json!("when"))
    );
    assert_eq!(world.sagemaker.payloads("dear").len(), 0);
    let verdict = world.moderate_with(explain("spam=0.3 hate=1", json!({"rating": 1}))).await;
    assert_eq!(verdict["decision"], "reject");
    assert_eq!(verdict["reasons"][0].get("when_error"), None);
    let verdict = world.moderate_with(explain("spam=0.3 hate=1", json!({}))).await;
    assert_eq!(verdict["decision"], "reject");
    let error = verdict["reasons"][0]["when_error"].as_str().unwrap();
    assert!(error.contains("content.rating"), "{error}");
}

#[tokio::test]
async fn a_decision_keeps_all_scores_and_its_chance_of_being_drawn() {
    let world = world(rules()).await;
    world.moderate("spam=0.4 hate=0.25").await;
    let columns = "SELECT calls, sampled, inclusion_probability FROM decisions";
    let row = sqlx::query(columns).fetch_one(&mut world.database.connect().await).await.unwrap();
    let mut calls: Value = serde_json::from_str(row.get("calls")).unwrap();
    let bases = calls.as_array_mut().unwrap().iter_mut().map(|call| call["basis"].take());
    assert!(bases.into_iter().all(|basis| basis.as_str().unwrap().len() == 16));
    let call = |model: &str| {
        json!({"model": model, "version": "7", "status": "ok",
               "scores": {"spam": 0.4, "hate": 0.25, "alcohol": 0.0}, "basis": null})
    };
    assert_eq!(calls, json!([call("dear"), call("cheap")]));
    let (sampled, probability): (i64, f64) = (row.get(1), row.get(2));
    assert_eq!(probability, 0.75);
    // By its hash the id `r-1` has the place 0.648 in [0, 1).
    assert_eq!(sampled, 1);
}

/// A content that the cheap model hangs on, to be decided within two seconds.
async fn with_a_hanging_model(world: &World, cheap: &str, text: &str) -> Value {
    let cheap = json!({"endpoint": {"sagemaker": cheap}, "cost": 0.1});
    assert_eq!(world.change("models/cheap", cheap).await.status, 204);
    let members = json!({"fields": {"text": text}, "explain": true, "deadline_ms": 2000});
    world.moderate_with(members).await
}

#[tokio::test]
async fn a_cheap_model_that_hangs_leaves_the_dear_one_its_time() {
    let mut rules = rules();
    rules["spam"]["on_failure"] = json!("approve");
    let world = world(rules).await;
    let verdict = with_a_hanging_model(&world, "hanging", "hate=1").await;
    assert_eq!((&verdict["decision"], &verdict["degraded"]), (&json!("reject"), &json!(false)));
    let statuses = [&verdict["calls"][0]["status"], &verdict["calls"][1]["status"]];
    assert_eq!(statuses, ["ok", "skipped"]);
}

#[tokio::test]
async fn a_score_that_comes_late_but_in_time_counts() {
    let world = world(rules()).await;
    let gatekeeper = async {
        world.sagemaker.reached("dear", 1).await;
        world.sagemaker.open_gate(1);
    };
    let (verdict, ()) =
        tokio::join!(with_a_hanging_model(&world, "gate", "spam=0.6 hate=0.1"), gatekeeper);
    assert_eq!((&verdict["decision"], &verdict["degraded"]), (&json!("review"), &json!(false)));
    assert_eq!(verdict["calls"][1]["status"], "ok");
}

#[tokio::test]
async fn a_score_that_could_make_the_verdict_certain_is_waited_for() {
    let mut rules = rules();
    rules["hate"] = json!({"model": "dear", "label": "hate", "review_at": 0.5});
    rules["spam"].as_object_mut().unwrap().remove("reject_at");
    let world = world(rules).await;
    let broken = json!({"endpoint": {"sagemaker": "html"}, "cost": 5});
    assert_eq!(world.change("models/dear", broken).await.status, 204);
    let cheap = json!({"endpoint": {"sagemaker": "gate"}, "cost": 5});
    assert_eq!(world.change("models/cheap", cheap).await.status, 204);
    let gatekeeper = async {
        world.sagemaker.reached("html", 1).await;
        // Longer than calls are waited for that can't change the verdict.
        tokio::time::sleep(std::time::Duration::from_millis(200)).await;
        world.sagemaker.open_gate(1);
    };
    let (verdict, ()) = tokio::join!(world.moderate("spam=0.6"), gatekeeper);
    assert_eq!((&verdict["decision"], &verdict["degraded"]), (&json!("review"), &json!(false)));
    assert_eq!(verdict["calls"][1]["status"], "ok", "{verdict}");
}

#[tokio::test]
async fn what_waits_for_a_score_that_never_comes_is_judged_without_it() {
    let mut rules = rules();
    rules["hate"]["when"] = json!("scores.spam >= 0.2");
    let world = world(rules).await;
    let verdict = with_a_hanging_model(&world, "hanging", "hate=1").await;
    assert_eq!(verdict["decision"], "reject");
    let error = verdict["reasons"][0]["when_error"].as_str().unwrap();
    assert!(error.contains("scores.spam"), "{error}");
}

#[tokio::test]
async fn a_label_that_the_model_does_not_have_is_refused_from_both_sides() {
    let world = world(rules()).await;
    let rule = json!({"rules": {"hate": {"label": "spam"}}});
    let fault = world.change("scopes/client/plainstore", rule).await.refused(422);
    assert!(fault.contains("model `dear` has no label `spam`, only `hate`, `alcohol`"), "{fault}");
    let dear = json!({"endpoint": {"sagemaker": "dear"}, "labels": ["alcohol"]});
    let fault = world.change("models/dear", dear).await.refused(422);
    assert!(fault.contains("`platform`: rules.hate.label"), "{fault}");
}
