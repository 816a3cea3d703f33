//! The headers of a call: which are passed on, which come back, which are refused.

use axum::response::Response;
use hyper::HeaderMap;
use hyper::header::{ACCEPT, CONTENT_TYPE, HeaderName, HeaderValue};

use crate::api_error::ApiError;
use crate::resource_name::ResourceName;

/// Goes both ways, as it is.
const CUSTOM_ATTRIBUTES: HeaderName = HeaderName::from_static("x-amzn-sagemaker-custom-attributes");

/// Reaches the container.
const INFERENCE_ID: HeaderName = HeaderName::from_static("x-amzn-sagemaker-inference-id");

/// Chooses a variant; there is only one.
const TARGET_VARIANT: HeaderName = HeaderName::from_static("x-amzn-sagemaker-target-variant");

/// Tells which variant answered.
const INVOKED_VARIANT: HeaderName = HeaderName::from_static("x-amzn-invoked-production-variant");

/// Ask for what serverless endpoints, or this host, do not have.
const REFUSED: [&str; 5] = [
    "x-amzn-sagemaker-target-model",
    "x-amzn-sagemaker-target-container-hostname",
    "x-amzn-sagemaker-enable-explanations",
    "x-amzn-sagemaker-inference-component",
    "x-amzn-sagemaker-session-id",
];

/// Refuses headers that would have to change what happens.
pub(super) fn check(headers: &HeaderMap, variant: &ResourceName) -> Result<(), ApiError> {
    if let Some(header) = REFUSED.iter().find(|header| headers.contains_key(**header)) {
        let message = format!("header `{header}` is not supported: leave it out");
        return Err(ApiError::invocation(message));
    }
    match headers.get(TARGET_VARIANT) {
        Some(target) if target != variant.as_str() => {
            Err(ApiError::invocation(format!("the endpoint's only variant is `{variant}`")))
        }
        _ => Ok(()),
    }
}

/// What the container gets of the caller's headers.
pub(super) fn to_container(from: &HeaderMap, to: &mut HeaderMap) {
    copy(&[CONTENT_TYPE, ACCEPT, CUSTOM_ATTRIBUTES, INFERENCE_ID], from, to);
}

/// What the caller gets of the container's headers.
pub(super) fn to_caller(from: &HeaderMap, to: &mut HeaderMap) {
    copy(&[CONTENT_TYPE, CUSTOM_ATTRIBUTES], from, to);
}

/// Tells the caller which variant answered.
pub(super) fn with_variant(mut answer: Response, variant: &ResourceName) -> Response {
    let value = HeaderValue::from_str(variant.as_str()).expect("names are letters and digits");
    answer.headers_mut().insert(INVOKED_VARIANT, value);
    answer
}

fn copy(headers: &[HeaderName], from: &HeaderMap, to: &mut HeaderMap) {
    for header in headers {
        if let Some(value) = from.get(header) {
            to.insert(header, value.clone());
        }
    }
}
