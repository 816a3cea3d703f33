//! Decisions made again after what their calls rest on has changed, or if it were to change.

use serde_json::{Value, json};

use super::{decide, platform, totals, with, with_rules, world};
use crate::support::World;

#[tokio::test]
async fn what_another_model_would_score_is_unknown() {
    let world = world().await;
    decide(&world, &["spam=0.8", "spam=0.1"]).await;
    for spam in [
        json!({"endpoint": {"sagemaker": "elsewhere"}, "version": "7"}),
        json!({"endpoint": {"sagemaker": "spam"}, "version": "7", "inputs": ["rating"]}),
    ] {
        let answer = with(&world, json!({ "models/spam": spam })).await;
        assert_eq!(totals(&answer), [2, 0, 0, 2], "{spam}");
        assert_eq!(answer["decisions"]["missing"], json!({"spam": 2}));
        assert_eq!(answer["decisions"]["other_version"], 0);
    }
}

#[tokio::test]
async fn what_a_model_scored_before_it_was_moved_is_unknown_until_it_is_moved_back() {
    let world = world().await;
    decide(&world, &["spam=0.9", "spam=0.9"]).await;
    let spam = |endpoint: &str| json!({"endpoint": {"sagemaker": endpoint}, "version": "7"});
    world.change("models/spam", spam("elsewhere")).await;
    let answer = with_rules(&world, json!({"spam": {"reject_at": 0.8}})).await;
    assert_eq!(totals(&answer), [2, 0, 0, 2]);
    assert_eq!(answer["decisions"]["missing"], json!({"spam": 2}));
    let back = json!({"models/spam": spam("spam"), "scopes/platform": platform()});
    // By the options in force nobody knows what they would be.
    assert_eq!(totals(&with(&world, back).await), [2, 0, 0, 2]);
    decide(&world, &["spam=0.9"]).await;
    world.change("models/spam", spam("spam")).await;
    let answer = with_rules(&world, json!({"spam": {"reject_at": 0.8}})).await;
    assert_eq!(totals(&answer), [3, 0, 2, 1]);
}

#[tokio::test]
async fn what_had_failed_fails_again_where_the_same_is_asked_in_the_same_way() {
    let world = world().await;
    let model = |endpoint: &str| json!({"endpoint": {"sagemaker": endpoint}, "version": "7"});
    world.change("models/spam", model("throttling")).await;
    decide(&world, &["spam=0.1"]).await;
    assert_eq!(totals(&with_rules(&world, json!({})).await), [1, 1, 0, 0]);
    let answer = with_rules(&world, json!({"spam": {"on_failure": "reject"}})).await;
    assert_eq!(totals(&answer), [1, 0, 1, 0]);
    assert_eq!(answer["changes"][0]["from"], "review");
    assert_eq!(answer["changes"][0]["to"], "reject");

    let patient = json!({"endpoint": {"sagemaker": "throttling"}, "timeout_ms": 9000});
    let asking = json!({"hate": {"model": "spam", "label": "hate", "review_at": 0.5}});
    for documents in [
        json!({"models/spam": model("spam")}),
        json!({ "models/spam": patient }),
        json!({"scopes/client/plainstore": {"defaults": {"deadline_ms": 60_000}}}),
        json!({"scopes/client/plainstore": {"rules": asking}}),
    ] {
        let answer = with(&world, documents.clone()).await;
        assert_eq!(totals(&answer), [1, 0, 0, 1], "{documents}");
        assert_eq!(answer["decisions"]["missing"], json!({"spam": 1}), "{documents}");
    }
    // What was mended since then need not fail again.
    world.change("models/spam", model("spam")).await;
    assert_eq!(totals(&with(&world, json!({})).await), [1, 0, 0, 1]);
}

#[tokio::test]
async fn a_call_that_ran_out_of_time_need_not_do_so_once_there_is_more() {
    let world = world().await;
    let hurried = json!({"defaults": {"deadline_ms": 100}});
    world.change("scopes/client/plainstore", hurried.clone()).await;
    let hanging = json!({"endpoint": {"sagemaker": "hanging"}, "version": "7"});
    world.change("models/spam", hanging).await;
    decide(&world, &["spam=0.9"]).await;
    let reject = json!({"spam": {"on_failure": "reject"}});
    assert_eq!(totals(&with_rules(&world, reject.clone()).await), [1, 0, 1, 0]);
    let patient = json!({"defaults": {"deadline_ms": 5000}});
    world.change("scopes/client/plainstore", patient).await;
    assert_eq!(totals(&with(&world, json!({})).await), [1, 0, 0, 1]);
    assert_eq!(totals(&with_rules(&world, reject.clone()).await), [1, 0, 0, 1]);
    // With the time that it had, the same becomes of it.
    world.change("scopes/client/plainstore", hurried).await;
    assert_eq!(totals(&with_rules(&world, reject).await), [1, 0, 1, 0]);
}

