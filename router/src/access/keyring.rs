//! All keys, in memory: an immutable snapshot that each change of the database replaces.

use std::collections::HashMap;
use std::sync::Arc;

use arc_swap::ArcSwap;
use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use tokio::sync::Mutex;

use super::caller::Caller;
use super::key::{Key, StoredKey};
use super::moment::Moment;
use super::token::{KeyId, Token};
use crate::problem::{Kind, Problem};
use crate::store::Store;

/// The keys in force.
#[derive(Debug, Default)]
pub(crate) struct Keyring {
    current: ArcSwap<Keys>,
    /// Held while the keys are read, so that older ones never replace newer ones.
    reading: Mutex<()>,
}

#[derive(Debug, Default)]
struct Keys {
    /// Counts the changes that were made in the database.
    revision: i64,
    /// Whether a key was ever made; without that, callers need none.
    ever: bool,
    /// Those that are over too, so that their holders learn why.
    by_id: HashMap<KeyId, Arc<Key>>,
}

impl Keyring {
    /// Puts the database's keys in force, if they have changed.
    pub(crate) async fn catch_up(&self, store: &Store) -> Result<(), sqlx::Error> {
        let _reading = self.reading.lock().await;
        if store.keys_revision().await? != self.current.load().revision {
            let (revision, stored) = store.load_keys().await?;
            self.install(revision, stored);
        }
        Ok(())
    }

    fn install(&self, revision: i64, stored: Vec<StoredKey>) {
        let current = self.current.load();
        let key = |stored: StoredKey| {
            let id = stored.record.key_id.clone();
            let before = current.by_id.get(&id).map(|key| &**key);
            (id, Arc::new(Key::new(stored, before)))
        };
        let ever = current.ever || revision > 0;
        let by_id = stored.into_iter().map(key).collect();
        self.current.store(Arc::new(Keys { revision, ever, by_id }));
    }

    /// Whether callers must have a key: from the first one on for ever, revoked or not.
    pub(crate) fn is_demanded(&self) -> bool {
        self.current.load().ever
    }

    /// Who it is that sends these headers.
    pub(crate) fn authenticate(&self, headers: &HeaderMap) -> Result<Caller, Problem> {
        let token = bearer(headers)?;
        let keys = self.current.load();
        let key = keys.by_id.get(token.id()).filter(|key| key.is_known_by(&token.digest()));
        let key = key.ok_or_else(|| unauthorized("this router does not know the key sent"))?;
        let now = Moment::now();
        key.check(now)?;
        key.is_used(now);
        Ok(Caller::Key(Arc::clone(key)))
    }

    /// The same caller as he is by now, if he is still let in.
    pub(crate) fn renew(&self, caller: &Caller) -> Result<Caller, Problem> {
        match caller {
            Caller::Anonymous if self.is_demanded() => {
                Err(unauthorized("this router asks for keys by now"))
            }
            Caller::Anonymous => Ok(Caller::Anonymous),
            Caller::Key(old) => {
                let keys = self.current.load();
                let key = keys.by_id.get(old.id());
                let key = key.ok_or_else(|| unauthorized("the key is no longer known"))?;
                let now = Moment::now();
                key.check(now)?;
                key.is_used(now);
                Ok(Caller::Key(Arc::clone(key)))
            }
        }
    }

    /// The keys whose last use the database should hear of.
    pub(crate) fn unnoted(&self) -> Vec<(Arc<Key>, Moment)> {
        let keys = self.current.load();
        let unnoted = |key: &Arc<Key>| key.unnoted_use().map(|used| (Arc::clone(key), used));
        keys.by_id.values().filter_map(unnoted).collect()
    }
}

/// The key in `Authorization: Bearer …`.
fn bearer(headers: &HeaderMap) -> Result<Token, Problem> {
    let mut sent = headers.get_all(AUTHORIZATION).iter();
    let Some(header) = sent.next() else { return Err(unauthorized("no key was sent")) };
    if sent.next().is_some() {
        return Err(unauthorized("two headers `Authorization` were sent"));
    }
    let scheme_and_key = header.to_str().ok().and_then(|text| text.split_once(' '));
    match scheme_and_key {
        Some((scheme, key)) if scheme.eq_ignore_ascii_case("bearer") => {
            let wrong = |wrong| unauthorized(&format!("the key sent is {wrong}"));
            key.trim().parse().map_err(wrong)
        }
        _ => Err(unauthorized("the header `Authorization` is not `Bearer KEY`")),
    }
}

fn unauthorized(reason: &str) -> Problem {
    let detail = format!(
        "{reason}; send `Authorization: Bearer gh_live_…` (gatehouse's own commands take the key \
         from GATEHOUSE_KEY), or have a key made with `gatehouse key create`"
    );
    Problem::new(Kind::Unauthorized, detail)
}
