//! Opens the database, binds the address, serves until told to stop, drains.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use axum::serve::ListenerExt;
use tokio::net::TcpListener;
use tokio::sync::Mutex;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::api;
use crate::app::App;
use crate::config::Config;
use crate::error::Error;
use crate::fanout::Fanout;
use crate::store::decisions::DecisionLog;
use crate::store::{Store, sqlite_file};

/// How long requests under way may take after the signal to stop.
const DRAIN: Duration = Duration::from_secs(30);

/// A router that is bound to its address and ready to serve.
#[derive(Debug)]
pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
    app: Arc<App>,
    store: Store,
    writer: JoinHandle<()>,
}

impl Server {
    /// Opens and migrates the database, compiles the options in it, and binds the address.
    ///
    /// # Errors
    ///
    /// When the address is taken or not loopback, or the database cannot be used.
    pub async fn bind(config: Config) -> Result<Self, Error> {
        if !config.listen.ip().is_loopback() {
            return Err(Error::NotLoopback(config.listen));
        }
        let listen_error = |source| Error::Listen { address: config.listen, source };
        let listener = TcpListener::bind(config.listen).await.map_err(listen_error)?;
        let address = listener.local_addr().map_err(listen_error)?;

        let (app, store, writer) = open(&config).await?;
        Ok(Self { listener, address, app: Arc::new(app), store, writer })
    }

    /// The address bound, with the port that the system chose for port 0.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves until `shutdown` is done, then finishes what is under way, for up to 30 seconds.
    ///
    /// # Errors
    ///
    /// When the listener fails.
    pub async fn serve(
        self,
        shutdown: impl Future<Output = ()> + Send + 'static,
    ) -> Result<(), Error> {
        let stopping = CancellationToken::new();
        let overdue = stopping.clone();
        let listener = self.listener.tap_io(without_delay);
        let serving = axum::serve(listener, api::routes(Arc::clone(&self.app)))
            .with_graceful_shutdown(async move {
                shutdown.await;
                stopping.cancel();
            });
        let overdue = async {
            overdue.cancelled().await;
            tokio::time::sleep(DRAIN).await;
        };
        let served = tokio::select! {
            served = serving => served,
            () = overdue => {
                tracing::warn!("stopped with requests still under way");
                Ok(())
            }
        };
        drain(self.app, self.writer).await;
        self.store.close().await;
        served.map_err(Error::Serve)
    }
}

async fn open(config: &Config) -> Result<(App, Store, JoinHandle<()>), Error> {
    let file = sqlite_file(&config.database)?;
    let path = || file.display().to_string();
    let database_error = |source| Error::Database { path: path(), source };
    let store = Store::open(&file).await.map_err(database_error)?;
    let policy = store
        .load_policy()
        .await
        .map_err(database_error)?
        .map_err(|problem| Error::Options { path: path(), detail: problem.detail })?;
    let (decisions, writer) = DecisionLog::start(&store);
    let app = App {
        policy: ArcSwap::from_pointee(policy),
        changing: Mutex::new(()),
        changes: TaskTracker::new(),
        fanout: Fanout::new(config.sagemaker_endpoint_url.as_ref()).await,
        decisions,
        store: store.clone(),
    };
    Ok((app, store, writer))
}

/// Answers are small and wanted at once.
fn without_delay(stream: &mut tokio::net::TcpStream) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "TCP_NODELAY not set");
    }
}

/// Waits for changes under way, and for the decisions in the queue.
async fn drain(app: Arc<App>, writer: JoinHandle<()>) {
    app.changes.close();
    app.changes.wait().await;
    drop(app);
    // A connection that has outlived its time may still hold the queue open.
    match timeout(Duration::from_secs(5), writer).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::error!(%error, "the decision writer failed"),
        Err(_) => tracing::warn!("stopped with decisions still coming in"),
    }
}
