//! An endpoint: what it serves, what it is about to serve, and where it stands.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use super::{EndpointConfig, Model, Record, Variant, now};
use crate::resource_name::ResourceName;

/// An endpoint as the host remembers it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Endpoint {
    /// Its name.
    pub(crate) name: ResourceName,
    /// Its ARN.
    pub(crate) arn: String,
    /// What it serves, or tries to serve first.
    pub(crate) serving: Serving,
    /// What an update is bringing up.
    pub(crate) pending: Option<Serving>,
    /// Where it stands.
    pub(crate) status: Status,
    /// Why it failed, or why its last update did.
    pub(crate) failure_reason: Option<String>,
    /// How its last update was asked to be made, in SageMaker's form.
    #[serde(default)]
    pub(crate) deployment: Option<Value>,
    /// When it was created, in seconds since 1970.
    pub(crate) creation_time: f64,
    /// When its status last changed, in seconds since 1970.
    pub(crate) last_modified_time: f64,
}

/// What an endpoint serves, with its own copies: a model or configuration that is deleted later
/// changes nothing about it, as on AWS.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Serving {
    /// Tells it from every other; also the name of its folder.
    pub(crate) id: Uuid,
    /// When it began to be brought up, in seconds since 1970.
    #[serde(default)]
    pub(crate) since: f64,
    /// The configuration it was made from.
    pub(crate) config: EndpointConfig,
    /// The models of the configuration's variants.
    pub(crate) models: Vec<Model>,
}

/// Where an endpoint stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Status {
    /// Its containers are being tried.
    Creating,
    /// It answers calls.
    InService,
    /// It answers calls while what replaces its containers is being tried.
    Updating,
    /// It answers calls after an update that failed, whose containers are being stopped.
    RollingBack,
    /// Its containers did not start.
    Failed,
    /// Its processes are being stopped.
    Deleting,
}

impl Endpoint {
    /// What it serves, and what it is about to serve.
    pub(crate) fn servings(&self) -> impl Iterator<Item = &Serving> {
        std::iter::once(&self.serving).chain(&self.pending)
    }

    /// What of it answers or is about to: not what an update tried in vain, and nothing of what will
    /// never answer.
    pub(crate) fn needed_servings(&self) -> impl Iterator<Item = &Serving> {
        let needed = match self.status {
            Status::Failed | Status::Deleting => 0,
            Status::RollingBack => 1,
            Status::Creating | Status::InService | Status::Updating => 2,
        };
        self.servings().take(needed)
    }

    /// It will never answer, for this reason.
    pub(crate) fn fail(&mut self, reason: &str) {
        self.failure_reason = Some(reason.to_owned());
        self.set(Status::Failed);
    }

    /// Changes where it stands.
    pub(crate) fn set(&mut self, status: Status) {
        self.status = status;
        self.last_modified_time = now();
    }
}

impl Serving {
    /// What a configuration makes of these models, beginning now.
    pub(crate) fn new(config: EndpointConfig, models: Vec<Model>) -> Self {
        Self { id: Uuid::new_v4(), since: now(), config, models }
    }

    /// The model that a variant serves.
    pub(crate) fn model(&self, variant: &Variant) -> &Model {
        let model = self.models.iter().find(|model| model.model_name == variant.model_name);
        model.expect("an endpoint is made with the models of all its variants")
    }
}

impl Status {
    /// Whether calls are answered.
    pub(crate) fn answers(self) -> bool {
        matches!(self, Self::InService | Self::Updating | Self::RollingBack)
    }

    /// What SageMaker calls it.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Creating => "Creating",
            Self::InService => "InService",
            Self::Updating => "Updating",
            Self::RollingBack => "RollingBack",
            Self::Failed => "Failed",
            Self::Deleting => "Deleting",
        }
    }
}

impl Record for Endpoint {
    const KIND: &'static str = "endpoint";

    fn name(&self) -> &ResourceName {
        &self.name
    }

    fn arn(&self) -> &str {
        &self.arn
    }

    fn creation_time(&self) -> f64 {
        self.creation_time
    }

    fn last_modified_time(&self) -> f64 {
        self.last_modified_time
    }

    fn status_word(&self) -> &'static str {
        self.status.word()
    }
}
