//! What each path answers, and how the model comes to be loaded.

use std::convert::Infallible;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use hyper::body::Incoming;
use hyper::header::{ACCEPT, CONNECTION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use hyper::{Method, Request, StatusCode};
use tokio::time::Instant;

use super::body::Bodies;
use super::request_log::RequestLog;
use super::response::{self, Response};
use super::traffic::Traffic;
use super::v2;
use crate::invocation::{self, Terms};
use crate::limits::Limits;
use crate::metrics::Metrics;
use crate::problem::Problem;
use crate::telemetry::{self, Traces};
use crate::{Error, Package, Scorer, process};

/// The state of one container.
pub(super) struct App {
    pub(super) limits: Limits,
    pub(super) bodies: Bodies,
    metrics: Arc<Metrics>,
    /// Where requests are traced to, if anywhere.
    traces: Option<Traces>,
    pub(super) traffic: Traffic,
    /// The model, once it has passed its canaries.
    scorer: OnceLock<Scorer>,
}

impl App {
    pub(super) fn new(limits: Limits) -> Self {
        let metrics = Arc::<Metrics>::default();
        let traffic = Traffic::new(metrics.requests_in_flight.clone());
        let traces = Traces::from_environment();
        let bodies = Bodies::new(limits.body_bytes);
        Self { limits, bodies, metrics, traces, traffic, scorer: OnceLock::new() }
    }

    /// Loads the package; from then on `/ping` says 200.
    pub(super) async fn load(&self, model_dir: PathBuf) -> Result<(), Error> {
        let spawned = process::age().unwrap_or_default();
        self.metrics.started("spawn", spawned);
        let started = Instant::now();
        let opening = tokio::task::spawn_blocking(move || Package::open(&model_dir));
        let package = opening.await.expect("reading does not panic")?;
        self.metrics.started("read", started.elapsed());
        let scorer = Scorer::load(package, &self.limits, &self.metrics).await?;
        self.log_start(&scorer, spawned + started.elapsed());
        self.metrics.loaded(&scorer.identity, scorer.runtime);
        let _ = self.scorer.set(scorer);
        Ok(())
    }

    /// One line that says where the time of a cold start went.
    fn log_start(&self, scorer: &Scorer, total: Duration) {
        let stage_ms = |stage| self.metrics.stage_ms(stage);
        tracing::info!(
            model = scorer.identity.name,
            version = scorer.identity.version,
            spawn_ms = stage_ms("spawn"),
            read_ms = stage_ms("read"),
            load_ms = stage_ms("load"),
            canary_ms = stage_ms("canary"),
            total_ms = total.as_secs_f64() * 1000.0,
            "model loaded"
        );
    }

    /// Ends what the model runs outside of this process, and sends the traces that are left.
    pub(super) async fn stop(&self) {
        if let Some(scorer) = self.scorer.get() {
            scorer.stop().await;
        }
        if let Some(traces) = &self.traces {
            traces.stop().await;
        }
    }

    /// Answers one request; whatever is wrong with it becomes a problem document.
    pub(super) async fn respond(
        self: Arc<Self>,
        request: Request<Incoming>,
    ) -> Result<Response, Infallible> {
        let started = Instant::now();
        let in_flight = self.traffic.enter();
        let path = known(request.uri().path());
        let traces = self.traces.as_ref().filter(|_| is_inference(path, request.method()));
        let trace = traces.map(|traces| traces.begin(path, &request));
        let mut log = RequestLog::begin(request.headers(), trace.clone());
        let work = self.route(path, request, started);
        let result = match &trace {
            Some(trace) => telemetry::within(trace, work).await,
            None => work.await,
        };
        let mut response = result.unwrap_or_else(|problem| {
            let problem = log.failed(path, problem);
            let is_v2 = v2::known(path).is_some();
            if is_v2 { v2::error(&problem) } else { response::problem(&problem) }
        });
        if self.traffic.is_draining() {
            response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        }
        let ended = Instant::now();
        in_flight.answered(ended);
        let (status, took) = (response.status().as_u16(), ended - started);
        self.metrics.answered(path, status, took);
        log.answered(path, &mut response, took);
        if let Some(trace) = trace {
            trace.end(status, self.scorer.get().map(|scorer| &scorer.identity));
        }
        Ok(response)
    }

    async fn route(
        &self,
        path: &'static str,
        request: Request<Incoming>,
        started: Instant,
    ) -> Result<Response, Problem> {
        match (path, request.method()) {
            ("/ping", &Method::GET) => self.ready().map(|_| response::empty()),
            ("/livez", &Method::GET) => Ok(response::empty()),
            ("/metrics", &Method::GET) => Ok(self.expose(request.headers())),
            ("/invocations", &Method::POST) => self.invoke(request, started).await,
            ("/v2" | "/v2/infer", _) => {
                // In a box, so that the futures of other requests don't have to have room for it.
                Box::pin(v2::respond(self, request, started)).await
            }
            ("/ping" | "/livez" | "/metrics", _) => Ok(response::method_not_allowed("GET")),
            ("/invocations", _) => Ok(response::method_not_allowed("POST")),
            _ => {
                let detail = format!("there is nothing at `{}`", request.uri().path());
                Err(Problem::new(StatusCode::NOT_FOUND, detail))
            }
        }
    }

    fn expose(&self, headers: &HeaderMap) -> Response {
        let exposition = self.metrics.expose(text(headers, &ACCEPT), self.ready().is_ok());
        response::with_type(StatusCode::OK, exposition.content_type, exposition.text.into())
    }

    pub(super) fn ready(&self) -> Result<&Scorer, Problem> {
        let not_ready = |reason: String| Problem::new(StatusCode::SERVICE_UNAVAILABLE, reason);
        let scorer = self.loaded()?;
        scorer.health().map_err(not_ready)?;
        Ok(scorer)
    }

    pub(super) fn loaded(&self) -> Result<&Scorer, Problem> {
        let loading =
            || Problem::new(StatusCode::SERVICE_UNAVAILABLE, "the model is still being loaded");
        self.scorer.get().ok_or_else(loading)
    }

    async fn invoke(
        &self,
        request: Request<Incoming>,
        started: Instant,
    ) -> Result<Response, Problem> {
        let deadline = started + self.limits.deadline;
        let (head, body) = request.into_parts();
        let body = self.bodies.read(body, started, deadline);
        let body = telemetry::during("read body", body).await?;
        let terms = Terms {
            content_type: text(&head.headers, &CONTENT_TYPE),
            accept: text(&head.headers, &ACCEPT),
        };
        let answer = invocation::answer(self.loaded()?, terms, &body.bytes, deadline).await?;
        Ok(response::answer(answer))
    }
}

/// The path as metrics know it, so that strangers can't make up new ones.
fn known(path: &str) -> &'static str {
    const KNOWN: [&str; 4] = ["/invocations", "/ping", "/livez", "/metrics"];
    KNOWN.into_iter().find(|known| *known == path).or_else(|| v2::known(path)).unwrap_or("other")
}

/// Whether a request is worth a trace: pings and scrapes are not.
fn is_inference(path: &str, method: &Method) -> bool {
    method == Method::POST && (path == "/invocations" || path.ends_with("/infer"))
}

fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}
