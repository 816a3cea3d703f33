//! What keeps a replay from reaching a verdict.

use std::io;
use std::path::{Path, PathBuf};

use crate::record::Place;

/// Why there is no verdict.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The command line asks for something that isn't there.
    #[error("{0}")]
    Usage(String),
    /// A file or folder can't be read or written.
    #[error("`{path}`: {source}")]
    File {
        /// Where.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A line of the records is not a record; none is skipped, so the replay ends.
    #[error("{place}: {reason}")]
    Record {
        /// Its file and line.
        place: Place,
        /// What is wrong with it.
        reason: String,
    },
    /// The records taken together are not what they should be.
    #[error("{0}")]
    Data(String),
    /// A part of this program panicked, so what it was at is missing.
    #[error(
        "{0} ended by a panic, so there is no verdict; please report what is said of it above: it is \
         a fault of this program"
    )]
    Panicked(&'static str),
    /// The target is down, which says nothing of its answers.
    #[error(
        "the target let nobody connect for {calls} calls in a row ({reason}); they don't count, and \
         the same command goes on from there once it is up"
    )]
    Unreachable {
        /// How many calls were made in vain.
        calls: usize,
        /// What the last one was told.
        reason: String,
    },
}

impl Error {
    /// 64 for usage, 70 for the rest.
    pub(crate) fn exit_code(&self) -> u8 {
        match self {
            Self::Usage(_) => 64,
            Self::File { .. }
            | Self::Record { .. }
            | Self::Data(_)
            | Self::Panicked(_)
            | Self::Unreachable { .. } => 70,
        }
    }

    /// Puts a path to an error of the system.
    pub(crate) fn file(path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::File { path, source }
    }
}
