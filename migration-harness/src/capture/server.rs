//! Serves connections until it is told to stop, and then lets calls under way end.

use std::convert::Infallible;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::{Body, Incoming};
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::{HttpService, service_fn};
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use prometheus_client::encoding::text::encode;
use prometheus_client::registry::Registry;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::proxy::Proxy;

/// How long a connection may take for a request's head, or stay without one.
const HEAD_TIMEOUT: Duration = Duration::from_secs(75);
/// How long to wait when no connection can be taken, since the system is short of something.
const SHORTAGE: Duration = Duration::from_millis(50);

/// Becomes true when it is time to stop.
pub(super) type Stopped = watch::Receiver<bool>;

/// Serves the proxy; once it is told to stop, calls get so long to end.
pub(super) async fn serve_proxy(
    listener: TcpListener,
    proxy: Arc<Proxy>,
    stopped: Stopped,
    patience: Duration,
) {
    let service = service_fn(move |request| {
        let proxy = Arc::clone(&proxy);
        async move { proxy.pass(request).await }
    });
    serve(listener, service, stopped, patience).await;
}

/// Serves the counts at `/metrics`.
pub(super) async fn serve_metrics(listener: TcpListener, counts: Arc<Registry>, stopped: Stopped) {
    let service = service_fn(move |request: Request<Incoming>| {
        let found = request.uri().path() == "/metrics";
        let answer = if found { text(&counts) } else { not_found() };
        std::future::ready(Ok::<_, Infallible>(answer))
    });
    serve(listener, service, stopped, Duration::ZERO).await;
}

fn text(counts: &Registry) -> Response<Full<Bytes>> {
    let mut text = String::new();
    encode(&mut text, counts).expect("a string takes text");
    let mut response = Response::new(Full::new(text.into()));
    let content_type = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}

fn not_found() -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from_static(b"only /metrics is here\n")));
    *response.status_mut() = StatusCode::NOT_FOUND;
    response
}

async fn serve<S, B>(listener: TcpListener, service: S, mut stopped: Stopped, patience: Duration)
where
    S: HttpService<Incoming, ResBody = B, Future: Send> + Clone + Send + 'static,
    S::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    B: Body<Data: Send, Error: Into<Box<dyn std::error::Error + Send + Sync>>> + Send + 'static,
{
    let mut connections = JoinSet::new();
    let watched = stopped.clone();
    loop {
        tokio::select! {
            () = told(&mut stopped) => break,
            Some(_) = connections.join_next() => {}
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    connections.spawn(connection(stream, service.clone(), watched.clone()));
                }
                Err(_) => tokio::time::sleep(SHORTAGE).await,
            }
        }
    }
    drop(listener);
    let end = async { while connections.join_next().await.is_some() {} };
    // Whatever still runs then is cut off.
    let _ = tokio::time::timeout(patience, end).await;
}

/// Resolves when it is time to stop.
async fn told(stopped: &mut Stopped) {
    // Nobody who could say so being left means the same.
    let _ = stopped.wait_for(|is_stopped| *is_stopped).await;
}

async fn connection<S, B>(stream: TcpStream, service: S, mut stopped: Stopped)
where
    S: HttpService<Incoming, ResBody = B>,
    S::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    B: Body<Error: Into<Box<dyn std::error::Error + Send + Sync>>> + 'static,
{
    // Only makes small answers slower where it fails.
    let _ = stream.set_nodelay(true);
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .preserve_header_case(true)
        .auto_date_header(false)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = pin!(connection);
    // What breaks a connection has been recorded with its call.
    tokio::select! {
        _ = connection.as_mut() => return,
        () = told(&mut stopped) => {}
    }
    connection.as_mut().graceful_shutdown();
    let _ = connection.await;
}
