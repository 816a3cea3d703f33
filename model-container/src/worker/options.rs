//! `[worker]` in `model.toml`: how many processes there are and when one is replaced.

use std::num::NonZeroUsize;
use std::thread::available_parallelism;
use std::time::Duration;

use serde::Deserialize;

/// How worker processes are run.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Options {
    /// How many processes; default: as many as the container has processors.
    pub processes: NonZeroUsize,
    /// How many calls one process may have at a time; default 1.
    pub concurrency: NonZeroUsize,
    /// The resident memory above which a process is replaced; default: never.
    pub max_rss_mb: Option<u64>,
    /// How long a process may take from its start to its first answers; default 60.
    pub start_timeout_s: u64,
}

impl Options {
    /// How long a process may take from its start to its first answers.
    pub(super) fn start_timeout(&self) -> Duration {
        Duration::from_secs(self.start_timeout_s)
    }
}

impl Default for Options {
    fn default() -> Self {
        // This honours a cgroup's quota, as a container has one.
        let processes = available_parallelism().unwrap_or(NonZeroUsize::MIN);
        Self { processes, concurrency: NonZeroUsize::MIN, max_rss_mb: None, start_timeout_s: 60 }
    }
}
