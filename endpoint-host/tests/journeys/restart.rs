//! What a host that was killed left behind, and what the next one makes of it.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use endpoint_host::{Error, Server};
use serde_json::json;
use sqlx::ConnectOptions as _;
use sqlx::sqlite::SqliteConnectOptions;
use tempfile::TempDir;

use crate::host::{Host, config, python_container};

/// A host that begins with what another had on its disk in this very moment, as if that one had
/// been killed.
async fn successor(killed: &Host) -> Host {
    let data = copy_of(killed.data.path());
    let root = killed.data.path().to_owned();
    Host::start_in_with(data, |config| config.model_roots.push(root)).await
}

fn copy_of(data: &Path) -> TempDir {
    let copy = tempfile::tempdir().unwrap();
    let state = data.join("endpoint-host");
    let copied = Command::new("cp").arg("-r").args([&state, copy.path()]).status().unwrap();
    assert!(copied.success());
    copy
}

#[tokio::test]
async fn everything_survives_a_kill() {
    let killed = Host::start().await;
    killed.create("spam", json!({"VERSION": "1"}), 5).await;
    killed.settled("spam").await;
    let arn = killed.describe("spam").await["EndpointArn"].clone();
    let tags = json!([{"Key": "team", "Value": "trust"}]);
    let tag = json!({"ResourceArn": arn, "Tags": tags});
    killed.control("AddTags", tag).await.expect_status(200);
    let weights = json!([{"VariantName": "all", "DesiredWeight": 0.5}]);
    let weights = json!({"EndpointName": "spam", "DesiredWeightsAndCapacities": weights});
    killed.control("UpdateEndpointWeightsAndCapacities", weights).await.expect_status(200);
    let before = killed.settled("spam").await;
    let next = successor(&killed).await;
    assert_eq!(next.describe("spam").await, before);
    assert_eq!(before["ProductionVariants"][0]["CurrentWeight"], 0.5);
    let found = next.control("ListTags", json!({"ResourceArn": arn})).await;
    assert_eq!(found.body["Tags"], tags);
    let answer = next.invoke("spam", "hello").await.expect_status(200);
    assert_eq!(answer.body["environment"]["VERSION"], "1");
    next.stop().await;
    killed.stop().await;
}

#[tokio::test]
async fn what_was_coming_up_comes_up_and_what_was_going_away_goes() {
    let killed = Host::start().await;
    killed.prepare("slow", json!({"MODE": "slow start"}), 5).await;
    killed.deploy("updating", 5).await;
    killed.deploy("deleting", 5).await;
    let update = json!({"EndpointName": "updating", "EndpointConfigName": "slow"});
    killed.control("UpdateEndpoint", update).await.expect_status(200);
    killed.create("creating", json!({"MODE": "slow start"}), 5).await;
    let call = killed.begin_invoke("deleting", "slow");
    killed.control("DeleteEndpoint", json!({"EndpointName": "deleting"})).await.expect_status(200);
    let next = successor(&killed).await;
    assert_eq!(next.describe("creating").await["EndpointStatus"], "Creating");
    let updating = next.describe("updating").await;
    assert_eq!(updating["EndpointStatus"], "Updating");
    assert_eq!(updating["PendingDeploymentSummary"]["EndpointConfigName"], "slow");
    next.pid("updating").await;
    next.wait_until_gone("deleting").await;
    next.stop().await;
    drop(call);
    killed.stop().await;
}

#[tokio::test]
async fn an_endpoint_whose_creation_a_stopped_host_broke_off_has_not_failed() {
    let host = Host::start().await;
    host.create("spam", json!({"MODE": "slow start"}), 5).await;
    let next = Host::start_in_with(host.stop().await, |_| {}).await;
    assert_eq!(next.describe("spam").await["EndpointStatus"], "Creating");
    next.stop().await;
}

/// Has an endpoint in service roll back and another fail, and puts folders there for what all of
/// them served; prints the one that is needed.
const BREAK_OFF: &str = "
import json, os, sqlite3, sys, uuid
own = sys.argv[1]
database = sqlite3.connect(f'{own}/host.db')
def folder(serving):
    os.makedirs(f'{own}/endpoints/{serving[\"id\"]}/all/model', exist_ok=True)
