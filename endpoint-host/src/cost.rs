//! What SageMaker would have charged: the books, and `GET /cost`.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::routing::get;
use axum::{Json, Router};
use serde_json::{Value, json};
use tokio::task::JoinHandle;
use tokio::time::{Instant, MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use crate::api_error::ApiError;
use crate::app::App;
use crate::meter::{Account, Entry};
use crate::store::Store;

/// Dollars for a second of a gigabyte, the same for every memory size:
/// <https://github.com/aws-samples/sagemaker-serverless-inference-benchmarking>, `cost_constants.py`
const USD_PER_GB_SECOND: f64 = 0.000_02;

/// Dollars for a gigabyte of calls and answers, from the same place.
const USD_PER_GB_OF_DATA: f64 = 0.016;

/// Bytes in a gigabyte of data.
const GB: f64 = 1024.0 * 1024.0 * 1024.0;

/// How much of the books a host that is killed may lose.
const WRITTEN_EVERY: Duration = Duration::from_secs(3);

/// What `GET /cost` needs.
#[derive(Clone)]
struct Books {
    /// The state of the host.
    app: Arc<App>,
    /// Where the books are.
    store: Store,
}

/// The task that writes what has come into the books.
pub(crate) struct Bookkeeper {
    /// Ends once it is told to.
    task: JoinHandle<()>,
    /// Tells it.
    stop: CancellationToken,
}

/// Begins to write down every few seconds what has come.
pub(crate) fn keep_books(app: Arc<App>, store: Store) -> Bookkeeper {
    let stop = CancellationToken::new();
    let stopped = stop.clone();
    let task = tokio::spawn(async move {
        let mut ticks = interval(WRITTEN_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut since = Instant::now();
        while stopped.run_until_cancelled(ticks.tick()).await.is_some() {
            count_provisioned(&app, std::mem::replace(&mut since, Instant::now()).elapsed());
            write_down(&app, &store).await;
            app.meter.forget(|name| app.registry.endpoints.get(name.as_str()).is_none());
        }
        count_provisioned(&app, since.elapsed());
    });
    Bookkeeper { task, stop }
}

impl Bookkeeper {
    /// Counts the provisioned containers for the last time, which still must be there; what else
    /// is to be billed may come until it is written down.
    pub(crate) async fn close(self) {
        self.stop.cancel();
        self.task.await.ok();
    }
}

/// The path that tells what all costs.
pub(crate) fn routes(app: Arc<App>, store: Store) -> Router {
    Router::new().route("/cost", get(cost)).with_state(Books { app, store })
}

async fn cost(State(books): State<Books>) -> Result<Json<Value>, ApiError> {
    let read = books.app.meter.ledger.read(&books.store).await;
    let entries = read.map_err(|error| ApiError::store(&error))?;
    // Not `sum`, which of nothing is -0.
    let total = entries.iter().fold(0.0, |total, (account, entry)| total + usd(account, entry));
    Ok(Json(json!({
        "currency": "USD",
        "prices": {"gb_second": USD_PER_GB_SECOND, "gb_of_data": USD_PER_GB_OF_DATA},
        "variants": entries.iter().map(line).collect::<Vec<_>>(),
        "total_usd": total,
    })))
}

fn line((account, entry): &(Account, Entry)) -> Value {
    json!({
        "endpoint": account.endpoint,
        "variant": account.variant,
        "memory_mb": account.memory_mb,
        "calls": entry.calls,
        "billed_ms": entry.billed_ms,
        "gb_seconds": gb_seconds(account, entry.billed_ms),
        "bytes_in": entry.bytes_in,
        "bytes_out": entry.bytes_out,
        "provisioned_gb_seconds": gb_seconds(account, entry.provisioned_ms),
        "usd": usd(account, entry),
    })
}

/// Provisioned time is told but has no price here: AWS's sources publish none.
fn usd(account: &Account, entry: &Entry) -> f64 {
    let data_gb = (entry.bytes_in + entry.bytes_out) as f64 / GB;
    gb_seconds(account, entry.billed_ms) * USD_PER_GB_SECOND + data_gb * USD_PER_GB_OF_DATA
}

fn gb_seconds(account: &Account, ms: u64) -> f64 {
    f64::from(account.memory_mb) / 1024.0 * (ms as f64 / 1000.0)
}

fn count_provisioned(app: &App, time: Duration) {
    for traffic in app.fleet.live() {
        for share in traffic.production.iter().chain(&traffic.shadows) {
            let size = share.pool.launch.variant.serverless_config;
            if let Some(containers) = size.provisioned_concurrency {
                share.tally(&app.meter).bill.provisioned(containers, time);
            }
        }
    }
}

/// Writes what has come into the books.
pub(crate) async fn write_down(app: &App, store: &Store) {
    if let Err(error) = app.meter.ledger.write_down(store).await {
        tracing::error!(%error, "cannot write down what is to be billed; it is kept in memory");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resource_name::ResourceName;

    #[test]
    fn the_price_is_the_published_one() {
        let name = |name| ResourceName::parse(name).unwrap();
        let account = Account { endpoint: name("spam"), variant: name("all"), memory_mb: 6144 };
        let second = Entry { calls: 1, billed_ms: 1000, ..Entry::default() };
        assert!((usd(&account, &second) - 0.000_12).abs() < 1e-12);
        let gigabyte = Entry { bytes_in: 1 << 29, bytes_out: 1 << 29, ..Entry::default() };
        assert!((usd(&account, &gigabyte) - 0.016).abs() < 1e-12);
        let kept = Entry { provisioned_ms: 60_000, ..Entry::default() };
        assert_eq!(usd(&account, &kept), 0.0);
        assert_eq!(line(&(account, kept))["provisioned_gb_seconds"], 360.0);
    }
}
