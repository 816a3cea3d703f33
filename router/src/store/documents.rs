//! Options in the database: the documents as they are, and every change ever made.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::json;
use sqlx::any::{AnyArguments, AnyRow};
use sqlx::{AnyConnection, Arguments, Row};

use super::rows::Statement;
use super::{ANSWER_TIMEOUT, PATIENCE, POLICY_CHANNEL, Store, audit, unavailable, within};
use crate::policy::subject::Subject;
use crate::policy::{Document, Policy, aside};
use crate::problem::Problem;

pub(super) const VERSION: &str = "SELECT coalesce(max(version), 0) FROM versions";

/// How long a change may take, or may wait for its turn to be written.
const WRITE_TIMEOUT: Duration = Duration::from_secs(10);
/// How long reading all documents may take.
const LOAD_TIMEOUT: Duration = Duration::from_secs(30);
/// How many versions are caught up with one by one; more are not worth it.
const MAX_BEHIND: i64 = 1000;

/// One change of the options.
#[derive(Debug)]
pub(crate) struct Change {
    /// The policy version that it makes.
    pub(crate) version: i64,
    /// Whose it is.
    pub(crate) author: String,
    /// Why, in the author's words.
    pub(crate) reason: Option<String>,
    /// What changes.
    pub(crate) changes: Vec<DocumentChange>,
}

/// What a change does to one document.
#[derive(Clone, Debug)]
pub(crate) struct DocumentChange {
    /// Which.
    pub(crate) subject: Subject,
    /// The document before; none for a new one.
    pub(crate) before: Option<Arc<str>>,
    /// The document after; none for a deletion.
    pub(crate) after: Option<Arc<str>>,
}

impl Store {
    /// The policy that the stored documents make; the outer error is the database's.
    pub(crate) async fn load_policy(&self) -> Result<Result<Policy, Problem>, sqlx::Error> {
        let (version, documents) = within(LOAD_TIMEOUT, self.load()).await?;
        let load = move || parsed(documents).and_then(|found| Policy::load(version, found));
        Ok(aside(load).await)
    }

    async fn load(&self) -> Result<(i64, Vec<(String, Document)>), sqlx::Error> {
        let mut snapshot = self.long_snapshot(LOAD_TIMEOUT).await?;
        let version = sqlx::query_scalar(VERSION).fetch_one(&mut *snapshot).await?;
        // Models come first, so that the scopes find them.
        let rows = sqlx::query("SELECT subject, version, body FROM documents ORDER BY subject")
            .fetch_all(&mut *snapshot)
            .await?;
        let document = |row: &AnyRow| {
            let text = row.try_get::<String, _>("body")?.into();
            let document = Document { text, version: row.try_get("version")? };
            Ok((row.try_get("subject")?, document))
        };
        Ok((version, rows.iter().map(document).collect::<Result<_, sqlx::Error>>()?))
    }

    /// What other routers have made of the policy that is known here; nothing if it is the stored
    /// one.
    pub(crate) async fn catch_up(
        &self,
        database: &mut AnyConnection,
        known: &Arc<Policy>,
    ) -> Result<Option<Result<Policy, Problem>>, sqlx::Error> {
        self.since(database, known, ANSWER_TIMEOUT).await
    }

    /// The same, over a connection of the pool and for somebody who waits for it.
    pub(crate) async fn news(
        &self,
        known: &Arc<Policy>,
    ) -> Result<Option<Result<Policy, Problem>>, sqlx::Error> {
        self.since(&mut *self.readers.acquire().await?, known, PATIENCE).await
    }

    async fn since(
        &self,
        database: &mut AnyConnection,
        known: &Arc<Policy>,
        patience: Duration,
    ) -> Result<Option<Result<Policy, Problem>>, sqlx::Error> {
        let version = sqlx::query_scalar(VERSION).fetch_one(&mut *database);
        let stored: i64 = within(patience, version).await?;
        match stored - known.version {
            0 => Ok(None),
            1..=MAX_BEHIND => changes(database, known).await.map(Some),
            // A database may go back, too: when a backup of it is restored.
            _ => self.load_policy().await.map(Some),
        }
    }

    /// Stores the change in one transaction; `false` if another router has made a change of this
    /// version, and nothing was stored.
    pub(crate) async fn apply(&self, change: &Change) -> Result<bool, Problem> {
        match within(2 * WRITE_TIMEOUT, self.try_apply(change)).await {
            Ok(()) => Ok(true),
            Err(sqlx::Error::Database(error)) if error.is_unique_violation() => Ok(false),
            Err(error) => Err(unavailable(&error)),
        }
    }

    async fn try_apply(&self, change: &Change) -> Result<(), sqlx::Error> {
        let Change { version, author, reason, changes } = change;
        let mut transaction = self.begin(WRITE_TIMEOUT).await?;
        // The version is the key: of two processes that make the same one, the second fails here.
        sqlx::query(
            "INSERT INTO versions (version, changed_at, author, reason) VALUES ($1, $2, $3, $4)",
        )
        .bind(version)
        .bind(Timestamp::now().to_string())
        .bind(author)
        .bind(reason)
        .execute(&mut *transaction)
        .await?;
        write(&mut transaction, *version, changes).await?;
        let entry = audit::Entry {
            actor: author,
            action: "policy.change",
            subject: &format!("policy/versions/{version}"),
            detail: json!({ "documents": changes.len(), "reason": reason }),
        };
        audit::record(&mut transaction, &entry).await?;
        self.notify(&mut transaction, POLICY_CHANNEL, &version.to_string()).await?;
        transaction.commit().await
    }
}

