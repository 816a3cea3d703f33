//! Containers come with the first call and go when idle, deleted, dead or stopped.

use std::process::Command;
use std::time::{Duration, Instant};

use endpoint_host::{Error, Server};
use serde_json::{Value, json};

use crate::host::{Host, config, is_alive, python_container, wait_for_end};

#[tokio::test]
async fn the_first_call_starts_a_container_and_the_next_finds_it() {
    let host = Host::start().await;
    host.deploy("spam", 5).await;
    let first = host.pid("spam").await;
    assert!(is_alive(first));
    assert_eq!(host.pid("spam").await, first);
    host.stop().await;
    assert!(!is_alive(first));
}

#[tokio::test]
async fn calls_that_come_together_share_one_start() {
    let host = Host::start().await;
    host.deploy("spam", 1).await;
    let (a, b, c) = tokio::join!(host.pid("spam"), host.pid("spam"), host.pid("spam"));
    assert_eq!((a, b), (b, c));
    host.stop().await;
}

#[tokio::test]
async fn an_idle_container_is_stopped_and_the_next_call_starts_another() {
    let host = Host::start_with_idle(Duration::from_millis(300)).await;
    host.deploy("spam", 5).await;
    let first = host.pid("spam").await;
    wait_for_end(first).await;
    assert_ne!(host.pid("spam").await, first);
    host.stop().await;
}

#[tokio::test]
async fn a_call_longer_than_the_idle_timeout_is_answered() {
    let host = Host::start_with_idle(Duration::from_millis(100)).await;
    host.deploy("spam", 5).await;
    host.invoke("spam", "slow").await.expect_status(200);
    host.stop().await;
}

#[tokio::test]
async fn a_container_is_not_idle_while_it_works_for_a_caller_who_left() {
    let host = Host::start_with_idle(Duration::from_millis(100)).await;
    host.deploy("spam", 5).await;
    let pid = host.pid("spam").await;
    drop(host.send_call("spam", 4, "slow").await);
    tokio::time::sleep(Duration::from_millis(400)).await;
    assert!(is_alive(pid));
    wait_for_end(pid).await;
    host.stop().await;
}

#[tokio::test]
async fn a_host_that_starts_ends_the_containers_that_a_killed_one_left() {
    let killed = Host::start().await;
    killed.deploy("spam", 5).await;
    let pid = killed.pid("spam").await;
    let data = tempfile::tempdir().unwrap();
    let left = killed.data.path().join("endpoint-host");
    let copied = Command::new("cp").arg("-r").args([&left, data.path()]).status().unwrap();
    assert!(copied.success());
    let next = Host::start_in(data, Duration::from_secs(600)).await;
    wait_for_end(pid).await;
    next.stop().await;
    killed.stop().await;
}

#[tokio::test]
async fn a_model_with_a_link_in_it_fails_and_tells_nothing_of_what_it_leads_to() {
    let host = Host::start().await;
    let secret = host.data.path().join("secret");
    std::fs::write(&secret, "do not tell").unwrap();
    std::os::unix::fs::symlink(&secret, host.data.path().join("model/spam.model")).unwrap();
    host.create("spam", json!({}), 5).await;
    let endpoint = host.settled("spam").await;
    let reason = endpoint["FailureReason"].as_str().unwrap();
    assert!(reason.contains("model/spam.model` is a link"), "{reason}");
    host.stop().await;
}

#[tokio::test]
async fn a_death_in_mid_call_is_a_model_error_and_the_next_call_is_answered() {
    let host = Host::start().await;
    host.deploy("spam", 5).await;
    let first = host.pid("spam").await;
    let death = host.invoke("spam", "die").await.expect_status(424);
    let death = death.expect_error("ModelError", "out of paper");
    assert_eq!(death.body["OriginalStatusCode"], 0);
    assert!(!is_alive(first));
    assert_ne!(host.pid("spam").await, first);
    host.stop().await;
}

#[tokio::test]
async fn a_container_that_no_longer_starts_is_a_model_error_until_it_does() {
    let host = Host::start().await;
    host.deploy("spam", 5).await;
    host.obstruct("broken");
    let refused = host.invoke("spam", "hello").await.expect_status(424);
    refused.expect_error("ModelError", "`broken` is in the way");
    host.clear("broken");
    host.answers_again("spam").await;
    host.stop().await;
}

#[tokio::test]
async fn a_container_killed_between_calls_is_replaced_unnoticed() {
    let host = Host::start().await;
    host.deploy("spam", 5).await;
    let first = host.pid("spam").await;
    let kill = Command::new("kill").args(["-9", &first.to_string()]).status().unwrap();
    assert!(kill.success());
    wait_for_end(first).await;
    assert_ne!(host.pid("spam").await, first);
    host.stop().await;
}

#[tokio::test]
async fn a_container_that_cannot_start_fails_the_endpoint_with_its_last_words() {
    let host = Host::start().await;
    host.create("spam", json!({"MODE": "fail"}), 5).await;
    let endpoint = host.settled("spam").await;
    assert_eq!(endpoint["EndpointStatus"], "Failed");
    let reason = endpoint["FailureReason"].as_str().unwrap();
    assert!(reason.contains("cannot read `spam.model`: unexpected end of file"), "{reason}");
    let refused = host.invoke("spam", "hello").await.expect_status(400);
    refused.expect_error("ValidationError", "is Failed, not InService");
    host.control("DeleteEndpoint", json!({"EndpointName": "spam"})).await.expect_status(200);
    wait_until_gone(&host, "spam").await;
    host.stop().await;
}

