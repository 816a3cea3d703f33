//! Brings endpoints up and takes them down: the steps between `Creating` and `InService`, and
//! between `Deleting` and gone.

use std::sync::Arc;

use crate::app::App;
use crate::container::Launch;
use crate::home::Home;
use crate::reason::Reason;
use crate::record::{Endpoint, Status, now};
use crate::slot::Slot;

/// AWS allows a failure reason so many characters.
const REASON_CHARS: usize = 1024;

/// Registers the endpoint and begins to try its container; an endpoint of that name is given back.
pub(crate) fn begin(app: &Arc<App>, endpoint: Endpoint) -> Result<(), Arc<Endpoint>> {
    let name = endpoint.name.clone();
    let slot = Arc::new(slot(app, &endpoint));
    let _one_at_a_time = app.changing_endpoints();
    app.registry.endpoints.insert(name.clone(), endpoint)?;
    app.fleet.insert(name, Arc::clone(&slot));
    slot.tasks.spawn(try_out(Arc::clone(app), Arc::clone(&slot)));
    Ok(())
}

/// Begins to stop an endpoint, which is gone once its processes are; tells whether it exists.
pub(crate) fn delete(app: &Arc<App>, name: &str) -> bool {
    let _one_at_a_time = app.changing_endpoints();
    let Some(endpoint) = app.registry.endpoints.get(name) else {
        return false;
    };
    if matches!(endpoint.status, Status::Deleting) {
        return true;
    }
    app.registry.endpoints.update(name, |endpoint| set(endpoint, Status::Deleting));
    match app.fleet.get(name) {
        Some(slot) => drop(tokio::spawn(take_down(Arc::clone(app), slot))),
        None => drop(app.registry.endpoints.remove(name)),
    }
    true
}

fn slot(app: &App, endpoint: &Endpoint) -> Slot {
    let container = &endpoint.model.primary_container;
    let launch = Launch {
        endpoint: endpoint.name.clone(),
        command: app.container.clone(),
        artifact: container.artifact.clone(),
        home: Home::new(&app.homes),
        environment: container.environment.clone(),
    };
    Slot::new(launch, endpoint.variant.clone(), app.idle_timeout)
}

async fn try_out(app: Arc<App>, slot: Arc<Slot>) {
    let name = slot.launch.endpoint.clone();
    let status = match prove(&slot).await {
        Ok(()) => Status::InService,
        Err(reason) => Status::Failed(reason.to_string().chars().take(REASON_CHARS).collect()),
    };
    if let Some(reason) = status.failure() {
        tracing::warn!(endpoint = %name, "the endpoint failed: {reason}");
    }
    let _one_at_a_time = app.changing_endpoints();
    let current = app.registry.endpoints.get(name.as_str());
    if !current.is_some_and(|endpoint| matches!(endpoint.status, Status::Creating)) {
        return;
    }
    if status.failure().is_some() {
        app.fleet.remove(name.as_str());
    }
    app.registry.endpoints.update(name.as_str(), |endpoint| set(endpoint, status));
}

async fn prove(slot: &Arc<Slot>) -> Result<(), Reason> {
    let preparing = Arc::clone(slot);
    tokio::task::spawn_blocking(move || preparing.launch.home.prepare(&preparing.launch.artifact))
        .await
        .unwrap_or_else(|error| Err(Reason::new(format!("unpacking the model failed: {error}"))))?;
    slot.prove().await
}

async fn take_down(app: Arc<App>, slot: Arc<Slot>) {
    slot.close();
    slot.closed().await;
    let name = slot.launch.endpoint.as_str();
    let _one_at_a_time = app.changing_endpoints();
    app.fleet.remove(name);
    app.registry.endpoints.remove(name);
}

fn set(endpoint: &mut Endpoint, status: Status) {
    endpoint.status = status;
    endpoint.last_modified_time = now();
}
