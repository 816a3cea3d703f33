//! From a package to a live endpoint and a route: check, upload, create, prove, register.
//!
//! [`Deployment::run`] takes a package folder through all steps and stops at the first that
//! fails, so a route never points at an endpoint that has not passed the package's canaries.

pub mod cli;
mod deployment;
mod release;
mod host;
mod router;
mod upload;
pub mod http;
mod error;

pub use deployment::{Deployed, Deployment, Limits};
pub use error::Error;
