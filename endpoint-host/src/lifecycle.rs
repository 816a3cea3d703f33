//! Brings endpoints up, renews them and takes them down: the steps between two statuses.
//!
//! Every step is in the registry before it is taken, so that a host that was killed goes on where
//! it was: what was coming up is tried again, what was going away goes.

mod update;

use std::sync::Arc;
use std::time::Duration;

use crate::app::App;
use crate::home;
use crate::reason::Reason;
use crate::record::{Endpoint, Serving, Status, Tags};
use crate::registry::NotAdded;
use crate::traffic::Traffic;

pub(crate) use update::{NotUpdated, Renewal, reweigh, update};

/// AWS allows a failure reason so many characters.
const REASON_CHARS: usize = 1024;

/// How long the host waits before it writes again what its database did not take.
const WRITE_AGAIN_AFTER: Duration = Duration::from_secs(1);

/// Registers the endpoint and begins to try its containers.
pub(crate) async fn create(
    app: &Arc<App>,
    endpoint: Endpoint,
    tags: Tags,
) -> Result<(), NotAdded<Endpoint>> {
    let _one_at_a_time = app.changing_endpoints().await;
    let created = endpoint.clone();
    app.registry.endpoints.insert(endpoint, tags).await?;
    begin(app, Arc::new(created));
    Ok(())
}

/// Begins to stop an endpoint, which takes no call from now on and is gone once its processes are;
/// tells whether it exists.
pub(crate) async fn delete(app: &Arc<App>, name: &str) -> Result<bool, sqlx::Error> {
    let _one_at_a_time = app.changing_endpoints().await;
    let Some(endpoint) = app.registry.endpoints.get(name) else {
        return Ok(false);
    };
    if endpoint.status != Status::Deleting {
        app.registry.endpoints.update(name, |endpoint| endpoint.set(Status::Deleting)).await?;
        take_down(app, endpoint);
    }
    Ok(true)
}

/// Goes on where an earlier host was.
pub(crate) fn resume(app: &Arc<App>) {
    let endpoints = app.registry.endpoints.all();
    let servings = endpoints.iter().flat_map(|endpoint| endpoint.needed_servings());
    home::remove_all_but(&app.homes, &servings.map(|serving| serving.id).collect());
    for endpoint in endpoints {
        if endpoint.status.answers() {
            let live = Traffic::new(app, &endpoint, &endpoint.serving);
            live.warm();
            app.fleet.put(&endpoint.name, Arc::new(live));
        }
        match endpoint.status {
            Status::InService | Status::Failed => {}
            Status::Creating => begin(app, endpoint),
            Status::Updating | Status::RollingBack => update::resume(app, endpoint),
            Status::Deleting => take_down(app, endpoint),
        }
    }
}

/// Begins to try what a new endpoint is to serve.
fn begin(app: &Arc<App>, endpoint: Arc<Endpoint>) {
    let traffic = Arc::new(Traffic::new(app, &endpoint, &endpoint.serving));
    app.fleet.prepare(&endpoint.name, Arc::clone(&traffic));
    tokio::spawn(bring_up(Arc::clone(app), endpoint, traffic));
}

/// Where it ends is written down only while the endpoint is still coming up: one that is deleted,
/// or that the host stops to try because it is told to stop itself, has not failed.
async fn bring_up(app: Arc<App>, endpoint: Arc<Endpoint>, traffic: Arc<Traffic>) {
    let name = endpoint.name.as_str();
    match traffic.prove().await {
        Ok(()) => {
            if app.fleet.promote(name, &traffic).is_some() {
                step(&app, &endpoint, |endpoint| endpoint.set(Status::InService)).await;
            }
        }
        Err(reason) => {
            if app.fleet.withdraw(name, &traffic) {
                let reason = shortened(&endpoint.name, &reason);
                step(&app, &endpoint, |endpoint| endpoint.fail(&reason)).await;
                discard(&app, &endpoint, &endpoint.serving, &traffic).await;
            }
        }
    }
}

/// Takes no more calls, and removes the endpoint once its processes are gone.
fn take_down(app: &Arc<App>, endpoint: Arc<Endpoint>) {
    let running = app.fleet.remove(endpoint.name.as_str());
    running.iter().for_each(|traffic| traffic.close());
    let app = Arc::clone(app);
    tokio::spawn(async move {
        for traffic in running {
            traffic.closed().await;
        }
        for serving in endpoint.servings() {
            home::remove(&app.homes, serving.id).await;
        }
        remove(&app, &endpoint).await;
    });
}

async fn remove(app: &App, endpoint: &Endpoint) {
    loop {
        let one_at_a_time = app.changing_endpoints().await;
        let removed = app.registry.endpoints.remove(endpoint.name.as_str()).await;
        drop(one_at_a_time);
        if is_written(endpoint, removed) {
            return;
        }
        tokio::time::sleep(WRITE_AGAIN_AFTER).await;
    }
}

/// Writes down a step, unless the endpoint is being deleted or is another by now. What runs and
/// what is written must not part: a database that is full is tried until it has room.
async fn step(app: &App, endpoint: &Endpoint, change: impl Fn(&mut Endpoint) + Send + Sync) {
    loop {
        let one_at_a_time = app.changing_endpoints().await;
        let written = app.registry.endpoints.update(endpoint.name.as_str(), |current| {
            if current.status != Status::Deleting && current.serving.id == endpoint.serving.id {
                change(current);
            }
        });
        let written = written.await;
        drop(one_at_a_time);
        if is_written(endpoint, written) {
            return;
        }
        tokio::time::sleep(WRITE_AGAIN_AFTER).await;
    }
}

/// Stops what was tried and will not answer.
async fn discard(app: &App, endpoint: &Endpoint, serving: &Serving, traffic: &Arc<Traffic>) {
    traffic.close();
    traffic.closed().await;
    app.fleet.forget(endpoint.name.as_str(), traffic);
    home::remove(&app.homes, serving.id).await;
}

fn shortened(endpoint: &impl std::fmt::Display, reason: &Reason) -> String {
    tracing::warn!(%endpoint, "the endpoint failed: {reason}");
    reason.to_string().chars().take(REASON_CHARS).collect()
}

/// Whether there is nothing to write again; a host that has stopped leaves it to the next one.
fn is_written(endpoint: &Endpoint, written: Result<bool, sqlx::Error>) -> bool {
    match written {
        Ok(_) | Err(sqlx::Error::PoolClosed) => true,
        Err(error) => {
            tracing::error!(endpoint = %endpoint.name, %error, "can't write down where it stands");
            false
        }
    }
}
