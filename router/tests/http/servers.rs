//! What is agreed upon with a PostgreSQL server: by the URL, and for things that take long.

use router::Server;
use serde_json::json;
use sqlx::{AnyConnection, Connection};

use crate::outages::router;
use crate::support::postgres::Cluster;
use crate::support::{Database, SageMaker, World, config};

async fn ask(database: &mut AnyConnection, sql: &'static str) -> i64 {
    sqlx::query_scalar(sql).fetch_one(database).await.unwrap()
}

#[tokio::test]
async fn every_connection_is_made_as_the_url_says() {
    let cluster = Cluster::start();
    let (_, url) = cluster.create();
    sqlx::any::install_default_drivers();
    let mut database = AnyConnection::connect(&url).await.unwrap();
    let setup = "CREATE SCHEMA elsewhere; CREATE ROLE \"ro:u@ter\" LOGIN SUPERUSER";
    sqlx::raw_sql(setup).execute(&mut database).await.unwrap();
    let place = url.split_once('@').unwrap().1;
    let world = router(format!(
        "postgres://ro%3Au%40ter@{place}?options=-c%20search_path%3Delsewhere&application_name=gate"
    ))
    .await;
    world.add("models/spam", json!({"endpoint": {"sagemaker": "spam"}})).await;
    let spam = json!({"model": "spam", "label": "spam", "review_at": 0.7});
    world.add("scopes/platform", json!({"rules": {"spam": spam}})).await;
    world.add("scopes/client/plainstore", json!({})).await;
    assert_eq!(world.moderate("spam=0.9").await["decision"], "review");
    for table in [
        "SELECT count(*) FROM elsewhere.decisions",
        "SELECT count(*) FROM elsewhere.documents WHERE subject = 'scopes/platform'",
    ] {
        assert_eq!(ask(&mut database, table).await, 1, "{table}");
    }
    let others = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()
                  AND pid <> pg_backend_pid()
                  AND (application_name <> 'gate' OR usename <> 'ro:u@ter')";
    assert_eq!(ask(&mut database, others).await, 0);
    world.stop().await;
}

#[tokio::test]
async fn the_options_are_given_as_long_to_be_read_as_the_router_waits_for_them() {
    let world = World::new().await;
    // They can only be seen by a statement that may take so long.
    let hide = "ALTER TABLE documents RENAME TO kept;
                CREATE VIEW documents AS
                SELECT * FROM kept WHERE current_setting('statement_timeout') = '30s'";
    sqlx::raw_sql(hide).execute(&mut world.database.connect().await).await.unwrap();
    let world = world.restart().await;
    assert_eq!(world.get("/v1/scopes/client/alehouse").await.status, 200);
}

#[tokio::test]
async fn migrations_take_longer_than_the_statements_of_their_user_may() {
    let database = Database::new();
    let hurry = "DO $$ BEGIN
                     EXECUTE format('ALTER DATABASE %I SET statement_timeout = 500',
                                    current_database());
                 END $$;
                 SET statement_timeout = 0;
                 CREATE FUNCTION tarry() RETURNS event_trigger LANGUAGE plpgsql AS
                     'BEGIN PERFORM pg_sleep(1); END';
                 CREATE EVENT TRIGGER tarry ON ddl_command_start WHEN TAG IN ('COMMENT')
                     EXECUTE FUNCTION tarry()";
    sqlx::raw_sql(hurry).execute(&mut database.connect().await).await.unwrap();
    let sagemaker = SageMaker::start().await;
    Server::bind(config(&database, &sagemaker)).await.unwrap();
}

#[tokio::test]
async fn migrations_do_not_wait_for_ever_for_what_others_hold() {
    let database = Database::new();
    let demand = "CREATE FUNCTION demand() RETURNS event_trigger LANGUAGE plpgsql AS $$
                  BEGIN
                      IF current_setting('lock_timeout') = '0'
                          OR current_setting('idle_in_transaction_session_timeout') = '0' THEN
                          RAISE EXCEPTION 'this may wait for ever';
                      END IF;
                  END $$;
                  CREATE EVENT TRIGGER demand ON ddl_command_start EXECUTE FUNCTION demand()";
    sqlx::raw_sql(demand).execute(&mut database.connect().await).await.unwrap();
    let sagemaker = SageMaker::start().await;
    Server::bind(config(&database, &sagemaker)).await.unwrap();
}
