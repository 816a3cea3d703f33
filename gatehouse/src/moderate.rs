//! `gatehouse moderate`: contents in, verdicts out, as JSON lines, streamed and in order.

mod contents;
mod tally;

use std::io::{self, Write};
use std::process::ExitCode;
use std::thread;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use bytes::Bytes;
use clap::Args;
use futures_util::{Stream, stream};
use http_body_util::{BodyExt, Limited, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::{Request, Response};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use tokio::sync::mpsc::{self, Receiver};
use tokio::sync::oneshot;
use tokio::time::timeout;

use crate::router_key::RouterKey;
use contents::Outlet;
use tally::Tally;

/// How many lines are read ahead of the router.
const LINES_AHEAD: usize = 64;
/// How long the router hears nothing at most.
const SILENCE: Duration = Duration::from_secs(10);
/// How long the reader may take to notice that it is done.
const AFTER_THE_LAST_LINE: Duration = Duration::from_secs(1);

/// Where to send contents, and for whom.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The router's URL
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:8080")]
    router: String,
    /// The client of every line that names none
    #[arg(long, value_name = "NAME")]
    client: String,
}

/// Moderates every line; exit code 1 says that at least one failed.
pub(crate) async fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    let url = format!("{}/v1/moderate", arguments.router.trim_end_matches('/'));
    let (lines, receiver) = mpsc::channel(LINES_AHEAD);
    let (ends, answered) = std::sync::mpsc::channel();
    let (done, sent) = oneshot::channel();
    let tally = Tally::start(tally::progress_bar(contents::size_bytes()), answered);
    // A plain thread: unlike the runtime's, it does not hold up the end of the process.
    thread::spawn(move || {
        let outlet = Outlet { lines, ends };
        let sent = contents::read(io::stdin().lock(), &arguments.client, &outlet);
        drop(outlet);
        done.send(sent)
    });
    let key = RouterKey::from_environment()?;
    let tally = write_verdicts(post(&url, &key, receiver).await?, tally).await?;
    let (answered, failed) = tally.finish();
    let sent = timeout(AFTER_THE_LAST_LINE, sent).await;
    let sent =
        sent.with_context(|| format!("the router ended after {answered} lines, before the input"))?;
    let sent = sent.context("reading standard input failed")??;
    ensure!(answered == sent, "the router answered {answered} of {sent} lines");
    Ok(if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn post(
    url: &str,
    key: &RouterKey,
    lines: Receiver<Bytes>,
) -> anyhow::Result<Response<Incoming>> {
    let mut request = Request::post(url)
        .header("content-type", "application/x-ndjson")
        .body(StreamBody::new(frames(lines)))
        .with_context(|| format!("`{url}` is no URL"))?;
    // A redirect is an error like any other: the key goes nowhere else.
    request.headers_mut().extend(key.sensitive_header());
    let client = Client::builder(TokioExecutor::new()).build_http();
    let response = client
        .request(request)
        .await
        .with_context(|| format!("can't reach the router at `{url}`"))?;
    if response.status().is_success() {
        return Ok(response);
    }
    let status = response.status();
    let problem = Limited::new(response.into_body(), 64 << 10).collect().await;
    let problem = problem.map_err(anyhow::Error::from_boxed)?.to_bytes();
    let problem = String::from_utf8_lossy(&problem);
    bail!("the router answered {status}: {problem}{}", key.advice(status))
}

/// The lines, and a blank before the next one where it is long in coming: the router gives up on
/// a sender from which it hears nothing.
fn frames(lines: Receiver<Bytes>) -> impl Stream<Item = io::Result<Frame<Bytes>>> + Unpin {
    Box::pin(stream::unfold(lines, async |mut lines| {
        let line = timeout(SILENCE, lines.recv()).await;
        let bytes = line.unwrap_or(Some(Bytes::from_static(b" ")))?;
        Some((Ok(Frame::data(bytes)), lines))
    }))
}

/// Writes the verdicts as they come: whoever reads along should not wait for a full buffer.
async fn write_verdicts(response: Response<Incoming>, mut tally: Tally) -> anyhow::Result<Tally> {
    let mut body = response.into_body();
    let mut output = io::stdout();
    while let Some(frame) = body.frame().await {
        let frame = frame.with_context(|| format!("broken off after {} lines", tally.lines()))?;
        if let Some(bytes) = frame.data_ref() {
            output.write_all(bytes)?;
            output.flush()?;
            tally.count(bytes);
        }
    }
    Ok(tally)
}
