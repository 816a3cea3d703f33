//! Finds a decision again, in the database or in the spool.

use uuid::Uuid;

use super::decisions::Decision;
use super::{PATIENCE, Store, unavailable, within};
use crate::problem::Problem;

impl Store {
    /// A decision as it was answered, and the one that has taken its place.
    pub(crate) async fn answered(&self, decision_id: Uuid) -> Result<Option<Answered>, Problem> {
        // What is handed over meanwhile is in the database before it leaves the spool.
        if let Some(outage) = &self.outage
            && let Some(row) = outage.find(decision_id).await.map_err(|e| unavailable(&e))?
        {
            let Decision { client, response, .. } = row.decision;
            let client = client.as_str().to_owned();
            return Ok(Some(Answered { client, response, superseded_by: None }));
        }
        let find = "SELECT client, response,
                           (SELECT max(decision_id) FROM decisions WHERE supersedes = $1)
                    FROM decisions WHERE decision_id = $1";
        let find = sqlx::query_as(find).bind(decision_id.to_string()).fetch_optional(&self.readers);
        let found: Option<(String, String, Option<String>)> =
            within(PATIENCE, find).await.map_err(|error| unavailable(&error))?;
        let answered =
            |(client, response, superseded_by)| Answered { client, response, superseded_by };
        Ok(found.map(answered))
    }
}

/// A decision as it was answered.
#[derive(Debug)]
pub(crate) struct Answered {
    /// Whose content it was.
    pub(crate) client: String,
    /// The answer's text.
    pub(crate) response: String,
    /// The id of the decision that has taken its place.
    pub(crate) superseded_by: Option<String>,
}
