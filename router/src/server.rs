//! Opens the database, binds the address, serves until told to stop, drains.

mod connection;
mod patience;
#[cfg(test)]
mod tests;

use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use axum::Router;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Mutex, Notify, Semaphore};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{Instant, sleep, timeout, timeout_at};
use tokio_util::sync::CancellationToken;
use tokio_util::task::{AbortOnDropHandle, TaskTracker};

use crate::access::{self, Keyring};
use crate::api;
use crate::api::room::Rooms;
use crate::app::{AMENDMENTS, App, BACKLOG_BYTES, CONTENTS, PROMISES, WHAT_IFS};
use crate::config::Config;
use crate::error::Error;
use crate::fanout::{Fanout, Limits};
use crate::follow::follow;
use crate::metrics::Metrics;
use crate::moderation::{Awaited, Backlog, Complaints};
use crate::outbound::Guard;
use crate::policy::Policy;
use crate::shadow::Shadows;
use crate::store::decisions::DecisionLog;
use crate::store::{Location, Store};
use crate::telemetry::Traces;
use connection::Patience;

/// How long requests under way, and verdicts that were promised, may take after the signal to stop.
pub(crate) const DRAIN: Duration = Duration::from_secs(20);
/// How long what they leave behind may take to be written after that.
pub(crate) const FLUSH: Duration = Duration::from_secs(3);
/// How long the database may take to close in the end.
const CLOSE: Duration = Duration::from_secs(1);
const PATIENCE: Patience =
    Patience { headers: Duration::from_secs(30), unread: Duration::from_secs(60) };

/// A router that is bound to its address and ready to serve.
#[derive(Debug)]
pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
    app: Arc<App>,
    writer: JoinHandle<()>,
    patience: Patience,
    drain: Duration,
}

impl Server {
    /// Opens and migrates the database, compiles the options in it, and binds the address.
    ///
    /// # Errors
    ///
    /// When the address is taken, or is not loopback although no key was ever made, or the
    /// database cannot be used.
    pub async fn bind(config: Config) -> Result<Self, Error> {
        let listen_error = |source| Error::Listen { address: config.listen, source };
        let listener = TcpListener::bind(config.listen).await.map_err(listen_error)?;
        let address = listener.local_addr().map_err(listen_error)?;

        let (app, writer) = open(&config).await?;
        if !config.listen.ip().is_loopback() && !app.keys.is_demanded() {
            return Err(Error::NotLoopback(config.listen));
        }
        let app = Arc::new(app);
        Ok(Self { listener, address, app, writer, patience: PATIENCE, drain: DRAIN })
    }

    /// The address bound, with the port that the system chose for port 0.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves until `shutdown` is done, then finishes what is under way, for up to 25 seconds.
    ///
    /// # Errors
    ///
    /// When the listener fails.
    pub async fn serve(
        self,
        shutdown: impl Future<Output = ()> + Send + 'static,
    ) -> Result<(), Error> {
        let Self { listener, app, writer, patience, drain, .. } = self;
        let following = AbortOnDropHandle::new(tokio::spawn(follow(Arc::clone(&app))));
        let keys = access::follow::follow(Arc::clone(&app));
        let following = (following, AbortOnDropHandle::new(tokio::spawn(keys)));
        let mut connections = Connections {
            routes: api::routes(Arc::clone(&app)),
            patience,
            stopping: app.stopping.clone(),
            open: JoinSet::new(),
        };
        let served = tokio::select! {
            fault = connections.accept_all(&listener) => Err(Error::Serve(fault)),
            () = shutdown => Ok(()),
        };
        drop((listener, following));
        let end = Instant::now() + drain;
        connections.finish(end).await;
        // What they don't manage by then is told by what comes after.
        timeout_at(end, app.awaited.finish()).await.unwrap_or_default();
        flush(&app, writer).await;
        connections.open.shutdown().await;
        tokio::join!(close(&app), stop_traces(&app));
        served
    }
}

