//! `POST /v1/policy/what-if`: what a change of the options would do, without making it.

use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::HeaderMap;
use serde::Deserialize;
use serde_json::value::RawValue;
use utoipa::ToSchema;

use super::body::{MediaType, read_text};
use super::change::{Proposal, preview};
use super::openapi::AnyDocument;
use super::precondition::Precondition;
use super::versions::{MAX_BODY_BYTES, RawDocuments, edit};
use crate::access::{Caller, Permission};
use crate::app::{App, WHAT_IFS};
use crate::moderation::unknown_client;
use crate::policy::json::{self, distinct_keys};
use crate::policy::name::Name;
use crate::policy::subject::Subject;
use crate::problem::{Kind, Problem};
use crate::what_if::{Answer, WhatIf};

/// The most decisions that are made again.
const MAX_DECISIONS: usize = 10_000;
/// How many are made again where nothing is said, and there are no contents.
const DECISIONS: usize = 1000;
/// The most contents that are scored.
const MAX_CONTENTS: usize = 100;

/// The body.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = WhatIf)]
struct Question {
    /// As for a new version.
    #[serde(deserialize_with = "distinct_keys")]
    #[schema(value_type = BTreeMap<Subject, AnyDocument>)]
    documents: RawDocuments,
    /// The client whose decisions are looked at; all that the caller may read if none is given.
    #[serde(default)]
    client: Option<Name>,
    /// How many of the newest decisions are made again, by their stored scores; 1000 if nothing is
    /// said, and none where contents are given.
    #[serde(default)]
    #[schema(maximum = 10_000)]
    decisions: Option<usize>,
    /// Contents to score now; one that is no `Content` gets an error of its own in the answer.
    #[serde(default)]
    #[schema(value_type = Vec<Value>, max_items = 100)]
    contents: Vec<Box<RawValue>>,
}

/// What a change of the options would do, without making it.
///
/// Recent decisions are made again by their stored scores; those that lack a needed score are
/// counted as unknown. `contents` are scored now, and nothing of them is stored.
///
/// A recorded score stands where the model would be asked at the same endpoint with the same inputs
/// as then, be it in another version. A recorded failure stands only where the same calls would be
/// made in the same stages within the same time, of models with the same registrations as then.
#[utoipa::path(
    post,
    path = "/v1/policy/what-if",
    tag = "policy",
    operation_id = "what_if",
    params(("If-Match" = Option<String>, Header, description = "The policy version to change.")),
    request_body(content = Question, description = "At most 8 MiB."),
    responses((status = 200, description = "What would change.", body = Answer)),
    extensions(("x-problems" = json!([
        "unknown-client", "in-use", "changed", "overloaded", "stopping", "store-unavailable",
        "options-unreadable"
    ])))
)]
pub(super) async fn what_if(
    State(app): State<Arc<App>>,
    caller: Caller,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<Answer>, Problem> {
    caller.demand(Permission::ChangeSome)?;
    MediaType::demand_json(&headers)?;
    let room = app.rooms.take(&caller, &body)?;
    let text = read_text(body, MAX_BODY_BYTES).await?;
    // Not before: who sends slowly must not keep others out.
    let _permit = app.what_ifs.try_acquire().map_err(|_| busy())?;
    let question: Question = json::read(&text, "body")?;
    let count = question.check(&caller)?;
    let Question { documents, client, contents, .. } = question;
    let proposal = Proposal {
        caller: caller.clone(),
        reason: None,
        precondition: Precondition::of(&headers)?,
        edit: edit(documents)?,
        dry_run: true,
        room,
    };
    let policies = preview(&app, &proposal).await?;
    // The room is for what is read and compiled; what-ifs are few, and may take a minute.
    drop((proposal, text));
    if let Some(client) = &client
        && policies.iter().all(|policy| policy.scope_of(client, None).is_none())
    {
        return Err(unknown_client(client));
    }
    let what_if = WhatIf { caller, policies, client, decisions: count, contents };
    what_if.answer(&app).await.map(Json)
}

impl Question {
    /// How many decisions to make again, if all of it makes sense and the caller may ask it.
    fn check(&self, caller: &Caller) -> Result<usize, Problem> {
        let default = if self.contents.is_empty() { DECISIONS } else { 0 };
        let decisions = self.decisions.unwrap_or(default);
        if decisions > MAX_DECISIONS {
            return Err(Problem::invalid(format!("decisions: must be from 0 to {MAX_DECISIONS}")));
        }
        if self.contents.len() > MAX_CONTENTS {
            let detail = format!("contents: must be {MAX_CONTENTS} at most");
            return Err(Problem::invalid(detail));
        }
        if decisions == 0 && self.contents.is_empty() {
            return Err(Problem::invalid(
                "decisions: must be at least 1 where there are no contents",
            ));
        }
        match &self.client {
            Some(client) => caller.demand(Permission::Read(client))?,
            None if decisions > 0 => caller.demand(Permission::ReadSome)?,
            None => {}
        }
        Ok(decisions)
    }
}

fn busy() -> Problem {
    let detail = format!("{WHAT_IFS} what-ifs are in work, which is the most; try again later");
    Problem::new(Kind::Overloaded, detail)
}
