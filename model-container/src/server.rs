//! The HTTP server: `/ping`, `/livez` and `/invocations` on HTTP/1.1.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::{Body, Incoming};
use hyper::header::{ALLOW, CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::spawn_blocking;
use tokio::time::timeout;

use crate::invocation::{self, Answer};
use crate::problem::Problem;
use crate::{Error, Package, Scorer};

/// SageMaker's limit for a request to a real-time endpoint before it was raised to 25 MB.
const MAX_BODY_BYTES: usize = 6 << 20;
/// How much more is read of a body that is refused for its size.
const MAX_DISCARDED_BYTES: usize = 64 << 20;
/// Bodies above this size are scored on a thread of their own, so that pings don't wait.
const LONG_BODY_BYTES: usize = 32 << 10;
/// A client that does not finish its headers by then is disconnected.
const HEADER_TIMEOUT: Duration = Duration::from_secs(30);
/// A client that does not send its body by then gets 408; SageMaker gives up after 60 seconds.
const BODY_TIMEOUT: Duration = Duration::from_secs(30);
/// SageMaker kills a container 30 seconds after SIGTERM.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(25);

/// A bound server whose model is still to be loaded.
pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
}

/// The model, once it has passed its canaries.
type Loaded = Arc<OnceLock<Scorer>>;

impl Server {
    /// Binds the address; port 0 takes any free one.
    ///
    /// # Errors
    /// When the address is taken or not ours.
    pub async fn bind(address: SocketAddr) -> Result<Self, Error> {
        let bind = |source| Error::Bind { address, source };
        let listener = TcpListener::bind(address).await.map_err(bind)?;
        let address = listener.local_addr().map_err(bind)?;
        Ok(Self { listener, address })
    }

    /// The address bound.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Loads the package and serves it until `shutdown`, then finishes the requests in flight.
    ///
    /// # Errors
    /// When the model can't be loaded; a server without a model must not look alive.
    pub async fn serve(
        self,
        model_dir: PathBuf,
        shutdown: impl Future<Output = ()>,
    ) -> Result<(), Error> {
        let loaded = Loaded::default();
        let graceful = GracefulShutdown::new();
        let mut loading = spawn_blocking({
            let loaded = Arc::clone(&loaded);
            move || load(&model_dir, &loaded)
        });
        let mut is_loading = true;
        tokio::pin!(shutdown);
        loop {
            tokio::select! {
                result = &mut loading, if is_loading => {
                    is_loading = false;
                    result.expect("loading is never cancelled and does not panic")?;
                }
                accepted = self.listener.accept() => match accepted {
                    Ok((stream, _)) => connection(stream, &loaded, &graceful),
                    Err(error) => pause_after(&error).await,
                },
                () = &mut shutdown => break,
            }
        }
        if timeout(DRAIN_TIMEOUT, graceful.shutdown()).await.is_err() {
            tracing::warn!(
                "requests were still running {DRAIN_TIMEOUT:?} after the signal to stop"
            );
        }
        Ok(())
    }
}

fn load(model_dir: &Path, loaded: &OnceLock<Scorer>) -> Result<(), Error> {
    let started = Instant::now();
    let scorer = Scorer::load(&Package::open(model_dir)?)?;
    let loaded_ms = started.elapsed().as_secs_f64() * 1000.0;
    let identity = &scorer.identity;
    tracing::info!(model = identity.name, version = identity.version, loaded_ms, "model loaded");
    let _ = loaded.set(scorer);
    Ok(())
}

/// A lack of file descriptors passes; asking again at once would only burn the CPU.
async fn pause_after(error: &std::io::Error) {
    tracing::warn!(%error, "can't accept a connection");
    tokio::time::sleep(Duration::from_millis(20)).await;
}

fn connection(stream: TcpStream, loaded: &Loaded, graceful: &GracefulShutdown) {
    let _ = stream.set_nodelay(true);
    let loaded = Arc::clone(loaded);
    let service = service_fn(move |request| respond(Arc::clone(&loaded), request));
    let connection = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIMEOUT)
        .serve_connection(TokioIo::new(stream), service);
    let watched = graceful.watch(connection);
    tokio::spawn(async move {
        if let Err(error) = watched.await {
            tracing::debug!(%error, "connection ended");
        }
    });
}

