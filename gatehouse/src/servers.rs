//! Starts the router and the endpoint host, says where they are, and stops them by signal.

use std::io::{self, Write};

use anyhow::Context;
use endpoint_host::ContainerCommand;
use model_container::cli::stop_signal;

/// Runs the router until it is told to stop.
pub(crate) async fn run_router(config: router::Config) -> anyhow::Result<()> {
    let stop = stop_signal()?;
    let server = router::Server::bind(config).await?;
    announce("router", server.address())?;
    Ok(server.serve(stop).await?)
}

/// Runs the endpoint host until it is told to stop.
pub(crate) async fn run_host(config: endpoint_host::Config) -> anyhow::Result<()> {
    let stop = stop_signal()?;
    let server = endpoint_host::Server::bind(config, container_command()?).await?;
    announce("endpoint host", server.address())?;
    if let Some(address) = server.metrics_address() {
        announce("endpoint host's metrics", address)?;
    }
    Ok(server.serve(stop).await?)
}

/// The line that other programs wait for.
pub(crate) fn announce(server: &str, address: std::net::SocketAddr) -> io::Result<()> {
    writeln!(io::stdout(), "{server} listening on http://{address}")
}

/// The built-in container is this very program.
pub(crate) fn container_command() -> anyhow::Result<ContainerCommand> {
    let program = std::env::current_exe().context("can't find this program's own file")?;
    // Where this machine has ONNX Runtime, if not where the container looks for it.
    let onnxruntime = std::env::var_os("ORT_DYLIB_PATH").map(|path| ("ORT_DYLIB_PATH", path));
    Ok(ContainerCommand {
        program,
        arguments: vec!["model".to_owned()],
        environment: onnxruntime.into_iter().collect(),
    })
}
