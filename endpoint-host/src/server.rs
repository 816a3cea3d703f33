//! The listener: binds, serves both APIs, and leaves no process behind.

use std::fs::{self, File, TryLockError};
use std::future::{Future, pending};
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::serve::ListenerExt as _;
use hyper::header::{CONTENT_TYPE, HeaderName};
use tokio::net::TcpListener;
use tokio::sync::{Mutex, oneshot};

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
use crate::{Config, ContainerCommand, Error, access, control, cost, invoke, leftover, lifecycle};

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
    /// Who may call.
    access: Access,
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
        let in_data = |source| Error::Data { path: config.data.clone(), source };
        let images = Images::new(container, &config)?;
        let own = config.data.join("endpoint-host");
        fs::create_dir_all(&own).map_err(in_data)?;
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
            changing: Mutex::default(),
        });
        let listener = listen(config.listen).await?;
        let address = listener.local_addr().map_err(Error::Serve)?;
        lifecycle::resume(&app);
        let access = Access::by(config.access_keys);
        Ok(Self { listener, address, app, access, store, _lock: lock })
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
        let books = cost::keep_books(Arc::clone(&self.app), self.store.clone());
        let listener = self.listener.tap_io(|stream| {
            stream.set_nodelay(true).ok();
        });
        let routes = routes(Arc::clone(&self.app), self.store.clone(), self.access);
        let serving = axum::serve(listener, routes);
        let served = tokio::select! {
            served = serving.with_graceful_shutdown(shutdown) => served,
            () = drain_limit(stopping) => {
                tracing::warn!("calls still in flight after {DRAIN_LIMIT:?} are cut off");
                Ok(())
            }
        };
        self.app.fleet.close().await;
        self.app.capture.close().await;
        books.close(&self.app, &self.store).await;
        self.store.close().await;
        served.map_err(Error::Serve)
    }
}

fn routes(app: Arc<App>, store: Store, access: Access) -> Router {
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
        .layer(axum::middleware::map_request_with_state(access, access::check))
        .layer(axum::middleware::map_response(with_request_id))
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

async fn drain_limit(stopping: oneshot::Receiver<()>) {
    match stopping.await {
        Ok(()) => tokio::time::sleep(DRAIN_LIMIT).await,
        Err(_) => pending().await,
    }
}
