//! Calls of SageMaker's runtime, through the AWS SDK.

use std::collections::BTreeMap;
use std::error::Error as StdError;

use aws_config::retry::RetryConfig;
use aws_config::stalled_stream_protection::StalledStreamProtectionConfig;
use aws_config::{BehaviorVersion, Region};
use aws_sdk_sagemakerruntime::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_sagemakerruntime::operation::invoke_endpoint::InvokeEndpointError;
use aws_sdk_sagemakerruntime::operation::invoke_endpoint::builders::InvokeEndpointFluentBuilder;
use aws_sdk_sagemakerruntime::primitives::Blob;
use aws_sdk_sagemakerruntime::types::error::ModelError;
use aws_sdk_sagemakerruntime::{Client, config};
use bytes::Bytes;
use hyper_util::client::legacy;

use super::response_limit::ResponseLimit;
use crate::caller::{Failure, chain};
use crate::record::{Answer, Record};

/// Where another runtime may be named; which region is signed for doesn't matter to that.
const ENDPOINT_VARIABLES: [&str; 2] = ["AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME", "AWS_ENDPOINT_URL"];

/// A captured call, for an endpoint.
#[derive(Debug, Clone)]
pub(crate) struct Invocation {
    endpoint: String,
    content_type: Option<String>,
    headers: BTreeMap<String, String>,
    body: Bytes,
    /// The type of the captured answer: that of a model's error is not passed on by SageMaker.
    error_type: Option<String>,
}

impl Invocation {
    /// The call of a record.
    pub(super) fn new(endpoint: String, record: &Record) -> Self {
        let answer = record.reply.answer.as_ref().ok();
        Self {
            endpoint,
            content_type: record.request.content_type.clone(),
            headers: record.request.headers.clone(),
            body: record.request.body.clone(),
            error_type: answer.and_then(|answer| answer.content_type.clone()),
        }
    }
}

/// The SDK's client, from the settings of the environment.
///
/// # Errors
/// A sentence for the user, when no region is set.
pub(crate) async fn client() -> Result<Client, String> {
    let loader = aws_config::defaults(BehaviorVersion::v2026_01_12())
        // A call that fails once must be seen.
        .retry_config(RetryConfig::disabled())
        .stalled_stream_protection(StalledStreamProtectionConfig::disabled());
    let is_elsewhere = ENDPOINT_VARIABLES.iter().any(|name| std::env::var_os(name).is_some());
    let mut settings = loader.load().await;
    if settings.region().is_none() {
        if !is_elsewhere {
            return Err("a `sagemaker:` target needs a region: set AWS_REGION".to_owned());
        }
        settings = settings.into_builder().region(Region::from_static("us-east-1")).build();
    }
    Ok(Client::from_conf(config::Builder::from(&settings).interceptor(ResponseLimit).build()))
}

/// Makes a call; an error of the model is its answer.
pub(crate) async fn invoke(client: &Client, call: Invocation) -> Result<Answer, Failure> {
    let request = client
        .invoke_endpoint()
        .endpoint_name(call.endpoint)
        .set_content_type(call.content_type)
        .body(Blob::new(call.body));
    match with_headers(request, call.headers).send().await {
        Ok(output) => {
            let body = output.body.map(Blob::into_inner).unwrap_or_default();
            Ok(answer(200, output.content_type, body.into()))
        }
        Err(SdkError::ServiceError(error)) => match error.into_err() {
            InvokeEndpointError::ModelError(error) => Ok(model_answer(error, call.error_type)),
            error => Err(Failure::Broken(service_reason(&error))),
        },
        Err(error) if is_unsent(&error) => Err(Failure::Refused(chain(&error))),
        Err(error) => Err(Failure::Broken(chain(&error))),
    }
}

fn with_headers(
    request: InvokeEndpointFluentBuilder,
    headers: BTreeMap<String, String>,
) -> InvokeEndpointFluentBuilder {
    headers.into_iter().fold(request, |request, (name, value)| {
        match name.to_ascii_lowercase().as_str() {
            "accept" => request.accept(value),
            "x-amzn-sagemaker-custom-attributes" => request.custom_attributes(value),
            "x-amzn-sagemaker-target-model" => request.target_model(value),
            "x-amzn-sagemaker-target-variant" => request.target_variant(value),
            "x-amzn-sagemaker-target-container-hostname" => {
                request.target_container_hostname(value)
            }
            "x-amzn-sagemaker-inference-id" => request.inference_id(value),
            // The runtime passes no others on.
            _ => request,
        }
    })
}

fn answer(status: u16, content_type: Option<String>, body: Bytes) -> Answer {
    Answer { status, content_type, headers: BTreeMap::new(), body }
}

fn model_answer(error: ModelError, content_type: Option<String>) -> Answer {
    let status = error.original_status_code.and_then(|status| u16::try_from(status).ok());
    answer(status.unwrap_or(500), content_type, error.original_message.unwrap_or_default().into())
}

fn service_reason(error: &InvokeEndpointError) -> String {
    let code = error.code().unwrap_or("an error without a code");
    match error.message() {
        Some(message) => format!("{code}: {message}"),
        None => code.to_owned(),
    }
}

/// Whether no connection could be made.
fn is_unsent(error: &SdkError<InvokeEndpointError>) -> bool {
    let mut causes = std::iter::successors(error.source(), |&cause| cause.source());
    causes.any(|cause| cause.downcast_ref().is_some_and(legacy::Error::is_connect))
}