async fn respond(
    loaded: Loaded,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let result = match (request.uri().path(), request.method()) {
        ("/ping", &Method::GET) => ready(&loaded).map(|_| empty()),
        ("/livez", &Method::GET) => Ok(empty()),
        ("/invocations", &Method::POST) => invoke(loaded, request).await.map(ok),
        ("/ping" | "/livez", _) => return Ok(method_not_allowed("GET")),
        ("/invocations", _) => return Ok(method_not_allowed("POST")),
        (path, _) => {
            Err(Problem::new(StatusCode::NOT_FOUND, format!("there is nothing at `{path}`")))
        }
    };
    Ok(result.unwrap_or_else(|problem| refuse(&problem)))
}

fn ready(loaded: &OnceLock<Scorer>) -> Result<&Scorer, Problem> {
    let loading =
        || Problem::new(StatusCode::SERVICE_UNAVAILABLE, "the model is still being loaded");
    loaded.get().ok_or_else(loading)
}

async fn invoke(loaded: Loaded, request: Request<Incoming>) -> Result<Answer, Problem> {
    let (head, body) = request.into_parts();
    let body = read(body).await?;
    let is_long = body.len() > LONG_BODY_BYTES;
    let score = move || {
        let content_type = head.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
        invocation::answer(ready(&loaded)?, content_type, &body)
    };
    if is_long { spawn_blocking(score).await.expect("scoring catches panics") } else { score() }
}

async fn read(mut body: Incoming) -> Result<Bytes, Problem> {
    let too_slow = |_| {
        let detail = format!("the body was not there within {BODY_TIMEOUT:?}");
        Err(Problem::new(StatusCode::REQUEST_TIMEOUT, detail))
    };
    timeout(BODY_TIMEOUT, collect(&mut body)).await.unwrap_or_else(too_slow)
}

async fn collect(body: &mut Incoming) -> Result<Bytes, Problem> {
    if body.size_hint().lower() <= MAX_BODY_BYTES as u64 {
        match Limited::new(&mut *body, MAX_BODY_BYTES).collect().await {
            Ok(collected) => return Ok(collected.to_bytes()),
            Err(error) if !error.is::<LengthLimitError>() => return Err(broken(&*error)),
            Err(_) => {}
        }
    }
    discard(body).await;
    Err(too_large())
}

/// Reads on for a while: a client that is still sending would see a reset instead of the answer.
async fn discard(body: &mut Incoming) {
    let mut left = MAX_DISCARDED_BYTES;
    while let Some(Ok(frame)) = body.frame().await {
        let length = frame.data_ref().map_or(0, Bytes::len);
        left = left.saturating_sub(length);
        if left == 0 {
            return;
        }
    }
}

fn broken(error: &dyn std::error::Error) -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, format!("the body can't be read: {error}"))
}

fn too_large() -> Problem {
    let detail = format!("the body is larger than {MAX_BODY_BYTES} bytes");
    Problem::new(StatusCode::PAYLOAD_TOO_LARGE, detail)
}

fn empty() -> Response<Full<Bytes>> {
    Response::new(Full::default())
}

fn ok(answer: Answer) -> Response<Full<Bytes>> {
    with_type(StatusCode::OK, answer.content_type, answer.body)
}

fn refuse(problem: &Problem) -> Response<Full<Bytes>> {
    let status = problem.status();
    // A ping before the model is loaded is no failure.
    if status == StatusCode::INTERNAL_SERVER_ERROR {
        tracing::warn!(status = status.as_u16(), detail = problem.detail(), "request failed");
    }
    let body = serde_json::to_vec(problem).expect("a problem is always JSON");
    let mut response = with_type(status, "application/problem+json", body);
    if status == StatusCode::SERVICE_UNAVAILABLE {
        response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("1"));
    }
    response
}

fn method_not_allowed(allowed: &'static str) -> Response<Full<Bytes>> {
    let detail = format!("only {allowed} is allowed here");
    let mut response = refuse(&Problem::new(StatusCode::METHOD_NOT_ALLOWED, detail));
    response.headers_mut().insert(ALLOW, HeaderValue::from_static(allowed));
    response
}

fn with_type(
    status: StatusCode,
    content_type: &'static str,
    body: Vec<u8>,
) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}
