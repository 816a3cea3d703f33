//! Asks the models that a plan needs, side by side, each caller with a deadline of its own.
//!
//! The way of a call: [`Fanout::call`] looks among the scores that are known (`cache`), or takes a
//! seat (`seat`) on the flight of this payload to this model (`flight`). A new flight needs leave of
//! the endpoint's breakers (`lane`), a turn of the model (`turns`) and a share of the account
//! (`line`), then makes its attempts (`attempts`): retries, and a hedge where an answer is late.

mod alarm;
mod answer;
mod attempts;
mod breaker;
mod budget;
mod cache;
pub(crate) mod call;
mod client;
mod clock;
mod culprits;
mod failure;
mod flight;
mod http;
pub(crate) mod lane;
pub(crate) mod latencies;
pub(crate) mod line;
mod lanes;
mod meter;
mod payload;
mod reader;
mod runtime;
mod seat;
mod signature;
mod silence;
mod turns;
mod until;

use std::sync::Arc;
use std::time::Duration;

use axum::http::Uri;
use tokio::time::{Instant, sleep_until};

use crate::error::Error;
use crate::outbound::{Guard, HttpClient};
use crate::policy::Policy;
use crate::policy::model::Model;
use crate::policy::plan::PlannedCall;

use alarm::Alarms;
use answer::Answer;
use cache::Scores;
use call::{Call, Status};
use client::Clients;
use failure::Hope;
use flight::{Flights, Order};
use lane::Lane;
use lanes::Lanes;
use line::Line;
pub(crate) use meter::EndpointMetrics;
use payload::Hasher;
pub(crate) use payload::Payloads;
pub(crate) use seat::Seat;
use turns::Turns;
pub(crate) use until::Until;

/// How long a call that no caller waits for pauses before it is made again; twice as long each time,
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// up to this.
const LONGEST_PAUSE: Duration = Duration::from_secs(15);

/// Calls models, through SageMaker's runtime or at URLs of their own.
#[derive(Debug)]
pub(crate) struct Fanout {
    clients: Clients,
    http: HttpClient,
    hasher: Hasher,
    scores: Scores,
    flights: Arc<Flights>,
    lanes: Lanes,
    turns: Turns,
    /// Tell when a call is no longer waited for,
    deadlines: Alarms,
    /// and when it may be made a second time: so much sooner that a timer seldom serves for both.
    delays: Alarms,
    /// Calls of SageMaker that may be under way: an account's limit is one for all endpoints.
    quota: Arc<Line>,
}

/// What an operator can set.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// Calls of SageMaker at once.
    pub(crate) account_concurrency: usize,
    /// What the scores that are known may take.
    pub(crate) score_cache_bytes: u64,
}

/// What came of a call, and what is still to come.
#[derive(Debug)]
pub(crate) struct Asked {
    /// What the verdict is made of.
    pub(crate) call: Call,
    /// Keeps the flight going where it may be waiting for a start.
    pub(crate) pending: Option<Seat>,
}

impl Fanout {
    /// SageMaker's endpoints are called at `endpoint_url`, or on AWS where there is none; other
    /// URLs are called as far as `guard` allows.
    pub(crate) async fn new(
        endpoint_url: Option<&Uri>,
        guard: Guard,
        limits: Limits,
        metrics: EndpointMetrics,
    ) -> Result<Self, Error> {
        let quota = Line::new(limits.account_concurrency);
        Ok(Self {
            clients: Clients::load(endpoint_url).await?,
            http: HttpClient::new(guard),
            hasher: Hasher::new(),
            scores: Scores::new(limits.score_cache_bytes),
            flights: Flights::new(Arc::clone(&quota)),
            lanes: Lanes::new(metrics),
            turns: Turns::default(),
            deadlines: Alarms::default(),
            delays: Alarms::default(),
            quota,
        })
    }

    /// Calls each model no more often at once than `policy` allows, and goes on with what is known
    /// of its endpoint. Must come before the policy in force until now goes.
    pub(crate) fn follow(&self, policy: &Policy) {
        self.turns.follow(policy.models());
        self.lanes.follow(policy.models());
    }

