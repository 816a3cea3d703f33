//! What a command line means: checked, and ready to be carried out.

use std::ops::RangeInclusive;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::ReplayArgs;
use super::checkpoint::{Parameters, Stamp};
use super::noise::Noise;
use super::pace::Pace;
use super::part::Part;
use super::recall::Reading;
use crate::caller::Caller;
use crate::calling::CallingArgs;
use crate::error::Error;
use crate::record::Source;
use crate::rules::Rules;
use crate::shard::Shard;
use crate::target::Target;

/// A rate beyond this is none: use the default, which is as fast as the target allows. Below it, a
/// replay would not end.
const RATES: RangeInclusive<f64> = 0.001..=1e6;
/// What a captured day may be stretched to, or be pressed into.
const SPEEDS: RangeInclusive<f64> = 0.001..=1e6;

/// How calls are made.
#[derive(Debug, clap::Args)]
pub struct SendingArgs {
    #[command(flatten)]
    calling: CallingArgs,
    /// Calls a second: never more, also not to make up for what is late. No call is left out. Without
    /// this or `--recorded`, it goes as fast as the target allows.
    #[arg(long, value_name = "N", conflicts_with = "recorded")]
    rate: Option<f64>,
    /// Keeps to the gaps between the captured calls.
    #[arg(long)]
    recorded: bool,
    /// How many times faster than they were captured.
    #[arg(long, value_name = "TIMES", default_value_t = 1.0, requires = "recorded")]
    speed: f64,
    /// What longer captured gaps are cut to.
    #[arg(long, value_name = "TIME", default_value = "60s", requires = "recorded",
          value_parser = humantime::parse_duration)]
    max_gap: Duration,
    /// How often a connection that can't be made is tried again. What was sent is never sent again:
    /// a target that drops calls must not look sound. By default no connection is tried again either.
    #[arg(long, value_name = "N", default_value_t = 0)]
    retry: u32,
    /// A header for each request, in place of a captured one of that name; may be repeated.
    #[arg(long, value_name = "NAME:VALUE")]
    header: Vec<String>,
}

/// A replay that can begin.
pub(crate) struct Plan {
    /// What makes it this replay and not another.
    pub(super) parameters: Parameters,
    /// What may differ.
    pub(super) rules: Arc<Rules>,
    /// Where calls go.
    pub(super) target: Arc<Target>,
    /// Makes them.
    pub(super) caller: Arc<Caller>,
    /// When they are made.
    pub(super) pace: Pace,
    /// How many at a time.
    pub(super) concurrency: usize,
    /// The part of the records; none for all of them.
    pub(super) part: Option<Part>,
}

impl Plan {
    /// Checks what was asked for; what is left out is as in an earlier replay, if one is given.
    ///
    /// # Errors
    /// When it can't be done.
    pub(super) async fn of(args: &ReplayArgs, earlier: Option<&Parameters>) -> Result<Self, Error> {
        let sending = &args.sending;
        let pace = sending.pace().map_err(Error::Usage)?;
        let text = args.target.as_deref().or(earlier.map(|earlier| earlier.target.as_str()));
        let target = sending.calling.target(text.unwrap_or_default(), &sending.header)?;
        let file = earlier.and_then(|earlier| earlier.rules.as_ref()).map(|rules| &rules.path);
        let rules = Rules::read(args.rules.as_ref().or(file).map(std::path::PathBuf::as_path))?;
        let stamps = Stamps::of(args, earlier)?;
        let caller = sending.calling.caller(&target, sending.retry).await?;
        let parameters = Parameters {
            records: stamps.records,
            target: text.unwrap_or_default().to_owned(),
            rules: stamps.rules,
            noise: stamps.noise,
            headers: target.header_names(),
            shard: None,
        };
        Ok(Self {
            parameters,
            rules: Arc::new(rules),
            target: Arc::new(target),
            caller: Arc::new(caller),
            pace,
            concurrency: sending.calling.concurrency(),
            part: None,
        })
    }

    /// Only a part is to be replayed.
    pub(super) fn divide(&mut self, shard: Option<Shard>) {
        self.parameters.shard = shard;
        self.part = shard.map(Part::new);
    }

    /// The records, from their beginning.
    ///
    /// # Errors
    /// When they can't be opened.
    pub(super) fn reading(&self) -> Result<Reading, Error> {
        let Parameters { records, noise, .. } = &self.parameters;
        let noise = noise.as_ref().map(|noise| Noise::open(&noise.path)).transpose()?;
        Ok(Reading::new(Source::open(&records.path)?, noise, self.part.clone()))
    }
}

/// The files that a replay reads.
struct Stamps {
    records: Stamp,
    rules: Option<Stamp>,
    noise: Option<Stamp>,
}

impl Stamps {
    fn of(args: &ReplayArgs, earlier: Option<&Parameters>) -> Result<Self, Error> {
        let or = |path: &Option<std::path::PathBuf>, earlier: Option<&Stamp>| {
            path.as_deref().or(earlier.map(|stamp| stamp.path.as_path())).map(Stamp::of).transpose()
        };
        let records = or(&args.records, earlier.map(|earlier| &earlier.records))?;
        Ok(Self {
            // The command line can't lack it, nor can an earlier replay.
            records: records.map_or_else(|| Stamp::of(Path::new("")), Ok)?,
            rules: or(&args.rules, earlier.and_then(|earlier| earlier.rules.as_ref()))?,
            noise: or(&args.noise, earlier.and_then(|earlier| earlier.noise.as_ref()))?,
        })
    }
}

impl SendingArgs {
    fn pace(&self) -> Result<Pace, String> {
        within("--speed", self.speed, &SPEEDS)?;
        match self.rate {
            Some(rate) => within("--rate", rate, &RATES).map(Pace::Rate),
            None if self.recorded => {
                Ok(Pace::Recorded { speed: self.speed, max_gap: self.max_gap })
            }
            None => Ok(Pace::Free),
        }
    }
}

fn within(option: &str, number: f64, range: &RangeInclusive<f64>) -> Result<f64, String> {
    let (least, most) = (range.start(), range.end());
    let reason = || format!("`{option}` must be from {least} to {most}, not {number}");
    range.contains(&number).then_some(number).ok_or_else(reason)
}
