//! Recent decisions, for making them again: which they are, then a page of them at a time.

use sqlx::any::{AnyArguments, AnyRow};
use sqlx::{Arguments, AssertSqlSafe, Row, query_scalar, query_with};

use super::{PATIENCE, Store, within};
use crate::policy::name::Name;

/// The most decisions that are read at once; one takes little more than 1 MiB at most.
pub(crate) const PAGE: usize = 64;

/// What a decision was made of.
#[derive(Debug)]
pub(crate) struct Recorded {
    /// Its id.
    pub(crate) decision_id: String,
    /// Whose content it was.
    pub(crate) client: String,
    /// The caller's own name for the content.
    pub(crate) content_id: String,
    /// When it was made.
    pub(crate) decided_at: String,
    /// The content's text.
    pub(crate) request: String,
    /// The scores that it was made by; older routers kept none.
    pub(crate) calls: Option<String>,
}

impl Store {
    /// The ids of the newest decisions, of one client or of all, the newest first; of a content
    /// that was decided anew, only the decision that stands.
    pub(crate) async fn newest_decisions(
        &self,
        client: Option<&Name>,
        limit: i64,
    ) -> Result<Vec<String>, sqlx::Error> {
        let find = match client {
            Some(client) => query_scalar(
                "SELECT decision_id FROM decisions WHERE client = $1 AND NOT EXISTS
                 (SELECT 1 FROM decisions AS later WHERE later.supersedes = decisions.decision_id)
                 ORDER BY decision_id DESC LIMIT $2",
            )
            .bind(client.as_str()),
            None => query_scalar(
                "SELECT decision_id FROM decisions WHERE NOT EXISTS
                 (SELECT 1 FROM decisions AS later WHERE later.supersedes = decisions.decision_id)
                 ORDER BY decision_id DESC LIMIT $1",
            ),
        };
        within(PATIENCE, find.bind(limit).fetch_all(&self.readers)).await
    }

    /// The decisions with these ids, [`PAGE`] of them at most, the newest first.
    pub(crate) async fn recorded(&self, ids: &[String]) -> Result<Vec<Recorded>, sqlx::Error> {
        let Some(last) = ids.last() else { return Ok(Vec::new()) };
        let mut values = AnyArguments::default();
        // As many values as the one text has places for.
        let ids = ids.iter().chain(std::iter::repeat(last)).take(PAGE);
        ids.into_iter().try_for_each(|id| values.add(id)).map_err(sqlx::Error::Encode)?;
        let find = query_with(AssertSqlSafe(text()), values);
        let rows = within(PATIENCE, find.fetch_all(&self.readers)).await?;
        rows.iter().map(recorded).collect()
    }
}

fn text() -> String {
    let places: Vec<_> = (1..=PAGE).map(|number| format!("${number}")).collect();
    format!(
        "SELECT decision_id, client, content_id, decided_at, request, calls
         FROM decisions WHERE decision_id IN ({}) ORDER BY decision_id DESC",
        places.join(", ")
    )
}

fn recorded(row: &AnyRow) -> Result<Recorded, sqlx::Error> {
    Ok(Recorded {
        decision_id: row.try_get("decision_id")?,
        client: row.try_get("client")?,
        content_id: row.try_get("content_id")?,
        decided_at: row.try_get("decided_at")?,
        request: row.try_get("request")?,
        calls: row.try_get("calls")?,
    })
}
