//! SageMaker Serverless endpoints on one machine: both APIs on one address, real container
//! processes behind every endpoint, started by the first call and stopped when idle.

mod config;
mod error;
mod server;
mod app;
mod control;
mod invoke;
mod model_error;
mod host_header;
mod api_error;
mod body;
mod registry;
mod record;
mod resource_name;
mod region;
mod artifact;
mod model_folder;
mod archive;
mod home;
mod deployment;
mod fleet;
mod slot;
mod container;
mod process_group;
mod leftover;
mod connections;
mod output;
mod reason;
#[cfg(test)]
mod fixture;

pub use config::{Config, ContainerCommand};
pub use error::Error;
pub use server::Server;
