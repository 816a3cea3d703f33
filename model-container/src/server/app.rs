//! What each path answers, and how the model comes to be loaded.

use std::convert::Infallible;
use std::path::Path;
use std::sync::{Arc, OnceLock};

use hyper::body::Incoming;
use hyper::header::{ACCEPT, CONNECTION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use hyper::{Method, Request, StatusCode};
use tokio::time::Instant;

use super::body;
use super::request_log::RequestLog;
use super::response::{self, Response};
use super::traffic::Traffic;
use super::v2;
use crate::invocation::{self, Terms};
use crate::limits::Limits;
use crate::metrics::{self, Metrics};
use crate::problem::Problem;
use crate::{Error, Package, Scorer};

/// The state of one container.
pub(super) struct App {
    limits: Limits,
    metrics: Arc<Metrics>,
    pub(super) traffic: Traffic,
    /// The model, once it has passed its canaries.
    scorer: OnceLock<Scorer>,
}

impl App {
    pub(super) fn new(limits: Limits) -> Self {
        Self { limits, metrics: Arc::default(), traffic: Traffic::new(), scorer: OnceLock::new() }
    }

    /// Loads the package; from then on `/ping` says 200.
    pub(super) async fn load(&self, model_dir: &Path) -> Result<(), Error> {
        let started = Instant::now();
        let package = Package::open(model_dir)?;
        self.metrics.started("read", started.elapsed());
        let scorer = Scorer::load(package, &self.limits, &self.metrics).await?;
        let loaded_ms = started.elapsed().as_secs_f64() * 1000.0;
        let identity = &scorer.identity;
        tracing::info!(
            model = identity.name,
            version = identity.version,
            loaded_ms,
            "model loaded"
        );
        let _ = self.scorer.set(scorer);
        Ok(())
    }

    /// Answers one request; whatever is wrong with it becomes a problem document.
    pub(super) async fn respond(
        self: Arc<Self>,
        request: Request<Incoming>,
    ) -> Result<Response, Infallible> {
        let started = Instant::now();
        let _in_flight = self.traffic.enter();
        let log = RequestLog::begin(request.headers());
        let path = known(request.uri().path());
        let result = self.route(path, request, started).await;
        let mut response = result.unwrap_or_else(|problem| {
            log.failed(path, &problem);
            let is_v2 = v2::known(path).is_some();
            if is_v2 { v2::error(&problem) } else { response::problem(&problem) }
        });
        if self.traffic.is_draining() {
            response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        }
        let took = started.elapsed();
        self.metrics.answered(path, response.status().as_u16(), took);
        log.answered(path, response.status(), took);
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
            ("/metrics", &Method::GET) => {
                let text = self.metrics.encode();
                Ok(response::with_type(StatusCode::OK, metrics::CONTENT_TYPE, text.into()))
            }
            ("/invocations", &Method::POST) => self.invoke(request, started).await,
            ("/v2" | "/v2/infer", _) => {
                let deadline = started + self.limits.deadline;
                v2::respond(request, self.ready(), &self.limits, deadline).await
            }
            ("/ping" | "/livez" | "/metrics", _) => Ok(response::method_not_allowed("GET")),
            ("/invocations", _) => Ok(response::method_not_allowed("POST")),
            _ => {
                let detail = format!("there is nothing at `{}`", request.uri().path());
                Err(Problem::new(StatusCode::NOT_FOUND, detail))
            }
        }
    }

    fn ready(&self) -> Result<&Scorer, Problem> {
        let not_ready = |reason: String| Problem::new(StatusCode::SERVICE_UNAVAILABLE, reason);
        let scorer = self.scorer.get();
        let scorer =
            scorer.ok_or_else(|| not_ready("the model is still being loaded".to_owned()))?;
        scorer.health().map_err(not_ready)?;
        Ok(scorer)
    }

    async fn invoke(
        &self,
        request: Request<Incoming>,
        started: Instant,
    ) -> Result<Response, Problem> {
        let deadline = started + self.limits.deadline;
        let (head, body) = request.into_parts();
        let body = body::read(body, self.limits.body_bytes, deadline).await?;
        let terms = Terms {
            content_type: text(&head.headers, &CONTENT_TYPE),
            accept: text(&head.headers, &ACCEPT),
        };
        let answer = invocation::answer(self.ready()?, terms, &body, deadline).await?;
        Ok(response::with_type(StatusCode::OK, answer.content_type, answer.body))
    }
}

/// The path as metrics know it, so that strangers can't make up new ones.
fn known(path: &str) -> &'static str {
    const KNOWN: [&str; 4] = ["/invocations", "/ping", "/livez", "/metrics"];
    KNOWN.into_iter().find(|known| *known == path).or_else(|| v2::known(path)).unwrap_or("other")
}

fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}
