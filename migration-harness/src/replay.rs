//! `parity replay`: sends captured requests to a target, so many at a time, and compares the answers.

use std::collections::BTreeSet;
use std::io::{self, Write};
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::pin::pin;
use std::time::Duration;

use futures_util::TryStreamExt;

use crate::caller::{self, Answer, Caller, Request};
use crate::compare::compare;
use crate::difference::{Difference, Kind};
use crate::error::Error;
use crate::outcome::Limits;
use crate::record::{self, Numbered, Record, Response};
use crate::summary;
use crate::tally::{Finding, Fingerprint, Group, Tally};
use crate::target::Target;
use crate::verdict::{self, Verdict};

/// The field of a difference between an answer and none.
const RESPONSE: &str = "response";

/// What to replay, where to, and what has to be shown.
#[derive(Debug, clap::Args)]
pub struct ReplayArgs {
    /// The captured calls: a file of JSON lines.
    #[arg(long, value_name = "PATH")]
    records: PathBuf,
    /// Where to send them: `http://…`, which may hold `{model}` and `{client}`. A URL with a path is
    /// used as it is, else the record's path is appended.
    #[arg(long, value_name = "URL")]
    target: String,
    /// The folder for the report, `verdict.json` first of all.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// How many calls are under way at a time.
    #[arg(long, value_name = "N", default_value = "8")]
    concurrency: NonZeroUsize,
    /// How long a call may take.
    #[arg(long, value_name = "TIME", default_value = "60s", value_parser = humantime::parse_duration)]
    timeout: Duration,
    /// How many records may differ before the outcome is `broken`.
    #[arg(long, value_name = "N", default_value_t = 0)]
    allow: u64,
    /// The largest mismatch rate that may remain possible for `parity`.
    #[arg(long, value_name = "RATE", default_value_t = 0.001)]
    max_rate: f64,
    /// How surely a larger one must be excluded.
    #[arg(long, value_name = "SHARE", default_value_t = 0.95)]
    confidence: f64,
    /// What the exit code follows: the outcome of the whole, or that of the worst group.
    #[arg(long, value_enum, default_value_t = Require::Whole)]
    require: Require,
    /// Tolerances and renamed fields (not built yet).
    #[arg(long, value_name = "FILE")]
    rules: Option<PathBuf>,
}

/// What the exit code follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Require {
    /// All records together.
    Whole,
    /// The worst of all records together and each group of one model and client.
    Groups,
}

/// Replays every record, writes the report, prints a summary and returns the exit code.
pub(crate) async fn replay(args: ReplayArgs) -> Result<u8, Error> {
    let (target, limits) = check(&args).map_err(Error::Usage)?;
    verdict::prepare(&args.out).await?;
    let tally = replay_all(&args, target).await?;
    let verdict = Verdict::of(&tally, limits);
    verdict.write(&args.out).await?;
    // The report is written; a closed terminal takes nothing from it.
    let _ = io::stdout().write_all(summary::text(&verdict, &tally).as_bytes());
    let outcome = match args.require {
        Require::Whole => verdict.outcome,
        Require::Groups => verdict.worst(),
    };
    Ok(outcome.exit_code())
}

fn check(args: &ReplayArgs) -> Result<(Target, Limits), String> {
    if args.rules.is_some() {
        return Err("`--rules` is not built yet; without it the comparison is exact".to_owned());
    }
    if args.records.extension().is_some_and(|extension| extension == "parquet") {
        return Err("records in Parquet are not built yet; use JSON lines".to_owned());
    }
    if !(0.0..=1.0).contains(&args.max_rate) {
        return Err(format!("`--max-rate` must be from 0 to 1, not {}", args.max_rate));
    }
    if !(args.confidence > 0.0 && args.confidence < 1.0) {
        return Err(format!("`--confidence` must be between 0 and 1, not {}", args.confidence));
    }
    let limits = Limits { allow: args.allow, max_rate: args.max_rate, confidence: args.confidence };
    Ok((Target::parse(&args.target)?, limits))
}

async fn replay_all(args: &ReplayArgs, target: Target) -> Result<Tally, Error> {
    let caller = Caller::new(args.timeout);
    let replay = Replay { target, caller, records: args.records.clone() };
    let findings = record::read(&args.records)
        .await?
        .map_ok(|numbered| replay.one(numbered))
        .try_buffer_unordered(args.concurrency.get());
    let mut findings = pin!(findings);
    let mut tally = Tally::default();
    while let Some(finding) = findings.try_next().await? {
        tally.add(&finding);
    }
    Ok(tally)
}

/// What all calls of a replay share.
struct Replay {
    target: Target,
    caller: Caller,
    /// The file of records, for errors.
    records: PathBuf,
}

impl Replay {
    /// A record that can't be sent ends the replay; a call that fails is a mismatch.
    async fn one(&self, numbered: Numbered) -> Result<Finding, Error> {
        let Numbered { line, record } = numbered;
        let request = self.request(&record).map_err(|reason| {
            let path = self.records.clone();
            Error::Record { path, line, reason }
        })?;
        let fingerprint = Fingerprint::of(&record.model, &record.request);
        let Record { id, model, client, response, .. } = record;
        let group = Group { model, client };
        let result = self.differences(request, response).await;
        let (differences, failure) = match result {
            Ok(differences) => (differences, None),
            Err((kind, reason)) => ([Difference::whole(RESPONSE, kind)].into(), Some(reason)),
        };
        Ok(Finding { line, id, group, fingerprint, differences, failure })
    }

    fn request(&self, record: &Record) -> Result<Request, String> {
        caller::request(self.target.url(record)?, &record.request)
    }

    /// How the answers differ, or why one of them is lacking.
    async fn differences(
        &self,
        request: Request,
        captured: Option<Response>,
    ) -> Result<BTreeSet<Difference>, (Kind, String)> {
        let Some(captured) = captured else {
            let reason = "the captured call has no answer to compare with".to_owned();
            return Err((Kind::Unanswered, reason));
        };
        let answer = self.caller.call(request).await.map_err(|reason| (Kind::Error, reason))?;
        Ok(compare(&captured.into(), &answer))
    }
}

impl From<Response> for Answer {
    fn from(response: Response) -> Self {
        let Response { status, content_type, body } = response;
        Self { status, content_type, body: body.0 }
    }
}
