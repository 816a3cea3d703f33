//! The listener: binds, serves both APIs, and leaves no process behind.

mod callers;

use std::fs::{self, File, Permissions, TryLockError};
use std::future::{Future, pending};
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{DefaultBodyLimit, State};
use axum::middleware::{map_request, map_request_with_state, map_response};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use hyper::header::{CONTENT_TYPE, HeaderName};
use tokio::net::TcpListener;
use tokio::sync::Mutex;
use tokio::time::{Instant, timeout_at};
use tokio_util::task::TaskTracker;

use crate::access::Access;
use crate::api_error::ApiError;
use crate::app::App;
use crate::artifact::ModelRoots;
use crate::capture::Capture;
use crate::fleet::Fleet;
use crate::image::Images;
use crate::machine::Machine;
use crate::memory::Memory;
use crate::meter::Meter;
use crate::registry::Registry;
use crate::store::Store;
use crate::{
    Config, ContainerCommand, Error, access, control, cost, host_header, invoke, leftover,
    lifecycle,
};
use callers::{Callers, HEAD_WITHIN};

/// How long all that is in flight may take to finish once the host is told to stop. With the ends of
/// the containers and the last uploads after it, that is less than the 90 seconds after which systemd
/// kills a service.
const DRAIN_LIMIT: Duration = Duration::from_secs(30);

/// Bytes in what settings call a megabyte.
const MB: usize = 1024 * 1024;

/// A bound endpoint host.
pub struct Server {
    /// Accepts the connections.
    listener: TcpListener,
    /// The address bound.
    address: SocketAddr,
    /// What the handlers share.
    app: Arc<App>,
    /// What every request passes.
    access: Arc<Access>,
    /// Accepts the connections of those who read metrics only.
    metrics: Option<TcpListener>,
    /// What the handlers write to.
    store: Store,
    /// Locked while the host runs, so that two hosts never share a data folder.
    _lock: File,
}

impl Server {
    /// Binds the address and takes the data folder; a port in use is an error that names the
    /// address and says to use `--listen`.
    pub async fn bind(config: Config, container: ContainerCommand) -> Result<Self, Error> {
        if !config.listen.ip().is_loopback() && config.access_keys.is_empty() {
            return Err(Error::NotLoopback(config.listen));
        }
        let metrics = listen_for_metrics(config.metrics_address).await?;
        let in_data = |source| Error::Data { path: config.data.clone(), source };
        let images = Images::new(container, &config)?;
        let own = config.data.join("endpoint-host");
        create_private(&own).map_err(in_data)?;
        let lock = lock(&config.data, &own)?;
        let homes = own.join("endpoints");
        leftover::end_all(&homes);
        fs::create_dir_all(&homes).map_err(in_data)?;
        let store = Store::open(&own.join("host.db")).await.map_err(Error::store)?;
        let memory = Memory::open();
        let machine = Machine::new(memory, config.cold_queue, config.cold_deadline);
        let roots = Arc::new(ModelRoots::open(&config.data, &own, &config.model_roots)?);
        let app = Arc::new(App {
            registry: Registry::load(&store).await.map_err(Error::store)?,
            fleet: Fleet::default(),
            meter: Meter::default(),
            capture: Capture::start(&roots, config.capture_until),
            roots,
            images,
            machine: Arc::new(machine),
            homes: homes.canonicalize().map_err(in_data)?,
            idle_timeout: config.idle_timeout,
            beyond_aws: config.beyond_aws,
            aws_only: config.aws_only,
            operations: TaskTracker::new(),
            changing: Mutex::default(),
        });
        let listener = listen(config.listen).await?;
        let address = listener.local_addr().map_err(Error::Serve)?;
        lifecycle::resume(&app);
        let access = Arc::new(Access::by(config.access_keys, config.call_memory as usize * MB));
        Ok(Self { listener, address, app, access, metrics, store, _lock: lock })
    }

