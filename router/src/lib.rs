//! The router: reads each client's options, asks the models, answers with a verdict.
//!
//! [`Server`] owns the listener and the database. A request's way through the modules, in order:
//! `api` reads it, `access` knows who makes it, `policy` holds the compiled plan of its client,
//! `fanout` calls the models, `moderation` decides, `store` keeps the decision. [`keys`] makes the
//! keys that callers need.

mod config;
mod error;
mod loopback;
mod server;
mod app;
mod follow;
mod api;
mod access;
mod policy;
mod fanout;
mod outbound;
mod moderation;
mod what_if;
mod shadow;
mod store;
mod metrics;
mod telemetry;
mod problem;
pub mod keys;

pub use config::{Config, DEFAULT_DATABASE};
pub use error::Error;
pub use server::Server;
