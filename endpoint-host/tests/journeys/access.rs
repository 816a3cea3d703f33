//! A host that demands signatures, and what it keeps from others.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::time::SystemTime;

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4;
use endpoint_host::{AccessKey, Server};
use serde_json::json;

use crate::host::{Answer, Host, config, python_container};

const SECRET: &str = "correct horse battery";

/// A host that demands signatures of the key `team`.
async fn signed_host() -> Host {
    Host::start_with(|config| {
        let (id, secret) = ("team".to_owned(), SECRET.to_owned());
        config.access_keys.push(AccessKey { id, secret });
        config.metrics_address = Some(([127, 0, 0, 1], 0).into());
        config.call_memory = 4;
    })
    .await
}

/// The headers by which the key signs a request.
fn signature(host: &Host, path: &str, target: Option<&str>, body: &str) -> Vec<(String, String)> {
    let identity = Credentials::new("team", SECRET, None, None, "test").into();
    let params = v4::SigningParams::builder()
        .identity(&identity)
        .region("eu-west-1")
        .name("sagemaker")
        .time(SystemTime::now())
        .settings(SigningSettings::default())
        .build()
        .unwrap();
    let url = format!("http://{}{path}", host.address);
    let headers = target.map(|target| ("x-amz-target", target));
    let body = SignableBody::Bytes(body.as_bytes());
    let request = SignableRequest::new("POST", url, headers.into_iter(), body).unwrap();
    let (signed, _) = sign(request, &params.into()).unwrap().into_parts();
    let own = headers.map(|(name, value)| (name.to_owned(), value.to_owned()));
    own.into_iter().chain(signed.headers().map(|(n, v)| (n.to_owned(), v.to_owned()))).collect()
}

async fn post(host: &Host, path: &str, headers: &[(String, String)], body: &str) -> Answer {
    let headers: Vec<_> = headers.iter().map(|(n, v)| (n.as_str(), v.clone())).collect();
    host.post(path, &headers, body.to_owned()).await
}

#[tokio::test]
async fn signed_requests_pass_and_a_changed_target_does_not() {
    let host = signed_host().await;
    let list = signature(&host, "/", Some("SageMaker.ListModels"), "{}");
    assert_eq!(post(&host, "/", &list, "{}").await.expect_status(200).body["Models"], json!([]));
    let mut other = list.clone();
    other[0].1 = "SageMaker.ListEndpoints".to_owned();
    let refused = post(&host, "/", &other, "{}").await.expect_status(403);
    refused.expect_error("InvalidSignatureException", "does not match");
    let mut unsigned = signature(&host, "/", None, "{}");
    unsigned.push(list[0].clone());
    let refused = post(&host, "/", &unsigned, "{}").await.expect_status(403);
    refused.expect_error("InvalidSignatureException", "`x-amz-target` is not signed");
    host.stop().await;
}

#[tokio::test]
async fn who_has_no_key_takes_no_memory_from_those_who_have() {
    let host = signed_host().await;
    let path = "/endpoints/spam/invocations";
    let known = signature(&host, path, None, "hello");
    let head = |headers: &[(String, String)]| -> String {
        headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect()
    };
    let unknown = head(&known).replace("Credential=team/", "Credential=meat/");
    // All the memory there is, twice.
    let strangers =
        [host.send(path, &unknown, 4 << 20, "x").await, host.send(path, "", 4 << 20, "x").await];
    let missing = post(&host, path, &known, "hello").await.expect_status(400);
    missing.expect_error("ValidationError", "Endpoint spam of account");
    drop(strangers);
    host.stop().await;
}

#[tokio::test]
async fn who_only_knows_the_name_of_a_key_takes_no_memory_by_announcing_bodies() {
    let host = signed_host().await;
    let path = "/endpoints/spam/invocations";
    let known = signature(&host, path, None, "hello");
    // Whether it is the key's is told by the body, which does not come.
    let head: String = known.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    let forged =
        [host.send(path, &head, 4 << 20, "x").await, host.send(path, &head, 4 << 20, "x").await];
    let missing = post(&host, path, &known, "hello").await.expect_status(400);
    missing.expect_error("ValidationError", "Endpoint spam of account");
    drop(forged);
    host.stop().await;
}

#[tokio::test]
async fn metrics_have_an_address_of_their_own_without_a_signature() {
    let mut host = signed_host().await;
    let at = host.metrics_address.unwrap();
    let refused = host.post("/metrics", &[], "").await.expect_status(403);
    refused.expect_error("MissingAuthenticationTokenException", "is not signed");
    host.address = at;
    assert!(host.get("/metrics").await.contains("# TYPE Invocations counter"));
    for (path, body) in [("/", "{}"), ("/cost", ""), ("/endpoints/spam/invocations", "hello")] {
        host.post(path, &[], body).await.expect_status(404);
    }
    let foreign = [("host", "evil.example".to_owned())];
    let refused = host.post("/metrics", &foreign, "").await.expect_status(403);
    refused.expect_error("AccessDeniedException", "address the endpoint host as localhost");
    host.stop().await;
}

#[tokio::test]
async fn metrics_are_served_to_this_machine_alone() {
    let data = tempfile::tempdir().unwrap();
    let mut config = config(data.path(), std::time::Duration::from_secs(1));
    config.metrics_address = Some(([0, 0, 0, 0], 0).into());
    let error = Server::bind(config, python_container()).await.map(|_| ()).unwrap_err();
    assert!(error.to_string().contains("--metrics-address 127.0.0.1:PORT"), "{error}");
}

#[tokio::test]
async fn nobody_else_can_look_into_the_hosts_own_folder() {
    let host = Host::start().await;
    let own = fs::metadata(host.data.path().join("endpoint-host")).unwrap();
    assert_eq!(own.permissions().mode() & 0o777, 0o700);
    host.stop().await;
}
