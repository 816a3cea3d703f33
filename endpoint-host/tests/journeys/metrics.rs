//! What the host counts, and what SageMaker would have charged.

use std::time::Duration;

use serde_json::Value;

use crate::host::Host;

#[tokio::test]
async fn calls_are_counted_under_the_names_that_cloudwatch_has() {
    let host = Host::start().await;
    host.deploy("spam", 5).await;
    host.deploy("never-called", 5).await;
    host.invoke("spam", "x").await.expect_status(200);
    host.invoke("spam", "unscorable").await.expect_status(424);
    host.invoke("spam", "broken").await.expect_status(424);
    host.invoke("spam", "hang up").await.expect_status(424);
    let metrics = host.get("/metrics").await;
    for (name, value) in [
        ("Invocations", 4),
        ("Invocation4XXErrors", 1),
        ("Invocation5XXErrors", 1),
        ("InvocationModelErrors", 3),
        ("InvocationsThrottled", 0),
        ("ModelLatency_count", 4),
        ("OverheadLatency_count", 4),
        ("ModelSetupTime_count", 1),
        ("Containers", 1),
    ] {
        let line = format!("{name}{{EndpointName=\"spam\",VariantName=\"all\"}} {value}\n");
        assert!(metrics.contains(&line), "no {line} in:\n{metrics}");
    }
    assert!(!metrics.contains("never-called"));
    host.stop().await;
}

#[tokio::test]
async fn what_was_billed_is_told_again_by_the_next_host() {
    let host = Host::start().await;
    assert!(host.get("/cost").await.contains("\"total_usd\":0.0"));
    host.deploy("spam", 5).await;
    host.invoke("spam", "1234").await.expect_status(200);
    host.invoke("spam", "unscorable").await.expect_status(424);
    let before = cost(&host).await;
    let bill = &before["variants"][0];
    assert_eq!((&bill["endpoint"], &bill["variant"]), (&"spam".into(), &"all".into()));
    assert_eq!((&bill["calls"], &bill["memory_mb"]), (&2.into(), &1024.into()));
    assert_eq!(bill["bytes_in"], 14);
    let billed_ms = bill["billed_ms"].as_f64().unwrap();
    assert!(billed_ms >= 2.0);
    let data = bill["bytes_in"].as_f64().unwrap() + bill["bytes_out"].as_f64().unwrap();
    let usd = billed_ms / 1000.0 * 0.00002 + data / 1024.0f64.powi(3) * 0.016;
    assert!((before["total_usd"].as_f64().unwrap() - usd).abs() < 1e-12, "{before}");
    let data = host.stop().await;
    let again = Host::start_in(data, Duration::from_secs(600)).await;
    assert_eq!(cost(&again).await, before);
    again.stop().await;
}

async fn cost(host: &Host) -> Value {
    serde_json::from_str(&host.get("/cost").await).unwrap()
}
