//! Why the host could not start or go on.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

use sqlx::migrate::MigrateError;

/// What stops the whole host; what a caller did wrong is answered over HTTP instead.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The address can be reached from other machines, and there is no key to sign calls with.
    #[error(
        "cannot listen on `{0}` without an access key: beyond loopback every request must be signed; give one with --access-key ID=FILE, or use --listen 127.0.0.1:PORT"
    )]
    NotLoopback(SocketAddr),
    /// What is served without a signature could be reached from other machines.
    #[error("cannot serve metrics on `{0}`: use --metrics-address 127.0.0.1:PORT")]
    MetricsNotLoopback(SocketAddr),
    /// Something else listens on the address.
    #[error("`{0}` is already in use; choose another address with --listen or --metrics-address")]
    AddressInUse(SocketAddr),
    /// The address could not be bound for another reason.
    #[error("cannot listen on `{address}`; choose another address with --listen")]
    Bind {
        /// The address asked for.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// The data folder could not be created or written.
    #[error("cannot use the data folder `{path}`; choose another with --data")]
    Data {
        /// The folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Another host already keeps its endpoints in the data folder.
    #[error("the data folder `{0}` is in use by another endpoint host; choose another with --data")]
    DataInUse(PathBuf),
    /// A model root does not exist or cannot be read.
    #[error("cannot read the model root `{path}`; correct --model-root")]
    ModelRoot {
        /// The folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// An image is mapped to something that cannot be run.
    #[error("cannot run the image `{image}`: {fault}; correct --image")]
    Image {
        /// The image's name.
        image: String,
        /// What is wrong.
        fault: String,
    },
    /// The database in the data folder can't be opened or read.
    #[error(
        "cannot use the database `endpoint-host/host.db` in the data folder; restore it, or choose another folder with --data"
    )]
    Store(#[source] sqlx::Error),
    /// The database in the data folder was written by a later Gatehouse.
    #[error(
        "the database `endpoint-host/host.db` in the data folder was written by a newer Gatehouse; use that one, or choose another folder with --data"
    )]
    NewerStore,
    /// Accepting connections failed.
    #[error("the endpoint host stopped accepting connections")]
    Serve(#[source] io::Error),
}

impl Error {
    /// What keeps the database from being used.
    pub(crate) fn store(source: sqlx::Error) -> Self {
        match source {
            sqlx::Error::Migrate(error) if matches!(*error, MigrateError::VersionMissing(_)) => {
                Self::NewerStore
            }
            source => Self::Store(source),
        }
    }
}
