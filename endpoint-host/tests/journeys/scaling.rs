//! As many containers as the load needs, cold calls that are held, and provisioned ones.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use serde_json::json;
use tokio::task::JoinHandle;

use crate::host::{Answer, Host, is_alive, wait_for_end};

#[tokio::test]
async fn calls_that_need_each_other_get_a_container_each() {
    let host = Host::start().await;
    host.deploy("spam", 4).await;
    let calls: Vec<_> = (0..4).map(|_| host.begin_invoke("spam", "meet 4")).collect();
    assert_eq!(pids(calls).await.len(), 4);
    host.stop().await;
}

#[tokio::test]
async fn quick_calls_one_after_the_other_share_one_container() {
    let host = Host::start().await;
    host.deploy("spam", 5).await;
    let first = host.pid("spam").await;
    for _ in 0..100 {
        assert_eq!(host.pid("spam").await, first);
    }
    host.stop().await;
}

#[tokio::test]
async fn cold_calls_beyond_max_concurrency_are_held_and_answered() {
    let host = Host::start().await;
    host.deploy("spam", 1).await;
    let calls: Vec<_> = (0..50).map(|_| host.begin_invoke("spam", "hello")).collect();
    assert_eq!(pids(calls).await.len(), 1);
    host.stop().await;
}

#[tokio::test]
async fn more_cold_calls_than_may_be_held_are_throttled() {
    let host = Host::start_with(|config| config.cold_queue = 2).await;
    host.deploy("spam", 1).await;
    let calls: Vec<_> = (0..10).map(|_| host.begin_invoke("spam", "slow")).collect();
    let mut statuses = Vec::new();
    for call in calls {
        statuses.push(call.await.unwrap().status);
    }
    let answered = statuses.iter().filter(|status| **status == 200).count();
    assert!((1..=3).contains(&answered), "{statuses:?}");
    assert_eq!(statuses.iter().filter(|status| **status == 400).count(), 10 - answered);
    host.stop().await;
}

#[tokio::test]
async fn a_cold_call_without_a_container_in_time_is_told_that_the_model_is_not_ready() {
    let host = Host::start_with(|config| config.cold_deadline = Duration::from_millis(300)).await;
    host.deploy("spam", 1).await;
    host.obstruct("dawdle");
    let late = host.invoke("spam", "hello").await.expect_status(429);
    late.expect_error("ModelNotReadyException", "no container was ready");
    host.clear("dawdle");
    host.answers_again("spam").await;
    host.stop().await;
}

#[tokio::test]
async fn callers_who_leave_while_they_are_held_give_up_their_place() {
    let host = Host::start_with(|config| config.cold_queue = 0).await;
    host.deploy("spam", 1).await;
    host.obstruct("dawdle");
    let held = host.send_call("spam", 4, "slow").await;
    let refused = host.invoke("spam", "hello").await.expect_status(400);
    refused.expect_error("ThrottlingException", "null");
    drop(held);
    host.clear("dawdle");
    host.answers_again("spam").await;
    host.stop().await;
}

#[tokio::test]
async fn a_start_that_fails_fails_all_calls_that_are_held_with_its_reason() {
    let host = Host::start().await;
    host.deploy("spam", 1).await;
    host.obstruct("broken");
    let calls: Vec<_> = (0..10).map(|_| host.begin_invoke("spam", "hello")).collect();
    for call in calls {
        let failed = call.await.unwrap().expect_status(424);
        failed.expect_error("ModelError", "`broken` is in the way");
    }
    host.stop().await;
}

#[tokio::test]
async fn a_crash_loop_starts_ever_fewer_containers() {
    let host = Host::start().await;
    host.deploy("spam", 1).await;
    host.obstruct("broken");
    let until = Instant::now() + Duration::from_secs(2);
    while Instant::now() < until {
        host.invoke("spam", "hello").await.expect_status(424);
    }
    let started = std::fs::read_to_string(host.data.path().join("model/broken")).unwrap().len();
    // Pauses of 50, 100, 200, 400, 800, 1600 ms: six starts fit, as the first has no pause, and the
    // last call waits for one more.
    assert!((2..=7).contains(&started), "{started}");
    host.clear("broken");
    host.answers_again("spam").await;
    host.stop().await;
}

