//! Keys in the database. Each change raises the revision, which routers look at, and whose row
//! makes changes come one after another.

use std::sync::Arc;

use serde_json::{Value, json};
use sqlx::any::AnyRow;
use sqlx::{Any, AnyConnection, Row, Transaction};

use super::{ANSWER_TIMEOUT, KEYS_CHANNEL, PATIENCE, Store, audit, within};
use crate::access::key::{Key, KeyRecord, StoredKey};
use crate::access::limit::PerMinute;
use crate::access::moment::Moment;
use crate::access::token::KeyId;

/// How many keys of one owner may be active: the one in use, and the one that takes its place.
const ACTIVE_KEYS: usize = 2;

const COLUMNS: &str = "SELECT key_id, owner, secret_sha256, scopes, created_at, created_by,
                              expires_at, last_used_at, revoked_at, rate_limit_per_minute
                       FROM keys ORDER BY created_at, key_id";

/// What came of a change of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum KeyChange {
    /// It was made.
    Made,
    /// It is so already.
    Needless,
    /// There is no such key.
    Unknown,
    /// The owner has as many active keys as he may.
    TooMany,
}

impl Store {
    /// Counts the changes of keys.
    pub(crate) async fn keys_revision(&self) -> Result<i64, sqlx::Error> {
        // A new connection takes its time; one that is there answers or is dead.
        let mut database = self.keys.acquire().await?;
        within(ANSWER_TIMEOUT, revision(&mut database)).await
    }

    /// All keys ever made, by their age, and the revision at which they are as they are.
    pub(crate) async fn load_keys(&self) -> Result<(i64, Vec<StoredKey>), sqlx::Error> {
        within(PATIENCE, async {
            let mut snapshot = self.snapshot(&self.keys).await?;
            let revision = revision(&mut snapshot).await?;
            let rows = sqlx::query(COLUMNS).fetch_all(&mut *snapshot).await?;
            Ok((revision, rows.iter().map(stored).collect::<Result<_, _>>()?))
        })
        .await
    }

    /// Adds a key, unless its owner has two already.
    pub(crate) async fn create_key(&self, key: &StoredKey) -> Result<KeyChange, sqlx::Error> {
        within(PATIENCE, async {
            let mut transaction = self.begin_keys().await?;
            if active_keys(&mut transaction, &key.record).await? >= ACTIVE_KEYS {
                return Ok(KeyChange::TooMany);
            }
            insert(&mut transaction, key).await?;
            let KeyRecord { key_id, owner, scopes, expires_at, .. } = &key.record;
            let limit = key.record.rate_limit_per_minute;
            let detail = json!({"owner": owner, "scopes": scopes, "expires_at": expires_at,
                                "rate_limit_per_minute": limit});
            let by = &key.record.created_by;
            self.commit_key(transaction, (by, "key.create", key_id, detail)).await
        })
        .await
    }

    /// Revokes a key for good.
    pub(crate) async fn revoke_key(
        &self,
        key_id: &KeyId,
        by: &str,
    ) -> Result<KeyChange, sqlx::Error> {
        within(PATIENCE, async {
            let mut transaction = self.begin_keys().await?;
            let revoked = "SELECT revoked_at FROM keys WHERE key_id = $1";
            let revoked = sqlx::query_scalar::<_, Option<String>>(revoked).bind(key_id.as_str());
            match revoked.fetch_optional(&mut *transaction).await? {
                None => return Ok(KeyChange::Unknown),
                Some(Some(_)) => return Ok(KeyChange::Needless),
                Some(None) => {}
            }
            sqlx::query("UPDATE keys SET revoked_at = $1 WHERE key_id = $2")
                .bind(Moment::now().to_string())
                .bind(key_id.as_str())
                .execute(&mut *transaction)
                .await?;
            self.commit_key(transaction, (by, "key.revoke", key_id, json!({}))).await
        })
        .await
    }

    /// Sets how often a key may be used, or lifts its limit.
    pub(crate) async fn limit_key(
        &self,
        key_id: &KeyId,
        limit: Option<PerMinute>,
        by: &str,
    ) -> Result<KeyChange, sqlx::Error> {
        within(PATIENCE, async {
            let mut transaction = self.begin_keys().await?;
            let changed = "UPDATE keys SET rate_limit_per_minute = $1 WHERE key_id = $2";
            let changed = sqlx::query(changed).bind(limit.map(i64::from)).bind(key_id.as_str());
            if changed.execute(&mut *transaction).await?.rows_affected() == 0 {
                return Ok(KeyChange::Unknown);
            }
            let detail = json!({"rate_limit_per_minute": limit});
            self.commit_key(transaction, (by, "key.limit", key_id, detail)).await
        })
        .await
    }

