//! The command `gatehouse deploy`.

use std::io::{self, Write};
use std::path::PathBuf;

use clap::{Args, ValueEnum};

use crate::{Deployment, Error, Limits};

/// Puts a package behind an endpoint and a route
#[derive(Debug, Args)]
pub struct Arguments {
    /// The package's folder
    path: PathBuf,
    /// The name of the endpoint, and of the model in the router
    #[arg(long)]
    name: String,
    /// Where endpoints live
    #[arg(long, default_value = "host")]
    target: Target,
    /// The endpoint host's URL
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:8090")]
    host: String,
    /// The router's URL; without it no model is registered
    #[arg(long, value_name = "URL")]
    router: Option<String>,
    /// The folder that the endpoint host reads packages from
    #[arg(long, value_name = "DIR", default_value = "data/models")]
    upload: PathBuf,
    /// Memory of the endpoint's containers in megabytes
    #[arg(long, value_name = "MB", default_value_t = 1024)]
    memory_mb: u32,
    /// Calls that the endpoint takes at a time
    #[arg(long, value_name = "N", default_value_t = 50)]
    max_concurrency: u32,
}

/// Where endpoints live.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Target {
    /// The endpoint host.
    Host,
}

/// Deploys, and prints each step with its time.
///
/// # Errors
/// When a step fails.
pub async fn run(arguments: Arguments) -> Result<(), Error> {
    let Target::Host = arguments.target;
    let limits =
        Limits { memory_mb: arguments.memory_mb, max_concurrency: arguments.max_concurrency };
    let deployment = Deployment {
        package: arguments.path,
        name: arguments.name,
        host: arguments.host,
        router: arguments.router,
        upload: arguments.upload,
        limits,
    };
    let mut out = io::stdout();
    let deployed = deployment
        .run(|step, took| {
            // A closed standard output is no reason to stop half-way.
            let _ = writeln!(out, "{step:<30} {:>8.1} ms", took.as_secs_f64() * 1000.0);
        })
        .await?;
    let _ = writeln!(out, "{} {} is live", deployment.name, deployed.version);
    Ok(())
}
