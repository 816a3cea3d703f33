//! Where the database is, read from its URL; a password in it is never shown.

use std::path::PathBuf;
use std::str::FromStr;

use sqlx::any::AnyConnectOptions;
use sqlx::postgres::PgConnectOptions;

use crate::error::Error;

/// The parameters that a PostgreSQL URL may have.
const PARAMETERS: [&str; 11] = [
    "sslmode",
    "sslrootcert",
    "sslcert",
    "sslkey",
    "host",
    "port",
    "user",
    "password",
    "dbname",
    "application_name",
    "options",
];

/// A database that the router can use.
#[derive(Clone)]
pub(crate) enum Location {
    /// A file.
    Sqlite(PathBuf),
    /// A database of a PostgreSQL server.
    Postgres(Box<ServerOptions>),
}

/// How to connect to a database of a PostgreSQL server, as each kind of connection wants it told.
#[derive(Clone)]
pub(crate) struct ServerOptions {
    pub(super) own: PgConnectOptions,
    /// Read from the URL itself; one that is made of `own` lacks some of its parameters.
    pub(super) any: AnyConnectOptions,
}

impl Location {
    /// What to call it in front of people.
    pub(crate) fn shown(&self) -> String {
        match self {
            Self::Sqlite(path) => path.display().to_string(),
            Self::Postgres(server) => show(&server.own),
        }
    }
}

/// The server and its database, without user and password.
pub(super) fn show(server: &PgConnectOptions) -> String {
    let database = server.get_database().unwrap_or_else(|| server.get_username());
    match server.get_socket() {
        Some(socket) => format!("postgres:{}/{database}", socket.display()),
        None => format!("postgres://{}:{}/{database}", server.get_host(), server.get_port()),
    }
}

impl FromStr for Location {
    type Err = Error;

    fn from_str(url: &str) -> Result<Self, Error> {
        match url.split_once("://") {
            Some(("sqlite", rest)) => sqlite(url, rest),
            Some(("postgres" | "postgresql", rest)) => postgres(url, rest),
            // What is no URL may hold a password anywhere.
            other => {
                let scheme = other.map(|(scheme, _)| scheme);
                let scheme = scheme.filter(|it| it.bytes().all(|b| b.is_ascii_alphanumeric()));
                let shown = scheme.map_or("…".to_owned(), |scheme| format!("{scheme}://…"));
                Err(refusal(&shown, "neither a sqlite:// nor a postgres:// URL"))
            }
        }
    }
}

fn refusal(shown: &str, reason: &'static str) -> Error {
    Error::DatabaseUrl { url: shown.to_owned(), reason }
}

fn sqlite(url: &str, rest: &str) -> Result<Location, Error> {
    match rest.split_once('?').unwrap_or((rest, "")) {
        (_, query) if !query.is_empty() => Err(refusal(url, "parameters are not supported")),
        ("" | ":memory:", _) => Err(refusal(url, "it names no file")),
        (path, _) => Ok(Location::Sqlite(path.into())),
    }
}

/// The rest of such a URL may hold a password, even where it should not.
fn postgres(url: &str, rest: &str) -> Result<Location, Error> {
    let refuse = |reason| Err(refusal("postgres://…", reason));
    let (place, query) = rest.split_once('?').unwrap_or((rest, ""));
    let misplaced = |text: &str| text.contains('@') || text.contains('#');
    if rest.contains('#') || place.rsplit_once('/').is_some_and(|(_, name)| misplaced(name)) {
        return refuse("special characters in a user or password must be percent-encoded");
    }
    let name = |parameter: &str| parameter.split('=').next().unwrap_or_default().to_owned();
    if !query.is_empty() && !query.split('&').all(|each| PARAMETERS.contains(&&*name(each))) {
        return refuse(
            "it has an unknown parameter; known are sslmode, sslrootcert, sslcert, sslkey, host, \
             port, user, password, dbname, application_name and options",
        );
    }
    match (url.parse(), url.parse()) {
        (Ok(own), Ok(any)) => Ok(Location::Postgres(Box::new(ServerOptions { own, any }))),
        _ => refuse("it cannot be read; write postgres://USER:PASSWORD@HOST:PORT/NAME"),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn fault(url: &str) -> String {
        url.parse::<Location>().map(|_| ()).unwrap_err().to_string()
    }

    #[test]
    fn a_sqlite_url_names_a_file() {
        for (url, path) in
            [("sqlite://data/a.db", "data/a.db"), ("sqlite:///tmp/a.db", "/tmp/a.db")]
        {
            let location: Location = url.parse().unwrap();
            assert!(matches!(location, Location::Sqlite(file) if file == Path::new(path)), "{url}");
        }
    }

    #[test]
    fn a_postgres_url_is_shown_without_user_and_password() {
        for (url, shown) in [
            (
                "postgres://me:secret@db.example:5433/gatehouse",
                "postgres://db.example:5433/gatehouse",
            ),
            ("postgresql://me:secret@db/g?sslmode=require", "postgres://db:5432/g"),
            (
                "postgres://me@h/g?host=/run/postgresql&password=secret",
                "postgres:/run/postgresql/g",
            ),
        ] {
            assert_eq!(url.parse::<Location>().unwrap().shown(), shown);
        }
    }

    #[test]
    fn other_urls_are_refused_without_their_password() {
        for url in [
            "postgres://me:secret/se@cret@host/db",
            "postgres://me:12#secret@host/db",
            "postgres://me:12?secret@host/db",
            "postgres://me:secret@host/db?passwrod=secret",
            "postgres://me:secret@host:port/db",
            "postgres://me:secret@host/db?sslmode=secret",
        ] {
            let fault = fault(url);
            assert!(fault.contains("postgres://…") && !fault.contains("secret"), "{url}: {fault}");
        }
        for url in ["me:secret@db/g", "host=db password=secret", "me:secret@db://g"] {
            assert!(!fault(url).contains("secret"), "{}", fault(url));
        }
        for url in
            ["mysql://x", "data/a.db", "sqlite://", "sqlite://:memory:", "sqlite://a?mode=ro"]
        {
            assert!(fault(url).contains("--database"), "{url}");
        }
    }
}
