//! Calls through the host: what reaches the container, what comes back, and what is refused.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::host::Host;

#[tokio::test]
async fn sagemakers_headers_reach_the_container_and_its_own_come_back() {
    let host = Host::start().await;
    host.deploy("spam", 5).await;
    let headers = [
        ("content-type", "text/csv".to_owned()),
        ("accept", "application/json".to_owned()),
        ("x-amzn-sagemaker-custom-attributes", "trace=7".to_owned()),
        ("x-amzn-sagemaker-inference-id", "r-1001".to_owned()),
        ("x-amzn-sagemaker-target-variant", "all".to_owned()),
        ("x-private", "stays here".to_owned()),
    ];
    let answer = host.post("/endpoints/spam/invocations", &headers, "1,2").await.expect_status(200);
    let seen = &answer.body["headers"];
    for (name, value) in &headers[..4] {
        assert_eq!(seen[name], *value);
    }
    assert!(seen.get("x-private").is_none(), "{seen}");
    assert_eq!(answer.headers["content-type"], "application/json");
    assert_eq!(answer.headers["x-amzn-invoked-production-variant"], "all");
    assert_eq!(answer.headers["x-amzn-sagemaker-custom-attributes"], "from-container");
    host.stop().await;
}

#[tokio::test]
async fn a_container_may_answer_with_anything_where_the_caller_asks_for_nothing() {
    let host = Host::start().await;
    host.deploy("spam", 5).await;
    let answer = host.invoke("spam", "x").await.expect_status(200);
    assert_eq!(answer.body["headers"]["accept"], "*/*");
    let longest = [("x-amzn-sagemaker-custom-attributes", "x".repeat(1024))];
    let answer = host.post("/endpoints/spam/invocations", &longest, "x").await.expect_status(200);
    let seen = &answer.body["headers"]["x-amzn-sagemaker-custom-attributes"];
    assert_eq!(seen.as_str().unwrap().len(), 1024);
    host.stop().await;
}

#[tokio::test]
async fn a_container_sees_its_declared_environment_and_a_folder_of_its_own() {
    let host = Host::start().await;
    host.create("spam", json!({"THRESHOLD": "0.5"}), 5).await;
    host.settled("spam").await;
    let body = host.invoke("spam", "hello").await.expect_status(200).body;
    let environment = body["environment"].as_object().unwrap();
    assert_eq!(environment["THRESHOLD"], "0.5");
    assert!(!environment.contains_key("PATH") && !environment.contains_key("HOME"));
    assert!(body["folder"].as_str().unwrap().contains("endpoint-host/endpoints/"));
    assert_eq!(body["model"], json!(["model.toml"]));
    host.stop().await;
}

#[tokio::test]
async fn calls_beyond_max_concurrency_are_throttled_as_aws_does() {
    let host = Host::start().await;
    host.deploy("spam", 1).await;
    host.pid("spam").await;
    let (first, second) = tokio::join!(host.invoke("spam", "slow"), host.invoke("spam", "slow"));
    let (done, refused) = if first.status == 200 { (first, second) } else { (second, first) };
    done.expect_status(200);
    let refused = refused.expect_status(400).expect_error("ThrottlingException", "null");
    assert_eq!(refused.body, json!({"message": null}));
    host.invoke("spam", "hello").await.expect_status(200);
    host.stop().await;
}

#[tokio::test]
async fn a_call_counts_once_its_body_is_there_and_until_the_container_has_answered() {
    let host = Host::start().await;
    host.deploy("spam", 1).await;
    host.pid("spam").await;
    let refused = async || host.invoke("spam", "hello").await.body == json!({"message": null});
    let unfinished = host.send_call("spam", 5, "he").await;
    host.invoke("spam", "hello").await.expect_status(200);
    drop(unfinished);
    let leaving = host.send_call("spam", 4, "slow").await;
    drop(leaving);
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(refused().await, "the work of a caller who left is not counted");
    answered_again(&host).await;
    host.stop().await;
}