    /// Notes when these keys were last used; another router may have noted something later.
    pub(crate) async fn note_uses(&self, used: &[(Arc<Key>, Moment)]) -> Result<(), sqlx::Error> {
        within(PATIENCE, async {
            let mut transaction = self.begin(PATIENCE).await?;
            for (key, at) in used {
                sqlx::query(
                    "UPDATE keys SET last_used_at = $1
                     WHERE key_id = $2 AND (last_used_at IS NULL OR last_used_at < $1)",
                )
                .bind(at.to_string())
                .bind(key.id().as_str())
                .execute(&mut *transaction)
                .await?;
            }
            transaction.commit().await
        })
        .await
    }

    /// Begins a change of keys, when it is its turn.
    async fn begin_keys(&self) -> Result<Transaction<'static, Any>, sqlx::Error> {
        let mut transaction = self.begin(PATIENCE).await?;
        let raise = sqlx::query("UPDATE key_revision SET revision = revision + 1");
        raise.execute(&mut *transaction).await?;
        Ok(transaction)
    }

    /// Ends a change of one key: who did what to which, and the particulars.
    async fn commit_key(
        &self,
        mut transaction: Transaction<'static, Any>,
        (actor, action, key_id, detail): (&str, &str, &KeyId, Value),
    ) -> Result<KeyChange, sqlx::Error> {
        let subject = format!("keys/{key_id}");
        let entry = audit::Entry { actor, action, subject: &subject, detail };
        audit::record(&mut transaction, &entry).await?;
        self.notify(&mut transaction, KEYS_CHANNEL, key_id.as_str()).await?;
        transaction.commit().await?;
        Ok(KeyChange::Made)
    }
}

async fn revision(database: &mut AnyConnection) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar("SELECT revision FROM key_revision").fetch_one(database).await
}

/// How many keys the owner has that are neither revoked nor expired.
async fn active_keys(
    transaction: &mut AnyConnection,
    new: &KeyRecord,
) -> Result<usize, sqlx::Error> {
    let unrevoked = "SELECT expires_at FROM keys WHERE owner = $1 AND revoked_at IS NULL";
    let unrevoked = sqlx::query(unrevoked).bind(new.owner.as_str()).fetch_all(transaction).await?;
    let now = Moment::now();
    let ends = unrevoked.iter().map(|row| time(row, "expires_at"));
    let ends = ends.collect::<Result<Vec<_>, _>>()?;
    Ok(ends.into_iter().filter(|end| end.is_none_or(|end| end > now)).count())
}

async fn insert(transaction: &mut AnyConnection, key: &StoredKey) -> Result<(), sqlx::Error> {
    let KeyRecord { key_id, owner, scopes, created_at, created_by, expires_at, .. } = &key.record;
    sqlx::query(
        "INSERT INTO keys (key_id, owner, secret_sha256, scopes, created_at, created_by,
                           expires_at, rate_limit_per_minute)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
    )
    .bind(key_id.as_str())
    .bind(owner.as_str())
    .bind(key.digest.to_string())
    .bind(json!(scopes).to_string())
    .bind(created_at.to_string())
    .bind(created_by.as_str())
    .bind(expires_at.map(|end| end.to_string()))
    .bind(key.record.rate_limit_per_minute.map(i64::from))
    .execute(transaction)
    .await?;
    Ok(())
}

fn stored(row: &AnyRow) -> Result<StoredKey, sqlx::Error> {
    let text = |column: &str| row.try_get::<String, _>(column);
    let limit = row.try_get::<Option<i64>, _>("rate_limit_per_minute")?;
    let record = KeyRecord {
        key_id: text("key_id")?.parse().map_err(unreadable)?,
        owner: text("owner")?.try_into().map_err(unreadable)?,
        scopes: serde_json::from_str(&text("scopes")?).map_err(|e| unreadable(e.to_string()))?,
        created_at: text("created_at")?.parse().map_err(unreadable)?,
        created_by: text("created_by")?,
        expires_at: time(row, "expires_at")?,
        last_used_at: time(row, "last_used_at")?,
        revoked_at: time(row, "revoked_at")?,
        rate_limit_per_minute: limit.map(PerMinute::try_from).transpose().map_err(unreadable)?,
    };
    Ok(StoredKey { record, digest: text("secret_sha256")?.parse().map_err(unreadable)? })
}

fn time(row: &AnyRow, column: &str) -> Result<Option<Moment>, sqlx::Error> {
    let text = row.try_get::<Option<String>, _>(column)?;
    text.map(|text| text.parse()).transpose().map_err(unreadable)
}

/// A row that no router has written.
fn unreadable(reason: impl Into<String>) -> sqlx::Error {
    sqlx::Error::Decode(format!("a stored key is unreadable: {}", reason.into()).into())
}

#[cfg(test)]
mod tests {
    use super::super::example;

    #[tokio::test]
    async fn keys_are_looked_at_though_all_readers_are_busy() {
        let (store, _folder) = example::store().await;
        let mut busy = Vec::new();
        for _ in 0..store.readers.options().get_max_connections() {
            busy.push(store.readers.acquire().await.unwrap());
        }
        assert_eq!(store.keys_revision().await.unwrap(), 0);
        assert!(store.load_keys().await.unwrap().1.is_empty());
        drop(busy);
        store.close().await;
    }
}
