//! The attempts of one flight: again where that may help, and a second one where an answer is late.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::{Either, select};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, sleep};

use super::answer::Answer;
use super::failure::{Blame, Failure};
use super::flight::{Course, Flight, Landing, Order, Pilot};
use super::lane::{Admission, Lane, jitter};
use super::line::{Line, Place};
use super::until::Waiting;
use super::{Fanout, http};
use crate::policy::model::{Endpoint, Model, SageMakerEndpoint};

/// How long the first retry waits at least, and at most twice as long; the next one doubles it.
const FIRST_BACKOFF: Duration = Duration::from_millis(50);

/// What a flight holds while it is being made.
type Places = (Option<OwnedSemaphorePermit>, Place, Option<Place>);

impl Fanout {
    /// The course of a flight from its turn to its landing.
    pub(super) fn course(self: &Arc<Self>, flight: &Arc<Flight>, waiting: Waiting) -> Course {
        let (fanout, flight, pilot) = (Arc::clone(self), Arc::clone(flight), Pilot::of(flight));
        Box::pin(async move {
            let landing = fanout.fly(&flight, waiting).await;
            let Order { model, payload, .. } = &flight.order;
            if let Ok(answer) = &landing {
                fanout.scores.keep(model, payload.hash, answer);
            }
            pilot.land(landing);
        })
    }

    async fn fly(&self, flight: &Flight, waiting: Waiting) -> Landing {
        let mut retries = 0;
        loop {
            // Callers may have come, or all have gone.
            let waiting =
                if flight.is_deserted() { waiting.without_callers() } else { Waiting::Caller };
            let places = self.places(flight, waiting).await?;
            // The endpoint may have begun to fail while others were served.
            let now = Instant::now();
            let admission = flight.lane.admit(flight.order.payload.hash, now)?;
            flight.begin(now);
            let failure = match self.ask_twice_if_late(flight, &admission, now).await {
                Ok(answer) => return Ok(Arc::new(answer)),
                Err(failure) => failure,
            };
            // What has broken the model before would only break it again.
            let is_hopeless = admission.is_suspect && failure.blame == Blame::Model;
            drop((places, admission));
            if retries == failure.retries || is_hopeless || !flight.lane.may_retry() {
                return Err(failure);
            }
            let backoff = FIRST_BACKOFF * 2_u32.pow(retries);
            // Boxed, as a timer makes whatever it is in much larger.
            Box::pin(sleep(backoff.mul_f64(1.0 + jitter()))).await;
            retries += 1;
        }
    }

    async fn places(&self, flight: &Flight, waiting: Waiting) -> Result<Places, Failure> {
        let Flight { order, lane, .. } = flight;
        match self.places_at_once(order, lane, waiting) {
            Some(places) => Ok(places),
            None if waiting == Waiting::Idly => Err(Failure::spared()),
            None => Ok(self.places_in_turn(order, lane, waiting).await),
        }
    }

    /// A turn of the model and a share of the account, where both are free.
    fn places_at_once(&self, order: &Order, lane: &Lane, waiting: Waiting) -> Option<Places> {
        let room = match waiting {
            Waiting::Caller => None,
            Waiting::Later | Waiting::Idly => {
                Some(Arc::clone(&lane.background).try_acquire_owned().ok()?)
            }
        };
        let turn = self.turns.of(&order.model).try_take()?;
        let share = match order.model.document.endpoint {
            Endpoint::SageMaker(_) => Some(self.quota.try_take()?),
            Endpoint::Http(_) => None,
        };
        Some((room, turn, share))
    }

    async fn places_in_turn(&self, order: &Order, lane: &Lane, waiting: Waiting) -> Places {
        let is_later = waiting != Waiting::Caller;
        let room = match is_later {
            true => Arc::clone(&lane.background).acquire_owned().await.ok(),
            false => None,
        };
        let take = async |line: &Arc<Line>| match is_later {
            true => line.take(&order.client).await,
            false => line.take_soon(&order.client).await,
        };
        let turn = take(self.turns.of(&order.model)).await;
        let share = match order.model.document.endpoint {
            Endpoint::SageMaker(_) => Some(take(&self.quota).await),
            Endpoint::Http(_) => None,
        };
        (room, turn, share)
    }

    /// One attempt, and another beside it where the first is late; the first answer counts.
    async fn ask_twice_if_late(
        &self,
        flight: &Flight,
        admission: &Admission,
        now: Instant,
    ) -> Result<Answer, Failure> {
        let Flight { order, lane, .. } = flight;
        let mut first = std::pin::pin!(self.attempt(flight, now));
        let Some(delay) = admission.hedge_after else { return first.await };
        if let Some(result) = self.delays.within(now..now + delay, first.as_mut()).await {
            return result;
        }
        let places = self.places_at_once(order, lane, Waiting::Caller);
        let Some(_places) = places.filter(|_| lane.may_hedge()) else { return first.await };
        let second = Box::pin(self.attempt(flight, Instant::now()));
        match select(first, second).await {
            Either::Left((Ok(answer), _)) | Either::Right((Ok(answer), _)) => Ok(answer),
            Either::Left((Err(_), second)) => second.await,
            Either::Right((Err(_), first)) => first.await,
        }
    }

    /// One attempt from now on, as long as it takes: those who wait for it say how long that may be.
    async fn attempt(&self, flight: &Flight, now: Instant) -> Result<Answer, Failure> {
        let Order { model, payload, .. } = &flight.order;
        let attempt = flight.lane.begin(payload.hash, now);
        let answered = self.invoke(model, payload.body.clone()).await;
        let parse = |body: Bytes| Answer::parse(&model.document, &body).map_err(Failure::answer);
        attempt.end(answered.and_then(parse))
    }

    async fn invoke(&self, model: &Model, payload: Bytes) -> Result<Bytes, Failure> {
        match &model.document.endpoint {
            // The SDK's future is large; boxed, it is not moved about with the others.
            Endpoint::SageMaker(endpoint) => {
                Box::pin(self.invoke_sagemaker(endpoint, payload)).await
            }
            Endpoint::Http(url) => http::invoke(&self.http, url, payload).await,
        }
    }

    async fn invoke_sagemaker(
        &self,
        endpoint: &SageMakerEndpoint,
        payload: Bytes,
    ) -> Result<Bytes, Failure> {
        let runtime = self.clients.of(endpoint.region.as_deref()).await?;
        runtime.invoke(&endpoint.name, payload).await
    }
}
