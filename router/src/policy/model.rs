//! A registered model: where it answers, how long it may take, what it is sent.

mod digest;
mod sending;
mod places;

use std::collections::BTreeSet;
use std::fmt;
use std::sync::{Arc, OnceLock};

use serde::Deserialize;
use utoipa::ToSchema;

pub(crate) use self::digest::Digest;
pub(crate) use self::places::Places;
use self::sending::FieldNames;
pub(crate) use self::sending::{Inputs, Protocol, Sending, TensorShape, Writing};
use super::Document;
use super::fingerprint::Fingerprint;
use super::json::{self, Millis};
use super::name::Name;
use super::scope::{Label, Share};
use crate::fanout::lane::Lane;
use crate::fanout::line::Line;
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
    /// What is known of its endpoint, once it was looked for.
    pub(crate) lane: OnceLock<Arc<Lane>>,
    /// Where its calls wait for their turn, once one was made or it came into force.
    pub(crate) line: OnceLock<Arc<Line>>,
}

impl Model {
    /// The model with this registration.
    pub(crate) fn parse(name: Name, source: Document) -> Result<Self, Problem> {
        let document = ModelDocument::parse(&source.text)?;
        let (scoring, registration) = (document.scoring(), Fingerprint::of(&source.text));
        Ok(Self {
            name,
            document,
            source,
            scoring,
            registration,
            lane: OnceLock::new(),
            line: OnceLock::new(),
        })
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
    /// The SHA-256 of the package that answers. Scores are kept for it, and never taken for another's.
    #[serde(default)]
    pub(crate) digest: Option<Digest>,
    /// Whether its answers count.
    #[serde(default)]
    pub(crate) stage: Stage,
    /// The share of the contents that a shadow looks at; 0.1 by default.
    #[serde(default)]
    pub(crate) sample: Option<Share>,
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
    /// The fields of a content that it is sent; all by default.
    #[serde(default)]
    pub(crate) fields: Option<FieldNames>,
    /// How it is asked and answers, where that is not as with our own container.
    #[serde(default)]
    pub(crate) protocol: Option<Protocol>,
    /// The shape of each input's tensor in the protocol `v2`.
    #[serde(default)]
    pub(crate) tensor_shape: Option<TensorShape>,
    /// All labels that it scores, where that is known. They name the scores of a `v2` answer that
    /// has no names for them, in this order.
    #[serde(default)]
    pub(crate) labels: Option<Labels>,
    /// Where each label's score stands in an answer of any other form, as a JSON Pointer.
    #[serde(default)]
    pub(crate) scores: Option<Places>,
}

/// The share of the contents that a shadow looks at where nothing is said.
const DEFAULT_SHARE: f64 = 0.1;

/// Fields of the design that this version does not act upon.
const UNSUPPORTED: &[&str] = &["endpoint.role_arn"];

impl ModelDocument {
    pub(crate) fn parse(text: &str) -> Result<Self, Problem> {
        json::refuse_unsupported(text, UNSUPPORTED)?;
        let document: Self = json::read(text, "body")?;
        document.check_protocol().map_err(|fault| Problem::invalid(fault.to_owned()))?;
        let labels = document.agreed_labels().map_err(Problem::invalid)?;
        Ok(Self { labels, ..document })
    }

    /// The share of the contents that it looks at as a shadow.
    pub(crate) fn share(&self) -> f64 {
        self.sample.map_or(DEFAULT_SHARE, |share| share.0)
    }

    /// All that decides what it is sent.
    pub(crate) fn sending(&self) -> Sending {
        let writing = match self.protocol {
            None => Writing::Object,
            Some(Protocol::V2) => Writing::Tensors(self.tensor_shape.unwrap_or_default()),
        };
        Sending { inputs: self.inputs, fields: self.fields.clone(), writing }
    }

