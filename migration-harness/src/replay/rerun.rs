//! `parity replay --only mismatches`: sends again what differed, and tells what differs every time
//! from what differs now and then, otherwise, or no more.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::io::{self, Write};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use serde::Serialize;

use super::answers::Outcome;
use super::checkpoint::Folder;
use super::engine::{self, Bench};
use super::feed::Feed;
use super::judge::differences;
use super::progress::Progress;
use super::recall::{Captured, Recall};
use super::{Plan, ReplayArgs, told};
use crate::difference::{Difference, Kind};
use crate::error::Error;
use crate::record::Record;
use crate::rules::Rules;

/// The file in the folder of a replay.
const FILE: &str = "rerun.json";

/// What became of a mismatch, or of all mismatches of a cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Course {
    /// It differed every time.
    Persistent,
    /// It did not differ every time.
    Flaky,
    /// It never differed so again, but in another way.
    Otherwise,
    /// It never differed again where there was an answer, and there was not always one.
    Unanswered,
    /// It never differed again.
    Gone,
}

/// What sending mismatches again has shown.
#[derive(Debug, Serialize)]
struct Rerun {
    /// How often each was sent.
    times: u32,
    /// How many records differed.
    records: u64,
    clusters: Vec<Again>,
}

/// The mismatches of one model in one field and of one kind.
#[derive(Debug, Serialize)]
struct Again {
    field: String,
    kind: Kind,
    model: String,
    course: Course,
    /// How many records differed so, and how they go on.
    #[serde(flatten)]
    counts: Counts,
    /// The id of a record that still does, if one does.
    example: String,
}

#[derive(Debug, Default, Clone, Copy, Serialize)]
struct Counts {
    records: u64,
    persistent: u64,
    flaky: u64,
    otherwise: u64,
    unanswered: u64,
    gone: u64,
}

type Key = (String, Kind, String);

/// Records that are being sent again, by their place among all.
type UnderWay = Arc<Mutex<HashMap<u64, Attempts>>>;

/// What one record showed until now.
#[derive(Debug)]
struct Attempts {
    /// How it differed, and what came of that.
    mismatches: Vec<(Difference, Seen)>,
    made: u32,
}

/// How often a difference was met again, and what came in its place.
#[derive(Debug, Default, Clone, Copy)]
struct Seen {
    again: u32,
    otherwise: u32,
    unanswered: u32,
}

/// Sends the mismatches of a finished replay again; 0 where all of them are gone, else 1.
pub(super) async fn rerun(args: &ReplayArgs) -> Result<u8, Error> {
    let folder = Folder::finished(&args.out)?;
    let mut plan = Plan::of(args, Some(folder.parameters())).await?;
    plan.divide(folder.parameters().shard);
    if plan.parameters != *folder.parameters() {
        let out = args.out.display();
        let reason =
            format!("`{out}` holds a replay of something else, or of what has changed since");
        return Err(Error::Usage(reason));
    }
    let under_way = UnderWay::default();
    let recall = Recall::new(plan.reading()?, folder.answers()?);
    let again = again(recall, Arc::clone(&plan.rules), Arc::clone(&under_way), args.times);
    let progress = Arc::new(Progress::default());
    let bench = Rerunning {
        rules: Arc::clone(&plan.rules),
        under_way,
        times: args.times,
        records: 0,
        clusters: BTreeMap::new(),
        progress: Arc::clone(&progress),
    };
    let feed = Feed::start(again, Arc::clone(&plan.target), plan.pace);
    let running = engine::run(feed, Arc::clone(&plan.caller), plan.concurrency, bench);
    let (bench, odd_gaps) = told(running, progress, args.quiet).await?;
    odd_gaps.tell();
    let rerun = bench.sum_up();
    rerun.write(&args.out)?;
    // The file is written; a closed terminal takes nothing from it.
    let _ = io::stdout().write_all(rerun.text().as_bytes());
    Ok(u8::from(rerun.clusters.iter().any(|cluster| cluster.course != Course::Gone)))
}

/// Each record that differs, as often as it is to be sent.
fn again(
    recall: Recall,
    rules: Arc<Rules>,
    under_way: UnderWay,
    times: u32,
) -> impl Iterator<Item = Result<Captured, Error>> + Send {
    let mismatch = move |recalled: Result<(Captured, Outcome), Error>| {
        let (captured, outcome) = match recalled {
            Ok(recalled) => recalled,
            Err(error) => return Some(Err(error)),
        };
        let mut found = differences(&captured, &outcome, &rules);
        found.retain(Difference::is_mismatch);
        if found.is_empty() {
            return None;
        }
        let mismatches =
            found.into_iter().map(|difference| (difference, Seen::default())).collect();
        let attempts = Attempts { mismatches, made: 0 };
        let mut under_way = under_way.lock().unwrap_or_else(PoisonError::into_inner);
        under_way.insert(captured.numbered.sequence, attempts);
        Some(Ok(captured))
    };
    recall.filter_map(mismatch).flat_map(move |captured| {
        let (copies, error) = match captured {
            Ok(captured) => (vec![captured; times as usize], None),
            Err(error) => (Vec::new(), Some(Err(error))),
        };
        copies.into_iter().map(Ok).chain(error)
    })
}

