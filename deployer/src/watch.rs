//! The command `gatehouse deploy watch`: deploys what is dropped into a folder or an S3 prefix.
//!
//! Each complete upload is deployed once under its name. What is not fit goes to `quarantine/`
//! beside it; what the platform fails to do is tried again, and never blamed on the upload.

mod sighting;
mod arrivals;
mod source;
mod folder;
mod prefix;
mod memory;
mod attempt;
mod looks;

use std::collections::HashMap;
use std::io::{self, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::Args;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch::Sender;
use tokio::task::{Id, JoinError, JoinSet};

use crate::release::check_limits;
use crate::target::TargetArguments;
use crate::{Error, Limits};
use arrivals::Arrivals;
use attempt::{Attempt, Outcome, end};
use looks::{Looked, Looks};
use memory::Memory;
use sighting::{Sighting, Trouble};
use source::Source;

/// How many uploads are deployed side by side: one that is slow to come up delays no other.
const SIDE_BY_SIDE: usize = 4;
/// From so many failed attempts on, standard error has a warning of an upload that waits.
const ALARMING: u32 = 5;

/// Deploys each model that is dropped into a folder or an S3 prefix
#[derive(Debug, Args)]
pub struct Arguments {
    /// The folder, or s3://BUCKET/PREFIX, that gets NAME.model, NAME.onnx, NAME.tar.gz or .tgz, or
    /// (a folder only) package folders
    #[arg(value_name = "FOLDER|S3URL")]
    source: String,
    #[command(flatten)]
    target: TargetArguments,
    /// The router's URL; without it no model is registered
    #[arg(long, value_name = "URL")]
    router: Option<String>,
    #[command(flatten)]
    limits: Limits,
    /// Take packages that are programs too
    #[arg(long)]
    allow_workers: bool,
    /// How often to look [default: 500ms for a folder, 2s for S3]
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration)]
    interval: Option<Duration>,
    /// How long a file that is not fit may still be completed
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = humantime::parse_duration)]
    grace: Duration,
    /// Where to remember what was deployed
    /// [default: .gatehouse in the folder, data/watch/BUCKET-PREFIX for S3]
    #[arg(long, value_name = "DIR")]
    state: Option<PathBuf>,
    /// End once nothing is pending; the exit code is 1 if something could not be deployed
    #[arg(long)]
    once: bool,
}

