//! Why S3 did not do what was asked, in words for whoever can do something about it.

use aws_sdk_s3::config::http::HttpResponse;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};

/// What a call failed of, and what to do about it.
pub(super) fn explain<E>(error: &SdkError<E, HttpResponse>) -> String
where
    E: std::error::Error + ProvideErrorMetadata + 'static,
{
    let status = error.raw_response().map(|answer| answer.status().as_u16());
    match (error.code(), status) {
        (Some("NoSuchBucket"), _) => "there is no such bucket; create it, or correct it".to_owned(),
        (Some("NoSuchKey"), _) | (_, Some(404)) => {
            "there is no such object; upload it, or correct the key".to_owned()
        }
        (_, Some(401 | 403)) => format!(
            "S3 denies it ({}); check the host's credentials and the bucket's policy",
            words(error)
        ),
        (_, Some(301)) => {
            "the bucket is in another region; start the host with it in AWS_REGION".to_owned()
        }
        (_, Some(status)) => format!("S3 answered with {status} ({})", words(error)),
        (_, None) if is_without_credentials(error) => {
            "the host has no credentials; start it with AWS_ACCESS_KEY_ID and \
             AWS_SECRET_ACCESS_KEY, or AWS_PROFILE"
                .to_owned()
        }
        (_, None) => format!("S3 cannot be reached: {}", in_full(error)),
    }
}

/// An error with its causes: the SDK's own text alone is "dispatch failure".
pub(super) fn in_full(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}

/// The SDK has no type for this.
fn is_without_credentials(error: &dyn std::error::Error) -> bool {
    let text = in_full(error);
    text.contains("no providers in chain provided credentials") || text.contains("CredentialsNot")
}

/// The server's code and sentence, as far as it gave them.
fn words(error: &impl ProvideErrorMetadata) -> String {
    let words: Vec<_> = [error.code(), error.message()].into_iter().flatten().collect();
    if words.is_empty() { "it did not say why".to_owned() } else { words.join(": ") }
}