#[tokio::test]
async fn a_cold_call_soon_after_a_start_that_failed_is_held_until_the_next() {
    let host = Host::start().await;
    host.deploy("spam", 1).await;
    host.obstruct("broken");
    for _ in 0..5 {
        host.invoke("spam", "hello").await.expect_status(424);
    }
    host.clear("broken");
    host.invoke("spam", "hello").await.expect_status(200);
    host.stop().await;
}

#[tokio::test]
async fn provisioned_containers_are_there_before_the_first_call_and_stay() {
    let host = Host::start_with_idle(Duration::from_millis(100)).await;
    host.create_provisioned("spam", 3, 2).await;
    assert_eq!(host.settled("spam").await["EndpointStatus"], "InService");
    // Were they not there already, none could be started any more.
    host.obstruct("broken");
    let meet = || (0..2).map(|_| host.begin_invoke("spam", "meet 2")).collect();
    let first = pids(meet()).await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(pids(meet()).await, first);
    host.stop().await;
    assert!(!first.iter().any(|pid| is_alive(*pid)));
}

#[tokio::test]
async fn a_provisioned_container_that_dies_is_replaced_without_a_call() {
    let host = Host::start().await;
    host.create_provisioned("spam", 1, 1).await;
    host.settled("spam").await;
    let first = host.pid("spam").await;
    host.count_starts();
    let kill = std::process::Command::new("kill").args(["-9", &first.to_string()]).status();
    assert!(kill.unwrap().success());
    wait_for_end(first).await;
    let deadline = Instant::now() + Duration::from_secs(20);
    while host.starts() == 0 {
        assert!(Instant::now() < deadline, "nothing is started");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_ne!(host.pid("spam").await, first);
    assert_eq!(host.starts(), 1);
    host.stop().await;
}

#[tokio::test]
async fn containers_beyond_those_provisioned_end_when_idle() {
    let host = Host::start_with_idle(Duration::from_millis(300)).await;
    host.create_provisioned("spam", 3, 1).await;
    host.settled("spam").await;
    let meeting = pids((0..3).map(|_| host.begin_invoke("spam", "meet 3")).collect()).await;
    assert_eq!(meeting.len(), 3);
    let deadline = Instant::now() + Duration::from_secs(20);
    while meeting.iter().filter(|pid| is_alive(**pid)).count() > 1 {
        assert!(Instant::now() < deadline, "{meeting:?} are still there");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    tokio::time::sleep(Duration::from_millis(600)).await;
    assert!(meeting.contains(&host.pid("spam").await));
    host.stop().await;
}

#[tokio::test]
async fn an_update_lets_the_calls_that_are_held_be_answered() {
    let host = Host::start().await;
    host.deploy("spam", 1).await;
    let size = json!({"MemorySizeInMB": 1024, "MaxConcurrency": 1});
    let variant = json!({"VariantName": "all", "ModelName": "spam", "ServerlessConfig": size});
    let next = json!({"EndpointConfigName": "next", "ProductionVariants": [variant]});
    host.control("CreateEndpointConfig", next).await.expect_status(200);
    let calls: Vec<_> = (0..5).map(|_| host.begin_invoke("spam", "slow")).collect();
    // Lets the host take them in.
    tokio::time::sleep(Duration::from_millis(200)).await;
    let update = json!({"EndpointName": "spam", "EndpointConfigName": "next"});
    host.control("UpdateEndpoint", update).await.expect_status(200);
    let old = pids(calls).await;
    assert_eq!(old.len(), 1);
    wait_for_end(*old.first().unwrap()).await;
    assert!(!old.contains(&host.pid("spam").await));
    host.stop().await;
}

async fn pids(calls: Vec<JoinHandle<Answer>>) -> BTreeSet<u64> {
    let mut pids = BTreeSet::new();
    for call in calls {
        let answer = call.await.unwrap().expect_status(200);
        pids.insert(answer.body["pid"].as_u64().unwrap());
    }
    pids
}