/// Watches until SIGTERM or Ctrl-C, and then finishes what is under way; a second signal ends that.
///
/// # Errors
/// When the place can't be watched from the beginning. Later faults are told and waited out.
pub async fn run(arguments: Arguments) -> Result<ExitCode, Error> {
    let mut stop = Stop::new()?;
    let (once, every) = (arguments.once, arguments.interval);
    let mut watcher = Watcher::open(arguments).await?;
    let source = &watcher.attempt.source;
    let mut looks = Looks::new(source, every.unwrap_or_else(|| source.interval()));
    let first = tokio::select! {
        () = stop.asked() => return Ok(ExitCode::SUCCESS),
        first = looks.next() => first.map_err(|reason| Error::Source { reason })?,
    };
    say(&format!("watching {}", source.name()));
    watcher.take_in(first);
    while !(once && watcher.is_idle()) {
        tokio::select! {
            () = stop.asked() => break,
            Some(ended) = watcher.at_work.join_next_with_id() => watcher.conclude(ended),
            looked = looks.next() => watcher.looked(looked)?,
        }
    }
    drop(looks);
    watcher.finish(&mut stop).await;
    Ok(if once && !watcher.is_clean { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// A watch that is going on.
struct Watcher {
    /// How each upload is deployed.
    attempt: Attempt,
    memory: Memory,
    arrivals: Arrivals,
    /// What is being deployed or moved away, and by which task.
    at_work: JoinSet<Ended>,
    tasks: HashMap<Id, Sighting>,
    grace: Duration,
    /// Whether failures of the platform are waited out.
    is_patient: bool,
    /// What keeps the place from being looked at; told once.
    trouble: Option<String>,
    /// Whether everything so far could be deployed.
    is_clean: bool,
    /// Tells what is under way that the watcher is to end.
    ending: Sender<bool>,
}

/// How the work on an upload ended.
enum Ended {
    /// It was to be deployed.
    Attempt(Result<Outcome, Trouble>),
    /// It was to be moved to the quarantine, for this reason.
    Quarantine(String, Result<String, Trouble>),
}

impl Watcher {
    async fn open(arguments: Arguments) -> Result<Self, Error> {
        check_limits(arguments.limits)?;
        let source = Source::open(&arguments.source).await?;
        let state = arguments.state.unwrap_or_else(|| source.state());
        let target = arguments.target.target().await?;
        source.check_apart(&target.upload)?;
        let memory = Memory::open(&state, &source.name())?;
        let ending = Sender::new(false);
        let attempt = Attempt {
            source,
            staging: memory.staging(),
            target,
            router: arguments.router,
            limits: arguments.limits,
            allow_workers: arguments.allow_workers,
            ending: ending.subscribe(),
        };
        Ok(Self {
            attempt,
            memory,
            arrivals: Arrivals::default(),
            at_work: JoinSet::new(),
            tasks: HashMap::new(),
            grace: arguments.grace,
            is_patient: !arguments.once,
            trouble: None,
            is_clean: true,
            ending,
        })
    }

    /// Acts on what a look saw; tells when looking stops or starts to work.
    fn looked(&mut self, looked: Looked) -> Result<(), Error> {
        let trouble = match looked {
            Ok(sightings) => {
                self.take_in(sightings);
                None
            }
            Err(reason) if self.is_patient => Some(reason),
            Err(reason) => return Err(Error::Source { reason }),
        };
        if trouble != self.trouble {
            match &trouble {
                Some(reason) => say(&format!("waiting: {reason}")),
                None => say(&format!("watching {} again", self.attempt.source.name())),
            }
            self.trouble = trouble;
        }
        Ok(())
    }

    /// Begins what is due, and gives up what is hopeless.
    fn take_in(&mut self, sightings: Vec<Sighting>) {
        let now = Instant::now();
        let memory = &self.memory;
        self.arrivals.see(sightings, now, |sighting| memory.knows(sighting));
        self.memory.keep_only(self.arrivals.keys());
        for (key, reason) in self.arrivals.strange() {
            say(&format!("leaving {key} alone: {reason}"));
        }
        for sighting in self.arrivals.due(now) {
            if self.has_room_for(&sighting) {
                self.begin(sighting);
            }
        }
        for (sighting, reason) in self.arrivals.hopeless(now, self.grace) {
            if self.has_room_for(&sighting) {
                self.quarantine(sighting, reason);
            }
        }
    }

    fn has_room_for(&self, sighting: &Sighting) -> bool {
        let is_free = self.tasks.values().all(|other| other.name != sighting.name);
        is_free && self.tasks.len() < SIDE_BY_SIDE
    }

    fn begin(&mut self, sighting: Sighting) {
        if self.arrivals.is_new(&sighting) {
            say(&format!("noticed {}", sighting.key));
        }
        self.arrivals.begin(&sighting);
        let past = self.memory.past(&sighting);
        let attempt = self.attempt.clone().run(sighting.clone(), past);
        let task = self.at_work.spawn(async { Ended::Attempt(attempt.await) });
        self.tasks.insert(task.id(), sighting);
    }

    /// Begins to move an upload away.
    fn quarantine(&mut self, sighting: Sighting, reason: String) {
        self.arrivals.begin(&sighting);
        let (source, seen) = (self.attempt.source.clone(), sighting.clone());
        let ending = self.ending.subscribe();
        let task = self.at_work.spawn(async move {
            let moved = tokio::select! {
                moved = source.quarantine(&seen, &reason) => moved,
                // The next watcher finds it where it is.
                () = end(ending) => Err(Trouble::Gone),
            };
            Ended::Quarantine(reason, moved)
        });
        self.tasks.insert(task.id(), sighting);
    }

    /// Takes in how the work on an upload ended.
    fn conclude(&mut self, ended: Result<(Id, Ended), JoinError>) {
        let (id, ended) = ended.unwrap_or_else(|error| {
            (error.id(), Ended::Attempt(Err(Trouble::Later("the deployment broke off".to_owned()))))
        });
        let Some(sighting) = self.tasks.remove(&id) else { return };
        match ended {
            Ended::Attempt(Ok(outcome)) => self.succeeded(&sighting, outcome),
            Ended::Attempt(Err(Trouble::Gone)) => {
                self.arrivals.restart(&sighting, Instant::now());
            }
            Ended::Attempt(Err(Trouble::Fault(reason))) => self.failed(&sighting, reason),
            Ended::Attempt(Err(Trouble::Later(reason))) => self.postponed(&sighting, &reason),
            Ended::Quarantine(reason, moved) => self.given_up(&sighting, &reason, moved),
        }
    }

    fn succeeded(&mut self, sighting: &Sighting, outcome: Outcome) {
        let Sighting { key, name, .. } = sighting;
        self.arrivals.settle(sighting);
        let remembered = match outcome {
            Outcome::Deployed(record, took) => {
                let ms = took.as_secs_f64() * 1000.0;
                say(&format!("deployed {key}: {name} {} in {ms:.1} ms", record.version));
                self.memory.deployed(sighting, record)
            }
            Outcome::Unchanged(content) => {
                say(&format!("unchanged {key}: its content was dealt with before"));
                self.memory.dealt_with(sighting, content)
            }
            Outcome::Older(content, newer) => {
                say(&format!("ignored {key}: {} was deployed, which is newer", newer.key));
                self.memory.dealt_with(sighting, content)
            }
            Outcome::Overtaken(content, reason) => {
                let hint = "that stays; drop it again to deploy it all the same";
                say(&format!("failed {key}: {reason}; {hint}"));
                warn(&format!("{key} is not live: {reason}; {hint}"));
                self.is_clean = false;
                self.memory.overtaken(sighting, content)
            }
        };
        self.tell_forgetting(remembered);
    }

    fn failed(&mut self, sighting: &Sighting, reason: String) {
        let text = format!("{}: {reason}", sighting.key);
        if self.arrivals.fail(sighting, reason) {
            say(&format!("waiting {:?} for more of {text}", self.grace));
        }
    }

    fn postponed(&mut self, sighting: &Sighting, reason: &str) {
        let key = &sighting.key;
        if self.is_patient {
            let (attempts, wait) = self.arrivals.postpone(sighting, Instant::now());
            say(&format!("trying {key} again in {wait:?}: {reason}"));
            if attempts >= ALARMING {
                let hint = "it stays where it is, and is tried at once when it is touched";
                warn(&format!("{key} is not live after {attempts} attempts; {hint}: {reason}"));
            }
        } else {
            self.arrivals.settle(sighting);
            self.is_clean = false;
            say(&format!("failed {key}: {reason}"));
        }
    }

    fn given_up(&mut self, sighting: &Sighting, reason: &str, moved: Result<String, Trouble>) {
        let key = &sighting.key;
        self.is_clean = false;
        match moved {
            Ok(place) => {
                say(&format!("failed {key}: {reason}; moved to {place}"));
                self.arrivals.settle(sighting);
            }
            Err(Trouble::Gone) => self.arrivals.restart(sighting, Instant::now()),
            Err(Trouble::Fault(why) | Trouble::Later(why)) if self.is_patient => {
                let wait = self.arrivals.keep(sighting, reason.to_owned(), Instant::now());
                say(&format!("failed {key}: {reason}; moving it away again in {wait:?}: {why}"));
            }
            Err(Trouble::Fault(why) | Trouble::Later(why)) => {
                say(&format!("failed {key}: {reason}; it stays where it is: {why}"));
                self.arrivals.settle(sighting);
            }
        }
    }

    /// A deployment is not undone because it can't be remembered.
    fn tell_forgetting(&self, remembered: io::Result<()>) {
        if let Err(error) = remembered {
            say(&format!("a restart will look at this again, as it can't be remembered: {error}"));
        }
    }

    fn is_idle(&self) -> bool {
        self.trouble.is_none() && self.tasks.is_empty() && self.arrivals.all_settled()
    }

    /// Waits for what is under way, but for uploads that are still being read.
    async fn finish(&mut self, stop: &mut Stop) {
        self.ending.send_replace(true);
        while !self.at_work.is_empty() {
            tokio::select! {
                () = stop.asked() => return,
                Some(ended) = self.at_work.join_next_with_id() => self.conclude(ended),
            }
        }
    }
}

/// The signals to stop.
struct Stop {
    terminate: Signal,
    interrupt: Signal,
}

impl Stop {
    fn new() -> Result<Self, Error> {
        let listen = |kind| {
            signal(kind).map_err(|error| Error::Source {
                reason: format!("can't listen for signals: {error}"),
            })
        };
        let (terminate, interrupt) =
            (listen(SignalKind::terminate())?, listen(SignalKind::interrupt())?);
        Ok(Self { terminate, interrupt })
    }

    async fn asked(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

/// One line of standard output, whatever is in a file's name; a closed one is no reason to stop.
fn say(line: &str) {
    let line = line.replace(char::is_control, " ");
    let _ = writeln!(io::stdout(), "{line}");
}

/// The same on standard error, for whoever looks only at what goes wrong.
fn warn(line: &str) {
    let line = line.replace(char::is_control, " ");
    let _ = writeln!(io::stderr(), "warning: {line}");
}
