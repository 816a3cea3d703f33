//! The router as `dev` asks it: over HTTP, with the key of the environment.

use anyhow::bail;
use deployer::http::{Answer, Call, Http, Method};
use serde_json::Value;

use crate::router_key::RouterKey;

/// A router at a URL.
pub(super) struct RouterClient {
    http: Http,
    /// Without a slash at its end.
    pub(super) url: String,
    key: RouterKey,
}

/// Headers by name and value.
type Headers<'a> = &'a [(&'static str, &'a str)];

impl RouterClient {
    pub(super) fn new(url: String) -> anyhow::Result<Self> {
        Ok(Self { http: Http::new(), url, key: RouterKey::from_environment()? })
    }

    /// Any answer, except that the key is missing or not enough.
    pub(super) async fn ask(
        &self,
        method: Method,
        path: &str,
        headers: Headers<'_>,
        body: Option<&Value>,
    ) -> anyhow::Result<Answer> {
        let headers: Vec<_> = headers.iter().copied().chain(self.key.header()).collect();
        let url = format!("{}{path}", self.url);
        let answer = self.http.send(Call { method, url, headers: &headers, body }).await?;
        let advice = self.key.advice(answer.status);
        if !advice.is_empty() {
            bail!("the router refused `{path}`: {}{advice}", answer.reason());
        }
        Ok(answer)
    }
}
