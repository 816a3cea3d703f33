//! A registered model: where it answers, how long it may take, what it is sent.

use std::collections::BTreeSet;
use std::fmt;

use serde::Deserialize;
use utoipa::ToSchema;

use super::Document;
use super::fingerprint::Fingerprint;
use super::json::{self, Millis};
use super::name::Name;
use super::scope::Label;
use crate::outbound::OutboundUrl;
use crate::problem::Problem;

/// The most labels that a registration may list.
const MAX_LABELS: usize = 1000;

/// A model as the plans refer to it.
#[derive(Debug)]
pub(crate) struct Model {
    /// The name that rules use.
    pub(crate) name: Name,
    /// The registration.
    pub(crate) document: ModelDocument,
    /// The registration as it was put.
    pub(crate) source: Document,
    /// The fingerprint of all that decides what the model makes of a content.
    pub(crate) scoring: Fingerprint,
    /// The fingerprint of the whole registration.
    pub(crate) registration: Fingerprint,
}

impl Model {
    /// The model with this registration.
    pub(crate) fn parse(name: Name, source: Document) -> Result<Self, Problem> {
        let document = ModelDocument::parse(&source.text)?;
        let (scoring, registration) = (document.scoring(), Fingerprint::of(&source.text));
        Ok(Self { name, document, source, scoring, registration })
    }
}

/// The body of `PUT /v1/models/{name}`.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ModelDocument {
    /// Where the model answers.
    #[serde(deserialize_with = "json::object")]
    pub(crate) endpoint: Endpoint,
    /// Reported where an answer names no version of its own.
    #[serde(default)]
    pub(crate) version: Option<String>,
    /// Whether its answers count.
    #[serde(default)]
    pub(crate) stage: Stage,
    /// `false` takes the model out everywhere at once.
    #[serde(default = "yes")]
    pub(crate) enabled: bool,
    /// The longest that one call may take; the deadline alone bounds it by default.
    #[serde(default)]
    pub(crate) timeout_ms: Option<Millis>,
    /// How many calls may be under way at once.
    #[serde(default)]
    pub(crate) max_concurrency: Concurrency,
    /// What it is sent besides the content's fields.
    #[serde(default)]
    pub(crate) inputs: Inputs,
    /// What one call costs beside the other models' calls: cheaper models are asked first.
    #[serde(default)]
    pub(crate) cost: Cost,
    /// All labels that it scores, where that is known.
    #[serde(default)]
    pub(crate) labels: Option<Labels>,
}

/// Fields of the design that this version does not act upon.
const UNSUPPORTED: &[&str] = &["endpoint.role_arn", "protocol", "scores"];

impl ModelDocument {
    pub(crate) fn parse(text: &str) -> Result<Self, Problem> {
        json::refuse_unsupported(text, UNSUPPORTED)?;
        json::read(text, "body")
    }

