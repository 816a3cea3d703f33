//! Follows the changes that other routers make in the same database.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::sleep;

use crate::app::App;

/// How far another router's changes may be behind here, if nobody tells of them.
const INTERVAL: Duration = Duration::from_millis(250);
/// The pause before a lost database is connected to again.
const PAUSE: Duration = Duration::from_millis(200);

/// Looks for changes for as long as it is polled.
pub(crate) async fn follow(app: Arc<App>) {
    let mut faults = Faults::default();
    loop {
        let Err(error) = watch(&app, &mut faults).await;
        app.metrics.database(false);
        faults.note(Some(error.to_string()));
        sleep(PAUSE).await;
    }
}

/// Keeps the options in force up to date until the database is lost.
async fn watch(app: &App, faults: &mut Faults) -> Result<Infallible, sqlx::Error> {
    let mut watcher = app.store.watch().await?;
    loop {
        let caught_up = app.follow(&mut watcher.database).await?;
        app.metrics.database(true);
        faults.note(caught_up.err().map(|problem| problem.detail));
        app.keys_changed.notify_waiters();
        watcher.changed(INTERVAL).await?;
    }
}

/// What is wrong; said once, and once when it is over.
#[derive(Default)]
struct Faults {
    known: Option<String>,
}

impl Faults {
    fn note(&mut self, fault: Option<String>) {
        match (&self.known, &fault) {
            (known, Some(detail)) if known.as_ref() != Some(detail) => {
                tracing::error!(detail, "the options in force may be out of date");
            }
            (Some(_), None) => tracing::info!("the options in force are those stored again"),
            _ => {}
        }
        self.known = fault;
    }
}
