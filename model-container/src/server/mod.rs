//! The HTTP server: binds, loads the model, answers on HTTP/1.1, and drains when told to stop.

mod app;
mod v2;
mod body;
mod response;
mod request_log;
mod traffic;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, timeout, timeout_at};

use crate::Error;
use crate::limits::Limits;
use app::App;

/// A client that does not finish its headers by then is disconnected, and so is one without any
/// request; those who keep connections for themselves usually drop them after 60 seconds.
const HEADER_TIMEOUT: Duration = Duration::from_secs(75);
/// How long requests may take to their end after SIGTERM.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(22);
/// SageMaker kills a container 30 seconds after SIGTERM.
const STOP_TIMEOUT: Duration = Duration::from_secs(28);

/// A bound server whose model is still to be loaded.
pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
}

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
        limits: Limits,
        shutdown: impl Future<Output = ()>,
    ) -> Result<(), Error> {
        let app = Arc::new(App::new(limits));
        let graceful = GracefulShutdown::new();
        let mut loading = tokio::spawn({
            let app = Arc::clone(&app);
            async move { app.load(model_dir).await }
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
                    Ok((stream, _)) => connection(stream, &app, &graceful),
                    Err(error) => pause_after(&error).await,
                },
                () = &mut shutdown => break,
            }
        }
        let stop_by = Instant::now() + STOP_TIMEOUT;
        for stream in close(self.listener) {
            connection(stream, &app, &graceful);
        }
        let drained = async {
            app.traffic.drain(&graceful).await;
            graceful.shutdown().await;
        };
        if timeout(DRAIN_TIMEOUT, drained).await.is_err() {
            tracing::warn!(
                "requests were still running {DRAIN_TIMEOUT:?} after the signal to stop"
            );
        }
        if timeout_at(stop_by, app.stop()).await.is_err() {
            tracing::warn!("the model's processes did not end in time and are left behind");
        }
        Ok(())
    }
}

/// Stops listening, and gives those who have connected already: they may have sent a request.
fn close(listener: TcpListener) -> Vec<TcpStream> {
    // The runtime's own listener asks the system only after it was told of a new connection.
    let Ok(listener) = listener.into_std() else {
        return Vec::new();
    };
    std::iter::from_fn(|| {
        let (stream, _) = listener.accept().ok()?;
        stream.set_nonblocking(true).ok()?;
        TcpStream::from_std(stream).ok()
    })
    .collect()
}

/// A lack of file descriptors passes; asking again at once would only burn the CPU.
async fn pause_after(error: &std::io::Error) {
    tracing::warn!(%error, "can't accept a connection");
    tokio::time::sleep(Duration::from_millis(20)).await;
}

fn connection(stream: TcpStream, app: &Arc<App>, graceful: &GracefulShutdown) {
    let _ = stream.set_nodelay(true);
    let app = Arc::clone(app);
    let service = service_fn(move |request| Arc::clone(&app).respond(request));
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
