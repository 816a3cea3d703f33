//! `gatehouse key`: makes, shows and revokes the keys of a router, in its database.

use std::io::{self, Write};
use std::time::Duration;

use clap::{Args, Subcommand};
use humantime::parse_duration;
use router::keys::{self, KeyInfo, NewKey};

/// What to do with keys.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Makes a key, and prints it, once, on standard output
    ///
    /// The first key may come before the first router: a database that does not exist yet is made,
    /// but only in a folder that does (the default one is made too).
    Create(Create),
    /// Shows all keys ever made, without their secrets
    List(Database),
    /// Revokes a key for good; routers that run refuse it within a second
    Revoke(Revoke),
}

/// Where the keys are.
#[derive(Debug, Args)]
pub(crate) struct Database {
    /// The router's database
    #[arg(
        long,
        env = "DATABASE_URL",
        // It may hold a password.
        hide_env_values = true,
        default_value = router::DEFAULT_DATABASE,
        value_name = "URL"
    )]
    database: String,
}

/// The key to make.
#[derive(Debug, Args)]
pub(crate) struct Create {
    #[command(flatten)]
    database: Database,
    /// Who will hold it, as shown under the changes made with it; two active keys at most
    #[arg(long, value_name = "NAME")]
    owner: String,
    /// What it may do: ingest:CLIENT, read:CLIENT, options:SCOPE, models, review:CLIENT or admin,
    /// where CLIENT and SCOPE may be *; may be given many times
    #[arg(long = "scope", value_name = "SCOPE", required = true, num_args = 1..)]
    scopes: Vec<String>,
    /// How long it is good for, such as 90d; for ever if nothing is said
    #[arg(long, value_name = "TIME", value_parser = parse_duration)]
    expires: Option<Duration>,
    /// How many contents a minute it may be used for; as many as come if nothing is said
    #[arg(long, value_name = "N")]
    rate_limit: Option<i64>,
}

/// The key to revoke.
#[derive(Debug, Args)]
pub(crate) struct Revoke {
    #[command(flatten)]
    database: Database,
    /// The key's id, as `gatehouse key list` shows it
    #[arg(value_name = "KEY_ID")]
    key_id: String,
}

/// Carries out the command.
pub(crate) async fn run(command: Command) -> anyhow::Result<()> {
    match command {
        Command::Create(create) => self::create(create).await,
        Command::List(Database { database }) => {
            let keys = keys::list(&database).await?;
            Ok(io::stdout().write_all(table(&keys).as_bytes())?)
        }
        Command::Revoke(Revoke { database: Database { database }, key_id }) => {
            keys::revoke(&database, &key_id).await?;
            Ok(writeln!(io::stderr(), "revoked `{key_id}`")?)
        }
    }
}

/// The key alone goes to standard output, so that it can be piped to where it is kept.
async fn create(create: Create) -> anyhow::Result<()> {
    let Create { database: Database { database }, owner, scopes, expires, rate_limit } = create;
    let new = NewKey { owner, scopes, expires, rate_limit_per_minute: rate_limit };
    let made = keys::create(&database, new.clone()).await?;
    writeln!(io::stdout(), "{}", made.key.reveal())?;
    if let Some(path) = &made.new_database {
        writeln!(io::stderr(), "made the database `{path}`, as there was none")?;
    }
    let (owner, scopes) = (new.owner, new.scopes.join(" "));
    writeln!(
        io::stderr(),
        "made the key `{}` of `{owner}` with {scopes}; this is the only time that it is shown, and \
         from the first key on every router of this database asks for one; commands take it from \
         the environment variable GATEHOUSE_KEY",
        made.key_id
    )?;
    Ok(())
}

/// One line a key, in columns.
fn table(keys: &[KeyInfo]) -> String {
    let header = ["KEY_ID", "STATE", "OWNER", "LAST USED", "A MINUTE", "SCOPES"];
    let mut rows = vec![header.map(str::to_owned)];
    rows.extend(keys.iter().map(row));
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max();
    let widths: Vec<_> = (0..header.len()).map(|column| width(column).unwrap_or(0)).collect();
    let line = |row: &[String; 6]| {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}"));
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned() + "\n"
    };
    rows.iter().map(line).collect()
}

fn row(key: &KeyInfo) -> [String; 6] {
    let state = match (&key.revoked_at, &key.expires_at) {
        (Some(at), _) => format!("revoked {at}"),
        (None, Some(at)) if key.is_active => format!("until {at}"),
        (None, Some(at)) => format!("expired {at}"),
        (None, None) => "active".to_owned(),
    };
    let or_dash = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
    [
        key.key_id.clone(),
        state,
        key.owner.clone(),
        or_dash(key.last_used_at.clone()),
        or_dash(key.rate_limit_per_minute.map(|limit| limit.to_string())),
        key.scopes.join(" "),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_shown_in_columns() {
        let key = KeyInfo {
            key_id: "0123456789ab".to_owned(),
            owner: "Zoë".to_owned(),
            scopes: vec!["admin".to_owned(), "models".to_owned()],
            is_active: true,
            revoked_at: None,
            expires_at: None,
            last_used_at: None,
            rate_limit_per_minute: Some(60),
        };
        let expired = KeyInfo {
            is_active: false,
            expires_at: Some("2026-01-01T00:00:00Z".to_owned()),
            ..key.clone()
        };
        let expected = "\
KEY_ID        STATE                         OWNER  LAST USED  A MINUTE  SCOPES
0123456789ab  active                        Zoë    -          60        admin models
0123456789ab  expired 2026-01-01T00:00:00Z  Zoë    -          60        admin models
";
        assert_eq!(table(&[key, expired]), expected);
    }
}
