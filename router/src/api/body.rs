//! Reads request bodies: of known types only, up to a limit, as UTF-8.

use std::error::Error;
use std::time::Duration;

use axum::body::Body;
use axum::http::HeaderMap;
use axum::http::header::CONTENT_TYPE;
use bytes::Bytes;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use tokio::time::timeout;

use super::request_body::Silent;
use crate::problem::{Kind, Problem};

/// The types of body that are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum MediaType {
    /// `application/json`.
    Json,
    /// `application/x-ndjson` or `application/jsonlines`.
    Lines,
}

impl MediaType {
    /// What the request says its body is.
    pub(super) fn of(headers: &HeaderMap) -> Result<Self, Problem> {
        let value =
            headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let (essence, parameters) = value.split_once(';').unwrap_or((value, ""));
        let parameters = parameters.to_ascii_lowercase().replace(['"', ' '], "");
        if parameters.contains("charset=") && !parameters.contains("charset=utf-8") {
            return Err(unsupported(value));
        }
        match essence.trim().to_ascii_lowercase().as_str() {
            "application/json" => Ok(Self::Json),
            "application/x-ndjson" | "application/jsonlines" => Ok(Self::Lines),
            _ => Err(unsupported(value)),
        }
    }

    /// Refuses anything but one JSON value.
    pub(super) fn demand_json(headers: &HeaderMap) -> Result<(), Problem> {
        match Self::of(headers)? {
            Self::Json => Ok(()),
            Self::Lines => Err(Problem::new(Kind::MediaType, "send application/json here")),
        }
    }
}

fn unsupported(value: &str) -> Problem {
    let detail = format!(
        "the content type `{value}` is not read; send application/json, or application/x-ndjson \
         for lines to moderate, in UTF-8"
    );
    Problem::new(Kind::MediaType, detail)
}

/// How long a whole body may take: whoever sends a byte now and then holds others up.
const MAX_READ: Duration = Duration::from_secs(20);

/// The whole body as text.
pub(super) async fn read_text(body: Body, limit: usize) -> Result<String, Problem> {
    let body = match timeout(MAX_READ, Limited::new(body, limit).collect()).await {
        Ok(Ok(body)) => body.to_bytes(),
        Ok(Err(error)) if error.is::<LengthLimitError>() => return Err(too_large("body", limit)),
        Ok(Err(error)) => return Err(broken(&*error)),
        Err(_) => {
            let detail = format!("the body did not come within {MAX_READ:?}");
            return Err(Problem::new(Kind::RequestTimeout, detail));
        }
    };
    utf8(body, "body")
}

/// The refusal for a body that did not come to its end.
pub(super) fn broken(error: &(dyn Error + 'static)) -> Problem {
    let mut causes = std::iter::successors(Some(error), |&error| error.source());
    match causes.find_map(|cause| cause.downcast_ref::<Silent>()) {
        Some(silent) => Problem::new(Kind::RequestTimeout, silent.to_string()),
        None => Problem::new(Kind::Malformed, "the body broke off"),
    }
}

/// The refusal for what is larger than `limit` bytes.
pub(super) fn too_large(what: &str, limit: usize) -> Problem {
    Problem::new(Kind::TooLarge, format!("the {what} is larger than {limit} bytes"))
}

/// Text that is certainly text; `source` is what it was sent as.
pub(super) fn utf8(bytes: Bytes, source: &str) -> Result<String, Problem> {
    String::from_utf8(bytes.into()).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        Problem::new(Kind::Malformed, format!("the {source} is not UTF-8: see its byte {at}"))
    })
}

#[cfg(test)]
mod tests {
    use futures_util::stream::{self, StreamExt};

    use super::super::request_body::RequestBody;
    use super::*;

    #[tokio::test]
    async fn a_caller_who_falls_silent_gets_408() {
        let first = stream::iter([Ok::<_, axum::Error>("{")]);
        let stalled = Body::from_stream(first.chain(stream::pending()));
        let stalled = RequestBody::new(stalled, Duration::from_millis(10), true);
        let fault = read_text(Body::new(stalled), 100).await.unwrap_err();
        assert_eq!(fault.kind, Kind::RequestTimeout);
        let broken = stream::iter([Err::<&str, _>(axum::Error::new("reset"))]);
        let fault = read_text(Body::from_stream(broken), 100).await.unwrap_err();
        assert_eq!(fault.kind, Kind::Malformed);
    }

    #[tokio::test(start_paused = true)]
    async fn a_caller_who_trickles_gets_408_too() {
        let trickle = stream::repeat("x").then(async |byte| {
            tokio::time::sleep(Duration::from_secs(1)).await;
            Ok::<_, axum::Error>(byte)
        });
        let body = RequestBody::new(Body::from_stream(trickle), Duration::from_secs(30), false);
        let fault = read_text(Body::new(body), 1000).await.unwrap_err();
        assert_eq!(fault.kind, Kind::RequestTimeout);
    }

    fn media_type(value: &'static str) -> Option<MediaType> {
        let headers = HeaderMap::from_iter([(CONTENT_TYPE, value.parse().unwrap())]);
        MediaType::of(&headers).ok()
    }

    #[test]
    fn parameters_do_not_matter_but_the_charset_does() {
        assert_eq!(media_type("application/json"), Some(MediaType::Json));
        assert_eq!(media_type("Application/JSON; charset=\"UTF-8\""), Some(MediaType::Json));
        assert_eq!(media_type("application/x-ndjson;v=1"), Some(MediaType::Lines));
        assert_eq!(media_type("application/json; charset=latin-1"), None);
        assert_eq!(media_type("text/plain"), None);
        assert_eq!(MediaType::of(&HeaderMap::new()).ok(), None);
    }
}
