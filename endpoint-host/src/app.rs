//! What every handler shares.

use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use crate::ContainerCommand;
use crate::artifact::ModelRoots;
use crate::fleet::Fleet;
use crate::registry::Registry;

/// The state of the host.
pub(crate) struct App {
    /// Models, endpoint configurations and endpoints, as their owners described them.
    pub(crate) registry: Registry,
    /// The processes behind the endpoints.
    pub(crate) fleet: Fleet,
    /// Where models may be read from.
    pub(crate) roots: ModelRoots,
    /// How the built-in image is run.
    pub(crate) container: ContainerCommand,
    /// Holds one folder for every endpoint.
    pub(crate) homes: PathBuf,
    /// Time without a call after which a container is stopped.
    pub(crate) idle_timeout: Duration,
    /// Held while an endpoint appears or disappears in both the registry and the fleet.
    changing: Mutex<()>,
}

impl App {
    /// A host without any endpoint.
    pub(crate) fn new(
        container: ContainerCommand,
        roots: ModelRoots,
        homes: PathBuf,
        idle_timeout: Duration,
    ) -> Self {
        Self {
            registry: Registry::default(),
            fleet: Fleet::default(),
            roots,
            container,
            homes,
            idle_timeout,
            changing: Mutex::new(()),
        }
    }

    /// Keeps registry and fleet in step: one endpoint changes at a time, and never across an await.
    pub(crate) fn changing_endpoints(&self) -> MutexGuard<'_, ()> {
        self.changing.lock().expect("changing an endpoint does not panic")
    }
}
