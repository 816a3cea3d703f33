//! The router's registrations of models.

use std::fmt;

use hyper::{Method, StatusCode};
use serde_json::{Value, json};

use crate::Error;
use crate::http::{Answer, Call, Http};

/// The environment variable with the router's key.
const KEY: &str = "GATEHOUSE_KEY";

/// What the router's problem document says of a model that nobody has registered.
const UNKNOWN: &str = "/problems/unknown-model";

/// A router at a URL.
#[derive(Debug)]
pub(crate) struct Router {
    http: Http,
    url: String,
    authorization: Option<Authorization>,
}

/// What the `Authorization` header says; the key must reach no log.
struct Authorization(String);

impl fmt::Debug for Authorization {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Authorization")
    }
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
    pub(crate) fn open(url: &str) -> Result<Self, Error> {
        let key = std::env::var(KEY).ok().filter(|key| !key.trim().is_empty());
        let authorization = key.map(|key| Authorization(format!("Bearer {}", key.trim())));
        let http = Http::to(url).map_err(|reason| Error::Flag { flag: "--router", reason })?;
        Ok(Self { http, url: url.trim_end_matches('/').to_owned(), authorization })
    }

    /// The registration of a model, empty where there is none.
    pub(crate) async fn get(&self, model: &str) -> Result<Registration, Error> {
        let found = self.send(Method::GET, model, None, None).await?;
        let model = model.to_owned();
        if found.status == StatusCode::NOT_FOUND && found.body["type"] == UNKNOWN {
            return Ok(Registration { model, document: json!({}), etag: None });
        }
        let etag = found.etag.clone();
        let document = found.success("reading a model's registration")?;
        if etag.is_none() || !document["endpoint"].is_object() {
            let reason = "its answer is no registration of a model; is this a router?".to_owned();
            return Err(Error::Unreachable { url: self.url.clone(), reason });
        }
        Ok(Registration { model, document, etag })
    }

    /// Replaces a registration by a changed one.
    ///
    /// One that somebody else has changed since is read again and changed once more, unless it
    /// points elsewhere by now. Where no answer tells whether it was replaced, it is looked at.
    pub(crate) async fn set(
        &self,
        old: &Registration,
        change: impl Fn(&Registration) -> Registration,
    ) -> Result<(), Error> {
        let new = change(old);
        match self.put(old, &new).await {
            Ok(answer) if answer.status == StatusCode::PRECONDITION_FAILED => {
                let now = self.get(&old.model).await?;
                if now.points_as(old) || now.points_as(&new) {
                    return self.put(&now, &change(&now)).await.and_then(registered);
                }
                let to = now.document["endpoint"].to_string();
                let reason = format!("another command pointed it to `{to}` meanwhile");
                Err(Error::Route { model: old.model.clone(), reason })
            }
            Ok(answer) if !answer.status.is_server_error() => registered(answer),
            unclear => match self.get(&old.model).await {
                Ok(now) if now.document == new.document => Ok(()),
                _ => unclear.and_then(registered),
            },
        }
    }

    /// Makes a registration again what it was, if it has become this new one.
    pub(crate) async fn put_back(
        &self,
        old: &Registration,
        new: &Registration,
    ) -> Result<(), Error> {
        let now = self.get(&old.model).await?;
        if !now.leads_as(new) || now.leads_as(old) {
            return Ok(());
        }
        if !old.exists() {
            return self.delete(&now).await;
        }
        self.put(&now, &now.leading_as(old)).await.and_then(registered)
    }

    /// Replaces a registration, unless somebody else has changed it since.
    async fn put(&self, old: &Registration, new: &Registration) -> Result<Answer, Error> {
        let condition = match &old.etag {
            Some(etag) => ("if-match", etag.as_str()),
            None => ("if-none-match", "*"),
        };
        self.send(Method::PUT, &old.model, Some(condition), Some(&new.document)).await
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
        headers.extend(self.authorization.as_ref().map(|key| ("authorization", key.0.as_str())));
        headers.extend(condition);
        let url = format!("{}/v1/models/{model}", self.url);
        let answer = self.http.send(Call { method, url, headers: &headers, body }).await?;
        match advice(answer.status, self.authorization.is_some()) {
            None => Ok(answer),
            Some(advice) => Err(Error::Refused {
                action: "asking the router".to_owned(),
                code: format!("status {}", answer.status.as_u16()),
                reason: format!("{}; {advice}", answer.reason()),
            }),
        }
    }
}

/// What to do where it is the key that is wrong.
fn advice(status: StatusCode, has_key: bool) -> Option<&'static str> {
    match status {
        StatusCode::UNAUTHORIZED if has_key => Some("GATEHOUSE_KEY holds a key that is not taken"),
        StatusCode::UNAUTHORIZED => Some("set GATEHOUSE_KEY to a key with the scope `models`"),
        StatusCode::FORBIDDEN => Some("GATEHOUSE_KEY must hold a key with the scope `models`"),
        _ => None,
    }
}

