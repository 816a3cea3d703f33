//! What the host has beyond AWS's serverless endpoints: captured calls, shadows, and weights.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::host::Host;

#[tokio::test]
async fn calls_are_captured_and_copied_to_the_shadow_whose_answers_nobody_sees() {
    let host = beyond_aws().await;
    let folder = host.data.path().join("captured");
    fs::create_dir(&folder).unwrap();
    let capture = json!({
        "EnableCapture": true,
        "InitialSamplingPercentage": 100,
        "DestinationS3Uri": format!("file://{}", folder.display()),
        "CaptureOptions": [{"CaptureMode": "InputAndOutput"}],
        "CaptureContentTypeHeader": {
            "CsvContentTypes": ["text/csv"], "JsonContentTypes": ["application/json"],
        },
    });
    let config = json!({
        "EndpointConfigName": "spam",
        "ProductionVariants": [variant("live", 2.0)],
        "ShadowProductionVariants": [variant("shadow", 2.0)],
        "DataCaptureConfig": capture,
    });
    deploy(&host, config, &["live", "shadow"]).await;
    let headers =
        [("content-type", "text/csv".into()), ("x-amzn-sagemaker-inference-id", "r-7".into())];
    for _ in 0..3 {
        let answer = host.post("/endpoints/spam/invocations", &headers, "1,2").await;
        let answer = answer.expect_status(200);
        assert_eq!(answer.headers["x-amzn-invoked-production-variant"], "live");
        assert_eq!(answer.body["environment"]["VARIANT"], "live");
    }
    let copied = "Invocations{EndpointName=\"spam\",VariantName=\"shadow\"} 3\n";
    let deadline = Instant::now() + Duration::from_secs(30);
    while !host.get("/metrics").await.contains(copied) {
        assert!(Instant::now() < deadline, "{}", host.get("/metrics").await);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let _data = host.stop().await;
    for name in ["live", "shadow"] {
        let lines = lines(&folder.join("spam").join(name));
        assert_eq!(lines.len(), 3, "{name}");
        for line in lines {
            let data = &line["captureData"];
            assert_eq!(data["endpointInput"]["data"], "1,2");
            assert_eq!(data["endpointInput"]["encoding"], "CSV");
            assert_eq!(line["eventMetadata"]["inferenceId"], "r-7");
            let output: Value =
                serde_json::from_str(data["endpointOutput"]["data"].as_str().unwrap()).unwrap();
            assert_eq!(output["environment"]["VARIANT"], name);
        }
    }
}

#[tokio::test]
async fn a_variant_answers_as_its_weight_says_and_when_it_is_asked_for() {
    let host = beyond_aws().await;
    let config = json!({
        "EndpointConfigName": "spam",
        "ProductionVariants": [variant("all", 1.0), variant("none", 0.0)],
    });
    deploy(&host, config, &["all", "none"]).await;
    for _ in 0..10 {
        let answer = host.invoke("spam", "x").await.expect_status(200);
        assert_eq!(answer.headers["x-amzn-invoked-production-variant"], "all");
    }
    let asked = [("x-amzn-sagemaker-target-variant", "none".to_owned())];
    let answer = host.post("/endpoints/spam/invocations", &asked, "x").await.expect_status(200);
    assert_eq!(answer.headers["x-amzn-invoked-production-variant"], "none");
    assert_eq!(answer.body["environment"]["VARIANT"], "none");
    host.stop().await;
}

#[tokio::test]
async fn a_capture_whose_folder_the_host_may_no_longer_use_is_told_as_stopped() {
    let elsewhere = tempfile::tempdir().unwrap();
    let host = Host::start_with(|config| {
        config.beyond_aws = true;
        config.model_roots.push(elsewhere.path().to_owned());
    })
    .await;
    let config = json!({
        "EndpointConfigName": "spam",
        "ProductionVariants": [variant("live", 1.0)],
        "DataCaptureConfig": {
            "InitialSamplingPercentage": 100,
            "DestinationS3Uri": format!("file://{}/captured", elsewhere.path().display()),
            "CaptureOptions": [{"CaptureMode": "Input"}],
        },
    });
    deploy(&host, config, &["live"]).await;
    assert_eq!(host.describe("spam").await["DataCaptureConfig"]["CaptureStatus"], "Started");
    let data = host.stop().await;
    let next = Host::start_in_with(data, |config| config.beyond_aws = true).await;
    assert_eq!(next.describe("spam").await["DataCaptureConfig"]["CaptureStatus"], "Stopped");
    next.stop().await;
}

async fn beyond_aws() -> Host {
    Host::start_with(|config| {
        config.beyond_aws = true;
        // However full this machine's disk is.
        config.capture_until = 100;
    })
    .await
}

fn variant(name: &str, weight: f64) -> Value {
    json!({
        "VariantName": name,
        "ModelName": name,
        "InitialVariantWeight": weight,
        "ServerlessConfig": {"MemorySizeInMB": 1024, "MaxConcurrency": 5},
    })
}

/// Brings up the endpoint `spam` with a model for each variant, which knows its name.
async fn deploy(host: &Host, config: Value, models: &[&str]) {
    for name in models {
        let container = json!({
            "Image": "gatehouse/model-container",
            "ModelDataUrl": host.model_url(),
            "Environment": {"VARIANT": name},
        });
        let model = json!({"ModelName": name, "PrimaryContainer": container});
        host.control("CreateModel", model).await.expect_status(200);
    }
    host.control("CreateEndpointConfig", config).await.expect_status(200);
    let endpoint = json!({"EndpointName": "spam", "EndpointConfigName": "spam"});
    host.control("CreateEndpoint", endpoint).await.expect_status(200);
    let settled = host.settled("spam").await;
    assert_eq!(settled["EndpointStatus"], "InService", "{settled}");
}

/// Every line of every file below a folder, as JSON.
fn lines(folder: &Path) -> Vec<Value> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(lines(&path));
        } else {
            let text = fs::read_to_string(path).unwrap();
            found.extend(text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()));
        }
    }
    found
}
