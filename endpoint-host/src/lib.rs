//! SageMaker Serverless endpoints on one machine: both APIs on one address, real container
//! processes behind every endpoint, started by the first call and stopped when idle.

mod config;
mod image;
mod error;
mod server;
mod app;
mod control;
mod invoke;
mod model_error;
mod access;
mod access_key;
mod signature;
mod host_header;
mod api_error;
mod body;
mod registry;
mod store;
mod record;
mod resource_name;
mod region;
mod artifact;
mod s3;
mod model_folder;
mod archive;
mod home;
mod lifecycle;
mod fleet;
mod traffic;
mod shadow;
mod meter;
mod cost;
mod capture;
mod pool;
mod machine;
mod ports;
mod memory;
mod attempt;
mod container;
mod process_group;
mod leftover;
mod connections;
mod output;
mod reason;
#[cfg(test)]
mod fixture;

pub use access_key::AccessKey;
pub use config::{Config, ContainerCommand};
pub use error::Error;
pub use image::Image;
pub use server::Server;
