//! The router's registrations of models.

use hyper::{Method, StatusCode};
use serde_json::{Value, json};

use crate::Error;
use crate::http::{Answer, Call, Http};

/// The environment variable with the router's key.
const KEY: &str = "GATEHOUSE_KEY";

/// A router at a URL.
#[derive(Debug)]
pub(crate) struct Router {
    http: Http,
    url: String,
    /// What the `Authorization` header says, where there is a key.
    authorization: Option<String>,
}

/// A model's registration, as it was read.
#[derive(Debug, Clone)]
pub(crate) struct Registration {
    /// The model's name in the router.
    model: String,
    document: Value,
    /// None if there is none yet.
    etag: Option<String>,
}

impl Router {
    /// A router at `url`, asked with the key of the environment.
    pub(crate) fn new(url: &str) -> Self {
        let key = std::env::var(KEY).ok().filter(|key| !key.is_empty());
        let authorization = key.map(|key| format!("Bearer {key}"));
        let url = url.trim_end_matches('/').to_owned();
        Self { http: Http::new(), url, authorization }
    }

    /// The registration of a model, empty where there is none.
    pub(crate) async fn get(&self, model: &str) -> Result<Registration, Error> {
        let found = self.send(Method::GET, model, None, None).await?;
        let model = model.to_owned();
        if found.status == StatusCode::NOT_FOUND {
            return Ok(Registration { model, document: json!({}), etag: None });
        }
        let etag = found.etag.clone();
        let document = found.success("reading a model's registration")?;
        Ok(Registration { model, document, etag })
    }

    /// Replaces a registration by a changed one, unless somebody else has changed it since.
    pub(crate) async fn put(&self, old: &Registration, new: &Registration) -> Result<(), Error> {
        if old.etag.is_some() && old.document == new.document {
            return Ok(());
        }
        let condition = match &old.etag {
            Some(etag) => ("if-match", etag.as_str()),
            None => ("if-none-match", "*"),
        };
        let put = self.send(Method::PUT, &old.model, Some(condition), Some(&new.document)).await?;
        put.success("registering the model").map(|_| ())
    }

    /// Removes a registration, unless somebody has changed it since.
    pub(crate) async fn delete(&self, old: &Registration) -> Result<(), Error> {
        let Some(etag) = &old.etag else { return Ok(()) };
        let condition = Some(("if-match", etag.as_str()));
        let deleted = self.send(Method::DELETE, &old.model, condition, None).await?;
        deleted.success("removing the registration").map(|_| ())
    }

    async fn send(
        &self,
        method: Method,
        model: &str,
        condition: Option<(&'static str, &str)>,
        body: Option<&Value>,
    ) -> Result<Answer, Error> {
        let mut headers = vec![("gatehouse-reason", "gatehouse deploy")];
        headers.extend(body.map(|_| ("content-type", "application/json")));
        headers.extend(self.authorization.as_deref().map(|key| ("authorization", key)));
        headers.extend(condition);
        let url = format!("{}/v1/models/{model}", self.url);
        self.http.send(Call { method, url, headers: &headers, body }).await
    }
}

impl Registration {
    /// Whether the model is registered at all.
    pub(crate) fn exists(&self) -> bool {
        self.etag.is_some()
    }

    /// The SageMaker endpoint that it points to, by its bare name.
    pub(crate) fn endpoint(&self) -> Option<&str> {
        let endpoint = self.document["endpoint"]["sagemaker"].as_str()?;
        endpoint.rsplit('/').next()
    }

    /// The version that is reported where answers name none.
    pub(crate) fn version(&self) -> Option<&str> {
        self.document["version"].as_str()
    }

    /// Whether it is called without being heard.
    pub(crate) fn is_shadow(&self) -> bool {
        self.document["stage"] == "shadow"
    }

    /// Whether it has not been taken out.
    pub(crate) fn is_enabled(&self) -> bool {
        self.document["enabled"] != false
    }

    /// The same, pointing to another endpoint; its other settings are the user's own.
    pub(crate) fn pointing_to(&self, endpoint: &str, version: &str) -> Self {
        let mut new = self.clone();
        new.document["endpoint"] = json!({"sagemaker": endpoint});
        new.document["version"] = json!(version);
        new
    }

    /// The registration of a shadow that is called as this model is.
    pub(crate) fn shadow(&self, endpoint: &str, version: &str) -> Self {
        let mut new = self.pointing_to(endpoint, version);
        new.document["stage"] = json!("shadow");
        if let Some(document) = new.document.as_object_mut() {
            document.remove("enabled");
        }
        new
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn registration(document: Value) -> Registration {
        Registration { model: "spam".to_owned(), document, etag: Some("\"1\"".to_owned()) }
    }

    #[test]
    fn a_route_moves_without_its_other_settings() {
        let old = registration(json!({"endpoint": {"sagemaker": "a"}, "timeout_ms": 5}));
        let new = old.pointing_to("a-b", "2").document;
        let expected = json!({"endpoint": {"sagemaker": "a-b"}, "version": "2", "timeout_ms": 5});
        assert_eq!(new, expected);
    }

    #[test]
    fn a_shadow_is_called_as_the_model_is_even_while_that_is_taken_out() {
        let live = json!({"endpoint": {"sagemaker": "a"}, "inputs": ["rating"], "enabled": false});
        let shadow = registration(live).shadow("a-b", "2");
        assert!(shadow.is_shadow() && shadow.is_enabled());
        assert_eq!(shadow.document["inputs"], json!(["rating"]));
    }

    #[test]
    fn an_arn_names_its_endpoint() {
        let arn = "arn:aws:sagemaker:eu-west-1:123456789012:endpoint/spam-b";
        let registration = registration(json!({"endpoint": {"sagemaker": arn}}));
        assert_eq!(registration.endpoint(), Some("spam-b"));
    }
}
