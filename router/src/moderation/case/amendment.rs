//! A verdict that was given too soon, made anew once what it lacked has come.
//!
//! It is made by the options that are in force then. It takes the first one's place where it is
//! worth more: where no missing score could change it, or where it says something else. Calls that
//! had failed when the first one was made count as they stood.

use std::sync::Arc;

use tokio::time::Instant;
use uuid::Uuid;

use super::{Case, Draft, Known, LONGEST_WAIT};
use crate::app::App;
use crate::fanout::Until;
use crate::moderation::Verdict;
use crate::moderation::telling::What;
use crate::moderation::verdict::Names;
use crate::policy::scope::Outcome;

/// What is to be decided anew.
#[derive(Debug)]
pub(super) struct Amendment {
    case: Case,
    first: Uuid,
    first_outcome: Outcome,
    known: Known,
}

impl Amendment {
    pub(super) fn of(case: Case, first: &Draft, known: Known) -> Self {
        let (first, first_outcome) = (first.decision_id(), first.outcome());
        Self { case, first, first_outcome, known }
    }

    /// Waits for what was lacking and stores what comes of it. If the router is to stop while it
    /// waits, the first verdict stands.
    pub(super) async fn make(mut self, app: &App) {
        if !self.supersede(app).await {
            let (decision_id, client) = (self.first, &self.case.content.client);
            tracing::info!(%decision_id, %client, "a degraded verdict stands, as nothing better came of it");
        }
    }

    /// Whether a better verdict is stored.
    async fn supersede(&mut self, app: &App) -> bool {
        let begun = Instant::now();
        let until = Until::starts(begun + LONGEST_WAIT);
        loop {
            let (plan, content) = (Arc::clone(&self.case.plan), Arc::clone(&self.case.content));
            let parts = (&*plan, &*content);
            let verdict = tokio::select! {
                biased;
                () = app.stopping.cancelled() => return false,
                verdict = self.case.judge_unhurried(app, parts, until, &mut self.known) => verdict,
            };
            let Some(verdict) = verdict else { continue };
            let is_better = !verdict.degraded || verdict.decision != self.first_outcome;
            let is_wanted = is_better && self.case.has_options(app).await;
            return is_wanted && self.case.keep_anew(app, (self.first, begun), &verdict).await;
        }
    }
}

impl Case {
    async fn keep_anew(
        &self,
        app: &App,
        (first, begun): (Uuid, Instant),
        verdict: &Verdict<'_>,
    ) -> bool {
        let (what, names) = (What::Amendment, Names { supersedes: Some(first), ..Names::first() });
        let kept = Draft::of(self, what, (names, verdict)).keep_sometime(app).await;
        self.teller(what, begun).tell(app, (names, verdict), kept.as_ref().copied());
        kept.is_ok()
    }
}
