//! The answers that are not what was asked for, as `application/problem+json` (RFC 9457).

use std::fmt;

use axum::http::header::{CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::{Serialize, Serializer};

/// A refusal: what kind it is and what exactly is wrong this time.
#[derive(Debug)]
pub(crate) struct Problem {
    /// What callers can act on.
    pub(crate) kind: Kind,
    /// The particular fault, for people.
    pub(crate) detail: String,
}

/// The kinds of refusal; each has one status and one stable reference.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The request is not readable as what it says it is.
    Malformed,
    /// The caller has no key that is taken.
    Unauthorized,
    /// The caller's key does not allow this.
    Forbidden,
    /// The caller's key has been used too often.
    RateLimited,
    /// The request names a host that the router is not.
    ForeignHost,
    /// No such route.
    UnknownRoute,
    /// No options exist for the client.
    UnknownClient,
    /// No such model is registered.
    UnknownModel,
    /// No such scope exists.
    UnknownScope,
    /// No such decision was stored.
    UnknownDecision,
    /// No such key was made.
    UnknownKey,
    /// The owner has as many keys as he may.
    TooManyKeys,
    /// No such policy version was ever made.
    UnknownVersion,
    /// The route has no such method.
    MethodNotAllowed,
    /// The caller has stopped sending.
    RequestTimeout,
    /// The document is still needed by another.
    InUse,
    /// The document is not the one that the caller has seen.
    Changed,
    /// The body is larger than is read.
    TooLarge,
    /// The body is of a type that is not read.
    MediaType,
    /// A field is missing, unknown or has a value that makes no sense.
    Invalid,
    /// A change must say which version it replaces.
    PreconditionRequired,
    /// Part of the design, but not yet of the product.
    NotSupported,
    /// The router has as much to do as it can.
    Overloaded,
    /// The router is about to stop.
    Stopping,
    /// The database does not answer as it should.
    StoreUnavailable,
    /// The database holds options that this router cannot read.
    OptionsUnreadable,
}

impl Kind {
    /// All kinds.
    pub(crate) const ALL: [Self; 26] = [
        Self::Malformed,
        Self::Unauthorized,
        Self::Forbidden,
        Self::RateLimited,
        Self::ForeignHost,
        Self::UnknownRoute,
        Self::UnknownClient,
        Self::UnknownModel,
        Self::UnknownScope,
        Self::UnknownDecision,
        Self::UnknownKey,
        Self::TooManyKeys,
        Self::UnknownVersion,
        Self::MethodNotAllowed,
        Self::RequestTimeout,
        Self::InUse,
        Self::Changed,
        Self::TooLarge,
        Self::MediaType,
        Self::Invalid,
        Self::PreconditionRequired,
        Self::NotSupported,
        Self::Overloaded,
        Self::Stopping,
        Self::StoreUnavailable,
        Self::OptionsUnreadable,
    ];

    /// The `type` of the problem.
    pub(crate) fn reference(self) -> String {
        format!("/problems/{}", self.facts().1)
    }

    /// The status that it is answered with.
    pub(crate) fn status(self) -> u16 {
        self.facts().0.as_u16()
    }

    /// The kind in a few words.
    pub(crate) fn title(self) -> &'static str {
        self.facts().2
    }

    /// The kind that has this name in its reference.
    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.facts().1 == name)
    }
}

impl Problem {
    pub(crate) fn new(kind: Kind, detail: impl Into<String>) -> Self {
        Self { kind, detail: detail.into() }
    }

    pub(crate) fn invalid(detail: impl Into<String>) -> Self {
        Self::new(Kind::Invalid, detail)
    }

    /// The same, with what it is about in front.
    pub(crate) fn about(self, subject: impl fmt::Display) -> Self {
        Self { detail: format!("`{subject}`: {}", self.detail), ..self }
    }
}

