//! Images that are run by local programs.

use endpoint_host::Config;
use serde_json::{Value, json};

use crate::host::{Answer, Host, python_container};

const IMAGE: &str = "000000000000.dkr.ecr.eu-west-1.amazonaws.com/hate-speech";

#[tokio::test]
async fn an_image_is_run_by_its_program_which_is_told_what_sagemaker_tells() {
    let host = Host::start_with(mapped).await;
    create_model(&host, &format!("{IMAGE}:2")).await.expect_status(200);
    host.create_endpoint("spam", json!({"MemorySizeInMB": 1024, "MaxConcurrency": 1})).await;
    let settled = host.settled("spam").await;
    assert_eq!(settled["EndpointStatus"], "InService", "{settled}");
    let seen = host.invoke("spam", "hello").await.expect_status(200).body;
    assert_eq!(seen["arguments"], json!(["--in", "a style", "serve"]));
    assert_eq!(seen["model"], json!(["model.toml"]));
    let environment = seen["environment"].as_object().unwrap();
    assert_eq!(environment["MODEL_DIR"], environment["SM_MODEL_DIR"]);
    assert_eq!(environment["THRESHOLD"], "0.5");
    assert!(environment["SAGEMAKER_BIND_TO_PORT"].as_str().unwrap().parse::<u16>().is_ok());
    assert!(!environment.contains_key("PATH") && !environment.contains_key("HOME"));
    host.stop().await;
}

#[tokio::test]
async fn other_images_are_refused_and_so_is_the_built_in_one_where_only_aws_counts() {
    let host = Host::start_with(|config| {
        mapped(config);
        config.aws_only = true;
    })
    .await;
    for image in ["nginx", "gatehouse/model-container", "gatehouse/model-container:1"] {
        let refused = create_model(&host, image).await.expect_status(400);
        refused.expect_error("ValidationException", &format!("this host runs `{IMAGE}`"));
    }
    host.stop().await;
}

fn mapped(config: &mut Config) {
    let python = python_container().program;
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/sagemaker_container.py");
    let image = format!("{IMAGE}={} '{script}' --in 'a style'", python.display());
    config.images.push(image.parse().unwrap());
}

async fn create_model(host: &Host, image: &str) -> Answer {
    let environment: Value = json!({"THRESHOLD": "0.5"});
    let container = json!({
        "Image": image,
        "ModelDataUrl": host.model_url(),
        "Environment": environment,
    });
    host.control("CreateModel", json!({"ModelName": "spam", "PrimaryContainer": container})).await
}
