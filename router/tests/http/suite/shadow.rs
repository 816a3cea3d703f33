//! Models that look at contents and are not heard.

use serde_json::{Value, json};

use crate::support::{World, content, until};

async fn comparison(world: &World) -> Value {
    world.get("/v1/models/spam/shadow").await.json()
}

async fn metrics(world: &World) -> String {
    String::from_utf8(world.get("/metrics").await.body.to_vec()).unwrap()
}

async fn moderate(world: &World, id: &str, text: &str) -> Value {
    world.moderate_with(json!({"content_id": id, "fields": {"text": text}})).await
}

#[tokio::test]
async fn a_shadow_is_compared_with_its_model_and_never_heard() {
    let world = World::new().await;
    world.get("/v1/models/spam/shadow").await.refused(404);
    let shadow = json!({"endpoint": {"sagemaker": "shadow"}, "stage": "shadow", "sample": 1.0});
    world.add("models/spam-shadow", shadow).await;
    world.sagemaker.say("shadow", r#"{"scores": {"spam": 0.75, "hate": 0.0, "alcohol": 1.0}}"#);
    for n in 0..4 {
        let verdict = moderate(&world, &format!("r-{n}"), &format!("spam=0.25 {n}")).await;
        assert_eq!(
            (&verdict["decision"], &verdict["degraded"]),
            (&json!("approve"), &json!(false))
        );
        assert!(!verdict.to_string().contains("shadow"), "{verdict}");
    }
    until(async || comparison(&world).await["compared"] == 4).await;
    let seen = comparison(&world).await;
    assert_eq!((&seen["shadow"], &seen["sample"]), (&json!("spam-shadow"), &json!(1.0)));
    assert_eq!((&seen["agreement"], &seen["flips"]), (&json!(0.0), &json!({"spam -> alcohol": 4})));
    assert_eq!(
        seen["labels"]["spam"],
        json!({"compared": 4, "mean": 0.5, "mean_absolute": 0.5, "largest": 0.5})
    );
    let metrics = metrics(&world).await;
    for (name, count) in [("compared", 4), ("agreed", 0), ("flips", 4), ("failed", 0)] {
        let line = format!("gatehouse_router_shadow_{name}_total{{model=\"spam\"}} {count}\n");
        assert!(metrics.contains(&line), "no {line} in:\n{metrics}");
    }
    let shift = "gatehouse_router_shadow_mean_score_shift{model=\"spam\"} 0.5\n";
    assert!(metrics.contains(shift), "{metrics}");
}

#[tokio::test]
async fn a_shadow_that_would_have_to_wait_leaves_contents_out() {
    let world = World::new().await;
    let shadow = json!({"endpoint": {"sagemaker": "gate"}, "stage": "shadow", "sample": 1.0,
                        "max_concurrency": 1});
    world.add("models/spam-shadow", shadow).await;
    moderate(&world, "r-1", "the first").await;
    world.sagemaker.reached("gate", 1).await;
    moderate(&world, "r-2", "the second").await;
    until(async || comparison(&world).await["left_out"] == 1).await;
    world.sagemaker.open_gate(1);
    until(async || comparison(&world).await["compared"] == 1).await;
    assert_eq!(world.sagemaker.payloads("gate"), [json!({"text": "the first"})]);
}

#[tokio::test]
async fn figures_of_a_shadow_go_with_it() {
    let world = World::new().await;
    let shadow = json!({"endpoint": {"sagemaker": "shadow"}, "stage": "shadow", "sample": 1.0});
    world.add("models/spam-shadow", shadow).await;
    assert!(metrics(&world).await.contains("shadow_compared_total{model=\"spam\"} 0\n"));
    let gone = world.send("DELETE", "/v1/models/spam-shadow", &[("if-match", "*")], "").await;
    assert_eq!(gone.status, 204);
    assert!(!metrics(&world).await.contains("model=\"spam\""));
    world.get("/v1/models/spam/shadow").await.refused(404);
}

#[tokio::test]
async fn a_shadow_that_fails_harms_nobody() {
    let world = World::new().await;
    let shadow = json!({"endpoint": {"sagemaker": "html"}, "stage": "shadow", "sample": 1.0});
    world.add("models/spam-shadow", shadow).await;
    assert_eq!(moderate(&world, "r-1", "spam=0.2").await["degraded"], false);
    until(async || comparison(&world).await["failed"] == 1).await;
    assert_eq!(comparison(&world).await["agreement"], Value::Null);
}

#[tokio::test]
async fn a_shadow_looks_at_its_share_of_what_is_stored() {
    let world = World::new().await;
    let shadow = json!({"endpoint": {"sagemaker": "shadow"}, "stage": "shadow", "sample": 0.5});
    world.add("models/spam-shadow", shadow).await;
    let dry = content(json!({"fields": {"text": "dry"}, "dry_run": true})).to_string();
    assert_eq!(world.post("/v1/moderate", dry).await.status, 200);
    for n in 0..40 {
        moderate(&world, &format!("r-{n}"), &format!("{n}")).await;
    }
    until(async || comparison(&world).await["compared"].as_u64().unwrap() > 10).await;
    let asked = world.sagemaker.payloads("shadow");
    assert!((10..30).contains(&asked.len()), "{}", asked.len());
    assert!(!asked.contains(&json!({"text": "dry"})));
}