#[tokio::test]
async fn a_deleted_endpoint_takes_its_process_and_its_folder_along() {
    let host = Host::start().await;
    host.deploy("spam", 5).await;
    let answer = host.invoke("spam", "hello").await;
    let (pid, folder) = (answer.body["pid"].as_u64().unwrap(), answer.body["folder"].clone());
    host.control("DeleteEndpoint", json!({"EndpointName": "spam"})).await.expect_status(200);
    host.invoke("spam", "hello").await.expect_status(400).expect_error("ValidationError", "spam");
    wait_for_end(pid).await;
    wait_until_gone(&host, "spam").await;
    assert!(!std::path::Path::new(folder.as_str().unwrap()).exists());
    host.stop().await;
}

#[tokio::test]
async fn an_endpoint_can_be_deleted_while_its_container_starts() {
    let host = Host::start().await;
    host.create("spam", json!({"MODE": "slow start"}), 5).await;
    let creating = host.control("DescribeEndpoint", json!({"EndpointName": "spam"})).await;
    assert_eq!(creating.body["EndpointStatus"], "Creating");
    let refused = host.invoke("spam", "hello").await;
    refused.expect_error("ValidationError", "is Creating, not InService");
    host.control("DeleteEndpoint", json!({"EndpointName": "spam"})).await.expect_status(200);
    wait_until_gone(&host, "spam").await;
    host.stop().await;
}

#[tokio::test]
async fn a_deleted_endpoint_is_gone_only_after_the_container_that_was_tried() {
    let host = Host::start().await;
    host.create("spam", json!({"MODE": "slow end"}), 5).await;
    let pid = pid_in_model(&host).await;
    host.control("DeleteEndpoint", json!({"EndpointName": "spam"})).await.expect_status(200);
    wait_until_gone(&host, "spam").await;
    assert!(!is_alive(pid));
    host.stop().await;
}

#[tokio::test]
async fn a_call_that_a_deletion_cuts_off_is_no_error_of_the_model() {
    let host = Host::start().await;
    host.deploy("spam", 5).await;
    host.pid("spam").await;
    let call = host.begin_invoke("spam", "slow");
    tokio::time::sleep(Duration::from_millis(300)).await;
    host.control("DeleteEndpoint", json!({"EndpointName": "spam"})).await.expect_status(200);
    let cut = call.await.unwrap().expect_status(400);
    cut.expect_error("ValidationError", "Endpoint spam of account");
    host.stop().await;
}

#[tokio::test]
async fn stopping_the_host_finishes_the_call_in_flight_and_leaves_no_process() {
    let host = Host::start().await;
    host.deploy("spam", 5).await;
    let pid = host.pid("spam").await;
    let call = host.begin_invoke("spam", "slow");
    tokio::time::sleep(Duration::from_millis(300)).await;
    host.stop().await;
    assert_eq!(call.await.unwrap().status, 200);
    assert!(!is_alive(pid));
}

#[tokio::test]
async fn a_port_or_a_data_folder_in_use_is_named_with_the_way_out() {
    let host = Host::start().await;
    let other = tempfile::tempdir().unwrap();
    let mut taken = config(other.path(), Duration::from_secs(1));
    taken.listen = host.address;
    let error = bind_error(taken).await;
    assert!(error.contains(&host.address.to_string()) && error.contains("--listen"), "{error}");
    let error = bind_error(config(host.data.path(), Duration::from_secs(1))).await;
    assert!(error.contains("in use by another endpoint host"), "{error}");
    host.stop().await;
}

#[tokio::test]
async fn an_address_beyond_loopback_is_refused_without_a_key_to_sign_with() {
    let data = tempfile::tempdir().unwrap();
    let mut config = config(data.path(), Duration::from_secs(1));
    config.listen = ([0, 0, 0, 0], 0).into();
    let error = bind_error(config).await;
    assert!(error.contains("--access-key ID=FILE"), "{error}");
}

/// The process that a container in the mode "slow end" has noted down.
async fn pid_in_model(host: &Host) -> u64 {
    let noted = host.data.path().join("model/pid");
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        if let Ok(pid) = std::fs::read_to_string(&noted).unwrap_or_default().parse() {
            return pid;
        }
        assert!(Instant::now() < deadline, "no container has begun");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

async fn bind_error(config: endpoint_host::Config) -> String {
    let bound: Result<Server, Error> = Server::bind(config, python_container()).await;
    bound.map_or_else(|error| error.to_string(), |_| panic!("the address was bound"))
}

async fn wait_until_gone(host: &Host, name: &str) {
    for _ in 0..500 {
        let answer = host.control("DescribeEndpoint", json!({"EndpointName": name})).await;
        if answer.status == 400 {
            return;
        }
        assert_eq!(answer.body["EndpointStatus"], Value::from("Deleting"));
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("endpoint {name} is still there");
}
