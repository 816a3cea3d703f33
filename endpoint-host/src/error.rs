//! Why the host could not start or go on.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

/// What stops the whole host; what a caller did wrong is answered over HTTP instead.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The address can be reached from other machines, and calls are not authenticated yet.
    #[error(
        "cannot listen on `{0}`: beyond loopback the host must check SigV4 signatures, which it cannot do yet; use --listen 127.0.0.1:PORT"
    )]
    NotLoopback(SocketAddr),
    /// Something else listens on the address.
    #[error("`{0}` is already in use; choose another address with --listen")]
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
    /// Accepting connections failed.
    #[error("the endpoint host stopped accepting connections")]
    Serve(#[source] io::Error),
}
