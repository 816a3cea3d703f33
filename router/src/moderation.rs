//! From one piece of content to its verdict.

mod content;
mod decide;
mod verdict;

use std::time::Duration;

use tokio::time::Instant;
use uuid::Uuid;

use crate::app::App;
use crate::policy::name::Name;
use crate::problem::{Kind, Problem};
use crate::store::decisions::Decision;

pub(crate) use content::{Content, ContentId};
use decide::decide;
use verdict::render;

/// Decides on `content` and returns the answer's JSON once the decision is stored.
///
/// `request` is the text that the content was read from; it is stored with the decision.
pub(crate) async fn moderate(
    app: &App,
    content: &Content,
    request: String,
) -> Result<String, Problem> {
    let started = Instant::now();
    let policy = app.policy.load_full();
    let scope = policy
        .scope_of(&content.client, content.site.as_ref())
        .ok_or_else(|| unknown_client(&content.client))?;
    let plan = policy.plan(&scope).expect("every scope of a policy has a plan");

    let asked = content.deadline_ms.map_or(Duration::MAX, Duration::from);
    let calls = app.fanout.call_all(plan, content, started + plan.deadline.min(asked)).await;
    let verdict = decide(plan, &calls);

    let decision_id = Uuid::now_v7();
    let response = render(decision_id, content, policy.version, &verdict);
    if content.dry_run {
        return Ok(response);
    }
    let decision = Decision {
        decision_id,
        client: content.client.clone(),
        content_id: content.content_id.as_str().to_owned(),
        decision: verdict.decision,
        policy_version: policy.version,
        request,
        response,
    };
    app.decisions.keep(decision).await
}

/// The refusal for a client that has no scope.
pub(crate) fn unknown_client(client: &Name) -> Problem {
    let detail = format!("client `{client}` has no options; PUT /v1/scopes/client/{client} first");
    Problem::new(Kind::UnknownClient, detail)
}