#[tokio::test]
async fn bodies_beyond_the_memory_for_them_are_told_to_come_again_and_nothing_else_is_held_up() {
    let host = Host::start_with(|config| config.call_memory = 8).await;
    host.deploy("spam", 5).await;
    host.deploy("ham", 5).await;
    // All but one byte of what one endpoint may have.
    let most = "x".repeat((4 << 20) - 1);
    let held = host.send_call("spam", 4 << 20, &most).await;
    let refused = host.invoke("spam", "hello").await.expect_status(503);
    refused.expect_error("ServiceUnavailable", "--call-memory");
    host.invoke("ham", "hello").await.expect_status(200);
    // The control plane has memory of its own.
    host.control("ListEndpoints", json!({})).await.expect_status(200);
    drop(held);
    host.answers_again("spam").await;
    host.stop().await;
}

#[tokio::test]
async fn an_error_of_the_container_is_a_model_error_with_its_status_and_words() {
    let host = Host::start().await;
    host.deploy("spam", 5).await;
    let client = host.invoke("spam", "unscorable").await.expect_status(424);
    let client = client.expect_error("ModelError", "Received client error (422) from primary");
    assert_eq!(client.body["OriginalStatusCode"], 422);
    assert_eq!(client.body["OriginalMessage"], "field `text` is missing");
    assert_eq!(client.body["ErrorCode"], "CLIENT_ERROR_FROM_MODEL");
    assert!(client.body["LogStreamArn"].as_str().unwrap().ends_with("/Endpoints/spam"));
    let server = host.invoke("spam", "broken").await.expect_status(424);
    server.expect_error("ModelError", "Received server error (500) from primary");
    host.stop().await;
}

#[tokio::test]
async fn a_container_that_hangs_up_or_answers_too_much_stays_in_service() {
    let host = Host::start().await;
    host.deploy("spam", 5).await;
    let pid = host.pid("spam").await;
    let rude = host.invoke("spam", "hang up").await.expect_status(424);
    rude.expect_error("ModelError", "broke off its answer");
    let large = host.invoke("spam", "large").await.expect_status(424);
    large.expect_error("ModelError", "longer than 4194304 bytes");
    assert_eq!(host.pid("spam").await, pid);
    host.stop().await;
}

#[tokio::test]
async fn a_body_up_to_four_mebibytes_is_passed_on_and_a_larger_one_refused() {
    let host = Host::start().await;
    host.deploy("spam", 5).await;
    let largest = vec![b'x'; 4 * 1024 * 1024];
    let answer = host.invoke("spam", largest.clone()).await.expect_status(200);
    assert_eq!(answer.body["size"], largest.len());
    let too_large = [largest, vec![b'x'; 10_000_000]].concat();
    let refused = host.invoke("spam", too_large).await.expect_status(400);
    refused.expect_error("ValidationError", "less than or equal to 4194304");
    host.invoke("spam", "").await.expect_status(200);
    host.stop().await;
}

#[tokio::test]
async fn unknown_endpoints_paths_and_features_are_refused_by_name() {
    let host = Host::start().await;
    host.deploy("spam", 5).await;
    let unknown = host.invoke("ham", "hello").await.expect_status(400);
    unknown.expect_error("ValidationError", "Endpoint ham of account 000000000000 not found.");
    for (header, value, words) in [
        ("x-amzn-sagemaker-target-model", "a.tar.gz", "target-model"),
        ("x-amzn-sagemaker-target-variant", "other", "variant `other` is not one"),
        ("x-amzn-sagemaker-session-id", "NEW_SESSION", "session-id"),
        ("x-amzn-sagemaker-custom-attributes", &"x".repeat(1025), "equal to 1024"),
        ("x-amzn-sagemaker-custom-attributes", "b\u{e9}b\u{e9}", "visible ASCII"),
        ("x-amzn-sagemaker-inference-id", &"x".repeat(65), "equal to 64"),
    ] {
        let headers = [(header, value.to_owned())];
        let answer = host.post("/endpoints/spam/invocations", &headers, "x").await;
        answer.expect_status(400).expect_error("ValidationError", words);
    }
    let nowhere = host.post("/nowhere", &[], "x").await.expect_status(404);
    nowhere.expect_error("UnknownOperationException", "POST /endpoints/NAME/invocations");
    host.stop().await;
}

async fn answered_again(host: &Host) {
    let deadline = Instant::now() + Duration::from_secs(5);
    while host.invoke("spam", "hello").await.status != 200 {
        assert!(Instant::now() < deadline, "the endpoint takes no calls any more");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
