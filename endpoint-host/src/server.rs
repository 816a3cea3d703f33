//! The listener: binds, serves both APIs, and leaves no process behind.

use std::fs::{self, File, TryLockError};
use std::future::{Future, pending};
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::response::Response;
use axum::routing::post;
use axum::serve::ListenerExt as _;
use hyper::header::HeaderName;
use tokio::net::TcpListener;
use tokio::sync::oneshot;

use crate::api_error::ApiError;
use crate::app::App;
use crate::artifact::ModelRoots;
use crate::{Config, ContainerCommand, Error, control, host_header, invoke, leftover};

/// How long calls in flight may take to finish once the host is told to stop.
const DRAIN_LIMIT: Duration = Duration::from_secs(60);

/// A bound endpoint host.
pub struct Server {
    /// Accepts the connections.
    listener: TcpListener,
    /// The address bound.
    address: SocketAddr,
    /// What the handlers share.
    app: Arc<App>,
    /// Locked while the host runs, so that two hosts never share a data folder.
    _lock: File,
}

impl Server {
    /// Binds the address and takes the data folder; a port in use is an error that names the
    /// address and says to use `--listen`.
    pub async fn bind(config: Config, container: ContainerCommand) -> Result<Self, Error> {
        if !config.listen.ip().is_loopback() {
            return Err(Error::NotLoopback(config.listen));
        }
        let in_data = |source| Error::Data { path: config.data.clone(), source };
        let own = config.data.join("endpoint-host");
        fs::create_dir_all(&own).map_err(in_data)?;
        let lock = lock(&config.data, &own)?;
        let homes = own.join("endpoints");
        leftover::end_all(&homes);
        let homes = empty_folder(&homes).map_err(in_data)?;
        let roots = ModelRoots::open(&config.data, &own, &config.model_roots)?;
        let listener = listen(config.listen).await?;
        let address = listener.local_addr().map_err(Error::Serve)?;
        let app = Arc::new(App::new(container, roots, homes, config.idle_timeout));
        Ok(Self { listener, address, app, _lock: lock })
    }

    /// The address bound, with its real port.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves until `shutdown`, then finishes calls in flight and stops every container process.
    pub async fn serve(
        self,
        shutdown: impl Future<Output = ()> + Send + 'static,
    ) -> Result<(), Error> {
        let (told, stopping) = oneshot::channel();
        let shutdown = async move {
            shutdown.await;
            told.send(()).ok();
        };
        let listener = self.listener.tap_io(|stream| {
            stream.set_nodelay(true).ok();
        });
        let serving = axum::serve(listener, routes(Arc::clone(&self.app)));
        let served = tokio::select! {
            served = serving.with_graceful_shutdown(shutdown) => served,
            () = drain_limit(stopping) => {
                tracing::warn!("calls still in flight after {DRAIN_LIMIT:?} are cut off");
                Ok(())
            }
        };
        self.app.fleet.close().await;
        served.map_err(Error::Serve)
    }
}

fn routes(app: Arc<App>) -> Router {
    Router::new()
        .route("/", post(control::operation))
        .route("/endpoints/{name}/invocations", post(invoke::invoke))
        .route("/endpoints/{name}/invocations-response-stream", post(invoke::refuse_stream))
        .route("/endpoints/{name}/async-invocations", post(invoke::refuse_async))
        .fallback(async || ApiError::unknown_path())
        .method_not_allowed_fallback(async || ApiError::unknown_path())
        .with_state(app)
        .layer(axum::middleware::map_request(host_header::only_loopback))
        .layer(axum::middleware::map_response(with_request_id))
}

/// Every answer of AWS carries an id that a caller can quote.
async fn with_request_id(mut response: Response) -> Response {
    let id = uuid::Uuid::new_v4().to_string();
    if let Ok(value) = id.parse() {
        response.headers_mut().insert(HeaderName::from_static("x-amzn-requestid"), value);
    }
    response
}

async fn listen(address: SocketAddr) -> Result<TcpListener, Error> {
    TcpListener::bind(address).await.map_err(|source| match source.kind() {
        ErrorKind::AddrInUse => Error::AddressInUse(address),
        _ => Error::Bind { address, source },
    })
}

fn lock(data: &Path, own: &Path) -> Result<File, Error> {
    let in_data = |source| Error::Data { path: data.to_owned(), source };
    let file = File::create(own.join("lock")).map_err(in_data)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(Error::DataInUse(data.to_owned())),
        Err(TryLockError::Error(source)) => Err(in_data(source)),
    }
}

/// Removes what a host that was killed left behind.
fn empty_folder(path: &Path) -> io::Result<std::path::PathBuf> {
    if path.exists() {
        fs::remove_dir_all(path)?;
    }
    fs::create_dir(path)?;
    path.canonicalize()
}

async fn drain_limit(stopping: oneshot::Receiver<()>) {
    match stopping.await {
        Ok(()) => tokio::time::sleep(DRAIN_LIMIT).await,
        Err(_) => pending().await,
    }
}
