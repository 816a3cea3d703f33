//! Judges while no caller waits, by the options that are in force once it is done.

use std::future;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::{Case, Known, plan_in_force};
use crate::app::App;
use crate::fanout::Until;
use crate::moderation::{Content, Judged, Verdict, Wait, judge};
use crate::policy::plan::Plan;

/// How often it is looked whether there are other options.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

impl Case {
    /// The verdict by its options, with the help of what is known. If there are other ones before
    /// it is made, these are the case's from then on, what has come meanwhile is known, and there is
    /// no verdict. A client that has none any more is judged by the last ones.
    pub(super) async fn judge_unhurried<'p>(
        &mut self,
        app: &App,
        parts: (&'p Plan, &'p Content),
        until: Until,
        known: &mut Known,
    ) -> Option<Verdict<'p>> {
        let overtaken = CancellationToken::new();
        let wait = Wait::Nobody { until, overtaken: &overtaken };
        let judging = judge(app, parts, wait, |planned| known.at_hand(planned));
        let watching = async {
            self.overtaken(app).await;
            overtaken.cancel();
            future::pending().await
        };
        let Judged { verdict, pending } = tokio::select! {
            judged = judging => judged,
            never = watching => never,
        };
        if self.renew(app).await || overtaken.is_cancelled() {
            known.learn(&verdict, pending);
            return None;
        }
        Some(verdict)
    }

    /// Whether its client has options still.
    pub(super) async fn has_options(&self, app: &App) -> bool {
        plan_in_force(app, &self.content).await.is_some()
    }

    /// Is over once the client has other options.
    async fn overtaken(&self, app: &App) {
        let mut seen = self.policy_version;
        loop {
            sleep(LOOK_AGAIN).await;
            let version = app.policy.load().version;
            if version == seen {
                continue;
            }
            seen = version;
            let in_force = plan_in_force(app, &self.content).await;
            if in_force.is_some_and(|in_force| self.is_other(&in_force)) {
                return;
            }
        }
    }

    /// Takes up the options in force, if there are any; says whether they are other ones.
    async fn renew(&mut self, app: &App) -> bool {
        let Some(in_force) = plan_in_force(app, &self.content).await else { return false };
        let is_other = self.is_other(&in_force);
        (self.plan, self.policy_version) = in_force;
        is_other
    }

    /// A plan of the same version may have been compiled anew, and one may outlast many versions.
    fn is_other(&self, (plan, version): &(Arc<Plan>, i64)) -> bool {
        *version != self.policy_version && !Arc::ptr_eq(plan, &self.plan)
    }
}
