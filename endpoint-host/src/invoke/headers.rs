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

/// Chooses a variant.
const TARGET_VARIANT: HeaderName = HeaderName::from_static("x-amzn-sagemaker-target-variant");

/// Tells which variant answered.
const INVOKED_VARIANT: HeaderName = HeaderName::from_static("x-amzn-invoked-production-variant");

/// The content type of a streamed answer, whose own is that of the frames.
const STREAM_CONTENT_TYPE: HeaderName = HeaderName::from_static("x-amzn-sagemaker-content-type");

/// What the caller of a stream accepts.
const STREAM_ACCEPT: HeaderName = HeaderName::from_static("x-amzn-sagemaker-accept");

/// The longest `CustomAttributes`, in characters:
/// <https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_runtime_InvokeEndpoint.html>
const LONGEST_ATTRIBUTES: usize = 1024;

/// The longest `InferenceId`, in characters.
const LONGEST_INFERENCE_ID: usize = 64;

/// Ask for what serverless endpoints, or this host, do not have.
const REFUSED: [&str; 5] = [
    "x-amzn-sagemaker-target-model",
    "x-amzn-sagemaker-target-container-hostname",
    "x-amzn-sagemaker-enable-explanations",
    "x-amzn-sagemaker-inference-component",
    "x-amzn-sagemaker-session-id",
];

/// Refuses headers that would have to change what happens.
pub(super) fn check(headers: &HeaderMap) -> Result<(), ApiError> {
    if let Some(header) = REFUSED.iter().find(|header| headers.contains_key(**header)) {
        let why = "serverless endpoints do not have it: leave it out";
        return Err(ApiError::invocation(format!("header `{header}` is not supported: {why}")));
    }
    check_text(headers, &CUSTOM_ATTRIBUTES, "customAttributes", LONGEST_ATTRIBUTES)?;
    check_text(headers, &INFERENCE_ID, "inferenceId", LONGEST_INFERENCE_ID)
}

fn check_text(
    headers: &HeaderMap,
    header: &HeaderName,
    field: &str,
    longest: usize,
) -> Result<(), ApiError> {
    let rule = match headers.get(header).map(|value| (value.len(), value.to_str())) {
        Some((_, Err(_))) => "be visible ASCII characters".to_owned(),
        Some((length, Ok(_))) if length > longest => {
            format!("have length less than or equal to {longest}")
        }
        Some(_) | None => return Ok(()),
    };
    Err(ApiError::invocation(format!(
        "1 validation error detected: Value at '{field}' failed to satisfy constraint: \
         Member must {rule}"
    )))
}

/// The caller's own id of the call.
pub(super) fn inference_id(headers: &HeaderMap) -> Option<String> {
    text(headers, &INFERENCE_ID)
}

/// The caller's attributes.
pub(super) fn custom_attributes(headers: &HeaderMap) -> Option<String> {
    text(headers, &CUSTOM_ATTRIBUTES)
}

/// The type of a body.
pub(super) fn content_type(headers: &HeaderMap) -> Option<String> {
    text(headers, &CONTENT_TYPE)
}

fn text(headers: &HeaderMap, header: &HeaderName) -> Option<String> {
    headers.get(header)?.to_str().ok().map(str::to_owned)
}

/// The variant that the caller asks for.
pub(super) fn target_variant(headers: &HeaderMap) -> Option<&[u8]> {
    headers.get(TARGET_VARIANT).map(HeaderValue::as_bytes)
}

/// What the container gets of the caller's headers.
pub(super) fn to_container(from: &HeaderMap, to: &mut HeaderMap) {
    copy(&[CONTENT_TYPE, ACCEPT, CUSTOM_ATTRIBUTES, INFERENCE_ID], from, to);
    to.entry(ACCEPT).or_insert(HeaderValue::from_static("*/*"));
}

/// Puts what the caller of a stream accepts where a container looks for it.
pub(super) fn accept_of_stream(headers: &mut HeaderMap) {
    headers.remove(ACCEPT);
    if let Some(accept) = headers.remove(STREAM_ACCEPT) {
        headers.insert(ACCEPT, accept);
    }
}

/// What the caller gets of the container's headers beside a stream.
pub(super) fn to_caller_of_stream(from: &HeaderMap, to: &mut HeaderMap) {
    copy(&[CUSTOM_ATTRIBUTES], from, to);
    if let Some(kind) = from.get(CONTENT_TYPE) {
        to.insert(STREAM_CONTENT_TYPE, kind.clone());
    }
    let frames = HeaderValue::from_static("application/vnd.amazon.eventstream");
    to.insert(CONTENT_TYPE, frames);
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
