//! The versions of the options that ever were: who made them, what they changed, what was then.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Serialize;
use sqlx::any::AnyRow;
use sqlx::{Row, query, query_scalar};
use utoipa::ToSchema;

use super::documents::{VERSION, maybe_text};
use super::{DocumentChange, PATIENCE, Store, within};

/// A version, without what it changed.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = PolicyVersion)]
pub(crate) struct Version {
    /// Its number.
    pub(crate) version: i64,
    /// When it was made.
    pub(crate) changed_at: String,
    /// By whom.
    pub(crate) author: String,
    /// Why, in the author's words.
    pub(crate) reason: Option<String>,
    /// The documents that it changed.
    pub(crate) subjects: Vec<String>,
}

/// The documents of one version, by subject, as text.
pub(crate) type State = Vec<(String, Arc<str>)>;

impl Store {
    /// The highest version that is stored.
    pub(crate) async fn policy_version(&self) -> Result<i64, sqlx::Error> {
        within(PATIENCE, query_scalar(VERSION).fetch_one(&self.readers)).await
    }

    /// The versions from `before` down, that one not included.
    pub(crate) async fn versions(
        &self,
        before: i64,
        limit: i64,
    ) -> Result<Vec<Version>, sqlx::Error> {
        let versions = query(
            "SELECT version, changed_at, author, reason FROM versions WHERE version < $1
             ORDER BY version DESC LIMIT $2",
        )
        .bind(before)
        .bind(limit);
        let subjects = query(
            "SELECT version, subject FROM changes WHERE version IN
                 (SELECT version FROM versions WHERE version < $1 ORDER BY version DESC LIMIT $2)
             ORDER BY subject",
        )
        .bind(before)
        .bind(limit);
        let versions = within(PATIENCE, versions.fetch_all(&self.readers)).await?;
        let mut by_version: BTreeMap<i64, Vec<String>> = BTreeMap::new();
        for row in within(PATIENCE, subjects.fetch_all(&self.readers)).await? {
            by_version.entry(row.try_get(0)?).or_default().push(row.try_get(1)?);
        }
        versions.iter().map(|row| version(row, &mut by_version)).collect()
    }

    /// What a version changed; nothing for one that never was.
    pub(crate) async fn changes(&self, version: i64) -> Result<Vec<DocumentChange>, sqlx::Error> {
        let changes =
            query("SELECT subject, before, after FROM changes WHERE version = $1 ORDER BY subject")
                .bind(version);
        let rows = within(PATIENCE, changes.fetch_all(&self.readers)).await?;
        rows.iter().map(change).collect()
    }

    /// The documents as they were at a version.
    pub(crate) async fn state(&self, version: i64) -> Result<State, sqlx::Error> {
        let documents = query(
            "SELECT subject, after FROM changes AS c WHERE after IS NOT NULL AND version =
                 (SELECT max(version) FROM changes WHERE subject = c.subject AND version <= $1)
             ORDER BY subject",
        )
        .bind(version);
        let rows = within(PATIENCE, documents.fetch_all(&self.readers)).await?;
        let document =
            |row: &AnyRow| Ok((row.try_get(0)?, row.try_get::<String, _>(1).map(Arc::from)?));
        rows.iter().map(document).collect()
    }

    /// The documents that differ between two versions; `before` is the one at `from`.
    pub(crate) async fn difference(
        &self,
        from: i64,
        to: i64,
    ) -> Result<Vec<DocumentChange>, sqlx::Error> {
        let documents = query(
            "SELECT subject,
                 (SELECT after FROM changes AS c WHERE c.subject = s.subject AND version <= $1
                  ORDER BY version DESC LIMIT 1) AS before,
                 (SELECT after FROM changes AS c WHERE c.subject = s.subject AND version <= $2
                  ORDER BY version DESC LIMIT 1) AS after
             FROM (SELECT DISTINCT subject FROM changes WHERE version > $3 AND version <= $4) AS s
             ORDER BY subject",
        )
        .bind(from)
        .bind(to)
        .bind(from.min(to))
        .bind(from.max(to));
        let rows = within(PATIENCE, documents.fetch_all(&self.readers)).await?;
        let changes = rows.iter().map(change).collect::<Result<Vec<_>, _>>()?;
        Ok(changes.into_iter().filter(|change| change.before != change.after).collect())
    }
}

fn version(
    row: &AnyRow,
    subjects: &mut BTreeMap<i64, Vec<String>>,
) -> Result<Version, sqlx::Error> {
    let version = row.try_get("version")?;
    Ok(Version {
        version,
        changed_at: row.try_get("changed_at")?,
        author: row.try_get("author")?,
        reason: row.try_get("reason")?,
        subjects: subjects.remove(&version).unwrap_or_default(),
    })
}

fn change(row: &AnyRow) -> Result<DocumentChange, sqlx::Error> {
    let subject = row.try_get::<String, _>("subject")?.parse();
    Ok(DocumentChange {
        subject: subject.map_err(|fault: String| sqlx::Error::Decode(fault.into()))?,
        before: maybe_text(row, "before")?,
        after: maybe_text(row, "after")?,
    })
}
