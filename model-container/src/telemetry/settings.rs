//! What the `OTEL_…` variables of OpenTelemetry's specification ask for.

use std::env;

use opentelemetry::KeyValue;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::resource::{EnvResourceDetector, TelemetryResourceDetector};

/// Where spans go: the first is used as it is, the second with `/v1/traces` behind it.
const ENDPOINTS: [&str; 2] = ["OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT"];
const PROTOCOLS: [&str; 2] = ["OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL"];

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
        .with_service_name(env!("CARGO_PKG_NAME"))
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

fn check_endpoint(name: &str, endpoint: &str) -> Result<(), String> {
    match endpoint.split_once("://") {
        Some(("http", _)) => Ok(()),
        Some(("https", _)) => Err(format!(
            "{name} is `{endpoint}`, but spans are only sent over plain http; let a collector \
             beside the container, at http://localhost:4318, send them on over TLS"
        )),
        _ => Err(format!("{name} is `{endpoint}`, which is not like http://localhost:4318")),
    }
}

fn check_protocol(protocol: Option<(&str, String)>) -> Result<(), String> {
    match protocol {
        Some((name, protocol)) if protocol != "http/protobuf" => Err(format!(
            "{name} is `{protocol}`, but spans are only sent as `http/protobuf`, \
             which collectors take at port 4318"
        )),
        _ => Ok(()),
    }
}

/// The first of these variables that is set to something.
fn first<const N: usize>(names: [&'static str; N]) -> Option<(&'static str, String)> {
    let mut set = names.into_iter().filter_map(|name| Some((name, env::var(name).ok()?)));
    set.find(|(_, value)| !value.trim().is_empty())
}

/// How long one request to the collector may take, in milliseconds.
pub(super) fn timeout_ms() -> Option<u64> {
    let names = ["OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "OTEL_EXPORTER_OTLP_TIMEOUT"];
    first(names)?.1.trim().parse().ok()
}
