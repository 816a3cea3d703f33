//! The commands of `model-container`, which are also those of `gatehouse model`.

use std::io::{self, BufWriter, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use clap::{Args, Subcommand};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::oneshot;

use crate::limits::Environment;
use crate::server::Server;
use crate::{Limits, Package, Scorer, check, offline};

/// Serves, scores with, or checks one model package; without a command it serves.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    serve: Serve,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serves `/ping` and `/invocations`, as SageMaker wants it
    Serve(Serve),
    /// Scores one JSON object of fields a line, from standard input to standard output
    Score(ModelDir),
    Check(check::Arguments),
}

#[derive(Debug, Args)]
struct Serve {
    #[command(flatten)]
    model: ModelDir,
    /// The address to listen on [default: 0.0.0.0 and the port SageMaker asks for, else 8080]
    #[arg(long, env = "LISTEN", value_name = "ADDR")]
    listen: Option<SocketAddr>,
    /// The port that SageMaker asks for
    #[arg(long, env = "SAGEMAKER_BIND_TO_PORT", default_value_t = 8080, hide = true)]
    bind_to_port: u16,
    /// What holds the container up: it ends at once when its standard input does
    #[arg(long, env = "LIFELINE", value_enum, hide = true)]
    lifeline: Option<Lifeline>,
    #[command(flatten)]
    bounds: Bounds,
}

/// What a container's life hangs on, beside its own.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Lifeline {
    /// Standard input, of which a host holds the other end for as long as it lives.
    Stdin,
}

#[derive(Debug, Args)]
struct Bounds {
    /// How large a request's body may be, at most 25 MiB
    #[arg(long, env = "MAX_BODY_BYTES", value_name = "BYTES", default_value_t = Limits::DEFAULT_BODY_BYTES as u64,
          value_parser = clap::value_parser!(u64).range(1..=Limits::MAX_BODY_BYTES as u64))]
    max_body_bytes: u64,
    /// When a request must have been answered
    #[arg(long, env = "DEADLINE", value_name = "DURATION", default_value = "55s", value_parser = humantime::parse_duration)]
    deadline: Duration,
    /// How many requests may wait for a model at once
    #[arg(long, env = "QUEUE", value_name = "COUNT", default_value_t = Limits::DEFAULT_QUEUE as u64,
          value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    queue: u64,
}

#[derive(Debug, Args)]
struct ModelDir {
    /// The package's folder
    #[arg(long, env = "MODEL_DIR", value_name = "DIR", default_value = "/opt/ml/model")]
    model_dir: PathBuf,
}

/// Runs a command to its end.
///
/// # Errors
/// When the model can't be loaded or a file, stream or socket fails.
pub async fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    match arguments.command.unwrap_or(Command::Serve(arguments.serve)) {
        Command::Serve(serve) => serve.run().await,
        Command::Score(model) => score(&model.model_dir).await,
        Command::Check(arguments) => arguments.run(stop_signal()?).await,
    }
}

impl Serve {
    async fn run(self) -> anyhow::Result<ExitCode> {
        let stop = stop_signal()?;
        let any = SocketAddr::from((Ipv4Addr::UNSPECIFIED, self.bind_to_port));
        let server = Server::bind(self.listen.unwrap_or(any)).await?;
        writeln!(io::stdout(), "listening on http://{}", server.address())?;
        let limits = self.bounds.limits();
        tokio::select! {
            served = server.serve(self.model.model_dir, limits, stop) => served?,
            () = cut(self.lifeline) => {
                tracing::warn!("standard input has ended: the host is gone, and so are the callers");
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// Resolves when the lifeline is cut, and never without one.
async fn cut(lifeline: Option<Lifeline>) {
    let Some(Lifeline::Stdin) = lifeline else {
        return std::future::pending().await;
    };
    let (cut, ended) = oneshot::channel::<()>();
    // A thread of its own, as the runtime would wait for one of its threads at the end.
    std::thread::spawn(move || {
        io::copy(&mut io::stdin().lock(), &mut io::sink()).ok();
        drop(cut);
    });
    ended.await.ok();
}

impl Bounds {
    fn limits(&self) -> Limits {
        Limits {
            body_bytes: usize::try_from(self.max_body_bytes).unwrap_or(Limits::MAX_BODY_BYTES),
            deadline: self.deadline,
            queue: usize::try_from(self.queue).unwrap_or(Limits::DEFAULT_QUEUE),
            environment: Environment::Whole,
        }
    }
}

/// Resolves at SIGTERM or Ctrl-C, from the moment of this call on.
///
/// # Errors
/// When the process can't watch for signals.
pub fn stop_signal() -> anyhow::Result<impl Future<Output = ()> + Send + 'static> {
    let mut terminate = signal(SignalKind::terminate()).context("can't watch for SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("can't watch for Ctrl-C")?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}

/// Loads a package outside of a server.
pub(crate) async fn load(package: Package) -> anyhow::Result<Scorer> {
    Ok(Scorer::load(package, &Limits::default(), &Arc::default()).await?)
}

async fn score(model_dir: &Path) -> anyhow::Result<ExitCode> {
    let scorer = load(Package::open(model_dir)?).await?;
    let output = BufWriter::new(io::stdout().lock());
    let failed = offline::score(&scorer, io::stdin().lock(), output).await;
    scorer.stop().await;
    let failed = failed?;
    if failed == 0 {
        return Ok(ExitCode::SUCCESS);
    }
    writeln!(io::stderr(), "{failed} lines failed; the output has an error in place of each")?;
    Ok(ExitCode::FAILURE)
}
