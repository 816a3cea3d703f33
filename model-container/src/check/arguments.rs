//! The command line of `check`.

use std::io;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use clap::Args;
use hyper::Uri;

use super::{Example, Limits, Target, container, package};

/// Checks a package, or whether a container keeps SageMaker's contract: `ok`, `broken` or
/// `untested` for each rule; the exit code is 1 when one is broken
#[derive(Debug, Args)]
pub struct Arguments {
    /// Loads this package, runs its canaries and says what was found [env: MODEL_DIR]
    /// [default: /opt/ml/model]
    #[arg(long, value_name = "DIR", conflicts_with = "container")]
    model_dir: Option<PathBuf>,
    /// Checks the container that listens there
    #[arg(long, value_name = "URL", value_parser = address, group = "container")]
    url: Option<Target>,
    /// Starts this program with `serve` added, checks it as a container, and ends it; a container
    /// of an engine, as with `docker run`, is checked with --url
    #[arg(long, value_name = "CMD", value_parser = command, group = "container")]
    command: Option<Target>,
    /// The body of a request that the container should answer
    #[arg(long, value_name = "FILE", requires = "container", requires = "content_type")]
    body: Option<PathBuf>,
    /// The content type of that body
    #[arg(long, value_name = "TYPE", requires = "body", value_parser = media_type)]
    content_type: Option<String>,
    /// How long the container may take to be ready [default: 3m, as for serverless endpoints]
    #[arg(long, value_name = "TIME", requires = "command", value_parser = humantime::parse_duration)]
    start_limit: Option<Duration>,
}

impl Arguments {
    /// Checks, and prints what was found.
    pub(crate) async fn run(self, stop: impl Future<Output = ()>) -> anyhow::Result<ExitCode> {
        let example = self.example()?;
        let Some(target) = self.url.or(self.command) else {
            let model_dir =
                self.model_dir.or_else(|| std::env::var_os("MODEL_DIR").map(Into::into));
            return package::check(&model_dir.unwrap_or_else(|| "/opt/ml/model".into())).await;
        };
        let mut limits = Limits::default();
        limits.start = self.start_limit.unwrap_or(limits.start);
        tokio::select! {
            tally = container(target, example, &limits, io::stdout()) => {
                Ok(ExitCode::from(u8::from(tally?.broken > 0)))
            }
            // A container that was started is ended with the check.
            () = stop => Ok(ExitCode::FAILURE),
        }
    }

    fn example(&self) -> anyhow::Result<Option<Example>> {
        let Some((path, content_type)) = self.body.as_ref().zip(self.content_type.clone()) else {
            return Ok(None);
        };
        let body = std::fs::read(path).with_context(|| format!("can't read {}", path.display()))?;
        Ok(Some(Example { content_type, body }))
    }
}

fn address(url: &str) -> Result<Target, String> {
    let uri: Uri = url.parse().map_err(|error| format!("{error}"))?;
    let is_root = uri.path_and_query().is_none_or(|path| path.as_str() == "/");
    match uri.authority() {
        Some(authority) if uri.scheme_str() == Some("http") && is_root => {
            let port = authority.port_u16().unwrap_or(80);
            Ok(Target::Address(format!("{}:{port}", authority.host())))
        }
        _ => Err("give http://HOST:PORT; a container answers at /ping and /invocations".to_owned()),
    }
}

fn command(words: &str) -> Result<Target, String> {
    match shlex::split(words) {
        Some(words) if !words.is_empty() => Ok(Target::Command(words)),
        Some(_) => Err("there is no program in it".to_owned()),
        None => Err("a quote is not closed".to_owned()),
    }
}

fn media_type(value: &str) -> Result<String, String> {
    match value.contains(|letter: char| letter.is_ascii_control()) || !value.contains('/') {
        true => Err("a content type is like application/json".to_owned()),
        false => Ok(value.to_owned()),
    }
}
