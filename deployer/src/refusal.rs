//! Errors of the AWS SDK in this crate's words.

use aws_sdk_sagemaker::error::{ProvideErrorMetadata, SdkError};

use crate::Error;
use crate::http::in_full;

/// What an action failed with at a place: the service's own words, or why there are none.
pub(crate) fn refused<E>(action: &str, place: &str) -> impl FnOnce(SdkError<E>) -> Error
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
{
    move |error| match error.as_service_error() {
        Some(service) => Error::Refused {
            action: action.to_owned(),
            code: service.code().unwrap_or("no code").to_owned(),
            reason: service.message().unwrap_or("it does not say why").to_owned(),
        },
        None => Error::Unreachable { url: place.to_owned(), reason: in_full(&error) },
    }
}

/// Whether the service's own words contain `words`: SageMaker has one error for most things.
pub(crate) fn says<E: ProvideErrorMetadata>(error: &SdkError<E>, words: &str) -> bool {
    let message = error.as_service_error().and_then(ProvideErrorMetadata::message);
    message.is_some_and(|message| message.contains(words))
}
