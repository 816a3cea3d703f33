//! The router's registration of a model.

use hyper::{Method, StatusCode};
use serde_json::{Value, json};

use crate::Error;
use crate::http::{Call, Http};

/// A router at a URL.
pub(crate) struct Router<'a> {
    pub(crate) http: &'a Http,
    pub(crate) url: &'a str,
}

impl Router<'_> {
    /// Points the model `name` at the endpoint of that name, and keeps its other settings.
    pub(crate) async fn register(&self, name: &str, version: &str) -> Result<(), Error> {
        let url = format!("{}/v1/models/{name}", self.url);
        let get = Call { method: Method::GET, url: url.clone(), headers: &[], body: None };
        let found = self.http.send(get).await?;
        let (mut model, condition) = match (found.status, &found.etag) {
            (StatusCode::NOT_FOUND, _) => (json!({}), ("if-none-match", "*".to_owned())),
            (_, Some(etag)) => (found.body.clone(), ("if-match", etag.clone())),
            _ => (found.success("reading the model")?, ("if-none-match", "*".to_owned())),
        };
        let before = model.clone();
        model["endpoint"] = json!({"sagemaker": name});
        model["version"] = json!(version);
        if model == before {
            return Ok(());
        }
        self.put(url, (condition.0, &condition.1), &model).await
    }

    async fn put(
        &self,
        url: String,
        condition: (&'static str, &str),
        model: &Value,
    ) -> Result<(), Error> {
        let headers = [
            ("content-type", "application/json"),
            ("gatehouse-reason", "gatehouse deploy"),
            condition,
        ];
        let call = Call { method: Method::PUT, url, headers: &headers, body: Some(model) };
        self.http.send(call).await?.success("registering the model").map(|_| ())
    }
}
