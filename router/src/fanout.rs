//! Calls the models that a plan needs, side by side, under one deadline.

pub(crate) mod call;
mod client;
mod http;
mod answer;
mod failure;
mod response_limit;
mod turns;

use aws_sdk_sagemakerruntime::primitives::Blob;
use axum::http::Uri;
use bytes::Bytes;
use tokio::time::{Instant, timeout_at};

use crate::error::Error;
use crate::moderation::Content;
use crate::outbound::{Guard, HttpClient};
use crate::policy::Policy;
use crate::policy::model::{Endpoint, Inputs, Model, SageMakerEndpoint};
use crate::policy::plan::PlannedCall;

use answer::Answer;
use call::{Call, Status};
use client::Clients;
use failure::Failure;
use turns::Turns;

/// Calls models, through SageMaker's runtime or at URLs of their own.
#[derive(Debug)]
pub(crate) struct Fanout {
    clients: Clients,
    http: HttpClient,
    turns: Turns,
}

impl Fanout {
    /// SageMaker's endpoints are called at `endpoint_url`, or on AWS where there is none; other
    /// URLs are called as far as `guard` allows.
    pub(crate) async fn new(endpoint_url: Option<&Uri>, guard: Guard) -> Result<Self, Error> {
        let clients = Clients::load(endpoint_url).await?;
        Ok(Self { clients, http: HttpClient::new(guard), turns: Turns::default() })
    }

    /// Calls each model no more often at once than `policy` allows.
    pub(crate) fn follow(&self, policy: &Policy) {
        self.turns.set(policy.models());
    }

    /// Makes one of the plan's calls, once this is awaited, which ends not later than `deadline`.
    pub(crate) fn call<'f>(
        &'f self,
        planned: &'f PlannedCall,
        payloads: &mut Payloads<'_>,
        deadline: Instant,
    ) -> impl Future<Output = Call> + use<'f> {
        let enabled = planned.model.document.enabled;
        let payload = enabled.then(|| payloads.of(planned.model.document.inputs));
        async move {
            match payload {
                Some(payload) => self.make(planned, payload, deadline).await,
                None => Call::skipped(),
            }
        }
    }

    async fn make(&self, planned: &PlannedCall, payload: Bytes, deadline: Instant) -> Call {
        let started = Instant::now();
        let answer = self.ask(planned, payload, deadline).await;
        let latency = started.elapsed();
        match answer {
            Ok(Answer { version, scores, fault, all_scores }) => {
                let status = if fault.is_none() { Status::Ok } else { Status::Failed };
                if let Some(cause) = fault {
                    tracing::warn!(model = %planned.model.name, %status, cause, "call failed");
                }
                Call { status, version, scores, all_scores, latency }
            }
            Err(Failure { status, cause }) => {
                tracing::warn!(model = %planned.model.name, %status, cause, "call failed");
                Call::without_scores(status, latency)
            }
        }
    }

    async fn ask(
        &self,
        planned: &PlannedCall,
        payload: Bytes,
        deadline: Instant,
    ) -> Result<Answer, Failure> {
        if Instant::now() >= deadline {
            return Err(Failure::timeout("the models asked before took all the time"));
        }
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
        match &model.document.endpoint {
            Endpoint::SageMaker(endpoint) => self.invoke_sagemaker(endpoint, payload).await,
            Endpoint::Http(url) => http::invoke(&self.http, url, payload).await,
        }
    }

    async fn invoke_sagemaker(
        &self,
        endpoint: &SageMakerEndpoint,
        payload: Bytes,
    ) -> Result<Blob, Failure> {
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

/// One body for each set of inputs that a plan's models declare, built when first needed.
#[derive(Debug)]
pub(crate) struct Payloads<'a> {
    content: &'a Content,
    built: Vec<(Inputs, Bytes)>,
}

impl<'a> Payloads<'a> {
    pub(crate) fn new(content: &'a Content) -> Self {
        Self { content, built: Vec::new() }
    }

    fn of(&mut self, inputs: Inputs) -> Bytes {
        if let Some((_, payload)) = self.built.iter().find(|(known, _)| *known == inputs) {
            return payload.clone();
        }
        let payload = self.content.payload(inputs);
        self.built.push((inputs, payload.clone()));
        payload
    }
}
