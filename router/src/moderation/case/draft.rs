//! A verdict that is ready to be stored.

use std::time::Duration;

use tokio::time::{Instant, sleep};
use uuid::Uuid;

use super::Case;
use crate::app::App;
use crate::moderation::sample::is_sampled;
use crate::moderation::telling::What;
use crate::moderation::verdict::{Names, render};
use crate::moderation::{StoredCalls, Verdict};
use crate::policy::scope::Outcome;
use crate::problem::{Kind, Problem};
use crate::store::decisions::{Awaited, Decision, Expected};

/// The pause before a verdict that nobody waits for is stored again where that failed; the next
/// one is twice as long,
const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// up to this.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// The row to be, and what is counted once it is there.
#[derive(Clone, Debug)]
pub(super) struct Draft {
    decision: Decision,
    degraded: bool,
}

impl Draft {
    pub(super) fn of(case: &Case, what: What, (names, verdict): (Names, &Verdict<'_>)) -> Self {
        let content = &case.content;
        let calls = StoredCalls::of(&case.plan, content, verdict);
        let calls = if what == What::Review { calls } else { calls.of_unhurried() };
        let decision = Decision {
            decision_id: names.decision_id,
            supersedes: names.supersedes,
            client: content.client.clone(),
            content_id: content.content_id.as_str().to_owned(),
            decision: verdict.decision,
            policy_version: case.policy_version,
            request: case.request.clone(),
            response: render(names, content, case.policy_version, verdict),
            calls: calls.render(),
            sampled: is_sampled(&content.content_id, verdict.inclusion_probability),
            inclusion_probability: verdict.inclusion_probability,
        };
        Self { decision, degraded: verdict.degraded }
    }

    /// By which it will be found.
    pub(super) fn decision_id(&self) -> Uuid {
        self.decision.decision_id
    }

    /// What it says.
    pub(super) fn outcome(&self) -> Outcome {
        self.decision.decision
    }

    /// Stores it for a caller who waits, and returns the answer.
    pub(super) async fn keep(self, app: &App, expected: Expected) -> Result<String, Problem> {
        self.store(app, Some(expected.made(Instant::now()))).await
    }

    async fn store(self, app: &App, caller: Option<Awaited>) -> Result<String, Problem> {
        let Self { decision, degraded } = self;
        let (client, outcome) = (decision.client.clone(), decision.decision);
        let is_first = decision.supersedes.is_none();
        let kept = app.decisions.keep(decision, caller).await;
        let kept = kept.inspect_err(|problem| app.metrics.not_stored(problem.kind))?;
        if is_first {
            app.metrics.decided(&client, outcome, degraded);
        } else {
            app.metrics.superseded.inc();
        }
        Ok(kept)
    }

    /// Stores it, however often that must be tried, unless the router stops before.
    pub(super) async fn keep_sometime(self, app: &App) -> Result<(), Problem> {
        let mut pause = FIRST_PAUSE;
        loop {
            let Err(problem) = self.clone().store(app, None).await else { return Ok(()) };
            if problem.kind == Kind::Stopping {
                return Err(problem);
            }
            let (decision_id, detail) = (self.decision_id(), problem.detail);
            tracing::debug!(%decision_id, detail, "a verdict that nobody waits for is not stored");
            tokio::select! {
                () = sleep(pause) => {}
                // There is not much time left to try again.
                () = app.stopping.cancelled() => sleep(FIRST_PAUSE).await,
            }
            pause = LONGEST_PAUSE.min(2 * pause);
        }
    }
}