    /// The fingerprint of who is asked, and what: while it is the same, so are the scores of a
    /// content, as far as one can tell.
    fn scoring(&self) -> Fingerprint {
        // All fields are named, so that a new one is not forgotten.
        let Self {
            endpoint,
            inputs,
            version: _,
            stage: _,
            enabled: _,
            timeout_ms: _,
            max_concurrency: _,
            cost: _,
            labels: _,
        } = self;
        let place = match endpoint {
            Endpoint::SageMaker(SageMakerEndpoint { name, region }) => {
                ("sagemaker", name.clone(), region.as_deref())
            }
            Endpoint::Http(url) => ("http", url.uri().to_string(), None),
        };
        let Inputs { rating, locale, r#type } = inputs;
        Fingerprint::of(&(place, rating, locale, r#type))
    }
}

fn yes() -> bool {
    true
}

/// Where a model answers.
#[derive(Debug, PartialEq, Deserialize)]
#[serde(try_from = "WrittenEndpoint")]
pub(crate) enum Endpoint {
    /// A SageMaker endpoint.
    SageMaker(SageMakerEndpoint),
    /// Any container that takes what SageMaker's would.
    Http(OutboundUrl),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenEndpoint {
    #[serde(default)]
    sagemaker: Option<SageMakerEndpoint>,
    #[serde(default)]
    http: Option<OutboundUrl>,
}

impl TryFrom<WrittenEndpoint> for Endpoint {
    type Error = &'static str;

    fn try_from(written: WrittenEndpoint) -> Result<Self, Self::Error> {
        match (written.sagemaker, written.http) {
            (Some(endpoint), None) => Ok(Self::SageMaker(endpoint)),
            (None, Some(url)) => Ok(Self::Http(url)),
            _ => Err("must have either `sagemaker` or `http`"),
        }
    }
}

/// A SageMaker endpoint, written as its name or as its ARN, in the account of the router's own
/// credentials: calls into another account take a `role_arn`.
#[derive(Debug, PartialEq, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct SageMakerEndpoint {
    /// The endpoint's name.
    pub(crate) name: String,
    /// The ARN's region; the router's own where only a name is given.
    pub(crate) region: Option<String>,
}

impl TryFrom<String> for SageMakerEndpoint {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let (region, name) = match text.strip_prefix("arn:") {
            Some(arn) => split_arn(arn).map(|(region, name)| (Some(region.to_owned()), name)),
            None => Some((None, text.as_str())),
        }
        .filter(|(_, name)| is_endpoint_name(name))
        .ok_or("must be a SageMaker endpoint's name or ARN")?;
        Ok(Self { name: name.to_owned(), region })
    }
}

/// Region and name of `aws:sagemaker:REGION:ACCOUNT:endpoint/NAME`.
fn split_arn(arn: &str) -> Option<(&str, &str)> {
    let parts: Vec<&str> = arn.splitn(5, ':').collect();
    let [partition, "sagemaker", region, account, resource] = parts[..] else { return None };
    let name = resource.strip_prefix("endpoint/")?;
    let region_is_plain =
        region.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
    let account_is_plain = account.len() == 12 && account.bytes().all(|b| b.is_ascii_digit());
    (partition.starts_with("aws") && !region.is_empty() && region_is_plain && account_is_plain)
        .then_some((region, name))
}

/// `[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}`, as `CreateEndpoint` demands.
fn is_endpoint_name(name: &str) -> bool {
    let edges_are_plain = !name.starts_with('-') && !name.ends_with('-');
    let all_are_plain = name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    (1..=63).contains(&name.len()) && edges_are_plain && all_are_plain
}

/// Whether a model's answers count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Stage {
    /// They do.
    #[default]
    Live,
    /// They do not: no rule may use it.
    Shadow,
}

/// How many calls of one model may be under way at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(try_from = "usize")]
#[schema(value_type = u64, minimum = 1, maximum = 10_000)]
pub(crate) struct Concurrency(pub(crate) usize);

impl Default for Concurrency {
    fn default() -> Self {
        Self(50)
    }
}

impl TryFrom<usize> for Concurrency {
    type Error = &'static str;

    fn try_from(calls: usize) -> Result<Self, Self::Error> {
        match calls {
            1..=10_000 => Ok(Self(calls)),
            _ => Err("must be from 1 to 10000"),
        }
    }
}

/// What one call costs, in a unit of the operator's own.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd, Deserialize, ToSchema)]
#[serde(try_from = "f64")]
#[schema(value_type = f64, exclusive_minimum = 0)]
pub(crate) struct Cost(pub(crate) f64);

impl Default for Cost {
    fn default() -> Self {
        Self(1.0)
    }
}

impl TryFrom<f64> for Cost {
    type Error = &'static str;

    fn try_from(cost: f64) -> Result<Self, Self::Error> {
        if cost > 0.0 && cost.is_finite() { Ok(Self(cost)) } else { Err("must be greater than 0") }
    }
}

/// The labels that a model scores, each once.
#[derive(Clone, Debug, PartialEq, Deserialize, ToSchema)]
#[serde(try_from = "Vec<Label>")]
#[schema(min_items = 1, max_items = 1000)]
pub(crate) struct Labels(Vec<Label>);

impl Labels {
    pub(crate) fn contains(&self, label: &Label) -> bool {
        self.0.contains(label)
    }
}

impl TryFrom<Vec<Label>> for Labels {
    type Error = String;

    fn try_from(labels: Vec<Label>) -> Result<Self, String> {
        let mut seen = BTreeSet::new();
        match labels.iter().find(|label| !seen.insert(*label)) {
            Some(twice) => Err(format!("`{}` stands twice", twice.as_str())),
            None if (1..=MAX_LABELS).contains(&labels.len()) => Ok(Self(labels)),
            None => Err(format!("must be from 1 to {MAX_LABELS} labels")),
        }
    }
}

impl fmt::Display for Labels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown: Vec<_> =
            self.0.iter().take(20).map(|label| format!("`{}`", label.as_str())).collect();
        let more = if self.0.len() > shown.len() { ", …" } else { "" };
        write!(f, "{}{more}", shown.join(", "))
    }
}

/// What a model is sent besides the content's fields.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(from = "Vec<Input>")]
pub(crate) struct Inputs {
    /// `rating`.
    pub(crate) rating: bool,
    /// `locale`.
    pub(crate) locale: bool,
    /// `type`.
    pub(crate) r#type: bool,
}

#[derive(Clone, Copy, PartialEq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Input {
    Rating,
    Locale,
    Type,
}

