//! `gatehouse deploy` against a running platform, and what a restart of the platform keeps.

use std::path::Path;
use std::process::Output;

use serde_json::{Value, json};

use crate::support::{Platform, gatehouse, repository, run, send};

fn deploy(platform: &Platform, package: &Path, name: &str) -> Output {
    let mut deploy = gatehouse();
    deploy.arg("deploy").arg(package).args(["--name", name, "--host", &platform.host]);
    deploy.args(["--router", &platform.router, "--upload"]).arg(platform.data().join("models"));
    run(&mut deploy, b"")
}

#[test]
fn a_deployed_model_is_there_for_the_next_rule() {
    let platform = Platform::start();
    let deployed = deploy(&platform, &repository("examples/models/spam"), "spam-2");
    let out = String::from_utf8(deployed.stdout).unwrap();
    assert!(deployed.status.success() && out.ends_with("spam-2 1 is live\n"), "{out}");

    let put = platform.put_scope("client/plainstore", |options| {
        *options = json!({"rules": {"spam": {"model": "spam-2"}}});
    });
    assert_eq!(put.status, 204);
    let verdict = platform.verdict("plainstore", "WINNER! Claim your free prize, call now");
    assert_eq!(verdict["reasons"][0]["model"], "spam-2");

    let again = deploy(&platform, &repository("examples/models/spam"), "spam-2");
    assert!(again.status.success(), "{}", String::from_utf8_lossy(&again.stderr));
}

#[test]
fn a_package_that_fails_its_canary_changes_nothing() {
    let platform = Platform::start();
    let package = tempfile::tempdir().unwrap();
    let terms = "label = 'alcohol'\n[[term]]\ntext = 'tea'\nweight = 0.9\n";
    std::fs::write(package.path().join("terms.toml"), terms).unwrap();
    let manifest = "name = 'alcohol'\nruntime = 'lexicon'\nartifact = 'terms.toml'\n
                    [[canary]]\ninput = { text = 'a beer' }\nlabel = 'alcohol'\n";
    std::fs::write(package.path().join("model.toml"), manifest).unwrap();
    let deployed = deploy(&platform, package.path(), "alcohol-2");
    let error = String::from_utf8(deployed.stderr).unwrap();
    assert!(!deployed.status.success() && error.contains("canary 1"), "{error}");
    assert_eq!(send(&platform.router, "GET", "/v1/models/alcohol-2", &[], "").status, 404);
}

#[test]
fn an_endpoint_that_failed_to_come_up_makes_room_for_a_deployment() {
    let platform = Platform::start();
    let empty = platform.data().join("models/empty");
    std::fs::create_dir(&empty).unwrap();
    let control = |operation: &str, request: Value| {
        let target = format!("SageMaker.{operation}");
        let headers =
            [("x-amz-target", target.as_str()), ("content-type", "application/x-amz-json-1.1")];
        let answer = send(&platform.host, "POST", "/", &headers, &request.to_string());
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.json()
    };
    let url = format!("file://{}", empty.canonicalize().unwrap().display());
    let container = json!({"Image": "gatehouse/model-container", "ModelDataUrl": url});
    let role = "arn:aws:iam::000000000000:role/any";
    control(
        "CreateModel",
        json!({"ModelName": "empty", "ExecutionRoleArn": role, "PrimaryContainer": container}),
    );
    let size = json!({"MemorySizeInMB": 1024, "MaxConcurrency": 1});
    let variant = json!({"VariantName": "v", "ModelName": "empty", "ServerlessConfig": size});
    control(
        "CreateEndpointConfig",
        json!({"EndpointConfigName": "empty", "ProductionVariants": [variant]}),
    );
    control("CreateEndpoint", json!({"EndpointName": "contact-2", "EndpointConfigName": "empty"}));
    let status = || control("DescribeEndpoint", json!({"EndpointName": "contact-2"}));
    while status()["EndpointStatus"] == "Creating" {
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    assert_eq!(status()["EndpointStatus"], "Failed");

    let deployed = deploy(&platform, &repository("examples/models/contact"), "contact-2");
    assert!(deployed.status.success(), "{}", String::from_utf8_lossy(&deployed.stderr));
}

#[test]
fn another_package_under_a_name_in_use_is_refused() {
    let platform = Platform::start();
    let deployed = deploy(&platform, &repository("examples/models/contact"), "spam");
    let error = String::from_utf8(deployed.stderr).unwrap();
    assert!(!deployed.status.success() && error.contains("endpoint `spam`"), "{error}");
    assert_eq!(platform.verdict("plainstore", "fine")["degraded"], false);
}

#[test]
fn a_restart_keeps_the_users_own_changes() {
    let platform = Platform::start();
    let path = "/v1/models/spam";
    let found = send(&platform.router, "GET", path, &[], "");
    let mut model = found.json();
    model["enabled"] = json!(false);
    let headers = [("content-type", "application/json"), ("if-match", found.etag.as_str())];
    assert_eq!(send(&platform.router, "PUT", path, &headers, &model.to_string()).status, 204);
    platform.put_scope("client/toybox", |options| *options = json!({"parent": "platform"}));

    let platform = platform.restart();
    assert_eq!(send(&platform.router, "GET", path, &[], "").json(), model);
    assert_eq!(platform.verdict("toybox", "a cold beer")["reasons"][0]["rule"], "alcohol");
    assert_eq!(platform.verdict("toybox", "a cold beer")["decision"], "review");
}
