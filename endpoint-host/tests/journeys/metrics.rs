//! What the host counts, and what SageMaker would have charged.

use std::time::{Duration, Instant};

use http_body_util::BodyExt as _;
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
async fn callers_who_leave_and_calls_without_a_container_in_time_are_no_errors_of_the_model() {
    let host = Host::start_with(|config| config.cold_deadline = Duration::from_secs(1)).await;
    host.create_provisioned("left", 1, 1).await;
    host.settled("left").await;
    let mut stream = host.stream("left", &[], "stream until told").await.into_body();
    stream.frame().await.unwrap().unwrap();
    drop(stream);
    host.deploy("late", 5).await;
    host.obstruct("dawdle");
    host.invoke("late", "hello").await.expect_status(429);
    host.clear("dawdle");
    let deadline = Instant::now() + Duration::from_secs(20);
    for (endpoint, calls) in [("left", 1), ("late", 1)] {
        let of = format!("{{EndpointName=\"{endpoint}\",VariantName=\"all\"}}");
        while !host.get("/metrics").await.contains(&format!("\nInvocations{of} {calls}\n")) {
            assert!(Instant::now() < deadline, "{}", host.get("/metrics").await);
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let metrics = host.get("/metrics").await;
        assert!(metrics.contains(&format!("\nInvocationModelErrors{of} 0\n")), "{metrics}");
    }
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

#[tokio::test]
async fn provisioned_time_counts_until_the_host_stops() {
    let host = Host::start().await;
    host.create_provisioned("spam", 2, 2).await;
    assert_eq!(host.settled("spam").await["EndpointStatus"], "InService");
    let told = cost(&host).await;
    // Part of the interval after which it would have been counted while the host goes on; where that
    // ends in it, all counts just the same.
    tokio::time::sleep(Duration::from_millis(500)).await;
    let kept =
        |told: &Value| told["variants"][0]["provisioned_gb_seconds"].as_f64().unwrap_or_default();
    let data = host.stop().await;
    let again = Host::start_in(data, Duration::from_secs(600)).await;
    let counted = kept(&cost(&again).await);
    assert!(counted >= kept(&told) + 0.5, "{counted} after {told}");
    again.stop().await;
}

async fn cost(host: &Host) -> Value {
    serde_json::from_str(&host.get("/cost").await).unwrap()
}
