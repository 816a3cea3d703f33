//! The connections of callers, none of whom may dawdle over the head of a request.

use std::io::{self, ErrorKind};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service as _, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout_at};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// How long a caller may take to send the head of a request, and how long a connection may idle.
pub(super) const HEAD_WITHIN: Duration = Duration::from_secs(60);

/// Once the host stops, a caller may take so long to fetch the rest of an answer that is made; one
/// whose request is not there is not waited for any longer either.
const FETCHED_WITHIN: Duration = Duration::from_secs(3);

/// The pause after a connection that could not be accepted.
const PAUSE: Duration = Duration::from_millis(20);

/// The connections of one address.
pub(super) struct Callers {
    /// Answers them.
    routes: Router,
    /// How long each may take to send the head of a request.
    head_within: Duration,
    /// The request under way is the last.
    stopping: CancellationToken,
    /// A task for each.
    open: JoinSet<()>,
}

impl Callers {
    /// No connection yet.
    pub(super) fn new(routes: Router, head_within: Duration) -> Self {
        let (stopping, open) = (CancellationToken::new(), JoinSet::new());
        Self { routes, head_within, stopping, open }
    }

    /// Serves whoever connects, until the listener fails.
    pub(super) async fn accept_all(&mut self, listener: &TcpListener) -> io::Error {
        loop {
            tokio::select! {
                accepted = listener.accept() => match accepted {
                    Ok((stream, _)) => self.serve(stream),
                    Err(error) if error.kind() == ErrorKind::InvalidInput => return error,
                    // A lack of file descriptors passes.
                    Err(error) => {
                        tracing::warn!("cannot accept a connection: {error}");
                        sleep(PAUSE).await;
                    }
                },
                Some(_) = self.open.join_next() => {}
            }
        }
    }

    /// Waits for the requests under way to be answered, until then at the latest.
    pub(super) async fn finish(&mut self, until: Instant) {
        self.stopping.cancel();
        let ending = async { while self.open.join_next().await.is_some() {} };
        if timeout_at(until, ending).await.is_err() {
            tracing::warn!("calls are still in flight; their callers are cut off");
            self.open.shutdown().await;
        }
    }

    fn serve(&mut self, stream: TcpStream) {
        let (routes, stopping) = (self.routes.clone(), self.stopping.clone());
        self.open.spawn(serve(stream, routes, self.head_within, stopping));
    }
}

async fn serve(
    stream: TcpStream,
    routes: Router,
    head_within: Duration,
    stopping: CancellationToken,
) {
    // Answers are small and wanted at once.
    stream.set_nodelay(true).ok();
    let (requests, routes) = (TaskTracker::new(), TowerToHyperService::new(routes));
    let answer = service_fn(|request: hyper::Request<Incoming>| {
        let (under_way, answering) = (requests.token(), routes.call(request));
        async move {
            // Until the last of the answer is on its way.
            let counted = |body: Body| {
                body.map_err(move |error| {
                    let _under_way = &under_way;
                    error
                })
            };
            answering.await.map(|answer| answer.map(counted))
        }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(head_within)
        .serve_connection(TokioIo::new(stream), answer);
    tokio::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = stopping.cancelled() => {
            connection.as_mut().graceful_shutdown();
            let answered = async {
                requests.close();
                requests.wait().await;
                sleep(FETCHED_WITHIN).await;
            };
            tokio::select! {
                ended = connection => ended,
                () = answered => return,
            }
        }
    };
    if let Err(error) = ended {
        tracing::debug!("a connection ended: {error}");
    }
}

#[cfg(test)]
mod tests {
    use axum::routing::get;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::time::timeout;

    use super::*;

    /// Longer than any test should take.
    const LONG: Duration = Duration::from_secs(600);

    #[tokio::test]
    async fn who_dawdles_over_a_head_is_cut_off_and_who_does_not_is_answered() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let routes = Router::new().route("/", get(async || "hello"));
        let mut callers = Callers::new(routes, Duration::from_millis(200));
        let serving = tokio::spawn(async move { callers.accept_all(&listener).await });
        for (sent, answered) in [("GET / HTTP/1.1\r\nhost: a\r\n\r\n", true), ("GET / H", false)] {
            let mut caller = TcpStream::connect(address).await.unwrap();
            caller.write_all(sent.as_bytes()).await.unwrap();
            let mut answer = Vec::new();
            // Until the host closes the connection.
            let read = timeout(Duration::from_secs(30), caller.read_to_end(&mut answer)).await;
            read.expect("the connection stays open").ok();
            assert_eq!(answer.ends_with(b"hello"), answered);
        }
        serving.abort();
    }

    #[tokio::test]
    async fn a_host_that_stops_waits_for_answers_and_not_for_who_sends_no_request_or_reads_nothing()
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let slow = async || {
            sleep(2 * FETCHED_WITHIN).await;
            "hello"
        };
        let routes = Router::new()
            .route("/slow", get(slow))
            .route("/large", get(async || vec![0; 64 << 20]));
        let mut callers = Callers::new(routes, LONG);
        let mut begun = Vec::new();
        for sent in
            ["GET /slow HTTP/1.1\r\nhost: a\r\n\r\n", "GET /sl", "GET /large HTTP/1.1\r\n\r\n"]
        {
            let mut caller = TcpStream::connect(address).await.unwrap();
            caller.write_all(sent.as_bytes()).await.unwrap();
            begun.push(caller);
            callers.serve(listener.accept().await.unwrap().0);
        }
        // Lets the requests be taken in.
        sleep(Duration::from_millis(300)).await;
        let finishing = callers.finish(Instant::now() + LONG);
        timeout(Duration::from_secs(60), finishing).await.expect("some caller is waited for");
        let mut answer = Vec::new();
        begun[0].read_to_end(&mut answer).await.unwrap();
        assert!(answer.ends_with(b"hello"));
    }
}
