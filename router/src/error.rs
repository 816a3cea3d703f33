//! Why the router could not start, or stopped.

use std::io;
use std::net::SocketAddr;

/// A reason for which the router does not run; what goes wrong in a request is a problem answer.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The address is open to other machines, and no key was ever made.
    #[error(
        "will not listen on `{0}` without keys: whoever reaches it could read and change \
         everything; make one with `gatehouse key create --database URL --owner NAME --scope admin` \
         first, or listen on 127.0.0.1 or [::1]"
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
    #[error(
        "cannot use the database `{url}`: {reason}; use sqlite://PATH or \
         postgres://USER:PASSWORD@HOST:PORT/NAME with --database"
    )]
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

    /// The PostgreSQL server is not there, or does not let the router in.
    #[error(
        "cannot open the database `{database}` ({source}); check that the server runs, that the \
         database exists and that its user may make tables, or choose another with --database"
    )]
    DatabaseServer {
        /// The server and the database's name.
        database: String,
        /// What it said.
        source: sqlx::Error,
    },

    /// The file is a database, but somebody else's.
    #[error("will not touch the database `{path}`: {reason}; choose another with --database")]
    ForeignDatabase {
        /// The file, or the server and the database's name.
        path: String,
        /// What shows it.
        reason: String,
    },

    /// The folder for decisions that the database does not take is of no use.
    #[error("cannot use the folder `{path}` ({source}); choose another with --spool")]
    Spool {
        /// The folder.
        path: String,
        /// What the system said.
        source: io::Error,
    },

    /// The database holds options that do not compile.
    #[error("cannot use the options in the database `{path}`: {detail}; restore a backup of it")]
    Options {
        /// The file, or the server and the database's name.
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

    /// A key can't be made, found or revoked.
    #[error("{0}")]
    Key(String),

    /// The listener failed while serving.
    #[error("stopped serving ({0}); start the router again")]
    Serve(#[source] io::Error),
}

/// An error and what caused it, in one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |&cause| cause.source());
    causes.fold(error.to_string(), |line, cause| format!("{line}: {cause}"))
}
