//! One content with the plan that decides on it: decided in time, and anew where that was too soon.

mod unhurried;
mod known;
mod amendment;
mod draft;

use std::sync::Arc;
use std::time::Duration;

use opentelemetry::Context;
use tokio::sync::{OwnedSemaphorePermit, oneshot};
use tokio::time::Instant;
use uuid::Uuid;

use super::telling::{Teller, What};
use super::verdict::{Names, render};
use super::{Content, Judged, Verdict, Wait, count, judge, time_for, unknown_client};
use crate::app::App;
use crate::fanout::Until;
use crate::policy::plan::Plan;
use crate::problem::{Kind, Problem};
use crate::store::decisions::Expected;
use amendment::Amendment;
use draft::Draft;
use known::Known;

/// How long endpoints that start are waited for where no caller waits.
pub(crate) const LONGEST_WAIT: Duration = Duration::from_secs(300);
/// What is left of a caller's time for the verdict to be rendered and stored: at least this,
const LEAST_MARGIN: Duration = Duration::from_millis(1);
/// and this where nobody knows yet how long it takes.
const FIRST_MARGIN: Duration = Duration::from_millis(10);

/// All that it takes to decide on a content.
#[derive(Debug)]
pub(crate) struct Case {
    content: Arc<Content>,
    /// The text that the content was read from.
    request: String,
    plan: Arc<Plan>,
    policy_version: i64,
    /// The trace that the caller is in the middle of.
    parent: Context,
}

impl Case {
    /// The case by the options in force.
    pub(crate) async fn open(
        app: &App,
        content: Content,
        request: String,
    ) -> Result<Self, Problem> {
        let in_force = plan_in_force(app, &content).await;
        let (plan, policy_version) = in_force.ok_or_else(|| unknown_client(&content.client))?;
        let (content, parent) = (Arc::new(content), Context::default());
        Ok(Self { content, request, plan, policy_version, parent })
    }

    /// The same as a part of the caller's trace.
    pub(crate) fn within(self, parent: Context) -> Self {
        Self { parent, ..self }
    }

    /// Decides before `started` is as long ago as the caller and the options allow, and returns the
    /// answer once the decision is stored. Where endpoints that start may say more, the case is
    /// decided anew once they have, even if the caller has gone by then.
    pub(crate) async fn decide(self, app: &Arc<App>, started: Instant) -> Result<String, Problem> {
        let (plan, content) = (Arc::clone(&self.plan), Arc::clone(&self.content));
        let expected = (!content.dry_run).then(|| app.decisions.expect());
        let wait = Wait::Caller(started + self.time_for_models(app));
        let Judged { verdict, pending } = judge(app, (&plan, &content), wait, |_| None).await;
        let (names, teller) = (Names::first(), self.teller(What::Review, started));
        count(app, (&content.client, names.decision_id), &verdict);
        let Some(expected) = expected else {
            teller.tell(app, (names, &verdict), Ok(()));
            return Ok(render(names, &content, self.policy_version, &verdict));
        };
        let draft = Draft::of(&self, What::Review, (names, &verdict));
        let is_provisional = verdict.degraded && !pending.is_empty();
        let kept = match is_provisional.then(|| app.amendments.admit(&self.request)).flatten() {
            Some(room) => {
                let known = Known::of(&verdict, pending);
                self.keep_and_amend(app, (draft, expected), (known, room)).await
            }
            None => draft.keep(app, expected).await,
        };
        teller.tell(app, (names, &verdict), kept.as_ref().map(|_| ()));
        if kept.is_ok() {
            show_to_shadows(app, &content, &verdict);
        }
        kept
    }

