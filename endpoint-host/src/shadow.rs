//! Shadow variants: they get copies of a share of the calls, and nobody waits for their answers.

use std::sync::Arc;

use bytes::Bytes;
use hyper::HeaderMap;
use tokio::sync::Semaphore;

use crate::app::App;
use crate::invoke;
use crate::traffic::{Share, Traffic};

/// Copies in flight for one endpoint; calls beyond that are not copied.
pub(crate) const COPIES_IN_FLIGHT: usize = 16;

/// Sends every shadow variant its share of copies, after the answer and beside everything else.
pub(crate) fn copy(app: &Arc<App>, traffic: &Arc<Traffic>, headers: &HeaderMap, body: &Bytes) {
    for shadow in traffic.shadows.iter().filter(|shadow| samples(traffic, shadow)) {
        let tally = shadow.tally(&app.meter);
        let place = Arc::clone(&traffic.copies).try_acquire_owned();
        let (Ok(place), Ok(call)) = (place, shadow.pool.admit()) else {
            tally.counters.copy_dropped();
            continue;
        };
        let copy = invoke::Taken::copied(app, traffic, shadow, call);
        let (headers, body) = (headers.clone(), body.clone());
        shadow.pool.tasks.clone().spawn(async move {
            if let Ok(started) = copy.start(&headers, &body).await {
                started.answer(headers, body).await.ok();
            }
            drop(place);
        });
    }
}

/// Room for the copies of an endpoint.
pub(crate) fn places() -> Arc<Semaphore> {
    Arc::new(Semaphore::new(COPIES_IN_FLIGHT))
}

/// A shadow gets the share that its weight has in the sum of the weights of those that answer.
fn samples(traffic: &Traffic, shadow: &Share) -> bool {
    let all: f64 = traffic.production.iter().map(|share| share.weight).sum();
    all > 0.0 && fastrand::f64() < shadow.weight / all
}
