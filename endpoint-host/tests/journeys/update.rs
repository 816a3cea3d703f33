//! Updates: what is new takes over from what is old, and no call is lost on the way.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::{Value, json};
use tokio::task::JoinHandle;

use crate::host::Host;

#[tokio::test]
async fn an_update_loses_no_call_and_once_in_service_only_what_is_new_answers() {
    let host = Arc::new(Host::start().await);
    host.prepare("v2", json!({"VERSION": "2"}), 20).await;
    host.prepare("v3", json!({"VERSION": "3"}), 20).await;
    host.create("v1", json!({"VERSION": "1"}), 20).await;
    host.settled("v1").await;
    let callers = Callers::start(&host, "v1");
    for (config, version) in [("v2", "2"), ("v3", "3")] {
        update(&host, "v1", config).await.expect_status(200);
        let endpoint = host.settled("v1").await;
        assert_eq!(endpoint["EndpointStatus"], "InService", "{endpoint}");
        assert_eq!(endpoint["EndpointConfigName"], config);
        for _ in 0..20 {
            assert_eq!(version_of(&host, "v1").await, version);
        }
    }
    let versions = callers.stop().await;
    assert_eq!(versions, ["1", "2", "3"].map(str::to_owned).into());
    Arc::into_inner(host).unwrap().stop().await;
}

#[tokio::test]
async fn an_update_that_fails_is_rolled_back_with_its_reason_while_the_old_one_serves() {
    let host = Arc::new(Host::start().await);
    host.prepare("bad", json!({"MODE": "fail"}), 5).await;
    host.prepare("good", json!({"VERSION": "2"}), 5).await;
    host.create("spam", json!({"VERSION": "1"}), 20).await;
    host.settled("spam").await;
    let callers = Callers::start(&host, "spam");
    update(&host, "spam", "bad").await.expect_status(200);
    let endpoint = host.settled("spam").await;
    assert_eq!(endpoint["EndpointStatus"], "InService");
    assert_eq!(endpoint["EndpointConfigName"], "spam");
    assert_eq!(endpoint["PendingDeploymentSummary"], Value::Null);
    let reason = endpoint["FailureReason"].as_str().unwrap();
    assert!(reason.contains("cannot read `spam.model`"), "{reason}");
    assert_eq!(callers.stop().await, ["1".to_owned()].into());
    update(&host, "spam", "good").await.expect_status(200);
    let endpoint = host.settled("spam").await;
    assert_eq!(endpoint["FailureReason"], Value::Null);
    assert_eq!(version_of(&host, "spam").await, "2");
    Arc::into_inner(host).unwrap().stop().await;
}

#[tokio::test]
async fn an_update_is_described_while_it_goes_on_and_refuses_another() {
    let host = Host::start().await;
    host.prepare("slow", json!({"MODE": "slow start"}), 7).await;
    host.deploy("spam", 5).await;
    update(&host, "spam", "slow").await.expect_status(200);
    let endpoint = host.describe("spam").await;
    assert_eq!(endpoint["EndpointStatus"], "Updating");
    assert_eq!(endpoint["EndpointConfigName"], "spam");
    let pending = &endpoint["PendingDeploymentSummary"];
    assert_eq!(pending["EndpointConfigName"], "slow");
    assert!(pending["StartTime"].as_f64().unwrap() >= endpoint["CreationTime"].as_f64().unwrap());
    let variant = &pending["ProductionVariants"][0];
    assert_eq!(variant["DesiredServerlessConfig"]["MaxConcurrency"], 7);
    assert_eq!(variant["VariantStatus"][0]["Status"], "Creating");
    let again = update(&host, "spam", "spam").await.expect_status(400);
    again.expect_error("ValidationException", "Cannot update in-progress endpoint");
    let weights = json!([{"VariantName": "all", "DesiredWeight": 2}]);
    let weights = json!({"EndpointName": "spam", "DesiredWeightsAndCapacities": weights});
    let refused = host.control("UpdateEndpointWeightsAndCapacities", weights).await;
    refused.expect_error("ValidationException", "Cannot update in-progress endpoint");
    host.pid("spam").await;
    host.stop().await;
}

#[tokio::test]
async fn an_endpoint_can_be_deleted_during_its_update_and_created_again() {
    let host = Host::start().await;
    host.prepare("slow", json!({"MODE": "slow start"}), 5).await;
    host.deploy("spam", 5).await;
    let pid = host.pid("spam").await;
    update(&host, "spam", "slow").await.expect_status(200);
    host.control("DeleteEndpoint", json!({"EndpointName": "spam"})).await.expect_status(200);
    host.invoke("spam", "hello").await.expect_status(400);
    host.wait_until_gone("spam").await;
    crate::host::wait_for_end(pid).await;
    let endpoint = json!({"EndpointName": "spam", "EndpointConfigName": "spam"});
    host.control("CreateEndpoint", endpoint).await.expect_status(200);
    assert_eq!(host.settled("spam").await["EndpointStatus"], "InService");
    assert_ne!(host.pid("spam").await, pid);
    host.stop().await;
}

