//! What the host remembers of models, endpoint configurations and endpoints; what SageMaker
//! describes has the same names here.

mod endpoint;
mod endpoint_config;
mod model;

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::resource_name::ResourceName;

pub(crate) use endpoint::{Endpoint, Serving, Status};
pub(crate) use endpoint_config::{
    CaptureContentTypes, CaptureMode, CaptureOption, DataCaptureConfig, EndpointConfig,
    ServerlessConfig, Variant,
};
pub(crate) use model::{Model, PrimaryContainer};

/// What owners note about their records.
pub(crate) type Tags = BTreeMap<String, String>;

/// A thing of which there is one for each name.
pub(crate) trait Record: Clone + Serialize + DeserializeOwned {
    /// What its kind is called in the database.
    const KIND: &'static str;

    /// Its name.
    fn name(&self) -> &ResourceName;

    /// Its ARN.
    fn arn(&self) -> &str;

    /// When it was created, in seconds since 1970.
    fn creation_time(&self) -> f64;

    /// When it last changed, in seconds since 1970.
    fn last_modified_time(&self) -> f64 {
        self.creation_time()
    }

    /// Where it stands, in SageMaker's word; empty for what always stands where it is.
    fn status_word(&self) -> &'static str {
        ""
    }
}

/// The time in seconds since 1970, to the millisecond, as AWS writes it.
pub(crate) fn now() -> f64 {
    Timestamp::now().as_millisecond() as f64 / 1000.0
}
