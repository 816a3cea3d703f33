//! What can be wrong with a package, a model or a request.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

/// A failure of the model container, by what its caller can do about it.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file of the package is missing or can't be read.
    #[error("`{path}` can't be read: {source}")]
    Read {
        /// The file or folder.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The package is not of the documented form.
    #[error("package `{package}`: {reason}")]
    Package {
        /// The package's folder.
        package: PathBuf,
        /// What is wrong and what would be right.
        reason: String,
    },
    /// The artifact is damaged, hostile, or uses something that would be scored wrongly.
    #[error("artifact `{artifact}`: {reason}")]
    Artifact {
        /// The artifact's file.
        artifact: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// A canary did not get the label that the package promises.
    #[error("canary {number} of model `{model}`: {reason}")]
    Canary {
        /// The model's name.
        model: String,
        /// Which canary, counted from 1.
        number: usize,
        /// What it got instead.
        reason: String,
    },
    /// The request is well-formed but has nothing that this model could score.
    #[error("{0}")]
    Unscorable(String),
    /// As many requests as fit are waiting already, or none could begin in time.
    #[error("the container is full: {0}")]
    Overloaded(String),
    /// What runs the model is down for longer than a request should wait.
    #[error("the model is down: {0}")]
    Down(String),
    /// The model itself failed on this input.
    #[error("model `{model}` failed: {reason}")]
    Model {
        /// The model's name.
        model: String,
        /// How it failed.
        reason: String,
    },
    /// The address to listen on is taken or not ours.
    #[error("can't listen on `{address}`: {source}; choose another with --listen")]
    Bind {
        /// The address asked for.
        address: SocketAddr,
        /// Why not.
        source: io::Error,
    },
}

impl Error {
    /// Wraps an I/O error with the path it is about.
    pub(crate) fn read(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Read { path, source }
    }
}
