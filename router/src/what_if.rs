//! What a change of the options would do: recent decisions made again, and contents scored now.
//!
//! Decisions are made again by their stored scores, both by the options in force and by the
//! changed ones, so that nothing but the change makes a difference. Nothing is called for them,
//! and nothing is stored.

mod sides;
mod replay;
mod tally;
mod report;
mod trial;

use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use serde_json::value::RawValue;
use tokio::time::{Instant, timeout_at};

use crate::access::Caller;
use crate::app::App;
use crate::policy::name::Name;
use crate::policy::{Policy, aside};
use crate::problem::{Kind, Problem};
use crate::store::recent::PAGE;
use crate::store::unavailable;

use replay::replay;
use report::Report;
use sides::Sides;
use tally::Tally;
pub(crate) use trial::Trial;
use trial::Trials;
use utoipa::ToSchema;

/// The longest that a what-if may take.
const MAX_TIME: Duration = Duration::from_secs(60);

/// What is asked.
#[derive(Debug)]
pub(crate) struct WhatIf {
    /// Who asks; he learns of no decision that he may not read.
    pub(crate) caller: Caller,
    /// The options in force, and the changed ones.
    pub(crate) policies: [Arc<Policy>; 2],
    /// The one client whose decisions are looked at, if it is but one.
    pub(crate) client: Option<Name>,
    /// How many decisions to make again, the newest ones.
    pub(crate) decisions: usize,
    /// Contents to score now.
    pub(crate) contents: Vec<Box<RawValue>>,
}

/// The answer.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = WhatIfAnswer)]
pub(crate) struct Answer {
    /// The version of the options in force.
    policy_version: i64,
    #[serde(flatten)]
    report: Report,
    /// One for each content that was sent.
    contents: Vec<Trial>,
}

impl WhatIf {
    /// Finds out.
    pub(crate) async fn answer(self, app: &App) -> Result<Answer, Problem> {
        let deadline = Instant::now() + MAX_TIME;
        let [before, after] = self.policies;
        let policies = Sides { before, after };
        let replays = async {
            let clients = clients(&self.caller, self.client.as_ref());
            let ids = newest(app, clients, self.decisions).await?;
            replay_all(app, &policies, &ids).await
        };
        let trials = Trials { app, caller: &self.caller, policies: &policies, deadline };
        let (tally, contents) =
            tokio::join!(timeout_at(deadline, replays), trials.run(&self.contents));
        let report = Report::of(tally.map_err(|_| too_slow())??);
        Ok(Answer { policy_version: policies.before.version, report, contents })
    }
}

/// Whose decisions to look for: nobody's in particular, where all may be seen.
fn clients<'a>(caller: &'a Caller, client: Option<&'a Name>) -> Vec<Option<&'a Name>> {
    match (client, caller.reads()) {
        (Some(client), _) => vec![Some(client)],
        (None, None) => vec![None],
        (None, Some(clients)) => clients.into_iter().map(Some).collect(),
    }
}

/// The ids of the newest decisions, the newest first.
async fn newest(
    app: &App,
    clients: Vec<Option<&Name>>,
    count: usize,
) -> Result<Vec<String>, Problem> {
    let mut newest = Vec::new();
    let limit = i64::try_from(count).unwrap_or(i64::MAX);
    for client in clients {
        let found = app.store.newest_decisions(client, limit).await;
        newest.extend(found.map_err(|error| unavailable(&error))?);
        // The ids are made of the time.
        newest.sort_unstable_by(|one, other| other.cmp(one));
        newest.truncate(count);
    }
    Ok(newest)
}

/// Makes the decisions again, page by page, beside the tasks that serve others.
async fn replay_all(
    app: &App,
    policies: &Sides<Arc<Policy>>,
    ids: &[String],
) -> Result<Tally, Problem> {
    let mut tally = Tally::default();
    for page in ids.chunks(PAGE) {
        let page = app.store.recorded(page).await.map_err(|error| unavailable(&error))?;
        let policies = policies.clone();
        tally = aside(move || {
            page.iter().for_each(|recorded| replay(&policies, recorded, &mut tally));
            tally
        })
        .await;
    }
    Ok(tally)
}

fn too_slow() -> Problem {
    let detail =
        format!("the decisions were not made again within {MAX_TIME:?}; ask for fewer, or later");
    Problem::new(Kind::Overloaded, detail)
}
