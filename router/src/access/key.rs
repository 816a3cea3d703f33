//! One key, as it is stored and as the router holds it.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::grant::{Grant, Reach};
use super::limit::{Limit, PerMinute};
use super::moment::Moment;
use super::owner::Owner;
use super::permission::Permission;
use super::token::{Digest, KeyId, Token};
use crate::policy::name::Name;
use crate::problem::{Kind, Problem};

/// What may be known of a key.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct KeyRecord {
    /// Its public part.
    pub(crate) key_id: KeyId,
    /// Whose it is.
    pub(crate) owner: Owner,
    /// What it may do.
    pub(crate) scopes: Vec<Grant>,
    /// When it was made.
    pub(crate) created_at: Moment,
    /// By whom.
    pub(crate) created_by: String,
    /// From when on it is no longer taken.
    pub(crate) expires_at: Option<Moment>,
    /// When it was last taken, to the minute.
    pub(crate) last_used_at: Option<Moment>,
    /// When it was revoked.
    pub(crate) revoked_at: Option<Moment>,
    /// How many contents a minute it may be used for.
    pub(crate) rate_limit_per_minute: Option<PerMinute>,
}

/// A key to be made, as it is asked for.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewKey {
    /// Whose it will be.
    pub(crate) owner: Owner,
    /// What it may do.
    pub(crate) scopes: Vec<Grant>,
    /// From when on it is no longer taken.
    #[serde(default)]
    pub(crate) expires_at: Option<Moment>,
    /// How many contents a minute it may be used for.
    #[serde(default)]
    pub(crate) rate_limit_per_minute: Option<PerMinute>,
}

/// The most scopes of one key.
const MAX_SCOPES: usize = 1000;

impl NewKey {
    /// The key for its owner, and what is kept of it.
    pub(crate) fn make(self, by: &str) -> Result<(Token, StoredKey), String> {
        let now = Moment::now();
        if self.scopes.is_empty() || self.scopes.len() > MAX_SCOPES {
            return Err(format!("scopes: a key has from 1 to {MAX_SCOPES} scopes"));
        }
        if self.expires_at.is_some_and(|end| end <= now) {
            return Err("expires_at: is over already".to_owned());
        }
        let token = Token::generate();
        let record = KeyRecord {
            key_id: token.id().clone(),
            owner: self.owner,
            scopes: self.scopes,
            created_at: now,
            created_by: by.to_owned(),
            expires_at: self.expires_at,
            last_used_at: None,
            revoked_at: None,
            rate_limit_per_minute: self.rate_limit_per_minute,
        };
        let digest = token.digest();
        Ok((token, StoredKey { record, digest }))
    }
}

impl KeyRecord {
    /// Why its owner gets no third key.
    pub(crate) fn too_many(&self) -> String {
        format!(
            "`{}` has two active keys already: one in use, and one to take its place; revoke one \
             of them first (`gatehouse key list` shows them, `gatehouse key revoke KEY_ID` revokes)",
            self.owner
        )
    }

    /// Whether it is neither revoked nor expired.
    pub(crate) fn is_active(&self, now: Moment) -> bool {
        self.revoked_at.is_none() && self.expires_at.is_none_or(|end| end > now)
    }
}

/// A key with what it is known by.
#[derive(Clone, Debug)]
pub(crate) struct StoredKey {
    /// What may be known of it.
    pub(crate) record: KeyRecord,
    /// The hash of its secret.
    pub(crate) digest: Digest,
}

/// A key in the router's memory.
#[derive(Debug)]
pub(crate) struct Key {
    record: KeyRecord,
    digest: Digest,
    limit: Option<Arc<Limit>>,
    uses: Arc<Uses>,
}

/// When a key was used, in seconds of the Unix epoch; it outlives changes of the key.
#[derive(Debug)]
struct Uses {
    last: AtomicI64,
    noted: AtomicI64,
}

/// How far apart the uses are that the database hears of.
const NOTED_EVERY: Duration = Duration::from_secs(60);

impl Key {
    /// The key, which goes on where `before`, its former self, was.
    pub(crate) fn new(stored: StoredKey, before: Option<&Self>) -> Self {
        let StoredKey { record, digest } = stored;
        let kept = |limit: PerMinute| {
            let old = before.and_then(|before| before.limit.clone());
            old.filter(|old| old.per_minute() == limit).unwrap_or_else(|| Limit::new(limit).into())
        };
        let limit = record.rate_limit_per_minute.map(kept);
        let noted = record.last_used_at.map_or(0, Moment::second);
        let new = || Arc::new(Uses { last: noted.into(), noted: noted.into() });
        let uses = before.map_or_else(new, |before| Arc::clone(&before.uses));
        Self { record, digest, limit, uses }
    }

    pub(crate) fn id(&self) -> &KeyId {
        &self.record.key_id
    }

    pub(crate) fn owner(&self) -> &str {
        self.record.owner.as_str()
    }

    pub(crate) fn limit(&self) -> Option<&Limit> {
        self.limit.as_deref()
    }

    /// Whether this is the hash of the key's secret.
    pub(crate) fn is_known_by(&self, digest: &Digest) -> bool {
        self.digest.matches(digest)
    }

    /// Refuses a key whose time is over.
    pub(crate) fn check(&self, now: Moment) -> Result<(), Problem> {
        if self.record.is_active(now) {
            return Ok(());
        }
        let over = self.record.revoked_at.map_or("has expired", |_| "was revoked");
        let detail = format!("the key `{}` {over}; ask for a new one", self.id());
        Err(Problem::new(Kind::Unauthorized, detail))
    }

    pub(crate) fn may(&self, permission: Permission<'_>) -> bool {
        self.record.scopes.iter().any(|scope| permission.is_given_by(scope))
    }

    /// The clients whose decisions it may see; nothing where it may see those of all.
    pub(crate) fn reads(&self) -> Option<BTreeSet<&Name>> {
        let reaches = self.record.scopes.iter().filter_map(|scope| match scope {
            Grant::Read(reach) => Some(reach),
            _ => None,
        });
        let client = |reach| match reach {
            &Reach::All => None,
            Reach::One(client) => Some(client),
        };
        reaches.map(client).collect()
    }

    pub(crate) fn is_used(&self, now: Moment) {
        self.uses.last.fetch_max(now.second(), Ordering::Relaxed);
    }

    /// When it was last used, if that is to be noted by now.
    pub(crate) fn unnoted_use(&self) -> Option<Moment> {
        let last = self.uses.last.load(Ordering::Relaxed);
        let noted = self.uses.noted.load(Ordering::Relaxed);
        let is_due = last >= noted.saturating_add_unsigned(NOTED_EVERY.as_secs());
        Moment::at(last).filter(|_| is_due)
    }

    pub(crate) fn is_noted(&self, used: Moment) {
        self.uses.noted.fetch_max(used.second(), Ordering::Relaxed);
    }
}
