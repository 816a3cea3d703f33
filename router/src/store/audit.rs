//! The log of who changed what: written with each change, in its transaction, and never altered.

use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, Row};
use utoipa::ToSchema;
use uuid::Uuid;

use super::{PATIENCE, Store, within};

/// One thing that somebody did.
#[derive(Debug)]
pub(crate) struct Entry<'a> {
    /// Who did it.
    pub(crate) actor: &'a str,
    /// What was done, such as `policy.change`.
    pub(crate) action: &'a str,
    /// To what, as a path below /v1/.
    pub(crate) subject: &'a str,
    /// The particulars; no secrets.
    pub(crate) detail: Value,
}

/// One thing that somebody did, as it was written down.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AuditEntry)]
pub(crate) struct Record {
    /// Made of the time, so that the latest is the greatest.
    pub(crate) audit_id: String,
    /// When.
    at: String,
    /// Who did it.
    actor: String,
    /// What was done, such as `policy.change`.
    action: String,
    /// To what, as a path below /v1/.
    subject: String,
    /// The particulars.
    detail: Value,
}

impl Store {
    /// The latest entries before this one, or at all; the latest first.
    pub(crate) async fn audit_log(
        &self,
        before: Option<Uuid>,
        limit: i64,
    ) -> Result<Vec<Record>, sqlx::Error> {
        // No id begins with a letter after f.
        let before = before.map_or_else(|| "g".to_owned(), |before| before.to_string());
        let entries = sqlx::query(
            "SELECT audit_id, at, actor, action, subject, detail FROM audit
             WHERE audit_id < $1 ORDER BY audit_id DESC LIMIT $2",
        );
        let entries = entries.bind(before).bind(limit).fetch_all(&self.readers);
        within(PATIENCE, entries).await?.iter().map(read).collect()
    }
}

fn read(row: &AnyRow) -> Result<Record, sqlx::Error> {
    let detail: String = row.try_get("detail")?;
    Ok(Record {
        audit_id: row.try_get("audit_id")?,
        at: row.try_get("at")?,
        actor: row.try_get("actor")?,
        action: row.try_get("action")?,
        subject: row.try_get("subject")?,
        detail: serde_json::from_str(&detail).unwrap_or(Value::String(detail)),
    })
}

/// Adds the entry.
pub(crate) async fn record(
    transaction: &mut AnyConnection,
    entry: &Entry<'_>,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "INSERT INTO audit (audit_id, at, actor, action, subject, detail)
         VALUES ($1, $2, $3, $4, $5, $6)",
    )
    .bind(Uuid::now_v7().to_string())
    .bind(Timestamp::now().to_string())
    .bind(entry.actor)
    .bind(entry.action)
    .bind(entry.subject)
    .bind(entry.detail.to_string())
    .execute(transaction)
    .await?;
    Ok(())
}
