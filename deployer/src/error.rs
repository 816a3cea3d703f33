//! Why a deployment stopped.

use std::io;
use std::path::PathBuf;

/// A failed deployment, by what its user can do about it.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The package itself is not fit to be served.
    #[error(transparent)]
    Package(#[from] model_container::Error),
    /// The name can't be the name of an endpoint.
    #[error(
        "`{name}` can't name an endpoint: use up to 40 letters and digits, with single `-` between"
    )]
    Name {
        /// The name asked for.
        name: String,
    },
    /// The package can't be copied to where the endpoint host reads it.
    #[error("can't copy the package to `{path}`: {source}")]
    Upload {
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
    #[error("{action} was refused with status {status}: {reason}")]
    Refused {
        /// What was to be done.
        action: String,
        /// The HTTP status.
        status: u16,
        /// The server's own words.
        reason: String,
    },
    /// The endpoint came up as something else than the package promises.
    #[error("endpoint `{endpoint}`: {reason}")]
    Endpoint {
        /// The endpoint's name.
        endpoint: String,
        /// What is wrong with it.
        reason: String,
    },
}
