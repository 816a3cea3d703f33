//! Keys as operators make them: straight in the database, before any router runs or while many do.

use std::time::Duration;

use crate::access::key::{KeyRecord, NewKey as Wanted};
use crate::access::limit::PerMinute;
use crate::access::moment::Moment;
use crate::access::token::KeyId;
use crate::config::DEFAULT_DATABASE;
use crate::error::Error;
use crate::store::keys::KeyChange;
use crate::store::{Location, Store};

/// As whom the command line signs its changes.
const AUTHOR: &str = "gatehouse key";

/// A key to be made.
#[derive(Clone, Debug)]
pub struct NewKey {
    /// Whose it will be.
    pub owner: String,
    /// What it may do, such as `ingest:alehouse`.
    pub scopes: Vec<String>,
    /// How long it will be taken; for ever if nothing is said.
    pub expires: Option<Duration>,
    /// How many contents a minute it may be used for.
    pub rate_limit_per_minute: Option<i64>,
}

/// A key that was just made.
#[derive(Debug)]
pub struct Made {
    /// Its public part.
    pub key_id: String,
    /// The whole key, which nobody can tell again.
    pub key: Secret,
    /// The database, if there was none before.
    pub new_database: Option<String>,
}

/// A text that is printed only where that is meant.
pub struct Secret(String);

/// What may be known of a key.
#[derive(Clone, Debug)]
pub struct KeyInfo {
    /// Its public part.
    pub key_id: String,
    /// Whose it is.
    pub owner: String,
    /// What it may do.
    pub scopes: Vec<String>,
    /// Whether it is neither revoked nor expired.
    pub is_active: bool,
    /// When it was revoked.
    pub revoked_at: Option<String>,
    /// From when on it is no longer taken.
    pub expires_at: Option<String>,
    /// When it was last used, to the minute.
    pub last_used_at: Option<String>,
    /// How many contents a minute it may be used for.
    pub rate_limit_per_minute: Option<i64>,
}

/// Makes a key; a database that does not exist yet is made too, in a folder that does.
///
/// # Errors
///
/// When the key asked for makes no sense, its owner has two already, the database's folder does
/// not exist, or the database fails.
pub async fn create(database: &str, new: NewKey) -> Result<Made, Error> {
    let (token, stored) = wanted(new)?.make(AUTHOR).map_err(Error::Key)?;
    let new_database = to_be_made(database)?;
    let database = Database::open(database).await?;
    let made = database.store.create_key(&stored).await;
    match database.close(made).await? {
        KeyChange::TooMany => Err(Error::Key(stored.record.too_many())),
        _ => Ok(Made { key_id: token.id().to_string(), key: Secret(token.reveal()), new_database }),
    }
}

/// All keys ever made, by their age.
///
/// # Errors
///
/// When the database does not exist or fails.
pub async fn list(database: &str) -> Result<Vec<KeyInfo>, Error> {
    let database = Database::open_existing(database).await?;
    let loaded = database.store.load_keys().await;
    let (_, stored) = database.close(loaded).await?;
    let now = Moment::now();
    Ok(stored.into_iter().map(|stored| info(&stored.record, now)).collect())
}

/// Revokes a key; routers that run refuse it within a second.
///
/// # Errors
///
/// When there is no such key, or the database does not exist or fails.
pub async fn revoke(database: &str, key_id: &str) -> Result<(), Error> {
    let id: KeyId = key_id.parse().map_err(Error::Key)?;
    let database = Database::open_existing(database).await?;
    let revoked = database.store.revoke_key(&id, AUTHOR).await;
    match database.close(revoked).await? {
        KeyChange::Unknown => {
            Err(Error::Key(format!("there is no key `{id}`; `gatehouse key list` shows them all")))
        }
        _ => Ok(()),
    }
}

fn wanted(new: NewKey) -> Result<Wanted, Error> {
    let scopes = new.scopes.iter().map(|scope| scope.parse());
    let limit = new.rate_limit_per_minute.map(PerMinute::try_from).transpose();
    let end = |expires| {
        let end = Moment::now().after(expires);
        end.ok_or_else(|| Error::Key("the key would expire after all time".to_owned()))
    };
    Ok(Wanted {
        owner: new.owner.try_into().map_err(|fault: &str| Error::Key(fault.to_owned()))?,
        scopes: scopes.collect::<Result<_, _>>().map_err(Error::Key)?,
        expires_at: new.expires.map(end).transpose()?,
        rate_limit_per_minute: limit
            .map_err(|fault| Error::Key(format!("the rate limit {fault}")))?,
    })
}

fn info(record: &KeyRecord, now: Moment) -> KeyInfo {
    let text = |moment: Option<Moment>| moment.map(|moment| moment.to_string());
    KeyInfo {
        key_id: record.key_id.to_string(),
        owner: record.owner.to_string(),
        scopes: record.scopes.iter().map(ToString::to_string).collect(),
        is_active: record.is_active(now),
        revoked_at: text(record.revoked_at),
        expires_at: text(record.expires_at),
        last_used_at: text(record.last_used_at),
        rate_limit_per_minute: record.rate_limit_per_minute.map(i64::from),
    }
}

/// The file that this URL names, if it is not there yet. One whose folder is missing too was
/// mistyped rather than meant, unless nobody typed it.
fn to_be_made(url: &str) -> Result<Option<String>, Error> {
    let Location::Sqlite(path) = url.parse()? else { return Ok(None) };
    if path.exists() {
        return Ok(None);
    }
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    match folder.filter(|folder| url != DEFAULT_DATABASE && !folder.is_dir()) {
        None => Ok(Some(path.display().to_string())),
        Some(folder) => Err(Error::Key(format!(
            "there is neither a database `{}` nor its folder; give the --database of the router, \
             or make the folder `{}` first if there is to be a new database",
            path.display(),
            folder.display()
        ))),
    }
}

/// The database for one command.
struct Database {
    store: Store,
    shown: String,
}

impl Database {
    async fn open(url: &str) -> Result<Self, Error> {
        let location: Location = url.parse()?;
        Ok(Self { store: Store::open(&location).await?, shown: location.shown() })
    }

    /// A misspelt name must not make a new database.
    async fn open_existing(url: &str) -> Result<Self, Error> {
        match url.parse()? {
            Location::Sqlite(path) if !path.exists() => {
                Err(Error::Key(format!("there is no database `{}`", path.display())))
            }
            _ => Self::open(url).await,
        }
    }

    async fn close<T>(self, result: Result<T, sqlx::Error>) -> Result<T, Error> {
        self.store.close().await;
        result.map_err(|source| Error::Database { path: self.shown, source })
    }
}

impl Secret {
    /// The text.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_default_database_comes_with_its_folder() {
        assert!(to_be_made(DEFAULT_DATABASE).is_ok());
        assert!(to_be_made("sqlite://gatehouse.db").is_ok());
        let fault = to_be_made("sqlite://dta/gatehouse.db").unwrap_err().to_string();
        assert_eq!(
            fault,
            "there is neither a database `dta/gatehouse.db` nor its folder; give the --database of \
             the router, or make the folder `dta` first if there is to be a new database"
        );
    }
}
