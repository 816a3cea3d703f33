//! The router's registrations of models.

use std::fmt;

use hyper::{Method, StatusCode};
use serde_json::{Value, json};

use crate::Error;
use crate::http::{Answer, Call, Http};
use crate::route::Served;

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
                Err(now.moved())
            }
            Ok(answer) if !answer.status.is_server_error() => registered(answer),
            unclear => match self.get(&old.model).await {
                Ok(now) if now.document == new.document => Ok(()),
                _ => unclear.and_then(registered),
            },
        }
    }

    /// Has the router keep no scores for what is registered, and gives the registration as it is
    /// then. To be done before another package takes the place of the one that the digest names:
    /// the scores that are kept would answer for it, and its own be kept for the one before.
    ///
    /// Where this fails, or the process ends after it, the digest may be gone: that is safe, and
    /// the next deployment that goes through registers its own.
    pub(crate) async fn forget_digest(&self, old: &Registration) -> Result<Registration, Error> {
        if old.digest().is_none() {
            return Ok(old.clone());
        }
        self.set(old, |now| now.with_digest(None)).await?;
        let now = self.get(&old.model).await?;
        if now.points_as(old) { Ok(now) } else { Err(now.moved()) }
    }

    /// Gives a registration its digest back, unless somebody has made something else of it since.
    pub(crate) async fn recall_digest(
        &self,
        old: &Registration,
        digest: &str,
    ) -> Result<(), Error> {
        let now = self.get(&old.model).await?;
        if !now.leads_as(old) || now.digest().is_some() {
            return Ok(());
        }
        self.put(&now, &now.with_digest(Some(digest))).await.and_then(registered)
    }

    /// Makes a registration again what it was, if it has become this new one.
    pub(crate) async fn put_back(
        &self,
        old: &Registration,
        new: &Registration,
    ) -> Result<(), Error> {
        let now = self.get(&old.model).await?;
        // Two packages may have the same version, but never the same digest.
        let is_back = now.leads_as(old) && now.digest() == old.digest();
        if !now.leads_as(new) || is_back {
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

/// What is found out about a model, and holds for what it points to alone.
const FOUND: [&str; 2] = ["labels", "digest"];

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
        for field in FOUND {
            new.set_field(field, other.document.get(field).cloned());
        }
        new
    }

    /// That another command has pointed it elsewhere.
    fn moved(&self) -> Error {
        let to = self.document["endpoint"].to_string();
        let reason = format!("another command pointed it to `{to}` meanwhile");
        Error::Route { model: self.model.clone(), reason }
    }

    /// The digest by which the router keeps scores.
    pub(crate) fn digest(&self) -> Option<&str> {
        self.document["digest"].as_str()
    }

    /// The labels that the model is known to score.
    pub(crate) fn labels(&self) -> Vec<String> {
        let labels = self.document["labels"].as_array().into_iter().flatten();
        labels.filter_map(|label| label.as_str().map(str::to_owned)).collect()
    }

    /// The same with this digest.
    fn with_digest(&self, digest: Option<&str>) -> Self {
        let mut new = self.clone();
        new.set_field("digest", digest.map(|digest| json!(digest)));
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
        FOUND.iter().for_each(|field| new.set_field(field, None));
        new
    }

    /// The same, with what is known of the package there: its labels, for the router to hold rules
    /// to, and its digest, for scores to be kept by.
    pub(crate) fn serving(&self, endpoint: &str, served: Served<'_>) -> Self {
        let mut new = self.pointing_to(endpoint, served.version);
        new.set_field("labels", (!served.labels.is_empty()).then(|| json!(served.labels)));
        new.with_digest(served.digest)
    }

    fn set_version(&mut self, version: Option<&str>) {
        self.set_field("version", version.map(|version| json!(version)));
    }

    fn set_field(&mut self, field: &str, value: Option<Value>) {
        if let Some(value) = value {
            self.document[field] = value;
        } else if let Some(document) = self.document.as_object_mut() {
            document.remove(field);
        }
    }

    /// The registration of a shadow that is called as this model is.
    pub(crate) fn shadow(&self, endpoint: &str, served: Served<'_>) -> Self {
        let mut new = self.serving(endpoint, served);
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
        let labels = ["ham".to_owned(), "spam".to_owned()];
        let served = Served { version: Some("2"), labels: &labels, digest: Some("sha256:0") };
        let scoring = first.serving("a", served);
        assert_eq!(scoring.labels(), labels);
        assert_eq!(scoring.document["digest"], "sha256:0");
        assert_eq!(scoring.document["labels"], json!(["ham", "spam"]));
        let elsewhere = scoring.pointing_to("b", None);
        assert_eq!(elsewhere.document, json!({"endpoint": {"sagemaker": "b"}}));
        assert_eq!(elsewhere.leading_as(&scoring).document, scoring.document);
    }

    #[test]
    fn a_digest_is_forgotten_and_recalled_without_the_other_settings() {
        let registered = json!({"endpoint": {"sagemaker": "a"}, "version": "1", "timeout_ms": 5,
                                "labels": ["spam"], "digest": "sha256:0"});
        let old = registration(registered.clone());
        assert_eq!(old.digest(), Some("sha256:0"));
        let forgotten = old.with_digest(None);
        assert_eq!(forgotten.digest(), None);
        assert!(forgotten.leads_as(&old));
        assert_eq!(forgotten.with_digest(Some("sha256:0")).document, registered);
    }

    #[test]
    fn a_shadow_is_called_as_the_model_is_even_while_that_is_taken_out() {
        let live = json!({"endpoint": {"sagemaker": "a"}, "inputs": ["rating"], "enabled": false});
        let served = Served { version: Some("2"), ..Served::default() };
        let shadow = registration(live).shadow("a-b", served);
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
