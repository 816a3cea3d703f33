//! Why S3 did not do what was asked, by what can be done about it.

use std::io;
use std::path::PathBuf;

use aws_sdk_s3::config::http::HttpResponse;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};

use crate::http::in_full;

/// A call to S3 that failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It is no URL of a place in S3.
    #[error("`{url}` is no place in S3: write s3://BUCKET or s3://BUCKET/PREFIX")]
    Url {
        /// What was written.
        url: String,
    },
    /// The bucket does not exist.
    #[error("`{url}`: there is no such bucket; create it, or correct the name")]
    NoBucket {
        /// What was asked for.
        url: String,
    },
    /// The object does not exist.
    #[error("`{url}` is not there")]
    Missing {
        /// What was asked for.
        url: String,
    },
    /// There is another version of the object than the one that was asked for.
    #[error("`{url}` has changed meanwhile")]
    Changed {
        /// What was asked for.
        url: String,
    },
    /// The server knows the caller, and won't.
    #[error(
        "S3 denies `{url}`: {reason}; check the credentials, and what the bucket's policy allows them"
    )]
    Denied {
        /// What was asked for.
        url: String,
        /// The server's own words.
        reason: String,
    },
    /// The object is larger than what may be read.
    #[error("`{url}` is larger than {limit_bytes} bytes")]
    TooLarge {
        /// What was asked for.
        url: String,
        /// How large it may be.
        limit_bytes: u64,
    },
    /// More objects than may be listed.
    #[error("`{url}` holds over {limit} objects: use a prefix with fewer")]
    TooMany {
        /// What was listed.
        url: String,
        /// How many there may be.
        limit: usize,
    },
    /// The body did not have the announced size.
    #[error("`{url}` came with {got} bytes instead of {announced}")]
    Length {
        /// What was asked for.
        url: String,
        /// How many bytes came.
        got: u64,
        /// How many were announced.
        announced: u64,
    },
    /// What came can't be stored here, or what is to go can't be read.
    #[error("can't read or write `{path}`: {source}")]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The server can't be reached, stalled, or failed; it may work later.
    #[error("can't reach `{url}`: {reason}")]
    Unavailable {
        /// What was asked for.
        url: String,
        /// Why there was no answer, or which.
        reason: String,
    },
}

impl Error {
    /// What a call about `url` failed of.
    pub(super) fn of<E>(url: String, error: &SdkError<E, HttpResponse>) -> Self
    where
        E: std::error::Error + ProvideErrorMetadata + 'static,
    {
        let status = error.raw_response().map(|answer| answer.status().as_u16());
        match (error.code(), status) {
            (Some("NoSuchBucket"), _) => Self::NoBucket { url },
            (Some("NoSuchKey"), _) | (_, Some(404)) => Self::Missing { url },
            (_, Some(409 | 412)) => Self::Changed { url },
            (_, Some(401 | 403)) => Self::Denied { url, reason: words(error) },
            (_, Some(301)) => {
                let reason = "the bucket is in another region; name it in AWS_REGION".to_owned();
                Self::Unavailable { url, reason }
            }
            _ => Self::Unavailable { url, reason: in_full(error) },
        }
    }
}

/// The server's code and sentence, as far as it gave them.
fn words(error: &impl ProvideErrorMetadata) -> String {
    let words: Vec<_> = [error.code(), error.message()].into_iter().flatten().collect();
    if words.is_empty() { "it did not say why".to_owned() } else { words.join(": ") }
}
