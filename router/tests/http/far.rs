//! A database that is far away, or that others reach more slowly: slow is not away.

use std::time::Duration;

use futures_util::future::join_all;
use serde_json::json;
use sqlx::migrate::Migrate;
use sqlx::{Connection, PgConnection};
use tokio::time::{sleep, timeout};

use crate::outages::{over, router, server_of};
use crate::spooling::{decide, drained, spooled, stored};
use crate::support::{Database, World};
use crate::wire::Wire;

const ROUND_TRIP: Duration = Duration::from_millis(200);

#[tokio::test]
async fn a_far_database_keeps_decisions_gives_options_and_takes_what_was_spooled() {
    let direct = World::new().await;
    let url = direct.database.url();
    let wire = Wire::far(server_of(&url), ROUND_TRIP).await;
    let wired = router(over(&wire, &url)).await;
    wired.in_force(5).await;
    let mut decisions = 0;
    straight(&wired, &mut decisions).await;
    assert_eq!(stored(&direct).await, decisions);

    let options = json!({"rules": {"spam": {"review_at": 0.3}}});
    assert_eq!(direct.change("scopes/client/plainstore", options.clone()).await.status, 204);
    wired.in_force(6).await;
    assert_eq!(wired.change("scopes/client/plainstore", options).await.status, 204);
    direct.in_force(7).await;

    for silently in [false, true] {
        if silently {
            wire.cut_silently();
        } else {
            wire.cut();
        }
        decide(&wired, 10).await;
        decisions += 10;
        drained(&wired).await;
        assert_eq!(stored(&direct).await, decisions);
        straight(&wired, &mut decisions).await;
    }
    assert_eq!(stored(&direct).await, decisions);
}

/// Decides until that went straight into the database several times, as it does more often than
/// not, whatever else the machine does.
async fn straight(world: &World, decisions: &mut i64) {
    let mut went_straight = 0;
    for tries in 1..=10 {
        decide(world, 3).await;
        *decisions += 3;
        if spooled(&world.database.spool()).is_empty() {
            went_straight += 1;
        }
        if went_straight == 5 {
            return;
        }
        assert!(tries < 10, "only {went_straight} of {tries} went straight into the database");
        drained(world).await;
    }
}

#[tokio::test]
async fn a_router_that_looks_on_while_another_makes_the_tables_waits_for_it() {
    let database = Database::new();
    let url = database.url();
    let mut other = PgConnection::connect(&url).await.unwrap();
    other.lock().await.unwrap();
    // No router would take the database for its own.
    sqlx::query("CREATE TABLE half_made ()").execute(&mut other).await.unwrap();
    let starting = join_all((0..3).map(|_| router(url.clone())));
    let finishing = async {
        until_wait(&mut other, 3).await;
        sqlx::query("DROP TABLE half_made").execute(&mut other).await.unwrap();
        other.unlock().await.unwrap();
    };
    let (routers, ()) = tokio::join!(starting, finishing);
    routers[0].add("scopes/platform", json!({})).await;
    for router in &routers {
        router.in_force(1).await;
    }
}

/// Waits until so many others wait for a lock such as the migrations'.
async fn until_wait(database: &mut PgConnection, count: i64) {
    let waiting = async {
        let others = "SELECT count(*) FROM pg_locks JOIN pg_database ON oid = database
                      WHERE datname = current_database() AND locktype = 'advisory' AND NOT granted";
        while sqlx::query_scalar::<_, i64>(others).fetch_one(&mut *database).await.unwrap() < count
        {
            sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(Duration::from_secs(20), waiting).await.unwrap();
}
