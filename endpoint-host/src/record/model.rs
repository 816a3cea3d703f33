//! A model: an image and what it serves.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Record;
use crate::resource_name::ResourceName;

/// A model as it was created.
#[derive(Clone, Debug, Serialize, Deserialize)]
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
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct PrimaryContainer {
    /// The image's name.
    pub(crate) image: String,
    /// Always `SingleModel`.
    pub(crate) mode: String,
    /// The address of the model data, as given.
    pub(crate) model_data_url: String,
    /// The only environment variables that the container gets.
    pub(crate) environment: BTreeMap<String, String>,
}

impl Record for Model {
    const KIND: &'static str = "model";

    fn name(&self) -> &ResourceName {
        &self.model_name
    }

    fn arn(&self) -> &str {
        &self.model_arn
    }

    fn creation_time(&self) -> f64 {
        self.creation_time
    }
}