for name, status in [('rolling', 'RollingBack'), ('failed', 'Failed')]:
    where = \"WHERE kind = 'endpoint' AND name = ?\"
    [text] = database.execute(f'SELECT document FROM records {where}', [name]).fetchone()
    endpoint = json.loads(text)
    endpoint['status'] = status
    endpoint['pending'] = {**endpoint['serving'], 'id': str(uuid.uuid4())}
    folder(endpoint['serving']), folder(endpoint['pending'])
    if status == 'RollingBack':
        print(endpoint['serving']['id'])
    database.execute(f'UPDATE records SET document = ? {where}', [json.dumps(endpoint), name])
database.commit()
";

#[tokio::test]
async fn folders_of_what_failed_or_was_rolled_back_do_not_outlive_a_host_that_was_killed() {
    let host = Host::start().await;
    host.deploy("rolling", 5).await;
    host.deploy("failed", 5).await;
    let data = host.stop().await;
    let own = data.path().join("endpoint-host");
    let broken = Command::new("python3").args(["-c", BREAK_OFF]).arg(&own).output().unwrap();
    assert!(broken.status.success(), "{broken:?}");
    let next = Host::start_in_with(data, |_| {}).await;
    let left = std::fs::read_dir(own.join("endpoints")).unwrap();
    let left: Vec<_> = left.map(|left| left.unwrap().file_name().into_string().unwrap()).collect();
    assert_eq!(left, [String::from_utf8(broken.stdout).unwrap().trim()]);
    assert_eq!(next.describe("failed").await["EndpointStatus"], "Failed");
    assert_eq!(next.settled("rolling").await["EndpointStatus"], "InService");
    next.stop().await;
}

#[tokio::test]
async fn a_damaged_database_is_named_with_the_way_out() {
    let host = Host::start().await;
    host.deploy("spam", 5).await;
    // What a host has stopped is all in one file; a killed one's log would repair it.
    let data = host.stop().await;
    let database = data.path().join("endpoint-host/host.db");
    std::fs::write(&database, "this is no database, but long enough to be read as one".repeat(99))
        .unwrap();
    let error = bind_error(data.path()).await;
    assert!(error.contains("host.db") && error.contains("restore it"), "{error}");
}

#[tokio::test]
async fn a_database_of_a_newer_gatehouse_is_refused() {
    let host = Host::start().await;
    let data = copy_of(host.data.path());
    host.stop().await;
    let database = data.path().join("endpoint-host/host.db");
    let future = "import sqlite3, sys; database = sqlite3.connect(sys.argv[1]); \
                  database.execute(\"INSERT INTO _sqlx_migrations (version, description, success, \
                  checksum, execution_time) VALUES (9999, 'later', 1, x'00', 0)\"); \
                  database.commit()";
    let changed = Command::new("python3").args(["-c", future]).arg(&database).status().unwrap();
    assert!(changed.success());
    let error = bind_error(data.path()).await;
    assert!(error.contains("newer Gatehouse"), "{error}");
}

async fn bind_error(data: &Path) -> String {
    let settings = config(data, std::time::Duration::from_secs(1));
    let bound: Result<Server, Error> = Server::bind(settings, python_container()).await;
    bound.map_or_else(|error| error.to_string(), |_| panic!("the database was taken"))
}

#[tokio::test]
async fn what_a_caller_who_leaves_has_begun_ends_in_memory_as_on_disk() {
    let host = Host::start().await;
    let container = json!({"Image": "gatehouse/model-container", "ModelDataUrl": host.model_url()});
    let model = json!({"ModelName": "left", "PrimaryContainer": container}).to_string();
    let database = host.data.path().join("endpoint-host/host.db");
    let options = SqliteConnectOptions::new().filename(database);
    let mut writer = options.connect().await.unwrap();
    // While another writes, the host's own change waits, and its caller leaves.
    sqlx::query("BEGIN IMMEDIATE").execute(&mut writer).await.unwrap();
    drop(host.send_operation("CreateModel", &model).await);
    tokio::time::sleep(Duration::from_millis(200)).await;
    sqlx::query("ROLLBACK").execute(&mut writer).await.unwrap();
    let deadline = Instant::now() + Duration::from_secs(20);
    let name = json!({"ModelName": "left"});
    while host.control("DescribeModel", name.clone()).await.status != 200 {
        assert!(Instant::now() < deadline, "the host does not know what its database has");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    host.stop().await;
}
