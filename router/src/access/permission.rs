//! What a request needs, and which scopes of a key give it.

use crate::access::grant::{Grant, Reach};
use crate::policy::name::Name;
use crate::policy::scope_path::ScopePath;
use crate::policy::subject::Subject;

/// What a caller must be allowed for one thing that he asks for.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Permission<'a> {
    /// Have a client's contents moderated.
    Ingest(&'a Name),
    /// See a client's decisions and effective options.
    Read(&'a Name),
    /// See the decisions of some client at least.
    ReadSome,
    /// See the options on a scope; those that all clients share are no secret.
    ReadScope(&'a ScopePath),
    /// Change a model or a scope.
    Change(&'a Subject),
    /// Change some model or scope at least.
    ChangeSome,
    /// See how a model or a scope has changed.
    History(&'a Subject),
    /// See how something has changed.
    HistorySome,
    /// See what the router counts.
    Metrics,
    /// See how the models' endpoints stand.
    Endpoints,
    /// Make and revoke keys, and see who changed what.
    Admin,
}

impl Permission<'_> {
    /// Whether this scope of a key is enough.
    pub(crate) fn is_given_by(self, grant: &Grant) -> bool {
        match (self, grant) {
            (Self::Ingest(client), Grant::Ingest(reach))
            | (Self::Read(client), Grant::Read(reach)) => reach.covers(client),
            (Self::ReadSome, grant) => matches!(grant, Grant::Read(_)),
            (Self::ReadScope(path), grant) => reads(path, grant),
            (Self::Change(Subject::Model(_)), grant) => *grant == Grant::Models,
            (Self::Change(Subject::Scope(path)), Grant::Options(reach)) => reach.covers(path),
            (Self::ChangeSome, grant) => matches!(grant, Grant::Models | Grant::Options(_)),
            (Self::History(_), Grant::Admin | Grant::Options(Reach::All)) => true,
            (Self::History(subject), grant) => Self::Change(subject).is_given_by(grant),
            (Self::HistorySome, grant) => {
                *grant == Grant::Admin || Self::ChangeSome.is_given_by(grant)
            }
            (Self::Metrics, grant) => matches!(grant, Grant::Admin | Grant::Read(Reach::All)),
            (Self::Endpoints, grant) => *grant == Grant::Models || Self::Metrics.is_given_by(grant),
            (Self::Admin, grant) => *grant == Grant::Admin,
            _ => false,
        }
    }

    /// The scopes that would be enough, for people.
    pub(crate) fn needs(self) -> String {
        match self {
            Self::Ingest(client) => format!("`ingest:{client}`"),
            Self::Read(client) => format!("`read:{client}`"),
            Self::ReadSome => "`read:CLIENT`".to_owned(),
            Self::ReadScope(ScopePath::Client(client) | ScopePath::Site(client, _)) => {
                format!("`read:{client}` or `options:client/{client}`")
            }
            Self::ReadScope(path) => format!("`options:{path}`"),
            Self::Change(Subject::Model(_)) => "`models`".to_owned(),
            Self::Change(Subject::Scope(path)) => format!("`options:{path}`"),
            Self::ChangeSome => "`options:SCOPE` or `models`".to_owned(),
            Self::History(subject) => format!("`admin` or {}", Self::Change(subject).needs()),
            Self::HistorySome => "`admin`, `options:SCOPE` or `models`".to_owned(),
            Self::Metrics => "`admin` or `read:*`".to_owned(),
            Self::Endpoints => "`admin`, `models` or `read:*`".to_owned(),
            Self::Admin => "`admin`".to_owned(),
        }
    }
}

fn reads(path: &ScopePath, grant: &Grant) -> bool {
    match (path, grant) {
        (ScopePath::Platform | ScopePath::Industry(_), _) | (_, Grant::Admin) => true,
        (path, Grant::Options(reach)) => reach.covers(path),
        (ScopePath::Client(client) | ScopePath::Site(client, _), Grant::Read(reach)) => {
            reach.covers(client)
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GRANTS: [&str; 12] = [
        "ingest:a",
        "ingest:*",
        "read:a",
        "read:*",
        "options:platform",
        "options:client/a",
        "options:client/a/site/en",
        "options:*",
        "models",
        "review:a",
        "review:*",
        "admin",
    ];

    /// Which of all scopes give the permission.
    fn givers(permission: Permission<'_>) -> Vec<&'static str> {
        let gives = |text: &&str| permission.is_given_by(&text.parse().unwrap());
        GRANTS.into_iter().filter(gives).collect()
    }

    #[test]
    fn each_permission_is_given_by_its_own_scopes_alone() {
        let (a, b): (Name, Name) = ("a".parse().unwrap(), "b".parse().unwrap());
        assert_eq!(givers(Permission::Ingest(&a)), ["ingest:a", "ingest:*"]);
        assert_eq!(givers(Permission::Ingest(&b)), ["ingest:*"]);
        assert_eq!(givers(Permission::Read(&a)), ["read:a", "read:*"]);
        assert_eq!(givers(Permission::Read(&b)), ["read:*"]);
        assert_eq!(givers(Permission::ReadSome), ["read:a", "read:*"]);
        assert_eq!(givers(Permission::Metrics), ["read:*", "admin"]);
        assert_eq!(givers(Permission::Admin), ["admin"]);
    }

    #[test]
    fn options_are_read_and_changed_by_those_they_concern() {
        let scope = |path: &str| Subject::Scope(path.parse().unwrap());
        let change = |path: &str| givers(Permission::Change(&scope(path)));
        assert_eq!(change("platform"), ["options:platform", "options:*"]);
        assert_eq!(change("client/a"), ["options:client/a", "options:*"]);
        let site = ["options:client/a", "options:client/a/site/en", "options:*"];
        assert_eq!(change("client/a/site/en"), site);
        assert_eq!(change("client/b"), ["options:*"]);
        assert_eq!(givers(Permission::Change(&"models/m".parse().unwrap())), ["models"]);

        let read = |path: &str| givers(Permission::ReadScope(&path.parse().unwrap()));
        assert_eq!(read("platform"), GRANTS);
        assert_eq!(read("industry/beer"), GRANTS);
        assert_eq!(
            read("client/a"),
            ["read:a", "read:*", "options:client/a", "options:*", "admin"]
        );
        assert_eq!(read("client/b"), ["read:*", "options:*", "admin"]);
    }

    #[test]
    fn the_past_is_seen_by_administrators_and_by_those_who_may_change_it() {
        let history = |subject: &str| givers(Permission::History(&subject.parse().unwrap()));
        assert_eq!(history("scopes/client/a"), ["options:client/a", "options:*", "admin"]);
        assert_eq!(history("scopes/client/b"), ["options:*", "admin"]);
        assert_eq!(history("models/m"), ["options:*", "models", "admin"]);
        let some = [
            "options:platform",
            "options:client/a",
            "options:client/a/site/en",
            "options:*",
            "models",
            "admin",
        ];
        assert_eq!(givers(Permission::HistorySome), some);
        // Who administers keys looks only.
        assert_eq!(givers(Permission::ChangeSome), some[..5]);
    }
}
