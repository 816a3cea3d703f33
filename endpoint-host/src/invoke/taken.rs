//! A call that was taken, from here to its end, and what it leaves behind: it is counted, billed,
//! captured and copied to shadow variants, whether its caller waits or not.

use std::sync::Arc;

use axum::response::Response;
use bytes::Bytes;
use hyper::HeaderMap;
use jiff::Timestamp;
use tokio::time::Instant;

use super::failure::Failure;
use super::forward::Way;
use super::outcome::Outcome;
use super::stream::Begun;
use super::{forward, headers, stream};
use crate::app::App;
use crate::capture::{Body, Captured, Rule};
use crate::meter::{Labels, Served};
use crate::pool::{Call, Pool};
use crate::shadow;
use crate::traffic::{Share, Traffic};

/// A call in flight.
pub(crate) struct Taken {
    /// What counts while it is in flight.
    call: Call,
    /// What is done when it no longer is.
    rest: Rest,
}

/// A call in flight, and the container that it has for itself.
pub(crate) struct Started {
    /// The way to the container.
    way: Way,
    /// How it goes.
    outcome: Outcome,
    /// What is done when it no longer is in flight.
    rest: Rest,
}

/// What is to be done once a call is over.
struct Rest {
    /// The state of the host.
    app: Arc<App>,
    /// What answers the endpoint's calls.
    traffic: Arc<Traffic>,
    /// The variant that answers this one.
    share: Share,
    /// When it came.
    since: Instant,
    /// The same by the calendar.
    time: Timestamp,
    /// What of it is captured.
    capture: Option<Arc<Rule>>,
    /// Whether it is itself a copy.
    is_copy: bool,
}

impl Taken {
    /// A caller's call.
    pub(crate) fn new(app: &Arc<App>, traffic: &Arc<Traffic>, share: &Share, call: Call) -> Self {
        let rest = Rest {
            app: Arc::clone(app),
            traffic: Arc::clone(traffic),
            share: share.clone(),
            since: Instant::now(),
            time: Timestamp::now(),
            capture: traffic.capture.clone().filter(|rule| rule.samples()),
            is_copy: false,
        };
        Self { call, rest }
    }

    /// A copy of a call, for a shadow variant.
    pub(crate) fn copied(
        app: &Arc<App>,
        traffic: &Arc<Traffic>,
        share: &Share,
        call: Call,
    ) -> Self {
        let Self { call, rest } = Self::new(app, traffic, share, call);
        Self { call, rest: Rest { is_copy: true, ..rest } }
    }

    /// Where it counts.
    pub(crate) fn pool(&self) -> &Arc<Pool> {
        self.call.pool()
    }

    /// Waits for a container; a call that gets none is over.
    pub(crate) async fn start(self, given: &HeaderMap, body: &Bytes) -> Result<Started, Failure> {
        let (asked, is_cold) = (Instant::now(), !self.call.finds_a_container());
        let mut outcome = Outcome::default();
        match self.call.container().await {
            Ok(running) => {
                outcome.setup = is_cold.then(|| asked.elapsed());
                let way = Way { call: self.call, running };
                Ok(Started { way, outcome, rest: self.rest })
            }
            Err(none) => {
                let failure = Failure::no_container(none);
                outcome.excuse(&failure);
                self.rest.settle(given, body, outcome);
                Err(failure)
            }
        }
    }
}

impl Started {
    /// Waits for the whole answer.
    pub(crate) async fn answer(
        mut self,
        given: HeaderMap,
        body: Bytes,
    ) -> Result<Response, Failure> {
        let answer = forward::pass_on(self.way, &given, body.clone(), &mut self.outcome).await;
        if let Err(failure) = &answer {
            self.outcome.excuse(failure);
        }
        self.rest.settle(&given, &body, self.outcome);
        answer
    }

    /// Passes the answer on as it comes.
    pub(crate) async fn stream(mut self, given: HeaderMap, body: Bytes, begun: Begun) {
        let keeps = self.rest.capture.is_some();
        let request = forward::request(&given, body.clone());
        stream::pass_on(self.way, request, keeps, begun, &mut self.outcome).await;
        self.rest.settle(&given, &body, self.outcome);
    }
}

impl Rest {
    fn settle(self, given: &HeaderMap, body: &Bytes, outcome: Outcome) {
        let tally = self.share.tally(&self.app.meter);
        tally.counters.served(&Served {
            ending: outcome.ending,
            total: self.since.elapsed(),
            model: outcome.model,
            setup: outcome.setup,
        });
        if let Some(took) = outcome.model {
            tally.bill.call(took, body.len(), outcome.bytes_out);
        }
        if !self.is_copy {
            shadow::copy(&self.app, &self.traffic, given, body);
        }
        self.capture(given, body, outcome);
    }

    fn capture(self, given: &HeaderMap, body: &Bytes, outcome: Outcome) {
        let (Some(rule), Some(output)) = (self.capture, outcome.output) else {
            return;
        };
        let launch = &self.share.pool.launch;
        self.app.capture.write_down(Captured {
            rule,
            labels: Labels {
                endpoint: launch.endpoint.clone(),
                variant: launch.variant.variant_name.clone(),
            },
            input: Body { content_type: headers::content_type(given), bytes: body.clone() },
            output: Body { content_type: output.content_type, bytes: output.body },
            inference_id: headers::inference_id(given),
            custom_attributes: headers::custom_attributes(given),
            time: self.time,
            counters: Arc::clone(&self.share.tally(&self.app.meter).counters),
        });
    }
}