fn registered(answer: Answer) -> Result<(), Error> {
    answer.success("registering the model").map(|_| ())
}

impl Registration {
    /// Whether the model is registered at all.
    pub(crate) fn exists(&self) -> bool {
        self.etag.is_some()
    }

    /// The SageMaker endpoint that it points to, as it is written there.
    pub(crate) fn address(&self) -> Option<&str> {
        self.document["endpoint"]["sagemaker"].as_str()
    }

    /// The same, by its bare name.
    pub(crate) fn endpoint(&self) -> Option<&str> {
        self.address()?.rsplit('/').next()
    }

    /// Whether it points to the same place.
    fn points_as(&self, other: &Self) -> bool {
        self.document["endpoint"] == other.document["endpoint"]
    }

    /// Whether it points to the same place, and says that the same version is there.
    fn leads_as(&self, other: &Self) -> bool {
        self.points_as(other) && self.version() == other.version()
    }

    /// The same, with the place and the version of another.
    fn leading_as(&self, other: &Self) -> Self {
        let mut new = self.clone();
        new.document["endpoint"] = other.document["endpoint"].clone();
        new.set_version(other.version());
        new.set_labels(other.document.get("labels").cloned());
        new
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
    pub(crate) fn pointing_to(&self, endpoint: &str, version: Option<&str>) -> Self {
        let mut new = self.clone();
        if !new.document["endpoint"].is_object() {
            new.document["endpoint"] = json!({});
        }
        new.document["endpoint"]["sagemaker"] = json!(endpoint);
        new.set_version(version);
        // They were those of what it pointed to.
        new.set_labels(None);
        new
    }

    /// The same, with the labels that the model is known to score, for the router to hold rules to.
    pub(crate) fn scoring(mut self, labels: &[String]) -> Self {
        self.set_labels((!labels.is_empty()).then(|| json!(labels)));
        self
    }

    fn set_labels(&mut self, labels: Option<Value>) {
        if let Some(labels) = labels {
            self.document["labels"] = labels;
        } else if let Some(document) = self.document.as_object_mut() {
            document.remove("labels");
        }
    }

    fn set_version(&mut self, version: Option<&str>) {
        if let Some(version) = version {
            self.document["version"] = json!(version);
        } else if let Some(document) = self.document.as_object_mut() {
            document.remove("version");
        }
    }

    /// The registration of a shadow that is called as this model is.
    pub(crate) fn shadow(&self, endpoint: &str, version: &str) -> Self {
        let mut new = self.pointing_to(endpoint, Some(version));
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
        let endpoint = |name| json!({"sagemaker": name, "role_arn": "arn:aws:iam::1:role/x"});
        let old = registration(json!({"endpoint": endpoint("a"), "timeout_ms": 5}));
        let new = old.pointing_to("a-b", Some("2")).document;
        let expected = json!({"endpoint": endpoint("a-b"), "version": "2", "timeout_ms": 5});
        assert_eq!(new, expected);
        let first = Registration { document: json!({}), ..old }.pointing_to("a", Some("1"));
        assert_eq!(first.document, json!({"endpoint": {"sagemaker": "a"}, "version": "1"}));
        let scoring = first.scoring(&["ham".to_owned(), "spam".to_owned()]);
        assert_eq!(scoring.document["labels"], json!(["ham", "spam"]));
        let elsewhere = scoring.pointing_to("b", None);
        assert_eq!(elsewhere.document, json!({"endpoint": {"sagemaker": "b"}}));
        assert_eq!(elsewhere.leading_as(&scoring).document, scoring.document);
    }

    #[test]
    fn a_shadow_is_called_as_the_model_is_even_while_that_is_taken_out() {
        let live = json!({"endpoint": {"sagemaker": "a"}, "inputs": ["rating"], "enabled": false});
        let shadow = registration(live).shadow("a-b", "2");
        assert!(shadow.is_shadow() && shadow.is_enabled());
        assert_eq!(shadow.document["inputs"], json!(["rating"]));
    }

    #[test]
    fn no_key_is_told_when_a_router_is_shown() {
        let router = Router {
            http: Http::new(),
            url: String::new(),
            authorization: Some(Authorization("Bearer secret".to_owned())),
        };
        assert!(!format!("{router:?}").contains("secret"));
    }

    #[test]
    fn an_arn_names_its_endpoint() {
        let arn = "arn:aws:sagemaker:eu-west-1:123456789012:endpoint/spam-b";
        let registration = registration(json!({"endpoint": {"sagemaker": arn}}));
        assert_eq!(registration.endpoint(), Some("spam-b"));
    }
}
