//! A router with its models for one test, and the few words that tests are written in.

mod database;
mod holder;
pub(crate) mod postgres;
mod sagemaker;

use std::net::SocketAddr;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, Request, StatusCode};
use http_body_util::BodyExt;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use router::{Config, Error, Server};
use serde_json::{Value, json};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

pub(crate) use database::Database;
pub(crate) use holder::{Holder, until};
pub(crate) use sagemaker::SageMaker;

/// A running router, its database, and a stand-in for SageMaker.
pub(crate) struct World {
    pub(crate) sagemaker: SageMaker,
    pub(crate) database: Database,
    router: Running,
    client: Client<HttpConnector, Body>,
}

struct Running {
    address: SocketAddr,
    stop: oneshot::Sender<()>,
    served: JoinHandle<Result<(), Error>>,
}

/// The parts of an answer that tests look at.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl World {
    /// A router that knows nothing yet.
    pub(crate) async fn empty() -> Self {
        let sagemaker = SageMaker::start().await;
        let database = Database::new();
        Self::run(config(&database, &sagemaker), sagemaker, database).await
    }

    /// A router with these settings.
    pub(crate) async fn run(config: Config, sagemaker: SageMaker, database: Database) -> Self {
        let router = run(config).await;
        let client = Client::builder(TokioExecutor::new()).build_http();
        Self { sagemaker, database, router, client }
    }

    /// A router with the model `spam`, one rule on the platform, and three scopes below.
    pub(crate) async fn new() -> Self {
        let world = Self::empty().await;
        world.add("models/spam", json!({"endpoint": {"sagemaker": "spam"}, "version": "1"})).await;
        let spam = json!({"model": "spam", "label": "spam", "review_at": 0.7, "reject_at": 0.95});
        world.add("scopes/platform", json!({"rules": {"spam": spam}})).await;
        world.add("scopes/industry/beer", json!({"rules": {"spam": {"review_at": 0.6}}})).await;
        world.add("scopes/client/alehouse", json!({"parent": "industry/beer"})).await;
        world.add("scopes/client/plainstore", json!({})).await;
        world
    }

    /// Another router on the same database.
    pub(crate) async fn beside(&self) -> Self {
        let sagemaker = SageMaker::start().await;
        let config = config(&self.database, &sagemaker);
        Self::run(config, sagemaker, self.database.clone()).await
    }

    /// Waits until this policy version is in force.
    pub(crate) async fn in_force(&self, version: i64) {
        let coming = async {
            while self.get("/readyz").await.json()["policy_version"] != version {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), coming).await.unwrap();
    }

    /// Puts a document that must be new and fine.
    pub(crate) async fn add(&self, subject: &str, document: Value) -> String {
        let answer = self.put(subject, &[("if-none-match", "*")], document).await;
        assert_eq!(answer.status, 201, "{subject}: {answer:?}");
        answer.headers["etag"].to_str().unwrap().to_owned()
    }

    /// Puts a document in place of one that must exist.
    pub(crate) async fn change(&self, subject: &str, document: Value) -> Answer {
        self.put(subject, &[("if-match", "*")], document).await
    }

    pub(crate) async fn put(
        &self,
        subject: &str,
        headers: &[(&str, &str)],
        document: Value,
    ) -> Answer {
        let headers = [&[("content-type", "application/json")], headers].concat();
        self.send("PUT", &format!("/v1/{subject}"), &headers, document.to_string()).await
    }

    /// Moderates a review of plainstore.
    pub(crate) async fn moderate(&self, text: &str) -> Value {
        self.moderate_with(json!({"fields": {"text": text}})).await
    }

    /// Moderates with these members besides, or instead of, the usual ones.
    pub(crate) async fn moderate_with(&self, members: Value) -> Value {
        let answer = self.post("/v1/moderate", content(members).to_string()).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.json()
    }

    pub(crate) async fn post(&self, path: &str, body: impl Into<Body>) -> Answer {
        self.send("POST", path, &[("content-type", "application/json")], body).await
    }

    pub(crate) async fn post_lines(&self, body: impl Into<Body>) -> Answer {
        self.send("POST", "/v1/moderate", &[("content-type", "application/x-ndjson")], body).await
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.send("GET", path, &[], "").await
    }

    pub(crate) async fn send(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Body>,
    ) -> Answer {
        let uri = format!("http://{}{path}", self.router.address);
        let request = headers
            .iter()
            .fold(Request::builder().method(method).uri(uri), |request, (name, value)| {
                request.header(*name, *value)
            });
        let response = self.client.request(request.body(body.into()).unwrap()).await.unwrap();
        let (parts, body) = response.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        Answer { status: parts.status, headers: parts.headers, body }
    }

    /// The router's address, for tests that speak bytes to it.
    pub(crate) fn address(&self) -> SocketAddr {
        self.router.address
    }

    /// Stops the router, which drains, and returns what it leaves.
    pub(crate) async fn stop(self) -> (SageMaker, Database) {
        let Self { sagemaker, database, router, client } = self;
        drop(client);
        router.stop.send(()).unwrap();
        router.served.await.unwrap().unwrap();
        (sagemaker, database)
    }

    /// Stops the router and starts another on the same database.
    pub(crate) async fn restart(self) -> Self {
        let (sagemaker, database) = self.stop().await;
        Self::run(config(&database, &sagemaker), sagemaker, database).await
    }
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    pub(crate) fn lines(&self) -> Vec<Value> {
        let lines = self.body.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
        lines.map(|line| serde_json::from_slice(line).unwrap()).collect()
    }

    /// The detail of a problem of this status.
    #[track_caller]
    pub(crate) fn refused(&self, status: u16) -> String {
        assert_eq!(self.status, status, "{self:?}");
        assert_eq!(self.headers["content-type"], "application/problem+json");
        let problem = self.json();
        assert_eq!(problem["status"], status);
        assert!(problem["type"].as_str().unwrap().starts_with("/problems/"));
        problem["detail"].as_str().unwrap().to_owned()
    }
}

/// A review of plainstore, with these members besides, or instead of, the usual ones.
pub(crate) fn content(members: Value) -> Value {
    let mut content = json!({"client": "plainstore", "content_id": "r-1"});
    let Value::Object(members) = members else { panic!("not an object: {members}") };
    content.as_object_mut().unwrap().extend(members);
    content
}

/// Settings for a router on a free port.
pub(crate) fn config(database: &Database, sagemaker: &SageMaker) -> Config {
    Config {
        listen: "127.0.0.1:0".parse().unwrap(),
        database: database.url(),
        spool: database.spool(),
        spool_limit: 1,
        sagemaker_endpoint_url: Some(sagemaker.url().parse().unwrap()),
        ..Config::default()
    }
}

async fn run(config: Config) -> Running {
    let server = Server::bind(config).await.unwrap();
    let address = server.address();
    let (stop, stopped) = oneshot::channel();
    let served = tokio::spawn(server.serve(async { stopped.await.unwrap_or_default() }));
    Running { address, stop, served }
}
