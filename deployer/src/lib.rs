//! From an artifact to a live endpoint and a route: check, upload, create, prove, register.
//!
//! [`Deployment::run`] takes a package through all steps and stops at the first that fails, so
//! what was live before goes on serving; the endpoint host and SageMaker are the same code.

pub mod cli;
mod deployment;
mod source;
mod archive;
mod scratch;
mod release;
pub mod target;
mod site;
mod store;
pub mod s3;
mod sagemaker;
mod refusal;
mod tag;
mod rollout;
mod canary;
mod trial;
mod router;
mod route;
mod prune;
mod promotion;
mod status;
pub mod watch;
mod event;
pub mod http;
mod error;

pub use deployment::{Deployed, Deployment, Limits};
pub use error::Error;
pub use event::Event;
pub use source::Source;
pub use target::Target;
