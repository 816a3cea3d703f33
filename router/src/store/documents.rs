//! Options in the database: the documents as they are, and every change ever made.

use std::sync::Arc;

use jiff::Timestamp;
use sqlx::Row;

use super::{Store, unavailable};
use crate::policy::subject::Subject;
use crate::policy::{Document, Policy};
use crate::problem::Problem;

const VERSION: &str = "SELECT coalesce(max(version), 0) FROM changes";

/// One change of one document.
#[derive(Debug)]
pub(crate) struct Change<'a> {
    /// The policy version that it makes.
    pub(crate) version: i64,
    /// Whose it is.
    pub(crate) author: &'a str,
    /// Why, in the author's words.
    pub(crate) reason: Option<&'a str>,
    /// What changes.
    pub(crate) subject: &'a Subject,
    /// The document before; none for a new one.
    pub(crate) before: Option<&'a str>,
    /// The document after; none for a deletion.
    pub(crate) after: Option<&'a str>,
}

impl Store {
    /// The version of the policy that is stored.
    pub(crate) async fn policy_version(&self) -> Result<i64, sqlx::Error> {
        sqlx::query_scalar(VERSION).fetch_one(&self.readers).await
    }

    /// The policy that the stored documents make; the outer error is the database's.
    pub(crate) async fn load_policy(&self) -> Result<Result<Policy, Problem>, sqlx::Error> {
        let mut snapshot = self.readers.begin().await?;
        let version = sqlx::query_scalar(VERSION).fetch_one(&mut *snapshot).await?;
        // Models come first, so that the scopes find them.
        let rows = sqlx::query("SELECT subject, version, body FROM documents ORDER BY subject")
            .fetch_all(&mut *snapshot)
            .await?;
        let documents = rows.into_iter().map(|row| {
            let subject: String = row.try_get("subject")?;
            let text: Arc<str> = row.try_get::<String, _>("body")?.into();
            let document = Document { text, version: row.try_get("version")? };
            Ok((subject, document))
        });
        let documents = documents.collect::<Result<Vec<_>, sqlx::Error>>()?;
        Ok(policy(version, documents))
    }

    /// Stores the document and its change in one transaction; `false` if another router has made
    /// a change of this version, and nothing was stored.
    pub(crate) async fn apply(&self, change: &Change<'_>) -> Result<bool, Problem> {
        match self.try_apply(change).await {
            Ok(()) => Ok(true),
            Err(sqlx::Error::Database(error)) if error.is_unique_violation() => Ok(false),
            Err(error) => Err(unavailable(&error)),
        }
    }

    async fn try_apply(&self, change: &Change<'_>) -> Result<(), sqlx::Error> {
        let subject = change.subject.to_string();
        let mut transaction = self.writer.begin_with("BEGIN IMMEDIATE").await?;
        // The version is the key: of two processes that make the same one, the second fails here.
        sqlx::query(
            "INSERT INTO changes (version, changed_at, author, reason, subject, before, after)
             VALUES (?, ?, ?, ?, ?, ?, ?)",
        )
        .bind(change.version)
        .bind(Timestamp::now().to_string())
        .bind(change.author)
        .bind(change.reason)
        .bind(&subject)
        .bind(change.before)
        .bind(change.after)
        .execute(&mut *transaction)
        .await?;
        match change.after {
            Some(body) => sqlx::query(
                "INSERT OR REPLACE INTO documents (subject, version, body) VALUES (?, ?, ?)",
            )
            .bind(&subject)
            .bind(change.version)
            .bind(body),
            None => sqlx::query("DELETE FROM documents WHERE subject = ?").bind(&subject),
        }
        .execute(&mut *transaction)
        .await?;
        transaction.commit().await
    }
}

fn policy(version: i64, documents: Vec<(String, Document)>) -> Result<Policy, Problem> {
    let read = |(subject, document): (String, Document)| {
        subject.parse().map(|subject| (subject, document)).map_err(Problem::invalid)
    };
    Policy::load(version, documents.into_iter().map(read).collect::<Result<Vec<_>, _>>()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn of_two_changes_of_one_version_the_second_is_not_stored() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("a.db")).await.unwrap();
        let subject = "scopes/platform".parse().unwrap();
        let change = |after| Change {
            version: 1,
            author: "a",
            reason: None,
            subject: &subject,
            before: None,
            after: Some(after),
        };
        assert!(store.apply(&change("{}")).await.unwrap());
        assert!(!store.apply(&change(r#"{"rules": {}}"#)).await.unwrap());
        let policy = store.load_policy().await.unwrap().unwrap();
        assert_eq!((&*policy.document(&subject).unwrap().text, policy.version), ("{}", 1));
        store.close().await;
    }
}