#[tokio::test]
async fn a_failure_of_a_label_is_none_once_the_rule_asks_for_another() {
    let world = world().await;
    let asking = |label: &str| json!({"rules": {"spam": {"label": label}}});
    world.change("scopes/client/plainstore", asking("nudity")).await;
    decide(&world, &["spam=0.9"]).await;
    assert_eq!(totals(&with(&world, json!({})).await), [1, 1, 0, 0]);
    for (label, expected) in [("gore", [1, 0, 0, 1]), ("spam", [1, 1, 0, 0])] {
        world.change("scopes/client/plainstore", asking(label)).await;
        assert_eq!(totals(&with(&world, json!({})).await), expected, "{label}");
    }
}

#[tokio::test]
async fn what_would_be_without_the_rule_whose_label_the_answers_lack_is_known() {
    let world = world().await;
    let nudity = json!({"nudity": {"model": "spam", "label": "nudity"}});
    let client = "scopes/client/plainstore";
    world.change(client, json!({"rules": nudity})).await;
    decide(&world, &["spam=0.1", "spam=0.8", "spam=0.96"]).await;
    let answer = with(&world, json!({client: {}})).await;
    assert_eq!(totals(&answer), [3, 2, 1, 0]);
    assert_eq!(answer["changes"][0]["to"], "approve");
    assert_eq!(answer["decisions"]["other_version"], 0);
    // What another endpoint would score is not known.
    let elsewhere = json!({"endpoint": {"sagemaker": "elsewhere"}, "version": "7"});
    let answer = with(&world, json!({client: {}, "models/spam": elsewhere})).await;
    assert_eq!(totals(&answer), [3, 0, 0, 3]);
    world.change(client, json!({})).await;
    let answer = with_rules(&world, json!({"spam": {"review_at": 0.05}})).await;
    assert_eq!(totals(&answer), [3, 2, 1, 0]);
}

#[tokio::test]
async fn a_model_that_may_be_asked_more_often_at_once_need_not_fail_again() {
    let world = world().await;
    let crashed = |more: Value| {
        let mut model = json!({"endpoint": {"sagemaker": "crashed"}, "max_concurrency": 1});
        model.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        model
    };
    world.change("models/spam", crashed(json!({}))).await;
    decide(&world, &["spam=0.9"]).await;
    let same = json!({"models/spam": crashed(json!({}))});
    assert_eq!(totals(&with(&world, same).await), [1, 1, 0, 0]);
    for more in [json!({"max_concurrency": 50}), json!({"cost": 0.5})] {
        let changed = json!({"models/spam": crashed(more)});
        assert_eq!(totals(&with(&world, changed.clone()).await), [1, 0, 0, 1], "{changed}");
    }
    world.change("models/spam", crashed(json!({"max_concurrency": 50}))).await;
    assert_eq!(totals(&with(&world, json!({})).await), [1, 0, 0, 1]);
}

/// A router that has decided on one content, for which a cheap model hung, and a dear one too.
async fn world_of_stages() -> World {
    let world = world().await;
    let hanging = |cost: f64| json!({"endpoint": {"sagemaker": "hanging"}, "cost": cost});
    world.change("models/spam", hanging(1.0)).await;
    world.change("models/alcohol", hanging(5.0)).await;
    world.moderate_with(json!({"fields": {"text": ""}, "deadline_ms": 200})).await;
    world
}

#[tokio::test]
async fn a_dear_model_need_not_run_out_of_time_again_without_the_cheap_one_before() {
    let world = world_of_stages().await;
    let reject = json!({"alcohol": {"on_failure": "reject"}});
    assert_eq!(totals(&with_rules(&world, reject).await), [1, 0, 1, 0]);
    for options in [json!({"enabled": false}), json!({"when": "client != 'plainstore'"})] {
        let answer = with_rules(&world, json!({"spam": options.clone()})).await;
        assert_eq!(totals(&answer), [1, 0, 0, 1], "{options}");
        assert_eq!(answer["decisions"]["missing"], json!({"alcohol": 1}), "{options}");
    }
    let mut strict = platform();
    strict["rules"]["alcohol"]["reject_at"] = json!(0.9);
    assert_eq!(totals(&with(&world, json!({"scopes/platform": strict})).await), [1, 1, 0, 0]);
    let off = json!({"endpoint": {"sagemaker": "hanging"}, "cost": 1.0, "enabled": false});
    let answer = with(&world, json!({"models/spam": off, "scopes/platform": strict})).await;
    assert_eq!(totals(&answer), [1, 0, 0, 1]);
}

#[tokio::test]
async fn decisions_of_older_routers_are_unknown() {
    let world = world().await;
    decide(&world, &["spam=0.8", "spam=0.1"]).await;
    let older = r#"[{"model": "spam", "version": "7", "status": "ok", "scores": {"spam": 0.8}}]"#;
    let older = sqlx::query("UPDATE decisions SET calls = $1 WHERE content_id = 'r-0'").bind(older);
    older.execute(&mut world.database.connect().await).await.unwrap();
    let answer = with(&world, json!({})).await;
    assert_eq!(totals(&answer), [2, 1, 0, 1]);
    assert_eq!(answer["decisions"]["missing"], json!({"alcohol": 1, "spam": 1}));
}
