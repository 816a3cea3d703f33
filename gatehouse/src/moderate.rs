//! `gatehouse moderate`: contents in, verdicts out, as JSON lines, streamed and in order.

mod tally;

use std::io::{self, Write};
use std::process::ExitCode;

use anyhow::{Context, bail, ensure};
use bytes::Bytes;
use clap::Args;
use futures_util::{Stream, stream};
use http_body_util::{BodyExt, Limited, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::{Request, Response};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use serde_json::{Map, Value};
use tokio::io::{AsyncBufRead, AsyncBufReadExt, AsyncReadExt, BufReader, stdin};
use tokio::sync::mpsc::{self, Receiver, Sender};

use tally::Tally;

/// How long a line may be; the router itself refuses those above 1 MiB in their place.
const MAX_LINE_BYTES: u64 = 8 << 20;
/// How many lines are read ahead of the router.
const LINES_AHEAD: usize = 64;

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
    let (sender, receiver) = mpsc::channel(LINES_AHEAD);
    let reading = tokio::spawn(read_contents(arguments.client, sender));
    let response = post(&url, receiver).await?;
    let tally = write_verdicts(response).await?;
    let sent = reading.await.context("reading standard input failed")??;
    tally.summarize();
    ensure!(tally.lines() == sent, "the router answered {} of {sent} lines", tally.lines());
    Ok(if tally.failed() == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Sends each line on, with the client filled in, and returns how many were not blank.
async fn read_contents(client: String, lines: Sender<Bytes>) -> anyhow::Result<u64> {
    let mut input = BufReader::new(stdin());
    let mut sent = 0;
    for number in 1.. {
        let Some(line) = read_line(&mut input, number).await? else { break };
        sent += u64::from(!line.trim_ascii().is_empty());
        if lines.send(with_client(line, &client)).await.is_err() {
            break;
        }
    }
    Ok(sent)
}

async fn read_line(
    input: &mut (impl AsyncBufRead + Unpin),
    number: u64,
) -> anyhow::Result<Option<Vec<u8>>> {
    let mut line = Vec::new();
    let read = input.take(MAX_LINE_BYTES).read_until(b'\n', &mut line).await?;
    ensure!((read as u64) < MAX_LINE_BYTES, "line {number} is longer than {MAX_LINE_BYTES} bytes");
    if read > 0 && !line.ends_with(b"\n") {
        line.push(b'\n');
    }
    Ok((read > 0).then_some(line))
}

/// A line that is no JSON object goes on as it is: the router's answer says what is wrong with it.
fn with_client(line: Vec<u8>, client: &str) -> Bytes {
    let Ok(mut content) = serde_json::from_slice::<Map<String, Value>>(&line) else {
        return Bytes::from(line);
    };
    content.entry("client").or_insert_with(|| Value::from(client));
    let mut line = Value::Object(content).to_string();
    line.push('\n');
    Bytes::from(line)
}

async fn post(url: &str, lines: Receiver<Bytes>) -> anyhow::Result<Response<Incoming>> {
    let request = Request::post(url)
        .header("content-type", "application/x-ndjson")
        .body(StreamBody::new(frames(lines)))
        .with_context(|| format!("`{url}` is no URL"))?;
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
    bail!("the router answered {status}: {}", String::from_utf8_lossy(&problem))
}

fn frames(mut lines: Receiver<Bytes>) -> impl Stream<Item = io::Result<Frame<Bytes>>> {
    stream::poll_fn(move |context| {
        lines.poll_recv(context).map(|line| line.map(Frame::data).map(Ok))
    })
}

/// Writes the verdicts as they come: whoever reads along should not wait for a full buffer.
async fn write_verdicts(response: Response<Incoming>) -> anyhow::Result<Tally> {
    let mut body = response.into_body();
    let mut output = io::stdout();
    let mut tally = Tally::start();
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