async fn open(config: &Config) -> Result<(App, JoinHandle<()>), Error> {
    let guard = Guard::new(&config.allow_net);
    let limits = Limits {
        account_concurrency: config.account_concurrency.get(),
        score_cache_bytes: u64::from(config.score_cache) * 1024 * 1024,
    };
    let shadows = Arc::new(Shadows::default());
    let (endpoint_url, metrics) = (config.sagemaker_endpoint_url.as_ref(), Metrics::of(&shadows));
    let endpoints = metrics.endpoints.clone();
    let fanout = Fanout::new(endpoint_url, guard.clone(), limits, endpoints).await?;
    let location: Location = config.database.parse()?;
    let store = Store::open(&location).await?;
    let store = store.with_spool(&config.spool, config.spool_limit).await?;
    let policy = store
        .load_policy()
        .await
        .map_err(|source| Error::Database { path: location.shown(), source })?
        .map_err(|problem| Error::Options { path: location.shown(), detail: problem.detail })?;
    let (decisions, writer) = DecisionLog::start(&store);
    let app = App {
        policy: ArcSwap::from_pointee(Policy::default()),
        changing: Mutex::new(()),
        installing: std::sync::Mutex::new(()),
        keys_changed: Notify::new(),
        changes: TaskTracker::new(),
        contents: Arc::new(Semaphore::new(CONTENTS)),
        promises: Backlog::new(PROMISES, BACKLOG_BYTES),
        amendments: Backlog::new(AMENDMENTS, BACKLOG_BYTES),
        awaited: Awaited::default(),
        shadows,
        what_ifs: Semaphore::new(WHAT_IFS),
        rooms: Rooms::default(),
        keys: Keyring::default(),
        guard,
        fanout: Arc::new(fanout),
        decisions,
        metrics,
        traces: Traces::from_environment(),
        complaints: Complaints::default(),
        store,
        stopping: CancellationToken::new(),
    };
    app.install(&app.policy.load_full(), policy);
    let keys = app.keys.catch_up(&app.store).await;
    keys.map_err(|source| Error::Database { path: location.shown(), source })?;
    Ok((app, writer))
}

/// The connections, and what it takes to serve one.
struct Connections {
    routes: Router,
    patience: Patience,
    stopping: CancellationToken,
    open: JoinSet<()>,
}

impl Connections {
    /// Serves whoever connects, until the listener fails.
    async fn accept_all(&mut self, listener: &TcpListener) -> io::Error {
        loop {
            tokio::select! {
                accepted = listener.accept() => match accepted {
                    Ok((stream, _)) => self.serve(stream),
                    Err(error) if error.kind() == ErrorKind::InvalidInput => return error,
                    Err(error) => pause_after(&error).await,
                },
                Some(ended) = self.open.join_next() => report(ended),
            }
        }
    }

    fn serve(&mut self, stream: TcpStream) {
        let routes = self.routes.clone();
        self.open.spawn(connection::serve(stream, routes, self.patience, self.stopping.clone()));
    }

    /// Waits for the requests under way to be answered.
    async fn finish(&mut self, end: Instant) {
        self.stopping.cancel();
        let ending = async {
            while let Some(ended) = self.open.join_next().await {
                report(ended);
            }
        };
        if timeout_at(end, ending).await.is_err() {
            tracing::warn!("stopped with requests still under way");
        }
    }
}

async fn close(app: &App) {
    if timeout(CLOSE, app.store.close()).await.is_err() {
        tracing::warn!("stopped without closing the database");
    }
}

async fn stop_traces(app: &App) {
    if let Some(traces) = &app.traces {
        traces.stop().await;
    }
}

/// A lack of file descriptors passes; asking again at once would only burn the CPU.
async fn pause_after(error: &io::Error) {
    tracing::warn!(%error, "cannot accept a connection");
    sleep(Duration::from_millis(20)).await;
}

fn report(ended: Result<(), tokio::task::JoinError>) {
    if let Err(error) = ended {
        tracing::error!(%error, "a connection failed");
    }
}

/// Waits for changes under way and for the decisions in the queue; no more decisions are taken, and
/// promised verdicts that are not stored are lost.
async fn flush(app: &App, writer: JoinHandle<()>) {
    app.changes.close();
    let flushing = async {
        app.decisions.close();
        app.changes.wait().await;
        if let Err(error) = writer.await {
            tracing::error!(%error, "the decision writer failed");
        }
        app.awaited.finish().await;
    };
    if timeout(FLUSH, flushing).await.is_err() {
        tracing::warn!("stopped with changes or decisions unwritten");
    }
    app.awaited.give_up();
}
