//! What the `OTEL_…` variables of OpenTelemetry's specification ask for; the SDK itself reads
//! those of the sampler, the batches and the headers.

use std::env;

use axum::http::Uri;
use opentelemetry::KeyValue;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::resource::{EnvResourceDetector, TelemetryResourceDetector};

/// Where spans go: the first is used as it is, the second with `/v1/traces` behind it.
const ENDPOINTS: [&str; 2] = ["OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT"];
const PROTOCOLS: [&str; 2] = ["OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL"];
/// What spans name as their origin where nothing else is said.
const SERVICE: &str = "gatehouse-router";

/// Whether traces are wanted; if so, whether they can be had as wanted.
pub(super) fn read() -> Option<Result<(), String>> {
    let (name, endpoint) = first(ENDPOINTS)?;
    let is =
        |variable, value| first([variable]).is_some_and(|(_, v)| v.eq_ignore_ascii_case(value));
    if is("OTEL_SDK_DISABLED", "true") || is("OTEL_TRACES_EXPORTER", "none") {
        return None;
    }
    Some(check_endpoint(name, &endpoint).and_then(|()| check_protocol(first(PROTOCOLS))))
}

/// What every span says of this process.
pub(super) fn resource() -> Resource {
    let resource = Resource::builder_empty()
        .with_service_name(SERVICE)
        .with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")))
        .with_detectors(&[
            Box::new(TelemetryResourceDetector),
            Box::new(EnvResourceDetector::new()),
        ]);
    match first(["OTEL_SERVICE_NAME"]) {
        Some((_, name)) => resource.with_service_name(name).build(),
        None => resource.build(),
    }
}

/// How long one request to the collector may take, in milliseconds.
pub(super) fn timeout_ms() -> Option<u64> {
    let names = ["OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "OTEL_EXPORTER_OTLP_TIMEOUT"];
    first(names)?.1.trim().parse().ok()
}

/// The fault is told without the URL, which may hold a password.
fn check_endpoint(name: &str, endpoint: &str) -> Result<(), String> {
    let url = endpoint.trim().parse::<Uri>().ok();
    let is_url = url.is_some_and(|url| {
        matches!(url.scheme_str(), Some("http" | "https")) && url.host().is_some()
    });
    is_url.then_some(()).ok_or_else(|| format!("{name} is no URL like http://localhost:4318"))
}

fn check_protocol(protocol: Option<(&str, String)>) -> Result<(), String> {
    match protocol {
        Some((name, protocol)) if protocol != "http/protobuf" => Err(format!(
            "{name} is `{protocol}`, but spans are only sent as `http/protobuf`, which collectors \
             take at port 4318"
        )),
        _ => Ok(()),
    }
}

/// The first of these variables that is set to something.
fn first<const N: usize>(names: [&'static str; N]) -> Option<(&'static str, String)> {
    let mut set = names.into_iter().filter_map(|name| Some((name, env::var(name).ok()?)));
    set.find(|(_, value)| !value.trim().is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_collector_is_named_by_a_url_that_is_never_repeated() {
        for good in ["http://localhost:4318", "https://user:secret@collector.example/otlp"] {
            assert_eq!(check_endpoint("X", good), Ok(()));
        }
        for bad in ["localhost:4318", "grpc://secret@collector:4317", "http://", "secret"] {
            let fault = check_endpoint("X", bad).unwrap_err();
            assert!(fault.starts_with("X is no URL") && !fault.contains("secret"), "{fault}");
        }
    }

    #[test]
    fn only_protobuf_over_http_is_spoken() {
        let protocol = |value: &str| check_protocol(Some(("X", value.to_owned())));
        assert_eq!((protocol("http/protobuf"), check_protocol(None)), (Ok(()), Ok(())));
        assert!(protocol("grpc").unwrap_err().contains("port 4318"));
    }
}
