//! Traces of requests for an OpenTelemetry collector, when the environment names one.

mod collector;
mod settings;

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use hyper::Request;
use opentelemetry::propagation::TextMapPropagator;
use opentelemetry::trace::{Span, SpanKind, Status, TraceContextExt, Tracer, TracerProvider};
use opentelemetry::{Context, KeyValue};
use opentelemetry_http::HeaderExtractor;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::{SdkTracer, SdkTracerProvider};
use tokio::time::Instant;

use crate::prediction::Identity;

/// How long a container that ends waits until its last spans are taken.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(3);

tokio::task_local! {
    /// The trace of the request that this task works at; unset when nobody collects traces.
    static CURRENT: Arc<Trace>;
}

/// Where traces go.
pub(crate) struct Traces {
    provider: SdkTracerProvider,
    tracer: SdkTracer,
}

/// The span of one request, which grows a child for each stage.
pub(crate) struct Trace {
    tracer: SdkTracer,
    /// Holds the request's span.
    context: Context,
    /// The same moment on both clocks.
    begun: (Instant, SystemTime),
}

impl Traces {
    /// Begins to collect traces if the environment names a collector; faults only reach the log,
    /// since a model that serves without traces is better than none.
    pub(crate) fn from_environment() -> Option<Self> {
        let settings = settings::read()?;
        let exporter = settings.and_then(|()| collector::exporter());
        let not_traced = |reason| tracing::warn!(reason, "requests are not traced");
        let exporter = exporter.map_err(not_traced).ok()?;
        let provider = SdkTracerProvider::builder()
            .with_batch_exporter(exporter)
            .with_resource(settings::resource())
            .build();
        let tracer = provider.tracer(env!("CARGO_PKG_NAME"));
        Some(Self { provider, tracer })
    }

    /// Begins the span of a request, as a child of the caller's where it sent a `traceparent`.
    pub(crate) fn begin<B>(&self, route: &'static str, request: &Request<B>) -> Arc<Trace> {
        let headers = HeaderExtractor(request.headers());
        let parent = TraceContextPropagator::new().extract_with_context(&Context::new(), &headers);
        let builder = self.tracer.span_builder(format!("{} {route}", request.method()));
        let begun = (Instant::now(), SystemTime::now());
        let span = builder
            .with_kind(SpanKind::Server)
            .with_start_time(begun.1)
            .with_attributes([
                KeyValue::new("http.request.method", request.method().to_string()),
                KeyValue::new("http.route", route),
                KeyValue::new("url.path", request.uri().path().to_owned()),
                KeyValue::new("url.scheme", "http"),
            ])
            .start_with_context(&self.tracer, &parent);
        let context = parent.with_span(span);
        Arc::new(Trace { tracer: self.tracer.clone(), context, begun })
    }

    /// Sends what is left, unless the collector takes too long.
    pub(crate) async fn stop(&self) {
        let provider = self.provider.clone();
        let stopped =
            tokio::task::spawn_blocking(move || provider.shutdown_with_timeout(FLUSH_TIMEOUT));
        if let Ok(Err(error)) = stopped.await {
            tracing::warn!(%error, "the last spans did not reach the collector");
        }
    }
}

impl Trace {
    /// Adds a stage of the request's work, from one moment to another.
    pub(crate) fn stage(&self, name: &'static str, from: Instant, until: Instant) {
        let builder = self.tracer.span_builder(name).with_start_time(self.time(from));
        let mut span = builder.start_with_context(&self.tracer, &self.context);
        span.end_with_timestamp(self.time(until));
    }

    /// The trace's id, so that the log can name it.
    pub(crate) fn id(&self) -> String {
        self.context.span().span_context().trace_id().to_string()
    }

    /// Ends the request's span with its answer's status.
    pub(crate) fn end(&self, status: u16, model: Option<&Identity>) {
        let span = self.context.span();
        span.set_attribute(KeyValue::new("http.response.status_code", i64::from(status)));
        if let Some(model) = model {
            span.set_attribute(KeyValue::new("gatehouse.model.name", model.name.clone()));
            span.set_attribute(KeyValue::new("gatehouse.model.version", model.version.clone()));
        }
        if status >= 500 {
            span.set_attribute(KeyValue::new("error.type", status.to_string()));
            span.set_status(Status::error(""));
        }
        span.end();
    }

    fn time(&self, instant: Instant) -> SystemTime {
        let (begun, begun_at) = self.begun;
        begun_at + instant.saturating_duration_since(begun)
    }
}

/// Does a request's work so that [`current`] finds its trace.
pub(crate) async fn within<T>(trace: &Arc<Trace>, work: impl Future<Output = T>) -> T {
    CURRENT.scope(Arc::clone(trace), work).await
}

/// The trace of the request that this task works at, if requests are traced.
pub(crate) fn current() -> Option<Arc<Trace>> {
    CURRENT.try_with(Arc::clone).ok()
}

/// Notes in the current trace how many documents its request holds.
pub(crate) fn documents(count: usize) {
    let _ = CURRENT.try_with(|trace| {
        let count = i64::try_from(count).unwrap_or(i64::MAX);
        trace.context.span().set_attribute(KeyValue::new("gatehouse.documents", count));
    });
}

/// Works, and shows that as a stage of the current trace.
pub(crate) fn doing<T>(name: &'static str, work: impl FnOnce() -> T) -> T {
    let Some(trace) = current() else { return work() };
    let from = Instant::now();
    let done = work();
    trace.stage(name, from, Instant::now());
    done
}

/// Awaits, and shows that as a stage of the current trace.
pub(crate) async fn during<T>(name: &'static str, work: impl Future<Output = T>) -> T {
    let begun = current().map(|trace| (trace, Instant::now()));
    let done = work.await;
    if let Some((trace, from)) = begun {
        trace.stage(name, from, Instant::now());
    }
    done
}