#[tokio::test]
async fn updates_that_lead_nowhere_or_come_too_late_are_refused() {
    let host = Host::start().await;
    host.deploy("spam", 5).await;
    host.create("broken", json!({"MODE": "fail"}), 5).await;
    host.settled("broken").await;
    for (name, config, words) in [
        ("ham", "spam", "Could not find endpoint \\\"arn"),
        ("spam", "ham", "Could not find endpoint configuration"),
        ("broken", "spam", "DeleteEndpoint is the only operation"),
    ] {
        let refused = update(&host, name, config).await.expect_status(400);
        refused.expect_error("ValidationException", words);
    }
    host.stop().await;
}

#[tokio::test]
async fn deployment_settings_are_described_and_reused() {
    let host = Host::start().await;
    host.deploy("spam", 5).await;
    let routing = json!({"Type": "ALL_AT_ONCE", "WaitIntervalInSeconds": 0});
    let policy = json!({"BlueGreenUpdatePolicy": {"TrafficRoutingConfiguration": routing}});
    let mut request = json!({"EndpointName": "spam", "EndpointConfigName": "spam"});
    request["DeploymentConfig"] = policy.clone();
    host.control("UpdateEndpoint", request.clone()).await.expect_status(200);
    assert_eq!(host.settled("spam").await["LastDeploymentConfig"], policy);
    request["DeploymentConfig"] = Value::Null;
    request["RetainDeploymentConfig"] = json!(true);
    host.control("UpdateEndpoint", request.clone()).await.expect_status(200);
    assert_eq!(host.settled("spam").await["LastDeploymentConfig"], policy);
    let canary = json!({"Type": "CANARY", "WaitIntervalInSeconds": 0});
    let canary = json!({"BlueGreenUpdatePolicy": {"TrafficRoutingConfiguration": canary}});
    request["DeploymentConfig"] = canary;
    let refused = host.control("UpdateEndpoint", request).await;
    refused.expect_error("ValidationException", "not supported for serverless endpoints");
    host.stop().await;
}

#[tokio::test]
async fn weights_change_in_place_and_sizes_beside_what_answers() {
    let host = Host::start().await;
    host.deploy("spam", 5).await;
    let pid = host.pid("spam").await;
    let change = async |desired: Value| {
        let request = json!({"EndpointName": "spam", "DesiredWeightsAndCapacities": [desired]});
        host.control("UpdateEndpointWeightsAndCapacities", request).await
    };
    change(json!({"VariantName": "all", "DesiredWeight": 0.25})).await.expect_status(200);
    let endpoint = host.settled("spam").await;
    assert_eq!(endpoint["ProductionVariants"][0]["CurrentWeight"], 0.25);
    assert_eq!(host.pid("spam").await, pid, "the container goes on");
    let size = json!({"MaxConcurrency": 9, "ProvisionedConcurrency": 1});
    let desired = json!({"VariantName": "all", "ServerlessUpdateConfig": size});
    change(desired).await.expect_status(200);
    let endpoint = host.settled("spam").await;
    let variant = &endpoint["ProductionVariants"][0];
    let size = json!({"MemorySizeInMB": 1024, "MaxConcurrency": 9, "ProvisionedConcurrency": 1});
    assert_eq!(variant["CurrentServerlessConfig"], size);
    assert_eq!(variant["DesiredServerlessConfig"], size);
    assert_eq!(variant["CurrentWeight"], 0.25, "what was not asked for stays");
    for (desired, words) in [
        (json!({"VariantName": "other", "DesiredWeight": 1}), "Could not find variant"),
        (json!({"VariantName": "all", "DesiredWeight": -1}), "greater than or equal to 0"),
        (json!({"VariantName": "all", "DesiredWeight": 0}), "weight above 0"),
        (json!({"VariantName": "all", "DesiredInstanceCount": 1}), "DesiredInstanceCount"),
    ] {
        change(desired).await.expect_error("ValidationException", words);
    }
    let retaining = json!({
        "EndpointName": "spam", "EndpointConfigName": "spam", "RetainAllVariantProperties": true,
    });
    host.control("UpdateEndpoint", retaining.clone()).await.expect_status(200);
    let endpoint = host.settled("spam").await;
    assert_eq!(endpoint["ProductionVariants"][0]["CurrentWeight"], 0.25);
    let mut excluding = retaining;
    excluding["ExcludeRetainedVariantProperties"] =
        json!([{"VariantPropertyType": "DesiredWeight"}]);
    host.control("UpdateEndpoint", excluding).await.expect_status(200);
    let endpoint = host.settled("spam").await;
    assert_eq!(endpoint["ProductionVariants"][0]["CurrentWeight"], 1.0);
    host.stop().await;
}

