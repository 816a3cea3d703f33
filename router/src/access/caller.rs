//! Who makes a request.

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;

use super::key::Key;
use super::limit::Limit;
use super::owner::ANONYMOUS;
use super::permission::Permission;
use crate::policy::name::Name;
use crate::problem::{Kind, Problem};

/// Whoever has been let in. Handlers that take one can't be reached without.
#[derive(Clone, Debug)]
pub(crate) enum Caller {
    /// Somebody on this machine, as long as no key was ever made.
    Anonymous,
    /// The holder of a key.
    Key(Arc<Key>),
}

impl Caller {
    /// As which he signs his changes.
    pub(crate) fn name(&self) -> &str {
        match self {
            Self::Anonymous => ANONYMOUS,
            Self::Key(key) => key.owner(),
        }
    }

    /// Whether he may do this.
    pub(crate) fn may(&self, permission: Permission<'_>) -> bool {
        match self {
            Self::Anonymous => true,
            Self::Key(key) => key.may(permission),
        }
    }

    /// Refuses what he may not do.
    pub(crate) fn demand(&self, permission: Permission<'_>) -> Result<(), Problem> {
        if self.may(permission) {
            return Ok(());
        }
        let detail = format!(
            "the key of `{}` does not allow this; it takes one with the scope {}",
            self.name(),
            permission.needs()
        );
        Err(Problem::new(Kind::Forbidden, detail))
    }

    /// The clients whose decisions he may see; nothing where he may see those of all.
    pub(crate) fn reads(&self) -> Option<BTreeSet<&Name>> {
        match self {
            Self::Anonymous => None,
            Self::Key(key) => key.reads(),
        }
    }

    /// How often he may do anything; nothing where no limit was set.
    pub(crate) fn limit(&self) -> Option<&Limit> {
        match self {
            Self::Anonymous => None,
            Self::Key(key) => key.limit(),
        }
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let caller = parts.extensions.get::<Self>().cloned();
        caller.ok_or_else(|| Problem::new(Kind::Unauthorized, "this route demands a key"))
    }
}
