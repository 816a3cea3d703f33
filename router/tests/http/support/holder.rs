//! Callers who hold a key.

use std::time::Duration;

use axum::body::Body;
use router::keys::{self, NewKey};
use serde_json::{Value, json};
use tokio::time::{sleep, timeout};

use super::{Answer, World};

/// Somebody with a key of a router.
pub(crate) struct Holder<'a> {
    world: &'a World,
    pub(crate) key: String,
    pub(crate) key_id: String,
}

impl World {
    /// Makes the first key as an operator does, and waits until the router asks for keys.
    pub(crate) async fn admin(&self) -> Holder<'_> {
        let new = NewKey {
            owner: "root".to_owned(),
            scopes: vec!["admin".to_owned()],
            expires: None,
            rate_limit_per_minute: None,
        };
        let made = keys::create(&self.database.url(), new).await.unwrap();
        until(async || self.get("/v1/models").await.status == 401).await;
        Holder { world: self, key: made.key.reveal().to_owned(), key_id: made.key_id }
    }
}

/// Waits for what is to be so soon.
pub(crate) async fn until(is_so: impl AsyncFn() -> bool) {
    let waiting = async {
        while !is_so().await {
            sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(Duration::from_secs(20), waiting).await.unwrap();
}

impl<'a> Holder<'a> {
    /// Somebody with a key that no router knows.
    pub(crate) fn nobody(world: &'a World) -> Self {
        Self { world, key: String::new(), key_id: String::new() }
    }

    /// Somebody else, with a new key of this owner and these scopes.
    pub(crate) async fn make(&self, owner: &str, scopes: &[&str]) -> Holder<'a> {
        self.make_with(json!({"owner": owner, "scopes": scopes})).await
    }

    pub(crate) async fn make_with(&self, members: Value) -> Holder<'a> {
        let made = self.post("/v1/keys", members).await;
        assert_eq!(made.status, 201, "{made:?}");
        let text = |name: &str| made.json()[name].as_str().unwrap().to_owned();
        Holder { world: self.world, key: text("key"), key_id: text("key_id") }
    }

    pub(crate) async fn revoke(&self, other: &Holder<'_>) {
        let path = format!("/v1/keys/{}", other.key_id);
        assert_eq!(self.send("DELETE", &path, &[], "").await.status, 204);
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.send("GET", path, &[], "").await
    }

    pub(crate) async fn post(&self, path: &str, body: Value) -> Answer {
        self.send("POST", path, &[("content-type", "application/json")], body.to_string()).await
    }

    pub(crate) async fn post_lines(&self, body: impl Into<Body>) -> Answer {
        self.send("POST", "/v1/moderate", &[("content-type", "application/x-ndjson")], body).await
    }

    pub(crate) async fn send(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Body>,
    ) -> Answer {
        let bearer = format!("Bearer {}", self.key);
        let headers = [headers, &[("authorization", &bearer)]].concat();
        self.world.send(method, path, &headers, body).await
    }
}
