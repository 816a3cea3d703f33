//! How models are to be served: the variants of an endpoint, and what is captured of its calls.

use serde::{Deserialize, Serialize};

use super::Record;
use crate::resource_name::ResourceName;

/// An endpoint configuration as it was created.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct EndpointConfig {
    /// Its name.
    pub(crate) endpoint_config_name: ResourceName,
    /// Its ARN.
    pub(crate) endpoint_config_arn: String,
    /// When it was created, in seconds since 1970.
    pub(crate) creation_time: f64,
    /// The variants that answer; on SageMaker exactly one.
    pub(crate) production_variants: Vec<Variant>,
    /// Variants that get copies of calls and whose answers nobody sees; none on SageMaker.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) shadow_production_variants: Vec<Variant>,
    /// What is written down of calls and answers; nothing on SageMaker.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) data_capture_config: Option<DataCaptureConfig>,
    /// The role, which this host has no use for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) execution_role_arn: Option<String>,
}

/// A serverless variant.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Variant {
    /// Its name.
    pub(crate) variant_name: ResourceName,
    /// The model it serves.
    pub(crate) model_name: ResourceName,
    /// Its share of the calls, relative to the other variants' weights; for a shadow, the share of
    /// the calls of which it gets a copy, relative to all weights.
    pub(crate) initial_variant_weight: f64,
    /// Its size.
    pub(crate) serverless_config: ServerlessConfig,
}

/// The size of a serverless variant.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct ServerlessConfig {
    /// Memory in MB, one of SageMaker's six sizes.
    #[serde(rename = "MemorySizeInMB")]
    pub(crate) memory_size_in_mb: u16,
    /// Calls in flight beyond which more are throttled.
    pub(crate) max_concurrency: u8,
    /// Containers that are kept warm.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) provisioned_concurrency: Option<u8>,
}

/// What is written down of calls and answers.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct DataCaptureConfig {
    /// Whether anything is.
    #[serde(default)]
    pub(crate) enable_capture: bool,
    /// The share of the calls, in percent.
    pub(crate) initial_sampling_percentage: u8,
    /// Where to: a folder (`file://`) or a bucket and prefix (`s3://`).
    pub(crate) destination_s3_uri: String,
    /// Which sides of a call.
    pub(crate) capture_options: Vec<CaptureOption>,
    /// Which bodies are text; all others are written in base64.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) capture_content_type_header: Option<CaptureContentTypes>,
}

/// One side of a call that is written down.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct CaptureOption {
    /// Which one.
    pub(crate) capture_mode: CaptureMode,
}

/// The sides of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum CaptureMode {
    /// What the caller sent.
    Input,
    /// What the container answered.
    Output,
    /// Both.
    InputAndOutput,
}

/// Content types whose bodies are written down as text.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct CaptureContentTypes {
    /// As encoding `CSV`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) csv_content_types: Vec<String>,
    /// As encoding `JSON`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) json_content_types: Vec<String>,
}

impl EndpointConfig {
    /// All variants, those that answer first.
    pub(crate) fn variants(&self) -> impl Iterator<Item = &Variant> {
        self.production_variants.iter().chain(&self.shadow_production_variants)
    }

    /// The same, to be changed.
    pub(crate) fn variants_mut(&mut self) -> impl Iterator<Item = &mut Variant> {
        self.production_variants.iter_mut().chain(&mut self.shadow_production_variants)
    }

    /// Whether no call would be answered: every variant's share is 0 of 0.
    pub(crate) fn has_no_weight(&self) -> bool {
        self.production_variants.iter().all(|variant| variant.initial_variant_weight == 0.0)
    }
}

impl Record for EndpointConfig {
    const KIND: &'static str = "endpoint-config";

    fn name(&self) -> &ResourceName {
        &self.endpoint_config_name
    }

    fn arn(&self) -> &str {
        &self.endpoint_config_arn
    }

    fn creation_time(&self) -> f64 {
        self.creation_time
    }
}
