//! Follows the keys that are made and revoked elsewhere, and notes when keys were used.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Interval, MissedTickBehavior, interval};

use crate::app::App;

/// How far behind the database the keys may be; a notice makes it less.
const INTERVAL: Duration = Duration::from_millis(500);

/// Follows for as long as it is polled. Without the database, the keys known go on working.
pub(crate) async fn follow(app: Arc<App>) {
    // Side by side: a database that is busy writing must not delay what was revoked.
    tokio::join!(follow_changes(&app), note_uses(&app));
}

async fn follow_changes(app: &App) {
    let mut ticks = ticks();
    let mut known_fault = None;
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            () = app.keys_changed.notified() => {}
        }
        let fault = app.keys.catch_up(&app.store).await.err().map(|error| error.to_string());
        if let Some(error) = fault.as_ref().filter(|_| fault != known_fault) {
            tracing::error!(error, "the keys in force may be out of date");
        }
        known_fault = fault;
    }
}

async fn note_uses(app: &App) {
    let mut ticks = ticks();
    loop {
        ticks.tick().await;
        let used = app.keys.unnoted();
        if used.is_empty() {
            continue;
        }
        // What could not be noted is tried again; that the database is away is logged elsewhere.
        if app.store.note_uses(&used).await.is_ok() {
            used.iter().for_each(|(key, at)| key.is_noted(*at));
        }
    }
}

fn ticks() -> Interval {
    let mut ticks = interval(INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}
