//! Calls all the models that a plan needs, side by side, under one deadline.

pub(crate) mod call;
mod client;
mod answer;
mod failure;
mod response_limit;
mod turns;

use aws_sdk_sagemakerruntime::primitives::Blob;
use axum::http::Uri;
use bytes::Bytes;
use futures_util::future::join_all;
use tokio::time::{Instant, timeout_at};

use crate::error::Error;
use crate::moderation::Content;
use crate::policy::Policy;
use crate::policy::model::{Inputs, Model};
use crate::policy::plan::{Plan, PlannedCall};

use answer::Answer;
use call::{Call, Status};
use client::Clients;
use failure::Failure;
use turns::Turns;

/// Calls models through SageMaker's runtime.
#[derive(Debug)]
pub(crate) struct Fanout {
    clients: Clients,
    turns: Turns,
}

impl Fanout {
    /// Calls go to `endpoint_url`, or to AWS where there is none.
    pub(crate) async fn new(endpoint_url: Option<&Uri>) -> Result<Self, Error> {
        Ok(Self { clients: Clients::load(endpoint_url).await?, turns: Turns::default() })
    }

    /// Calls each model no more often at once than `policy` allows.
    pub(crate) fn follow(&self, policy: &Policy) {
        policy.models().for_each(|model| self.turns.set(model));
    }

    /// The results of the plan's calls, in its order, not later than `deadline`.
    pub(crate) async fn call_all(
        &self,
        plan: &Plan,
        content: &Content,
        deadline: Instant,
    ) -> Vec<Call> {
        let mut payloads = Payloads { content, built: Vec::new() };
        join_all(plan.calls.iter().map(|planned| {
            let enabled = planned.model.document.enabled;
            let payload = enabled.then(|| payloads.of(planned.model.document.inputs));
            async move {
                match payload {
                    Some(payload) => self.call(planned, payload, deadline).await,
                    None => Call::skipped(),
                }
            }
        }))
        .await
    }

    async fn call(&self, planned: &PlannedCall, payload: Bytes, deadline: Instant) -> Call {
        let started = Instant::now();
        let answer = self.ask(planned, payload, deadline).await;
        let latency = started.elapsed();
        match answer {
            Ok(Answer { version, scores }) => Call { status: Status::Ok, version, scores, latency },
            Err(Failure { status, cause }) => {
                tracing::warn!(model = %planned.model.name, %status, cause, "call failed");
                Call { status, version: None, scores: Vec::new(), latency }
            }
        }
    }

    async fn ask(
        &self,
        planned: &PlannedCall,
        payload: Bytes,
        deadline: Instant,
    ) -> Result<Answer, Failure> {
        let model = &planned.model;
        let turn = self.turns.of(model).take();
        let _turn = timeout_at(deadline, turn).await.map_err(|_| {
            Failure::timeout("all of the model's calls were taken until the deadline")
        })?;
        let own_limit = model.document.timeout_ms.map(|limit| Instant::now() + limit.into());
        let limit = own_limit.map_or(deadline, |limit| limit.min(deadline));
        let body = timeout_at(limit, self.invoke(model, payload))
            .await
            .map_err(|_| Failure::timeout("no answer in time"))??;
        Answer::parse(&body, &planned.labels).map_err(Failure::failed)
    }

    async fn invoke(&self, model: &Model, payload: Bytes) -> Result<Blob, Failure> {
        let endpoint = &model.document.endpoint.sagemaker;
        self.clients
            .of(endpoint.region.as_deref())
            .invoke_endpoint()
            .endpoint_name(&endpoint.name)
            .content_type("application/json")
            .accept("application/json")
            .body(Blob::from_maybe_shared(payload))
            .send()
            .await
            .map_err(|error| Failure::of(&error))?
            .body
            .ok_or_else(|| Failure::failed("the answer has no body"))
    }
}

/// One body for each set of inputs that the plan's models declare, built when first needed.
struct Payloads<'a> {
    content: &'a Content,
    built: Vec<(Inputs, Bytes)>,
}

impl Payloads<'_> {
    fn of(&mut self, inputs: Inputs) -> Bytes {
        if let Some((_, payload)) = self.built.iter().find(|(known, _)| *known == inputs) {
            return payload.clone();
        }
        let payload = self.content.payload(inputs);
        self.built.push((inputs, payload.clone()));
        payload
    }
}