    /// Decides when all endpoints have answered, or it has been long enough, by the options that are
    /// in force then, and keeps the decision under this id; `false` if the router stops before.
    pub(crate) async fn decide_later(mut self, app: &Arc<App>, decision_id: Uuid) -> bool {
        let started = Instant::now();
        let (until, mut known) = (Until::nobody(started + LONGEST_WAIT), Known::default());
        loop {
            let (plan, content) = (Arc::clone(&self.plan), Arc::clone(&self.content));
            let judging = self.judge_unhurried(app, (&plan, &content), until, &mut known);
            let Some(verdict) = judging.await else { continue };
            return self.keep_promise(app, (decision_id, started), &verdict).await;
        }
    }

    async fn keep_promise(
        &self,
        app: &App,
        (decision_id, started): (Uuid, Instant),
        verdict: &Verdict<'_>,
    ) -> bool {
        count(app, (&self.content.client, decision_id), verdict);
        let (what, names) = (What::Promise, Names { decision_id, supersedes: None });
        let kept = Draft::of(self, what, (names, verdict)).keep_sometime(app).await;
        self.teller(what, started).tell(app, (names, verdict), kept.as_ref().copied());
        if kept.is_ok() {
            show_to_shadows(app, &self.content, verdict);
        }
        kept.is_ok()
    }

    fn teller(&self, what: What, begun: Instant) -> Teller {
        let (parent, client) = (self.parent.clone(), self.content.client.clone());
        Teller { parent, client, policy_version: self.policy_version, what, begun }
    }

    /// How long models are waited for: the verdict must be stored, too, before the time is over.
    fn time_for_models(&self, app: &App) -> Duration {
        let time = time_for(&self.plan, &self.content);
        if self.content.dry_run {
            return time;
        }
        time - margin(time, app.decisions.usual_time())
    }

    /// In a task of its own, which a caller that hangs up does not end.
    async fn keep_and_amend(
        self,
        app: &Arc<App>,
        (draft, expected): (Draft, Expected),
        (known, room): (Known, OwnedSemaphorePermit),
    ) -> Result<String, Problem> {
        let (tell, told) = oneshot::channel();
        let amendment = Amendment::of(self, &draft, known);
        let working = Arc::clone(app);
        app.awaited.spawn(async move {
            let kept = draft.keep(&working, expected).await;
            let is_kept = kept.is_ok();
            // The caller may have gone.
            drop(tell.send(kept));
            if is_kept {
                amendment.make(&working).await;
            }
            drop(room);
        });
        told.await.unwrap_or_else(|_| {
            let detail = "the decision may not have been stored; try again later";
            Err(Problem::new(Kind::StoreUnavailable, detail))
        })
    }
}

/// The plan for a content, and the version that it is of.
async fn plan_in_force(app: &App, content: &Content) -> Option<(Arc<Plan>, i64)> {
    let policy = app.policy.load_full();
    let plan = policy.plan_soon(&content.client, content.site.as_ref()).await?;
    Some((plan, policy.version))
}

/// What of the time is needed for rendering and storing, by how long storing usually takes.
fn margin(time: Duration, usual: Option<Duration>) -> Duration {
    usual.unwrap_or(FIRST_MARGIN).max(LEAST_MARGIN).min(time / 4)
}

fn show_to_shadows(app: &App, content: &Arc<Content>, verdict: &Verdict<'_>) {
    let calls = verdict.calls.iter().map(|(planned, call)| (*planned, call));
    app.shadows.look_at(&app.fanout, content, calls);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn storing_has_its_usual_time_and_at_most_a_quarter_of_all() {
        let ms = Duration::from_millis;
        for (time, usual, expected) in [
            (ms(800), Some(ms(7)), ms(7)),
            (ms(800), Some(Duration::from_micros(200)), LEAST_MARGIN),
            (ms(800), Some(ms(2000)), ms(200)),
            (ms(800), None, FIRST_MARGIN),
            (ms(8), None, ms(2)),
            (ms(1), Some(ms(7)), Duration::from_micros(250)),
        ] {
            assert_eq!(margin(time, usual), expected, "{time:?} {usual:?}");
        }
    }
}