    /// The address bound, with its real port.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The address that serves metrics without a signature, if there is one, with its real port.
    pub fn metrics_address(&self) -> Option<SocketAddr> {
        self.metrics.as_ref()?.local_addr().ok()
    }

    /// Serves until `shutdown`, then finishes calls in flight and stops every container process.
    pub async fn serve(
        self,
        shutdown: impl Future<Output = ()> + Send + 'static,
    ) -> Result<(), Error> {
        let books = cost::keep_books(Arc::clone(&self.app), self.store.clone());
        let routes = routes(Arc::clone(&self.app), self.store.clone(), self.access);
        let mut callers = Callers::new(routes, HEAD_WITHIN);
        let mut readers = Callers::new(metrics_routes(Arc::clone(&self.app)), HEAD_WITHIN);
        let reading = async {
            match &self.metrics {
                Some(listener) => readers.accept_all(listener).await,
                None => pending().await,
            }
        };
        let served = tokio::select! {
            fault = callers.accept_all(&self.listener) => Err(Error::Serve(fault)),
            fault = reading => Err(Error::Serve(fault)),
            () = shutdown => Ok(()),
        };
        drop((self.listener, self.metrics));
        let until = Instant::now() + DRAIN_LIMIT;
        callers.finish(until).await;
        // What callers who have left had begun.
        self.app.operations.close();
        if timeout_at(until, self.app.operations.wait()).await.is_err() {
            tracing::warn!("operations still under way after {DRAIN_LIMIT:?} are given up");
        }
        books.close().await;
        self.app.fleet.close().await;
        self.app.capture.close().await;
        cost::write_down(&self.app, &self.store).await;
        self.store.close().await;
        served
    }
}

fn routes(app: Arc<App>, store: Store, access: Arc<Access>) -> Router {
    Router::new()
        .route("/", post(control::operation))
        .route("/endpoints/{name}/invocations", post(invoke::invoke))
        .route("/endpoints/{name}/invocations-response-stream", post(invoke::stream))
        .route("/endpoints/{name}/async-invocations", post(invoke::refuse_async))
        .route("/metrics", get(metrics))
        .fallback(async || ApiError::unknown_path())
        .method_not_allowed_fallback(async || ApiError::unknown_path())
        .with_state(Arc::clone(&app))
        .merge(cost::routes(app, store))
        // Bodies are bounded where they are read.
        .layer(DefaultBodyLimit::disable())
        .layer(map_request_with_state(access, access::check))
        .layer(map_response(with_request_id))
}

fn metrics_routes(app: Arc<App>) -> Router {
    Router::new()
        .route("/metrics", get(metrics))
        .fallback(async || ApiError::unknown_path())
        .with_state(app)
        .layer(map_request(host_header::check))
        .layer(map_response(with_request_id))
}

async fn metrics(State(app): State<Arc<App>>) -> impl IntoResponse {
    ([(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], app.meter.exposition())
}

/// Every answer of AWS carries an id that a caller can quote.
async fn with_request_id(mut response: Response) -> Response {
    let id = uuid::Uuid::new_v4().to_string();
    if let Ok(value) = id.parse() {
        response.headers_mut().insert(HeaderName::from_static("x-amzn-requestid"), value);
    }
    response
}

async fn listen_for_metrics(address: Option<SocketAddr>) -> Result<Option<TcpListener>, Error> {
    match address {
        Some(address) if !address.ip().is_loopback() => Err(Error::MetricsNotLoopback(address)),
        Some(address) => listen(address).await.map(Some),
        None => Ok(None),
    }
}

async fn listen(address: SocketAddr) -> Result<TcpListener, Error> {
    TcpListener::bind(address).await.map_err(|source| match source.kind() {
        ErrorKind::AddrInUse => Error::AddressInUse(address),
        _ => Error::Bind { address, source },
    })
}

/// Makes a folder that nobody else can look into: it holds what callers send.
fn create_private(folder: &Path) -> io::Result<()> {
    fs::create_dir_all(folder)?;
    fs::set_permissions(folder, Permissions::from_mode(0o700))
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
