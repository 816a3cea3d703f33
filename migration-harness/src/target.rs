//! Where calls are replayed to, and what is sent there for a captured call.

mod header;
mod http;
mod pattern;
mod response_limit;
pub(crate) mod sagemaker;

use std::sync::Arc;

use http1_connection::Request;

use http::Http;
use pattern::Pattern;

pub(crate) use header::FixedHeaders;
pub(crate) use http::Origin;
pub(crate) use sagemaker::Invocation;

use crate::record::Record;

/// A checked target, and the headers that each request gets.
#[derive(Debug)]
pub(crate) struct Target {
    place: Place,
    headers: FixedHeaders,
}

#[derive(Debug)]
enum Place {
    Http(Http),
    /// The name of an endpoint.
    SageMaker(Pattern),
}

/// A captured call, ready to be made.
#[derive(Debug, Clone)]
pub(crate) enum Prepared {
    /// A request, and whom it is for.
    Http(Arc<Origin>, Request),
    /// A call of SageMaker's runtime.
    SageMaker(Invocation),
}

impl Target {
    /// Takes a URL or `sagemaker:NAME`, either of which may hold `{model}` and `{client}`.
    ///
    /// # Errors
    /// A sentence for the user, when it is neither.
    pub(crate) fn parse(text: &str, headers: FixedHeaders) -> Result<Self, String> {
        let place = match text.strip_prefix("sagemaker:") {
            Some("") => return Err("`sagemaker:` must be followed by the endpoint's name".into()),
            Some(name) => Place::SageMaker(Pattern::parse(name)?),
            None if text.starts_with("http://") || text.starts_with("https://") => {
                Place::Http(Http::parse(text)?)
            }
            None => {
                return Err(format!(
                    "target `{text}` must begin with http://, https:// or sagemaker:"
                ));
            }
        };
        Ok(Self { place, headers })
    }

    /// Whether it is called through the AWS SDK.
    pub(crate) fn is_sagemaker(&self) -> bool {
        matches!(self.place, Place::SageMaker(_))
    }

    /// Whether it is called through TLS.
    pub(crate) fn is_https(&self) -> bool {
        matches!(&self.place, Place::Http(http) if http.is_https())
    }

    /// The names of the headers that each request gets.
    pub(crate) fn header_names(&self) -> Vec<String> {
        self.headers.names()
    }

    /// The URL that a record is sent to; none where it can't be, or is no URL's business.
    pub(crate) fn url(&self, record: &Record) -> Option<String> {
        let Place::Http(http) = &self.place else { return None };
        let (origin, path) = http.address(record).ok()?;
        Some(format!("{}{path}", origin.uri.to_string().trim_end_matches('/')))
    }

    /// What to send for a captured call.
    ///
    /// # Errors
    /// A sentence for the user, when the record lacks what the target needs or holds what can't be
    /// sent.
    pub(crate) fn prepare(&self, record: &Record) -> Result<Prepared, String> {
        match &self.place {
            Place::Http(http) => {
                let (origin, path) = http.address(record)?;
                let request = http::request(&origin, &path, &record.request, &self.headers)?;
                Ok(Prepared::Http(origin, request))
            }
            Place::SageMaker(name) => {
                let endpoint = name.fill(record, str::to_owned)?;
                Ok(Prepared::SageMaker(Invocation::new(endpoint, record)))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_kinds_of_targets_and_placeholders_are_refused() {
        for (target, reason) in [
            ("sagemaker:", "endpoint's name"),
            ("sagemaker:a{b}", "no other braces"),
            ("127.0.0.1:80", "must begin with http://"),
            ("http://", "no URL"),
            ("http://h/{modle}", "no other braces"),
            ("http://me:secret@h/", "--header-env"),
        ] {
            let error = Target::parse(target, FixedHeaders::default()).unwrap_err();
            assert!(error.contains(reason), "{target}: {error}");
        }
    }
}