const CHANGE: Statement = Statement {
    head: "INSERT INTO changes (version, subject, before, after) VALUES",
    columns: 4,
    tail: "",
};
const PUT: Statement = Statement {
    head: "INSERT INTO documents (subject, version, body) VALUES",
    columns: 3,
    tail: " ON CONFLICT (subject) DO UPDATE SET version = excluded.version, body = excluded.body",
};
const DELETE: Statement =
    Statement { head: "DELETE FROM documents WHERE subject IN (VALUES", columns: 1, tail: ")" };

async fn write(
    database: &mut AnyConnection,
    version: i64,
    changes: &[DocumentChange],
) -> Result<(), sqlx::Error> {
    let bind = |values: &mut AnyArguments, change: &DocumentChange| {
        values.add(version)?;
        values.add(change.subject.to_string())?;
        values.add(change.before.as_deref())?;
        values.add(change.after.as_deref())
    };
    CHANGE.run(database, changes, bind).await?;
    let put = |change: &DocumentChange| Some((change.subject.to_string(), change.after.clone()?));
    let puts: Vec<_> = changes.iter().filter_map(put).collect();
    let bind = |values: &mut AnyArguments, (subject, text): &(String, Arc<str>)| {
        values.add(subject)?;
        values.add(version)?;
        values.add(&**text)
    };
    PUT.run(database, &puts, bind).await?;
    let deleted = changes.iter().filter(|change| change.after.is_none());
    let deleted: Vec<_> = deleted.map(|change| change.subject.to_string()).collect();
    DELETE.run(database, &deleted, |values, subject| values.add(subject)).await
}

/// What `known` becomes with the changes since; one statement sees one state of the database.
async fn changes(
    database: &mut AnyConnection,
    known: &Arc<Policy>,
) -> Result<Result<Policy, Problem>, sqlx::Error> {
    let changes = sqlx::query(
        "SELECT version, subject, after FROM changes WHERE version > $1 ORDER BY version",
    )
    .bind(known.version);
    let rows = within(PATIENCE, changes.fetch_all(database)).await?;
    let mut version = known.version;
    let mut latest = BTreeMap::new();
    for row in &rows {
        version = row.try_get("version")?;
        let text = maybe_text(row, "after")?;
        latest.insert(row.try_get("subject")?, text.map(|text| Document { text, version }));
    }
    let known = Arc::clone(known);
    let follow = move || parsed(latest).and_then(|edits| known.follow(version, &edits));
    Ok(aside(follow).await)
}

fn parsed<T>(
    documents: impl IntoIterator<Item = (String, T)>,
) -> Result<Vec<(Subject, T)>, Problem> {
    let read = |(subject, document): (String, T)| {
        subject.parse().map(|subject| (subject, document)).map_err(Problem::invalid)
    };
    documents.into_iter().map(read).collect()
}

/// A text that may be null.
pub(super) fn maybe_text(row: &AnyRow, column: &str) -> Result<Option<Arc<str>>, sqlx::Error> {
    row.try_get::<Option<String>, _>(column).map(|text| text.map(Arc::from))
}

#[cfg(test)]
mod tests {
    use super::super::example;
    use super::*;

    fn change(version: i64, documents: &[(&str, Option<&str>)]) -> Change {
        let document = |(subject, after): &(&str, Option<&str>)| DocumentChange {
            subject: subject.parse().unwrap(),
            before: None,
            after: after.map(Arc::from),
        };
        let changes = documents.iter().map(document).collect();
        Change { version, author: "a".to_owned(), reason: None, changes }
    }

    #[tokio::test]
    async fn of_two_changes_of_one_version_the_second_is_not_stored() {
        let (store, _folder) = example::store().await;
        let platform = |text| change(1, &[("scopes/platform", Some(text))]);
        assert!(store.apply(&platform("{}")).await.unwrap());
        assert!(!store.apply(&platform(r#"{"rules": {}}"#)).await.unwrap());
        let policy = store.load_policy().await.unwrap().unwrap();
        let subject = "scopes/platform".parse().unwrap();
        assert_eq!((&*policy.document(&subject).unwrap().text, policy.version), ("{}", 1));
        store.close().await;
    }

    #[tokio::test]
    async fn catching_up_comes_to_what_is_stored() {
        let (store, _folder) = example::store().await;
        let known = Arc::new(store.load_policy().await.unwrap().unwrap());
        let clients: Vec<_> = (0..700).map(|i| format!("scopes/client/c{i}")).collect();
        let all: Vec<_> = clients.iter().map(|client| (client.as_str(), Some("{}"))).collect();
        for next in [
            change(1, &[&[("scopes/platform", Some("{}"))], &all[..]].concat()),
            change(
                2,
                &[("scopes/client/c1", Some(r#"{"rules": {}}"#)), ("scopes/client/c2", None)],
            ),
            change(3, &[("scopes/client/c2", Some("{}")), ("scopes/client/c3", None)]),
        ] {
            assert!(store.apply(&next).await.unwrap());
        }
        let next = Arc::new(store.news(&known).await.unwrap().unwrap().unwrap());
        let loaded = store.load_policy().await.unwrap().unwrap();
        let documents = |policy: &Policy| {
            let document = |(subject, document): (Subject, &Document)| {
                (subject.to_string(), document.text.to_string(), document.version)
            };
            (policy.version, policy.documents().map(document).collect::<Vec<_>>())
        };
        assert_eq!(documents(&next), documents(&loaded));
        assert_eq!((next.version, next.documents().count()), (3, 700));
        assert!(store.news(&next).await.unwrap().is_none());
        store.close().await;
    }
}