#[tokio::test]
async fn an_update_under_load_takes_over_with_as_many_containers_and_throttles_no_call() {
    let host = Arc::new(Host::start().await);
    host.prepare("v2", json!({"VERSION": "2"}), 3).await;
    host.create("v1", json!({"VERSION": "1"}), 3).await;
    host.settled("v1").await;
    let meeting = (0..3).map(|_| host.begin_invoke("v1", "meet 3"));
    for call in meeting.collect::<Vec<_>>() {
        call.await.unwrap().expect_status(200);
    }
    host.count_starts();
    update(&host, "v1", "v2").await.expect_status(200);
    host.settled("v1").await;
    assert_eq!(host.starts(), 3);
    // Three at once, were there fewer, would have to wait for a start.
    let calls: Vec<_> = (0..3).map(|_| host.begin_invoke("v1", "slow")).collect();
    let mut pids = BTreeSet::new();
    for call in calls {
        let answer = call.await.unwrap().expect_status(200);
        pids.insert(answer.body["pid"].as_u64().unwrap());
    }
    assert_eq!(pids.len(), 3);
    assert_eq!(host.starts(), 3);
    Arc::into_inner(host).unwrap().stop().await;
}

#[tokio::test]
async fn an_update_whose_model_is_proven_takes_over_even_if_other_containers_do_not_start() {
    let host = Host::start().await;
    host.prepare("v2", json!({"VERSION": "2", "MODE": "alone"}), 2).await;
    host.create("v1", json!({"VERSION": "1"}), 2).await;
    host.settled("v1").await;
    for call in (0..2).map(|_| host.begin_invoke("v1", "meet 2")).collect::<Vec<_>>() {
        call.await.unwrap().expect_status(200);
    }
    update(&host, "v1", "v2").await.expect_status(200);
    let endpoint = host.settled("v1").await;
    assert_eq!(endpoint["EndpointConfigName"], "v2", "{endpoint}");
    assert_eq!(version_of(&host, "v1").await, "2");
    host.stop().await;
}

#[tokio::test]
async fn calls_beyond_max_concurrency_are_held_where_an_update_has_just_taken_over() {
    let host = Host::start().await;
    // The longer a start takes, the longer calls are held.
    host.prepare("v2", json!({"VERSION": "2", "MODE": "late start"}), 2).await;
    host.create("v1", json!({"VERSION": "1"}), 2).await;
    host.settled("v1").await;
    host.pid("v1").await;
    update(&host, "v1", "v2").await.expect_status(200);
    host.settled("v1").await;
    // More than one container can answer, and there is no other yet.
    for call in (0..8).map(|_| host.begin_invoke("v1", "hello")).collect::<Vec<_>>() {
        call.await.unwrap().expect_status(200);
    }
    host.stop().await;
}

async fn update(host: &Host, name: &str, config: &str) -> crate::host::Answer {
    let request = json!({"EndpointName": name, "EndpointConfigName": config});
    host.control("UpdateEndpoint", request).await
}

async fn version_of(host: &Host, name: &str) -> String {
    let answer = host.invoke(name, "hello").await.expect_status(200);
    answer.body["environment"]["VERSION"].as_str().unwrap().to_owned()
}

/// Tasks that call an endpoint without a pause; a call that fails ends their test.
struct Callers {
    stop: Arc<AtomicBool>,
    tasks: Vec<JoinHandle<BTreeSet<String>>>,
}

impl Callers {
    fn start(host: &Arc<Host>, name: &'static str) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let call = || {
            let (host, stop) = (Arc::clone(host), Arc::clone(&stop));
            tokio::spawn(async move {
                let mut versions = BTreeSet::new();
                while !stop.load(Ordering::Relaxed) {
                    versions.insert(version_of(&host, name).await);
                }
                versions
            })
        };
        Self { tasks: (0..4).map(|_| call()).collect(), stop }
    }

    /// The versions that answered.
    async fn stop(self) -> BTreeSet<String> {
        self.stop.store(true, Ordering::Relaxed);
        let mut versions = BTreeSet::new();
        for task in self.tasks {
            versions.extend(task.await.unwrap());
        }
        versions
    }
}
