//! Why the router could not start, or stopped.

use std::io;
use std::net::SocketAddr;

/// A reason for which the router does not run; what goes wrong in a request is a problem answer.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The address is open to other machines.
    #[error(
        "will not listen on `{0}`: callers are not asked for keys yet, so only loopback is safe; \
         use 127.0.0.1 or [::1]"
    )]
    NotLoopback(SocketAddr),

    /// The address is taken or not this machine's.
    #[error("cannot listen on `{address}` ({source}); choose another address with --listen")]
    Listen {
        /// The address asked for.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },

    /// The database's URL is of a kind that the router does not speak.
    #[error("cannot use the database `{url}`: {reason}; use sqlite://PATH with --database")]
    DatabaseUrl {
        /// The URL without its password.
        url: String,
        /// What is wrong with it.
        reason: &'static str,
    },

    /// The database does not open, or is not a router's.
    #[error(
        "cannot open the database `{path}` ({source}); check that the file is a Gatehouse database \
         and its folder writable, or choose another with --database"
    )]
    Database {
        /// The file.
        path: String,
        /// What the database said.
        source: sqlx::Error,
    },

    /// The file is a database, but somebody else's.
    #[error("will not touch the database `{path}`: {reason}; choose another file with --database")]
    ForeignDatabase {
        /// The file.
        path: String,
        /// What shows it.
        reason: String,
    },

    /// The database holds options that do not compile.
    #[error("cannot use the options in the database `{path}`: {detail}; restore a backup of it")]
    Options {
        /// The file.
        path: String,
        /// The first fault.
        detail: String,
    },

    /// Models would be called on AWS, but nobody says in which region.
    #[error(
        "no AWS region is configured; set AWS_REGION, or send the model calls to another runtime \
         with --sagemaker-endpoint-url"
    )]
    NoRegion,

    /// The listener failed while serving.
    #[error("stopped serving ({0}); start the router again")]
    Serve(#[source] io::Error),
}