    /// The fingerprint of who is asked, and what: while it is the same, so are the scores of a
    /// content, as far as one can tell.
    fn scoring(&self) -> Fingerprint {
        // All fields are named, so that a new one is not forgotten.
        let Self {
            endpoint,
            inputs,
            fields,
            protocol,
            tensor_shape,
            scores,
            labels,
            version: _,
            digest: _,
            stage: _,
            sample: _,
            enabled: _,
            timeout_ms: _,
            max_concurrency: _,
            cost: _,
        } = self;
        let place = match endpoint {
            Endpoint::SageMaker(SageMakerEndpoint { name, region }) => {
                ("sagemaker", name.clone(), region.as_deref())
            }
            Endpoint::Http(url) => ("http", url.uri().to_string(), None),
        };
        let Inputs { rating, locale, r#type } = inputs;
        let plain = (place, rating, locale, r#type);
        if fields.is_none() && protocol.is_none() && scores.is_none() {
            return Fingerprint::of(&plain);
        }
        let shape = protocol.map(|_| tensor_shape.unwrap_or_default().dimensions());
        let places: Option<Vec<_>> = scores.as_ref().map(|places| places.iter().collect());
        let names = labels.as_ref().filter(|_| protocol.is_some() && scores.is_none());
        let names: Option<Vec<_>> = names.map(|names| names.0.iter().map(Label::as_str).collect());
        Fingerprint::of(&(plain, fields.as_ref().map(FieldNames::names), shape, places, names))
    }

    /// The protocol's requests go to the URL as it is written, so it must be the whole one.
    fn check_protocol(&self) -> Result<(), &'static str> {
        if self.protocol.is_none() {
            return match self.tensor_shape {
                Some(_) => Err("tensor_shape: is only for the protocol `v2`"),
                None => Ok(()),
            };
        }
        let Endpoint::Http(url) = &self.endpoint else { return Ok(()) };
        let path = url.uri().path();
        let is_base = path == "/" || path == "/v2" || path.contains("/v2/");
        if is_base && !path.ends_with("/infer") {
            return Err("endpoint.http: must be the whole URL that takes `v2` requests, such as \
                        http://HOST/v2/models/NAME/infer");
        }
        Ok(())
    }

    /// The labels that `labels` and `scores` name, where both of them do the same ones.
    fn agreed_labels(&self) -> Result<Option<Labels>, String> {
        let (Some(places), labels) = (&self.scores, &self.labels) else {
            return Ok(self.labels.clone());
        };
        let Some(labels) = labels else {
            return Labels::try_from(places.labels().cloned().collect::<Vec<_>>()).map(Some);
        };
        let mapped: BTreeSet<_> = places.labels().collect();
        if let Some(unknown) = mapped.iter().find(|label| !labels.contains(label)) {
            return Err(format!("scores: `{}` is none of `labels`", unknown.as_str()));
        }
        match labels.0.iter().find(|label| !mapped.contains(label)) {
            Some(missing) => Err(format!("scores: lacks the label `{}`", missing.as_str())),
            None => Ok(Some(labels.clone())),
        }
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

impl Endpoint {
    /// By which it is told from others.
    pub(crate) fn address(&self) -> String {
        match self {
            Self::SageMaker(_) => self.shown(),
            Self::Http(url) => url.uri().to_string(),
        }
    }

    /// As it may be shown: a query may hold a secret.
    pub(crate) fn shown(&self) -> String {
        match self {
            Self::SageMaker(SageMakerEndpoint { name, region: Some(region) }) => {
                format!("sagemaker:{region}/{name}")
            }
            Self::SageMaker(SageMakerEndpoint { name, region: None }) => {
                format!("sagemaker:{name}")
            }
            Self::Http(url) => {
                let uri = url.uri();
                let scheme = uri.scheme_str().unwrap_or_default();
                let host = uri.authority().map_or("", |authority| authority.as_str());
                format!("{scheme}://{host}{}", uri.path())
            }
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

    /// In the order in which they are listed.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(Label::as_str)
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

#[cfg(test)]
mod tests;