struct Rerunning {
    rules: Arc<Rules>,
    under_way: UnderWay,
    times: u32,
    records: u64,
    clusters: BTreeMap<Key, (Counts, String)>,
    progress: Arc<Progress>,
}

impl Bench for Rerunning {
    fn take(&mut self, captured: &Captured, outcome: &Outcome) -> Result<(), Error> {
        let found = differences(captured, outcome, &self.rules);
        self.progress.add(found.iter().any(Difference::is_mismatch));
        let sequence = captured.numbered.sequence;
        let mut under_way = self.under_way.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(attempts) = under_way.get_mut(&sequence) else { return Ok(()) };
        attempts.add(&found, outcome.reply.answer.is_ok());
        if attempts.made < self.times {
            return Ok(());
        }
        let ended = under_way.remove(&sequence);
        drop(under_way);
        self.records += 1;
        for (difference, seen) in ended.into_iter().flat_map(|attempts| attempts.mismatches) {
            self.count(&captured.numbered.record, difference, seen);
        }
        Ok(())
    }

    fn is_done(&self) -> bool {
        false
    }

    fn rest(&mut self) -> Result<(), Error> {
        Ok(())
    }
}

impl Attempts {
    /// A difference that is met no more is gone only if nothing else came in its place.
    fn add(&mut self, found: &[Difference], is_answered: bool) {
        self.made += 1;
        let mismatches = || found.iter().filter(|is| is.is_mismatch());
        let is_known = |is: &Difference| self.mismatches.iter().any(|(was, _)| are_alike(was, is));
        let has_others = !mismatches().all(is_known);
        for (was, seen) in &mut self.mismatches {
            if mismatches().any(|is| are_alike(was, is)) {
                seen.again += 1;
            } else if !is_answered {
                seen.unanswered += 1;
            } else if has_others {
                seen.otherwise += 1;
            }
        }
    }
}

fn are_alike(one: &Difference, other: &Difference) -> bool {
    (&one.field, one.kind) == (&other.field, other.kind)
}

impl Course {
    fn of(seen: Seen, times: u32) -> Self {
        match seen {
            Seen { again: 0, otherwise: 0, unanswered: 0 } => Self::Gone,
            Seen { again: 0, otherwise: 0, .. } => Self::Unanswered,
            Seen { again: 0, .. } => Self::Otherwise,
            Seen { again, unanswered, .. } if again + unanswered == times => Self::Persistent,
            _ => Self::Flaky,
        }
    }

    /// Of all records of a cluster: theirs, if it is the same one.
    fn of_all(counts: &Counts) -> Self {
        match *counts {
            Counts { records, gone, .. } if gone == records => Self::Gone,
            Counts { records, persistent, .. } if persistent == records => Self::Persistent,
            Counts { persistent, flaky, .. } if persistent + flaky > 0 => Self::Flaky,
            Counts { otherwise, .. } if otherwise > 0 => Self::Otherwise,
            _ => Self::Unanswered,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Persistent => "persistent",
            Self::Flaky => "flaky",
            Self::Otherwise => "otherwise",
            Self::Unanswered => "unanswered",
            Self::Gone => "gone",
        }
    }
}

impl Rerunning {
    fn count(&mut self, record: &Record, difference: Difference, seen: Seen) {
        let key = (difference.field, difference.kind, record.model.clone());
        let (counts, example) = self.clusters.entry(key).or_default();
        counts.records += 1;
        let course = Course::of(seen, self.times);
        *counts.of(course) += 1;
        let still_differ = counts.records - counts.gone - counts.unanswered;
        let differs = !matches!(course, Course::Gone | Course::Unanswered);
        if counts.records == 1 || (differs && still_differ == 1) {
            example.clone_from(&record.id);
        }
    }

    fn sum_up(self) -> Rerun {
        let cluster = |((field, kind, model), (counts, example)): (Key, (Counts, String))| {
            let course = Course::of_all(&counts);
            Again { field, kind, model, course, counts, example }
        };
        let clusters = self.clusters.into_iter().map(cluster).collect();
        Rerun { times: self.times, records: self.records, clusters }
    }
}

impl Counts {
    fn of(&mut self, course: Course) -> &mut u64 {
        match course {
            Course::Persistent => &mut self.persistent,
            Course::Flaky => &mut self.flaky,
            Course::Otherwise => &mut self.otherwise,
            Course::Unanswered => &mut self.unanswered,
            Course::Gone => &mut self.gone,
        }
    }
}

impl Rerun {
    fn write(&self, folder: &Path) -> Result<(), Error> {
        let path = folder.join(FILE);
        let mut text = serde_json::to_vec_pretty(self).expect("a rerun holds nothing JSON lacks");
        text.push(b'\n');
        fs::write(&path, text).map_err(Error::file(&path))
    }

    fn text(&self) -> String {
        let Self { times, records, clusters } = self;
        let mut text =
            format!("{records} records that differed were sent again, {times} times each\n");
        for Again { field, kind, model, course, counts, example } in clusters {
            let Counts { records, persistent, flaky, otherwise, unanswered, gone } = counts;
            text += &format!(
                "{}: {field} {} of {model}: of {records} records, {persistent} differ every time, \
                 {flaky} now and then, {otherwise} in another way, {unanswered} have no answer, \
                 {gone} differ no more; for example {example}\n",
                course.name(),
                kind.name(),
            );
        }
        text
    }
}
