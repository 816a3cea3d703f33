//! Follows the changes that other routers make in the same database.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval};

use crate::app::App;

/// How far another router's changes may be behind here.
const INTERVAL: Duration = Duration::from_millis(500);

/// Looks for changes for as long as it is polled.
pub(crate) async fn follow(app: Arc<App>) {
    let mut ticks = interval(INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut known_fault = None;
    loop {
        ticks.tick().await;
        let _changing = app.changing.lock().await;
        let fault = app.catch_up().await.err().map(|problem| problem.detail);
        if let Some(detail) = fault.as_ref().filter(|_| fault != known_fault) {
            tracing::error!(detail, "the options in force may be out of date");
        }
        known_fault = fault;
    }
}