impl From<Vec<Input>> for Inputs {
    fn from(inputs: Vec<Input>) -> Self {
        Self {
            rating: inputs.contains(&Input::Rating),
            locale: inputs.contains(&Input::Locale),
            r#type: inputs.contains(&Input::Type),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(text: &str) -> String {
        ModelDocument::parse(text).unwrap_err().detail
    }

    #[test]
    fn an_arn_gives_region_and_name() {
        let arn = "arn:aws:sagemaker:eu-west-1:123456789012:endpoint/spam-3".to_owned();
        let endpoint = SageMakerEndpoint::try_from(arn).unwrap();
        assert_eq!(
            (endpoint.name.as_str(), endpoint.region.as_deref()),
            ("spam-3", Some("eu-west-1"))
        );
    }

    #[test]
    fn what_is_no_endpoint_is_refused_with_its_path() {
        for bad in ["", "-a", "a_b", "a/b", "arn:aws:s3:::x", "arn:aws:sagemaker:x:1:endpoint/a"] {
            let fault = fault(&format!(r#"{{"endpoint": {{"sagemaker": "{bad}"}}}}"#));
            assert!(fault.starts_with("endpoint.sagemaker: "), "{bad}: {fault}");
        }
    }

    #[test]
    fn a_model_answers_at_one_place() {
        let http = ModelDocument::parse(r#"{"endpoint": {"http": "https://x/y"}}"#).unwrap();
        assert!(matches!(http.endpoint, Endpoint::Http(url) if url.uri() == "https://x/y"));
        let both = r#"{"endpoint": {"sagemaker": "a", "http": "http://x"}}"#;
        for text in [both, r#"{"endpoint": {}}"#, r#"{"endpoint": {"http": null}}"#] {
            let fault = fault(text);
            assert!(fault.starts_with("endpoint: must have either"), "{fault}");
        }
        let fault = fault(r#"{"endpoint": {"http": "http://me:secret@x"}}"#);
        assert!(fault.starts_with("endpoint.http: must not hold"), "{fault}");
        assert!(!fault.contains("secret"), "{fault}");
    }

    #[test]
    fn what_is_not_honoured_is_refused_by_name() {
        let with = |rest: &str| fault(&format!(r#"{{"endpoint": {{"sagemaker": "a"}}, {rest}}}"#));
        assert_eq!(with(r#""protocol": "v2""#), "protocol: not supported yet");
        assert!(with(r#""stage": "canary""#).starts_with("stage: unknown variant `canary`"));
    }

    #[test]
    fn labels_are_some_and_differ() {
        let with = |rest: &str| fault(&format!(r#"{{"endpoint": {{"sagemaker": "a"}}, {rest}}}"#));
        assert!(with(r#""labels": []"#).starts_with("labels: must be from 1"));
        assert!(with(r#""labels": ["a", "b", "a"]"#).starts_with("labels: `a` stands twice"));
        assert!(with(r#""labels": ["ham", ""]"#).starts_with("labels[1]: must be from 1"));
    }

    #[test]
    fn scores_depend_on_who_is_asked_and_for_what_and_on_nothing_else() {
        let scoring = |rest: &str| ModelDocument::parse(&format!("{{{rest}}}")).unwrap().scoring();
        let spam = r#""endpoint": {"sagemaker": "spam"}"#;
        let same = r#""version": "8", "timeout_ms": 9, "max_concurrency": 1, "cost": 2,
                      "labels": ["x"], "inputs": [], "enabled": false, "stage": "shadow""#;
        assert_eq!(scoring(&format!("{spam}, {same}")), scoring(spam));
        // As written into decisions that are to be made again by later routers.
        assert_eq!(String::from(scoring(spam)), "7599eb020e7a0551");
        for other in [
            r#""endpoint": {"sagemaker": "ham"}"#,
            r#""endpoint": {"sagemaker": "arn:aws:sagemaker:x:123456789012:endpoint/spam"}"#,
            r#""endpoint": {"http": "http://spam"}"#,
            r#""endpoint": {"sagemaker": "spam"}, "inputs": ["rating"]"#,
        ] {
            assert_ne!(scoring(other), scoring(spam), "{other}");
        }
    }

    #[test]
    fn numbers_out_of_range_are_refused_with_their_path() {
        let with = |rest: &str| fault(&format!(r#"{{"endpoint": {{"sagemaker": "a"}}, {rest}}}"#));
        assert!(with(r#""cost": 0"#).starts_with("cost: must be greater than 0"));
        assert!(with(r#""cost": -1"#).starts_with("cost: must be greater than 0"));
        assert!(with(r#""timeout_ms": 0"#).starts_with("timeout_ms: must be from 1"));
        assert!(with(r#""max_concurrency": 0"#).starts_with("max_concurrency: must be from 1"));
        assert!(with(r#""inputs": ["author"]"#).starts_with("inputs[0]: unknown variant"));
        assert!(with(r#""colour": 1"#).contains("unknown field `colour`"));
    }
}
