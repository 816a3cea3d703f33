//! What every handler shares.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Mutex, MutexGuard};
use tokio_util::task::TaskTracker;

use crate::artifact::ModelRoots;
use crate::capture::Capture;
use crate::fleet::Fleet;
use crate::image::Images;
use crate::machine::Machine;
use crate::meter::Meter;
use crate::registry::Registry;

/// The state of the host.
pub(crate) struct App {
    /// Models, endpoint configurations and endpoints, as their owners described them.
    pub(crate) registry: Registry,
    /// The processes behind the endpoints.
    pub(crate) fleet: Fleet,
    /// Where models may be read from.
    pub(crate) roots: Arc<ModelRoots>,
    /// How images are run.
    pub(crate) images: Images,
    /// Where containers run.
    pub(crate) machine: Arc<Machine>,
    /// Holds the folders of the endpoints.
    pub(crate) homes: PathBuf,
    /// What is counted of calls.
    pub(crate) meter: Meter,
    /// Writes calls down, where their endpoint is to be captured.
    pub(crate) capture: Capture,
    /// Time without a call after which a container is stopped.
    pub(crate) idle_timeout: Duration,
    /// Whether what AWS leaves out for serverless endpoints is there.
    pub(crate) beyond_aws: bool,
    /// Whether addresses must be those that AWS knows as well: no `file://`.
    pub(crate) aws_only: bool,
    /// The operations of the control plane that are under way.
    pub(crate) operations: TaskTracker,
    /// Held while an endpoint changes in both the registry and the fleet.
    pub(crate) changing: Mutex<()>,
}

impl App {
    /// Keeps registry and fleet in step: one endpoint changes at a time.
    pub(crate) async fn changing_endpoints(&self) -> MutexGuard<'_, ()> {
        self.changing.lock().await
    }
}
