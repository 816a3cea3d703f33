//! `parity capture`: a reverse proxy that records the calls it passes on, and never holds one up for
//! it: what can't be recorded in time is counted instead.

mod front;
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

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use prometheus_client::registry::Registry;

use crate::error::Error;

use journal::{Format, Journal, Rotation};
use proxy::Proxy;
use redact::Policy;

pub use front::FrontArgs;
pub(crate) use front::{Front, PATIENCE};
pub(crate) use metrics::{BOUNDS, Metrics};
pub(crate) use record::Destination;
pub(crate) use recorder::Recorder;
pub(crate) use sample::{Sample, SampleBy};

/// The variable that holds the key of tokens, and makes samples unpredictable.
const KEY_VARIABLE: &str = "PARITY_REDACTION_KEY";

/// What to record, where it is served, and where the records go.
#[derive(Debug, clap::Args)]
pub struct CaptureArgs {
    #[command(flatten)]
    front: FrontArgs,
    /// The folder for the records; it may hold those of earlier captures.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Which share of the calls is recorded.
    #[arg(long, value_name = "RATE", default_value_t = 1.0)]
    sample: f64,
    /// What is drawn: a request with all its repetitions, or each call by itself.
    #[arg(long, value_enum, default_value_t = SampleBy::Request)]
    sample_by: SampleBy,
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
}

/// Serves until a signal to stop; then ends the calls under way, writes what was recorded, and prints
/// the counts.
pub(crate) async fn capture(args: CaptureArgs) -> Result<u8, Error> {
    let front = Front::bind(&args.front).await?;
    let mut counts = Registry::default();
    let metrics = Arc::new(Metrics::new(&mut counts));
    let (recorder, proxy) = start(args, &metrics)?;
    let mut serving = front.serve("capture", proxy, counts);
    serving.told_to_stop().await;
    serving.end().await;
    recorder.finish(PATIENCE).await;
    front::say(&metrics.summary());
    Ok(0)
}

fn start(args: CaptureArgs, metrics: &Arc<Metrics>) -> Result<(Recorder, Arc<Proxy>), Error> {
    let key = std::env::var(KEY_VARIABLE).ok();
    let policy = Policy::read(args.redact.as_deref(), key.as_deref())?;
    let sample = Sample::new(args.sample, args.sample_by, key.as_deref())
        .map_err(|reason| Error::Usage(format!("`--sample` {reason}")))?;
    let scope = args.front.scope(sample)?;
    let rotation = Rotation { bytes: args.rotate_bytes as u64, every: args.rotate_every };
    let journal = Journal::open(args.out, args.format, rotation, Arc::clone(metrics))?;
    Ok(args.front.tap(scope, policy, Destination::Journal(Box::new(journal)), metrics))
}
