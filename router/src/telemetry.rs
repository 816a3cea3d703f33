//! Traces of verdicts for an OpenTelemetry collector, where the environment names one.
//!
//! A span is made once its verdict is there, from what is known then: nothing is noted on the way,
//! so that routers without a collector do nothing. Spans wait in a queue of a bounded size for a
//! thread that sends them; one that finds it full is dropped, and no verdict waits.

mod collector;
mod settings;

use std::time::{Duration, SystemTime};

use axum::http::HeaderMap;
use opentelemetry::propagation::TextMapPropagator;
use opentelemetry::trace::{
    Span, SpanKind, SpanRef, Status, TraceContextExt, Tracer, TracerProvider,
};
use opentelemetry::{Context, KeyValue};
use opentelemetry_http::HeaderExtractor;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::{SdkTracer, SdkTracerProvider, Span as SdkSpan};
use tokio::time::Instant;

/// How long a router that ends waits until its last spans are taken.
const FLUSH: Duration = Duration::from_secs(2);

/// Where traces go.
#[derive(Debug)]
pub(crate) struct Traces {
    provider: SdkTracerProvider,
    tracer: SdkTracer,
}

/// Something that took from one moment to another.
#[derive(Debug)]
pub(crate) struct Stretch {
    /// What it was.
    pub(crate) name: String,
    /// Whose doing it was.
    pub(crate) kind: SpanKind,
    /// From when on.
    pub(crate) from: Instant,
    /// Until when.
    pub(crate) until: Instant,
    /// What there is to say of it.
    pub(crate) attributes: Vec<KeyValue>,
    /// Why it has failed, if it has.
    pub(crate) fault: Option<String>,
}

impl Traces {
    /// Begins to send traces if the environment names a collector; faults of its settings only
    /// reach the log, since verdicts without traces are better than none.
    pub(crate) fn from_environment() -> Option<Self> {
        let settings = settings::read()?;
        let exporter = settings.and_then(|()| collector::exporter());
        let not_traced = |reason| tracing::warn!(reason, "verdicts are not traced");
        let exporter = exporter.map_err(not_traced).ok()?;
        let provider = SdkTracerProvider::builder()
            .with_batch_exporter(exporter)
            .with_resource(settings::resource())
            .build();
        let tracer = provider.tracer(env!("CARGO_PKG_NAME"));
        Some(Self { provider, tracer })
    }

    /// The caller's trace, where its `traceparent` names one.
    pub(crate) fn parent(&self, headers: &HeaderMap) -> Context {
        let headers = HeaderExtractor(headers);
        TraceContextPropagator::new().extract_with_context(&Context::new(), &headers)
    }

    /// Notes something with its parts. These are not even looked at where nobody wants the whole.
    pub(crate) fn note(
        &self,
        parent: &Context,
        mut whole: Stretch,
        parts: impl FnOnce() -> Vec<Stretch>,
    ) {
        let clocks = Clocks::now();
        let (until, fault) = (clocks.time(whole.until), whole.fault.take());
        let span = self.begin(parent, &clocks, whole);
        if !span.is_recording() {
            return;
        }
        let within = parent.with_span(span);
        for mut part in parts() {
            let (until, fault) = (clocks.time(part.until), part.fault.take());
            let part = within.with_span(self.begin(&within, &clocks, part));
            end(&part.span(), fault, until);
        }
        end(&within.span(), fault, until);
    }

    fn begin(&self, parent: &Context, clocks: &Clocks, stretch: Stretch) -> SdkSpan {
        self.tracer
            .span_builder(stretch.name)
            .with_kind(stretch.kind)
            .with_start_time(clocks.time(stretch.from))
            .with_attributes(stretch.attributes)
            .start_with_context(&self.tracer, parent)
    }

    /// Sends what is left, unless the collector takes too long.
    pub(crate) async fn stop(&self) {
        let provider = self.provider.clone();
        let stopped = tokio::task::spawn_blocking(move || provider.shutdown_with_timeout(FLUSH));
        if let Ok(Err(error)) = stopped.await {
            tracing::warn!(%error, "the last spans did not reach the collector");
        }
    }
}

fn end(span: &SpanRef<'_>, fault: Option<String>, until: SystemTime) {
    if let Some(fault) = fault {
        span.set_status(Status::error(fault));
    }
    span.end_with_timestamp(until);
}

/// The same moment on both clocks; what came before it is told by the one that never jumps.
struct Clocks(Instant, SystemTime);

impl Clocks {
    fn now() -> Self {
        Self(Instant::now(), SystemTime::now())
    }

    fn time(&self, instant: Instant) -> SystemTime {
        let Self(now, time) = self;
        *time - now.saturating_duration_since(instant)
    }
}
