//! One moderation model behind `/ping` and `/invocations`, as SageMaker wants it.
//!
//! A [`Package`] is a folder with an artifact and its `model.toml`; [`Scorer::load`] opens it,
//! runs its canaries and answers with [`Prediction`]s; [`server`] puts a scorer behind HTTP and
//! [`offline`] behind standard input and output.

pub mod cli;
pub mod check;
pub mod server;
pub mod invocation;
pub mod v2;
pub mod offline;
pub mod scorer;
mod pool;
pub mod limits;
pub mod metrics;
mod exposition;
mod process;
mod telemetry;
pub mod package;
pub mod document;
pub mod prediction;
pub mod model;
pub mod lexicon;
pub mod weka;
pub mod onnx;
pub mod worker;
mod error;
pub mod problem;

pub use error::Error;
pub use limits::Limits;
pub use metrics::Metrics;
pub use package::Package;
pub use prediction::Prediction;
pub use scorer::Scorer;
