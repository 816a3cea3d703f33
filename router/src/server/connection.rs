//! Serves one connection, whose peer must not dawdle.

use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;

use super::patience::Patient;

/// What is asked of a peer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Patience {
    /// How long it may take to send a request's headers.
    pub(super) headers: Duration,
    /// How long it may leave an answer unread.
    pub(super) unread: Duration,
}

/// Answers the connection's requests by `routes`; once `stopping`, the one under way is the last.
pub(super) async fn serve(
    stream: TcpStream,
    routes: Router,
    patience: Patience,
    stopping: CancellationToken,
) {
    // Answers are small and wanted at once.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "TCP_NODELAY not set");
    }
    let stream = TokioIo::new(Patient::new(stream, patience.unread));
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(patience.headers)
        .serve_connection(stream, TowerToHyperService::new(routes));
    tokio::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = stopping.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "connection ended");
    }
}
