//! Scores contents now, once, and judges them by the options in force and by the changed ones.

use std::sync::Arc;

use futures_util::future::join_all;
use serde::Serialize;
use serde_json::value::RawValue;
use tokio::time::{Instant, timeout_at};

use super::sides::Sides;
use crate::access::limit::Limit;
use crate::access::{Caller, Permission};
use crate::app::App;
use crate::fanout::call::Call;
use crate::moderation::{
    AtHand, Content, Names, StoredCalls, Verdict, Wait, judge, render, time_for, unknown_client,
};
use crate::policy::Policy;
use crate::policy::plan::{Plan, PlannedCall};
use crate::problem::{Kind, Problem};

/// The largest content that is tried, as it is for moderation.
const MAX_BYTES: usize = 1024 * 1024;

/// What came of one content.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(crate) enum Trial {
    /// The verdicts as moderation gives them; null where the client has no options.
    Judged(Sides<Option<Box<RawValue>>>),
    /// There are none, and why.
    Failed {
        /// Why.
        error: Problem,
    },
}

/// What all trials of one what-if share.
#[derive(Clone, Copy)]
pub(super) struct Trials<'a> {
    pub(super) app: &'a App,
    pub(super) caller: &'a Caller,
    pub(super) policies: &'a Sides<Arc<Policy>>,
    /// No model is waited for any longer.
    pub(super) deadline: Instant,
}

impl Trials<'_> {
    /// Tries all contents, side by side.
    pub(super) async fn run(self, contents: &[Box<RawValue>]) -> Vec<Trial> {
        let trials = contents.iter().enumerate().map(async |(index, text)| {
            // The request itself has been counted as one content.
            let trial = self.try_out(text.get(), index > 0).await;
            trial.map_or_else(|error| Trial::Failed { error }, Trial::Judged)
        });
        join_all(trials).await
    }

    async fn try_out(
        self,
        text: &str,
        is_counted: bool,
    ) -> Result<Sides<Option<Box<RawValue>>>, Problem> {
        let content = self.admit(text, is_counted)?;
        let Sides { before, after } = self.policies;
        let (client, site) = (&content.client, content.site.as_ref());
        let plans = Sides {
            before: before.plan_soon(client, site).await,
            after: after.plan_soon(client, site).await,
        };
        if plans.as_ref().into_iter().all(Option::is_none) {
            return Err(unknown_client(&content.client));
        }
        let permit = timeout_at(self.deadline, self.app.contents.acquire()).await;
        let _permit = permit.map_err(|_| overloaded())?.map_err(|_| overloaded())?;
        let before = self.judge(plans.before.as_deref(), &content, |_| None).await;
        let calls = before.as_ref().zip(plans.before.as_deref());
        let calls = calls.map(|(verdict, plan)| StoredCalls::of(plan, &content, verdict));
        let calls = calls.unwrap_or_default();
        let mut recall = plans.after.as_deref().map(|plan| calls.recall(plan, &content));
        let at_hand = |planned: &PlannedCall| {
            recall.as_mut()?(planned).filter(|_| planned.model.document.enabled)
        };
        let after = self.judge(plans.after.as_deref(), &content, at_hand).await;
        let show =
            |policy, verdict: &Option<_>| verdict.as_ref().map(|v| show(&content, policy, v));
        Ok(Sides {
            before: show(&self.policies.before, &before),
            after: show(&self.policies.after, &after),
        })
    }

    /// The content, if the caller may have it moderated, and so often.
    fn admit(self, text: &str, is_counted: bool) -> Result<Content, Problem> {
        if text.len() > MAX_BYTES {
            let detail = format!("the content is larger than {MAX_BYTES} bytes");
            return Err(Problem::new(Kind::TooLarge, detail));
        }
        let mut content = Content::parse(text, "content")?;
        content.explain = true;
        self.caller.demand(Permission::Ingest(&content.client))?;
        let limit = self.caller.limit().filter(|_| is_counted);
        match limit.map(Limit::take) {
            Some(Err(_)) => {
                let detail = "this key has had as many contents scored as it may; try again later";
                Err(Problem::new(Kind::RateLimited, detail))
            }
            _ => Ok(content),
        }
    }

    async fn judge<'a>(
        self,
        plan: Option<&'a Plan>,
        content: &'a Content,
        mut at_hand: impl FnMut(&PlannedCall) -> Option<Call>,
    ) -> Option<Verdict<'a>> {
        let plan = plan?;
        let deadline = self.deadline.min(Instant::now() + time_for(plan, content));
        let at_hand = |planned: &PlannedCall| at_hand(planned).map(AtHand::Result);
        Some(judge(self.app, (plan, content), Wait::Caller(deadline), at_hand).await.verdict)
    }
}

fn show(content: &Content, policy: &Policy, verdict: &Verdict<'_>) -> Box<RawValue> {
    let text = render(Names::first(), content, policy.version, verdict);
    RawValue::from_string(text).expect("a verdict is JSON")
}

fn overloaded() -> Problem {
    let detail = "the router has as many contents in work as it takes; try again later";
    Problem::new(Kind::Overloaded, detail)
}
