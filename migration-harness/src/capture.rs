//! `parity capture`: a reverse proxy that records the calls it passes on, and never holds one up for
//! it: what can't be recorded in time is counted instead.

mod proxy;
mod upstream;
mod hop;
mod tee;
mod call;
mod scope;
mod sample;
mod recorder;
mod record;
mod redact;
mod journal;
mod segment;
mod convert;
mod metrics;
mod server;
mod size;

use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use crate::error::Error;
use crate::header;
use crate::naming::Naming;

use journal::{Format, Journal, Rotation};
use metrics::Metrics;
use proxy::Proxy;
use recorder::Recorder;
use redact::Policy;
use sample::{Sample, SampleBy};
use scope::Scope;
use upstream::Upstream;

/// How long calls may take to their end once the capture is told to stop.
const PATIENCE: Duration = Duration::from_secs(30);
/// The variable that holds the key of tokens, and makes samples unpredictable.
const KEY_VARIABLE: &str = "PARITY_REDACTION_KEY";

/// What to record, where it is served, and where the records go.
#[derive(Debug, clap::Args)]
pub struct CaptureArgs {
    /// The system whose calls are recorded: `http://…` or `https://…`, without a path.
    #[arg(long, value_name = "URL")]
    upstream: Upstream,
    /// Where callers find it from now on; port 0 takes any.
    #[arg(long, value_name = "ADDR")]
    listen: String,
    /// The folder for the records; it may hold those of earlier captures.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// What names the model: `path:/score/{}`, `header:NAME`, `json:/pointer`, or `name:MODEL` for all.
    #[arg(long, value_name = "FROM")]
    model: Naming,
    /// What names the client, in the same ways.
    #[arg(long, value_name = "FROM")]
    client: Option<Naming>,
    /// A header to be recorded, of requests and answers; `Authorization` and cookies never are.
    #[arg(long = "header", value_name = "NAME", value_parser = header::recordable)]
    headers: Vec<hyper::header::HeaderName>,
    /// Records only calls of these paths; `*` stands for anything.
    #[arg(long, value_name = "GLOB")]
    include: Vec<String>,
    /// Which share of the calls is recorded.
    #[arg(long, value_name = "RATE", default_value_t = 1.0)]
    sample: f64,
    /// What is drawn: a request with all its repetitions, or each call by itself.
    #[arg(long, value_enum, default_value_t = SampleBy::Request)]
    sample_by: SampleBy,
    /// The largest body that is recorded; of a larger one the record says that it was cut.
    #[arg(long, value_name = "SIZE", default_value = "1MiB", value_parser = size::bytes)]
    max_body: usize,
    /// What the records are written as.
    #[arg(long, value_enum, default_value_t = Format::Jsonl)]
    format: Format,
    /// Begins a new file when one has this size, as JSON lines.
    #[arg(long, value_name = "SIZE", default_value = "128MiB", value_parser = size::bytes)]
    rotate_bytes: usize,
    /// Begins a new file after this time.
    #[arg(long, value_name = "TIME", default_value = "15m", value_parser = humantime::parse_duration)]
    rotate_every: Duration,
    /// What must not be recorded as it is: a TOML file of `[[redact]]` rules. Tokens are keyed by
    /// PARITY_REDACTION_KEY, hex digits of at least 16 bytes.
    #[arg(long, value_name = "FILE")]
    redact: Option<PathBuf>,
    /// Where Prometheus finds the capture's own counts, at `/metrics`.
    #[arg(long, value_name = "ADDR")]
    metrics: Option<String>,
}

/// Serves until a signal to stop; then ends the calls under way, writes what was recorded, and prints
/// the counts.
pub(crate) async fn capture(args: CaptureArgs) -> Result<u8, Error> {
    let mut signals = Signals::watch().map_err(|error| Error::Usage(error.to_string()))?;
    let listener = bind(&args.listen).await?;
    let admin = match &args.metrics {
        Some(address) => Some(bind(address).await?),
        None => None,
    };
    let metrics = Arc::new(Metrics::new());
    let (recorder, proxy) = start(args, &metrics)?;
    say(&format!("capture listening on {}", url(&listener)));
    let (stop, stopped) = watch::channel(false);
    if let Some(admin) = admin {
        say(&format!("capture metrics on {}/metrics", url(&admin)));
        tokio::spawn(server::serve_metrics(admin, Arc::clone(&metrics), stopped.clone()));
    }
    let serving = tokio::spawn(server::serve_proxy(listener, proxy, stopped, PATIENCE));
    signals.wait().await;
    // Nobody is left to tell only if serving has panicked.
    let _ = stop.send(true);
    let _ = serving.await;
    recorder.finish(PATIENCE).await;
    say(&metrics.summary());
    Ok(0)
}

fn start(args: CaptureArgs, metrics: &Arc<Metrics>) -> Result<(Recorder, Arc<Proxy>), Error> {
    let key = std::env::var(KEY_VARIABLE).ok();
    let policy = Policy::read(args.redact.as_deref(), key.as_deref())?;
    let sample = Sample::new(args.sample, args.sample_by, key.as_deref()).map_err(Error::Usage)?;
    let scope = Scope::new(args.model, args.client, args.headers, &args.include, sample)?;
    let rotation = Rotation { bytes: args.rotate_bytes as u64, every: args.rotate_every };
    let journal = Journal::open(args.out, args.format, rotation, Arc::clone(metrics))?;
    let scope = Arc::new(scope);
    let writer = record::Writer::new(Arc::clone(&scope), policy, args.max_body, journal);
    let recorder = Recorder::start(writer, args.max_body, Arc::clone(metrics));
    let proxy = Proxy::new(args.upstream, scope, recorder.desk());
    Ok((recorder, Arc::new(proxy)))
}

async fn bind(address: &str) -> Result<TcpListener, Error> {
    let listener = TcpListener::bind(address).await;
    listener.map_err(|error| {
        Error::Usage(format!("can't listen on `{address}`: {error}; name another ADDR:PORT"))
    })
}

fn url(listener: &TcpListener) -> String {
    match listener.local_addr() {
        Ok(address) => format!("http://{address}"),
        Err(_) => "an address that the system doesn't tell".to_owned(),
    }
}

fn say(line: &str) {
    // A closed standard output leaves nobody to tell, and the calls go on.
    let _ = writeln!(io::stdout(), "{line}");
    let _ = io::stdout().flush();
}

/// The signals to stop, from the moment that they are watched for.
struct Signals {
    terminate: tokio::signal::unix::Signal,
    interrupt: tokio::signal::unix::Signal,
}

impl Signals {
    fn watch() -> io::Result<Self> {
        let terminate = signal(SignalKind::terminate())?;
        Ok(Self { terminate, interrupt: signal(SignalKind::interrupt())? })
    }

    async fn wait(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}
