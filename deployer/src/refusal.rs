//! Errors of the AWS SDK in this crate's words.

use aws_sdk_sagemaker::error::{ProvideErrorMetadata, SdkError};

use crate::Error;
use crate::http::in_full;

/// What an action failed with at a place: the service's own words, or why there are none.
pub(crate) fn refused<E>(action: &str, place: &str) -> impl FnOnce(SdkError<E>) -> Error
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
{
    move |error| {
        let Some(service) = error.as_service_error() else {
            return Error::Unreachable { url: place.to_owned(), reason: in_full(&error) };
        };
        let code = service.code().unwrap_or("no code").to_owned();
        let reason = service.message().unwrap_or("it does not say why").to_owned();
        let response = error.raw_response();
        let fails = response.is_some_and(|response| response.status().is_server_error());
        let action = action.to_owned();
        match fails || code.contains("Throttling") {
            true => Error::Failed { action, code, reason },
            false => Error::Refused { action, code, reason },
        }
    }
}

/// Whether the service's own words contain `words`: SageMaker has one error for most things.
pub(crate) fn says<E: ProvideErrorMetadata>(error: &SdkError<E>, words: &str) -> bool {
    let message = error.as_service_error().and_then(ProvideErrorMetadata::message);
    message.is_some_and(|message| message.contains(words))
}
