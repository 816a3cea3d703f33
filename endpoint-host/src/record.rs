//! What the host remembers of models, endpoint configurations and endpoints, in the shape in
//! which SageMaker describes them.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use serde::Serialize;

use crate::artifact::Artifact;
use crate::resource_name::ResourceName;

/// A model: an image and what it serves.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Model {
    /// Its name.
    pub(crate) model_name: ResourceName,
    /// Its ARN.
    pub(crate) model_arn: String,
    /// When it was created, in seconds since 1970.
    pub(crate) creation_time: f64,
    /// The image and its model data.
    pub(crate) primary_container: PrimaryContainer,
    /// The role, which this host has no use for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) execution_role_arn: Option<String>,
    /// Always false: serverless endpoints have no network isolation.
    pub(crate) enable_network_isolation: bool,
}

/// The container of a model.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct PrimaryContainer {
    /// The image's name.
    pub(crate) image: String,
    /// Always `SingleModel`.
    pub(crate) mode: &'static str,
    /// The address of the model data, as given.
    pub(crate) model_data_url: String,
    /// The model data found there.
    #[serde(skip)]
    pub(crate) artifact: Artifact,
    /// The only environment variables that the container gets.
    pub(crate) environment: BTreeMap<String, String>,
}

/// How a model is to be served.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct EndpointConfig {
    /// Its name.
    pub(crate) endpoint_config_name: ResourceName,
    /// Its ARN.
    pub(crate) endpoint_config_arn: String,
    /// When it was created, in seconds since 1970.
    pub(crate) creation_time: f64,
    /// The one variant that a serverless endpoint has.
    pub(crate) production_variants: [Variant; 1],
    /// The role, which this host has no use for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) execution_role_arn: Option<String>,
}

/// A serverless variant.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Variant {
    /// Its name.
    pub(crate) variant_name: ResourceName,
    /// The model it serves.
    pub(crate) model_name: ResourceName,
    /// Its share of the calls: all of them, whatever the number.
    pub(crate) initial_variant_weight: f64,
    /// Its size.
    pub(crate) serverless_config: ServerlessConfig,
}

/// The size of a serverless variant.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct ServerlessConfig {
    /// Memory in MB, one of SageMaker's six sizes.
    #[serde(rename = "MemorySizeInMB")]
    pub(crate) memory_size_in_mb: u16,
    /// Calls in flight beyond which more are throttled.
    pub(crate) max_concurrency: u8,
}

/// An endpoint, with its own copy of what it serves: a model or configuration deleted later
/// changes nothing about it, as on AWS.
#[derive(Clone, Debug)]
pub(crate) struct Endpoint {
    /// Its name.
    pub(crate) name: ResourceName,
    /// Its ARN.
    pub(crate) arn: String,
    /// The configuration it was made from.
    pub(crate) config_name: ResourceName,
    /// The variant it runs.
    pub(crate) variant: Variant,
    /// The model that the variant serves.
    pub(crate) model: Arc<Model>,
    /// Where it stands.
    pub(crate) status: Status,
    /// When it was created, in seconds since 1970.
    pub(crate) creation_time: f64,
    /// When its status last changed, in seconds since 1970.
    pub(crate) last_modified_time: f64,
}

/// Where an endpoint stands.
#[derive(Clone, Debug)]
pub(crate) enum Status {
    /// Its container is being tried.
    Creating,
    /// It answers calls.
    InService,
    /// Its container did not start, for this reason.
    Failed(String),
    /// Its processes are being stopped.
    Deleting,
}

impl Status {
    /// What SageMaker calls it.
    pub(crate) fn word(&self) -> &'static str {
        match self {
            Self::Creating => "Creating",
            Self::InService => "InService",
            Self::Failed(_) => "Failed",
            Self::Deleting => "Deleting",
        }
    }

    /// Why it failed, if it did.
    pub(crate) fn failure(&self) -> Option<&str> {
        match self {
            Self::Failed(reason) => Some(reason),
            _ => None,
        }
    }
}

/// The time in seconds since 1970, to the millisecond, as AWS writes it.
pub(crate) fn now() -> f64 {
    Timestamp::now().as_millisecond() as f64 / 1000.0
}
