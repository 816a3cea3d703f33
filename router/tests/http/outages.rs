//! What a router does while its PostgreSQL server is away, and when it is back.

use std::net::SocketAddr;
use std::time::Duration;

use router::Config;
use serde_json::{Value, json};

use crate::support::postgres::Cluster;
use crate::support::{Database, SageMaker, World, config};
use crate::wire::Wire;

/// A router whose connections to its database go over a wire, and one without.
async fn pair() -> (World, World, Wire) {
    let direct = World::new().await;
    let url = direct.database.url();
    let wire = Wire::to(server_of(&url)).await;
    let wired = router(over(&wire, &url)).await;
    (wired, direct, wire)
}

/// The address of a database's server.
pub(crate) fn server_of(url: &str) -> SocketAddr {
    url.split(['@', '/']).nth(3).unwrap().parse().unwrap()
}

/// The URL of the same database at the other end of a wire.
pub(crate) fn over(wire: &Wire, url: &str) -> String {
    url.replace(&server_of(url).to_string(), &wire.address.to_string())
}

/// A router on a database that the test looks after.
pub(crate) async fn router(url: String) -> World {
    let (sagemaker, unused) = (SageMaker::start().await, Database::new());
    let config = Config { database: url, ..config(&unused, &sagemaker) };
    World::run(config, sagemaker, unused).await
}

fn review_at(score: f64) -> Value {
    json!({"rules": {"spam": {"review_at": score}}})
}

#[tokio::test]
async fn changes_are_followed_over_connections_that_were_cut() {
    let (wired, direct, wire) = pair().await;
    for silently in [false, true] {
        let version = direct.get("/readyz").await.json()["policy_version"].as_i64().unwrap();
        wired.in_force(version).await;
        if silently {
            wire.cut_silently();
        } else {
            wire.cut();
        }
        let changed = direct.change("scopes/client/plainstore", review_at(0.3)).await;
        assert_eq!(changed.status, 204);
        wired.in_force(version + 1).await;
    }
}

#[tokio::test]
async fn a_router_writes_again_after_its_connections_were_cut() {
    let (wired, _direct, wire) = pair().await;
    wire.cut();
    assert_eq!(wired.moderate("spam=0.8").await["decision"], "review");
    wire.cut_silently();
    // What hangs on the dead connections is given up within seconds.
    let writing = async {
        while wired.change("scopes/client/plainstore", review_at(0.2)).await.status != 204 {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), writing).await.unwrap();
    assert_eq!(wired.moderate("spam=0.2").await["decision"], "review");
}

#[tokio::test]
async fn options_hold_while_the_server_is_away_and_are_the_newest_when_it_is_back() {
    let cluster = Cluster::start();
    let (_, url) = cluster.create();
    let (one, other) = (router(url.clone()).await, router(url).await);
    one.add("scopes/platform", json!({})).await;
    other.in_force(1).await;

    cluster.command("stop fast");
    let refused = one.change("scopes/platform", review_at(0.5)).await;
    refused.refused(503);
    assert_eq!(one.get("/v1/scopes/platform").await.body, "{}");
    assert_eq!(other.get("/readyz").await.json()["policy_version"], 1);
    cluster.command("start");
    let changed = one.change("scopes/platform", json!({"defaults": {"decision": "review"}})).await;
    assert_eq!(changed.status, 204, "{changed:?}");
    other.in_force(2).await;
}