impl Kind {
    /// Status, reference and title.
    fn facts(self) -> (StatusCode, &'static str, &'static str) {
        use StatusCode as S;
        match self {
            Self::Malformed => (S::BAD_REQUEST, "malformed", "Malformed request"),
            Self::Unauthorized => (S::UNAUTHORIZED, "unauthorized", "Key required"),
            Self::Forbidden => (S::FORBIDDEN, "forbidden", "Not allowed"),
            Self::RateLimited => (S::TOO_MANY_REQUESTS, "rate-limited", "Rate limit exceeded"),
            Self::UnknownKey => (S::NOT_FOUND, "unknown-key", "Unknown key"),
            Self::TooManyKeys => (S::CONFLICT, "too-many-keys", "Too many keys"),
            Self::ForeignHost => (S::FORBIDDEN, "foreign-host", "Foreign host"),
            Self::UnknownRoute => (S::NOT_FOUND, "unknown-route", "Unknown route"),
            Self::UnknownClient => (S::NOT_FOUND, "unknown-client", "Unknown client"),
            Self::UnknownModel => (S::NOT_FOUND, "unknown-model", "Unknown model"),
            Self::UnknownScope => (S::NOT_FOUND, "unknown-scope", "Unknown scope"),
            Self::UnknownDecision => (S::NOT_FOUND, "unknown-decision", "Unknown decision"),
            Self::UnknownVersion => (S::NOT_FOUND, "unknown-version", "Unknown version"),
            Self::MethodNotAllowed => {
                (S::METHOD_NOT_ALLOWED, "method-not-allowed", "Method not allowed")
            }
            Self::RequestTimeout => (S::REQUEST_TIMEOUT, "request-timeout", "Request timeout"),
            Self::InUse => (S::CONFLICT, "in-use", "Still in use"),
            Self::Changed => (S::PRECONDITION_FAILED, "changed", "Changed in the meantime"),
            Self::TooLarge => (S::PAYLOAD_TOO_LARGE, "too-large", "Body too large"),
            Self::MediaType => (S::UNSUPPORTED_MEDIA_TYPE, "media-type", "Unsupported media type"),
            Self::Invalid => (S::UNPROCESSABLE_ENTITY, "invalid", "Invalid field"),
            Self::PreconditionRequired => {
                (S::PRECONDITION_REQUIRED, "precondition-required", "Precondition required")
            }
            Self::NotSupported => (S::NOT_IMPLEMENTED, "not-supported", "Not supported yet"),
            Self::Overloaded => (S::SERVICE_UNAVAILABLE, "overloaded", "Overloaded"),
            Self::Stopping => (S::SERVICE_UNAVAILABLE, "stopping", "Stopping"),
            Self::StoreUnavailable => {
                (S::SERVICE_UNAVAILABLE, "store-unavailable", "Store unavailable")
            }
            Self::OptionsUnreadable => {
                (S::SERVICE_UNAVAILABLE, "options-unreadable", "Options unreadable")
            }
        }
    }

    /// Whether the same request may do better a moment later.
    fn passes(self) -> bool {
        matches!(self, Self::Overloaded | Self::Stopping | Self::StoreUnavailable)
    }
}

#[derive(Serialize)]
struct Body<'a> {
    r#type: String,
    title: &'a str,
    status: u16,
    detail: &'a str,
}

impl Serialize for Problem {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let (r#type, title, status) =
            (self.kind.reference(), self.kind.title(), self.kind.status());
        Body { r#type, title, status, detail: &self.detail }.serialize(serializer)
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let (status, ..) = self.kind.facts();
        let body = serde_json::to_vec(&self).expect("strings and a number are always JSON");
        let mut response = (status, body).into_response();
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if self.kind == Kind::Unauthorized {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if self.kind.passes() {
            headers.insert(RETRY_AFTER, HeaderValue::from_static("1"));
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_is_listed_and_named_once() {
        for (place, kind) in Kind::ALL.into_iter().enumerate() {
            assert_eq!(kind as usize, place, "{kind:?}");
            assert_eq!(Kind::named(kind.facts().1), Some(kind));
        }
        assert_eq!(Kind::ALL.len(), Kind::OptionsUnreadable as usize + 1);
    }
}
