//! Blue/green updates: what is new is tried beside what answers, takes over in one step, and is in
//! service once the last call of what is old was answered. Weights alone change in place.

use std::sync::Arc;

use serde_json::Value;

use super::{discard, shortened, step};
use crate::api_error::ApiError;
use crate::app::App;
use crate::home;
use crate::reason::Reason;
use crate::record::{Endpoint, Serving, Status};
use crate::traffic::Traffic;

/// What an update is to lead to.
pub(crate) struct Renewal {
    /// What the endpoint will serve.
    pub(crate) serving: Serving,
    /// How the update was asked to be made.
    pub(crate) deployment: Option<Value>,
}

/// Why an update was not begun.
#[derive(Debug)]
pub(crate) enum NotUpdated {
    /// There is no such endpoint.
    Missing,
    /// The endpoint is in no status in which it can be updated.
    Busy(Status),
    /// What is asked for does not fit what the endpoint serves.
    Refused(ApiError),
    /// The database did not take it.
    Store(sqlx::Error),
}

/// Begins to bring up what the endpoint is to serve next, which `plan` makes of the endpoint.
pub(crate) async fn update(
    app: &Arc<App>,
    name: &str,
    plan: impl FnOnce(&Endpoint) -> Result<Renewal, ApiError>,
) -> Result<Arc<Endpoint>, NotUpdated> {
    let _one_at_a_time = app.changing_endpoints().await;
    let endpoint = updatable(app, name)?;
    let Renewal { serving, deployment } = plan(&endpoint).map_err(NotUpdated::Refused)?;
    let updating = |endpoint: &mut Endpoint| {
        endpoint.pending = Some(serving);
        endpoint.deployment = deployment;
        endpoint.failure_reason = None;
        endpoint.set(Status::Updating);
    };
    app.registry.endpoints.update(name, updating).await.map_err(NotUpdated::Store)?;
    let endpoint = app.registry.endpoints.get(name).ok_or(NotUpdated::Missing)?;
    begin(app, Arc::clone(&endpoint));
    Ok(endpoint)
}

/// Gives the variants other shares of the calls; their containers and calls go on.
pub(crate) async fn reweigh(
    app: &Arc<App>,
    name: &str,
    plan: impl FnOnce(&Endpoint) -> Result<Serving, ApiError>,
) -> Result<Arc<Endpoint>, NotUpdated> {
    let _one_at_a_time = app.changing_endpoints().await;
    let endpoint = updatable(app, name)?;
    let serving = plan(&endpoint).map_err(NotUpdated::Refused)?;
    let updating = |endpoint: &mut Endpoint| {
        endpoint.serving = serving;
        endpoint.failure_reason = None;
        endpoint.set(Status::Updating);
    };
    app.registry.endpoints.update(name, updating).await.map_err(NotUpdated::Store)?;
    let endpoint = app.registry.endpoints.get(name).ok_or(NotUpdated::Missing)?;
    if let Some(live) = app.fleet.get(name) {
        app.fleet.put(&endpoint.name, Arc::new(live.reweighed(&endpoint.serving.config)));
    }
    let (app, reweighed) = (Arc::clone(app), Arc::clone(&endpoint));
    tokio::spawn(async move { finish(&app, &reweighed, |_| {}).await });
    Ok(endpoint)
}

fn updatable(app: &App, name: &str) -> Result<Arc<Endpoint>, NotUpdated> {
    let endpoint = app.registry.endpoints.get(name).ok_or(NotUpdated::Missing)?;
    match endpoint.status {
        Status::InService => Ok(endpoint),
        other => Err(NotUpdated::Busy(other)),
    }
}

/// Tries again what a host that was killed was bringing up.
pub(super) fn resume(app: &Arc<App>, endpoint: Arc<Endpoint>) {
    if endpoint.status == Status::Updating && endpoint.pending.is_some() {
        return begin(app, endpoint);
    }
    let app = Arc::clone(app);
    tokio::spawn(async move { finish(&app, &endpoint, |endpoint| endpoint.pending = None).await });
}

fn begin(app: &Arc<App>, endpoint: Arc<Endpoint>) {
    let Some(pending) = endpoint.pending.clone() else {
        return;
    };
    let traffic = Arc::new(Traffic::new(app, &endpoint, &pending));
    app.fleet.prepare(&endpoint.name, Arc::clone(&traffic));
    tokio::spawn(roll(Arc::clone(app), endpoint, pending, traffic));
}

async fn roll(app: Arc<App>, endpoint: Arc<Endpoint>, pending: Serving, traffic: Arc<Traffic>) {
    let live = app.fleet.get(endpoint.name.as_str());
    match traffic.prove_beside(live.as_deref()).await {
        Ok(()) => take_over(&app, &endpoint, &pending, &traffic).await,
        Err(reason) => roll_back(&app, &endpoint, &pending, &traffic, &reason).await,
    }
}

/// From here on every call is answered by what is new, but for those that were taken before.
async fn take_over(app: &App, endpoint: &Endpoint, pending: &Serving, traffic: &Arc<Traffic>) {
    let name = endpoint.name.as_str();
    traffic.take_over();
    let Some(before) = app.fleet.promote(name, traffic) else {
        return;
    };
    if let Some(before) = before.0 {
        before.retire().await;
        app.fleet.forget(name, &before);
    }
    let in_service = |endpoint: &mut Endpoint| {
        endpoint.serving = pending.clone();
        endpoint.pending = None;
    };
    finish(app, endpoint, in_service).await;
    home::remove(&app.homes, endpoint.serving.id).await;
}

async fn roll_back(
    app: &App,
    endpoint: &Endpoint,
    pending: &Serving,
    traffic: &Arc<Traffic>,
    reason: &Reason,
) {
    if !app.fleet.withdraw(endpoint.name.as_str(), traffic) {
        return;
    }
    let reason = shortened(&endpoint.name, reason);
    let rolling_back = |endpoint: &mut Endpoint| {
        endpoint.failure_reason = Some(reason.clone());
        endpoint.set(Status::RollingBack);
    };
    step(app, endpoint, rolling_back).await;
    discard(app, endpoint, pending, traffic).await;
    finish(app, endpoint, |endpoint| endpoint.pending = None).await;
}

async fn finish(app: &App, endpoint: &Endpoint, change: impl Fn(&mut Endpoint) + Send + Sync) {
    let finished = |endpoint: &mut Endpoint| {
        change(endpoint);
        endpoint.set(Status::InService);
    };
    step(app, endpoint, finished).await;
}
