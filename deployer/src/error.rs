//! Why a deployment stopped.

use std::io;
use std::path::PathBuf;

/// A failed deployment, by what its user can do about it.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Flags are missing; nothing was begun.
    #[error("missing: {}", .0.join("; "))]
    Missing(Vec<&'static str>),
    /// A flag has a value that can't be.
    #[error("{flag}: {reason}")]
    Flag {
        /// The flag.
        flag: &'static str,
        /// What it may be.
        reason: String,
    },
    /// The package itself is not fit to be served.
    #[error(transparent)]
    Package(#[from] model_container::Error),
    /// S3 did not do what a deployment needs.
    #[error(transparent)]
    S3(#[from] crate::s3::Error),
    /// The place to watch can't be watched.
    #[error("{reason}")]
    Source {
        /// The place, and what is wrong with it.
        reason: String,
    },
    /// A watcher's memory can't be used.
    #[error("the watcher's memory in `{path}`: {reason}")]
    State {
        /// The memory's folder.
        path: PathBuf,
        /// What is wrong with it, and what to do.
        reason: String,
    },
    /// The package is a program, which nobody allowed.
    #[error("package `{name}` is a worker, which is code: it needs --allow-workers")]
    Worker {
        /// The model's name.
        name: String,
    },
    /// What was given is no package.
    #[error("`{path}` can't be deployed: {reason}")]
    Unfit {
        /// The file or folder.
        path: PathBuf,
        /// What is wrong, or what would be right.
        reason: String,
    },
    /// The name can't be the name of an endpoint.
    #[error(
        "`{name}` can't name an endpoint: use up to 40 letters and digits, with single `-` between"
    )]
    Name {
        /// The name asked for.
        name: String,
    },
    /// This machine can't run the package.
    #[error("this machine can't run the package: {reason}")]
    Machine {
        /// What it lacks, and how to get it.
        reason: String,
    },
    /// A file or folder can't be read or written.
    #[error("`{path}` can't be read or written: {source}")]
    Files {
        /// The file or folder that failed.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A server could not be reached.
    #[error("can't reach `{url}`: {reason}")]
    Unreachable {
        /// What was asked for.
        url: String,
        /// Why there was no answer.
        reason: String,
    },
    /// A server answered that it won't.
    #[error("{action} was refused ({code}): {reason}")]
    Refused {
        /// What was to be done.
        action: String,
        /// The HTTP status, or AWS's name for the error.
        code: String,
        /// The server's own words.
        reason: String,
    },
    /// A server failed at what it was asked, or had too much to do.
    #[error("{action} failed ({code}): {reason}")]
    Failed {
        /// What was to be done.
        action: String,
        /// AWS's name for the error.
        code: String,
        /// The server's own words.
        reason: String,
    },
    /// The endpoint is not, or did not become, what it should be.
    #[error("endpoint `{endpoint}`: {reason}")]
    Endpoint {
        /// The endpoint's name.
        endpoint: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The endpoint answers, and not as the package promises.
    #[error("endpoint `{endpoint}`: {reason}")]
    Canary {
        /// The endpoint's name.
        endpoint: String,
        /// The canary, and what came instead.
        reason: String,
    },
    /// Another deployment came between; what it made of the endpoint stays.
    #[error("endpoint `{endpoint}`: another deployment took it to `{config}` meanwhile")]
    Overtaken {
        /// The endpoint's name.
        endpoint: String,
        /// The config that it serves now.
        config: String,
    },
    /// The endpoint had changed already, and was taken back.
    #[error("{cause}; {outcome}")]
    Undone {
        /// What made it necessary.
        cause: Box<Error>,
        /// How it went.
        outcome: String,
    },
    /// The router's registration of a model is not what the command needs.
    #[error("model `{model}` in the router: {reason}")]
    Route {
        /// The model's name.
        model: String,
        /// What is wrong, or what to do first.
        reason: String,
    },
}

impl Error {
    /// Whether the package is at fault, so that trying again is no use.
    ///
    /// What a package does on this machine and not on the endpoint's may be anyone's fault, except
    /// for a wrong answer.
    pub(crate) fn is_of_the_package(&self) -> bool {
        match self {
            Self::Package(_)
            | Self::Unfit { .. }
            | Self::Name { .. }
            | Self::Canary { .. }
            | Self::Worker { .. } => true,
            Self::Flag { flag, .. } => !flag.starts_with("--"),
            Self::Undone { cause, .. } => cause.is_of_the_package(),
            _ => false,
        }
    }

    /// Whether the same call may go through a little later.
    pub(crate) fn may_pass(&self) -> bool {
        matches!(self, Self::Unreachable { .. } | Self::Failed { .. })
    }

    /// An error about an endpoint.
    pub(crate) fn endpoint(endpoint: &str, reason: impl Into<String>) -> Self {
        Self::Endpoint { endpoint: endpoint.to_owned(), reason: reason.into() }
    }

    /// An error about an endpoint that another deployment has taken.
    pub(crate) fn overtaken(endpoint: &str, config: &str) -> Self {
        Self::Overtaken { endpoint: endpoint.to_owned(), config: config.to_owned() }
    }
}
