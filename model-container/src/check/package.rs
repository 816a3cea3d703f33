//! Loads a package, runs its canaries and says what was found.

use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;
use std::time::Instant;

use crate::{Package, cli};

/// Writes what a package holds to standard output.
pub(crate) async fn check(model_dir: &Path) -> anyhow::Result<ExitCode> {
    let started = Instant::now();
    let package = Package::open(model_dir)?;
    let scorer = cli::load(package.clone()).await?;
    let loaded_ms = started.elapsed().as_secs_f64() * 1000.0;
    let identity = &scorer.identity;
    let mut out = io::stdout().lock();
    writeln!(out, "model     {} {}", identity.name, identity.version)?;
    writeln!(out, "digest    {}", identity.digest)?;
    writeln!(out, "runtime   {}", scorer.runtime)?;
    writeln!(out, "inputs    {}", scorer.input.names().collect::<Vec<_>>().join(", "))?;
    writeln!(out, "labels    {}", scorer.labels().join(", "))?;
    writeln!(out, "size      {} bytes", package.size_bytes)?;
    writeln!(out, "canaries  {} passed", package.manifest.canaries.len())?;
    writeln!(out, "loaded    in {loaded_ms:.1} ms")?;
    scorer.stop().await;
    Ok(ExitCode::SUCCESS)
}