    /// What is known of a model's endpoint.
    pub(crate) fn lane<'m>(&self, model: &'m Model) -> &'m Lane {
        self.lanes.of(model)
    }

    /// Makes one of the plan's calls, once this is awaited, which ends not later than `until` says.
    pub(crate) fn call<'f>(
        self: &'f Arc<Self>,
        planned: &'f PlannedCall,
        payloads: &mut Payloads<'_>,
        until: Until,
    ) -> impl Future<Output = Asked> + use<'f> {
        let document = &planned.model.document;
        let order = document.enabled.then(|| {
            let payload = payloads.of(document, &self.hasher);
            (payload, payloads.client().clone())
        });
        async move {
            let Some((payload, client)) = order else { return Call::skipped().into() };
            if let Some(known) = self.scores.find(&planned.model, payload.hash) {
                return read(planned, &known, (Status::Cached, Instant::now())).into();
            }
            let now = Instant::now();
            if now >= until.deadline {
                return Call::without_scores(Status::Timeout, Duration::ZERO).into();
            }
            let order = Order { model: Arc::clone(&planned.model), payload, client };
            let seat = self.board(order, until, now);
            self.ask(planned, (seat, now), until).await
        }
    }

    fn board(self: &Arc<Self>, order: Order, until: Until, now: Instant) -> Seat {
        let lane = Arc::clone(self.lanes.of(&order.model));
        let payload = order.payload.hash;
        let begin = |flight: &Arc<_>| match lane.refusal(payload, now) {
            Some(failure) => Err(failure),
            None => Ok(self.course(flight, until.waiting)),
        };
        let flight = self.flights.board((order, &lane), until.waiting, begin);
        Seat::new(flight, until.is_caller(), now)
    }

    /// Waits on for a call that was made before.
    pub(crate) async fn resume(
        self: &Arc<Self>,
        planned: &PlannedCall,
        seat: Seat,
        until: Until,
    ) -> Asked {
        self.ask(planned, (seat, Instant::now()), until).await
    }

    /// Waits from now on for a call. While no caller waits, it is made again and again where its
    /// answer may come yet.
    async fn ask(
        self: &Arc<Self>,
        planned: &PlannedCall,
        (mut seat, started): (Seat, Instant),
        until: Until,
    ) -> Asked {
        let mut now = started;
        let patience = planned.model.document.timeout_ms.map(Duration::from);
        let patience = patience.filter(|_| until.is_caller());
        let mut pause = FIRST_PAUSE;
        loop {
            let failure = match seat.wait(&self.deadlines, now..until.deadline, patience).await {
                Ok(answer) => return read(planned, &answer, (Status::Ok, started)).into(),
                Err(failure) => failure,
            };
            let again = Instant::now() + pause;
            if !failure.is_worth_repeating(until) || again >= until.deadline {
                let call = Call::failed(failure.status, started.elapsed(), failure.cause);
                let pending = (failure.hope == Hope::Starting).then_some(seat);
                return Asked { call, pending };
            }
            // Boxed, as a timer makes whatever it is in much larger.
            Box::pin(sleep_until(again)).await;
            pause = (2 * pause).min(LONGEST_PAUSE);
            now = Instant::now();
            seat = self.board(seat.order().clone(), until, now);
        }
    }
}

impl From<Call> for Asked {
    fn from(call: Call) -> Self {
        Self { call, pending: None }
    }
}

/// What an answer says of the labels that are wanted.
fn read(planned: &PlannedCall, answer: &Answer, (status, started): (Status, Instant)) -> Call {
    let (scores, ended) = (answer.scores(&planned.labels), Instant::now());
    let is_whole = scores.iter().all(Option::is_some);
    let fault = if is_whole { None } else { answer.fault(&planned.labels) };
    Call {
        status: if is_whole { status } else { Status::Failed },
        version: answer.version.clone(),
        scores,
        all_scores: answer.all_scores(&planned.labels),
        latency: ended.duration_since(started),
        ended: Some(ended),
        cause: fault.map(Arc::from),
    }
}
