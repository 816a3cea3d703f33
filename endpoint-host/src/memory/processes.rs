//! All processes of the machine, and which container each of them belongs to.

use std::collections::HashMap;
use std::fs;

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

/// A process as it was at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Process {
    /// Its id.
    pid: i32,
    /// The process that started it, or has taken it over.
    parent: i32,
    /// Its process group.
    group: i32,
    /// When it was started, which tells it from another with the same id.
    start_time: u64,
    /// The memory that it holds.
    bytes: u64,
}

/// Which processes belong to a container: those of its process group, those that such a process
/// has started, and those that once were either.
#[derive(Clone, Debug, Default)]
pub(super) struct Ownership {
    /// By id; with the id of the container's leader.
    owned: HashMap<i32, (Process, i32)>,
}

/// Every process there is.
pub(super) fn all() -> HashMap<i32, Process> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.filter_map(|pid| Some((pid, Process::read(pid)?))).collect()
}

impl Process {
    fn read(pid: i32) -> Option<Self> {
        Self::parse(pid, &fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
    }

    /// The second field is a name in brackets that may hold anything.
    fn parse(pid: i32, stat: &str) -> Option<Self> {
        let mut from_fourth = stat.rsplit_once(") ")?.1.split(' ').skip(1);
        let parent = from_fourth.next()?.parse().ok()?;
        let group = from_fourth.next()?.parse().ok()?;
        let mut from_22nd = from_fourth.skip(22 - 6);
        let start_time = from_22nd.next()?.parse().ok()?;
        let pages: u64 = from_22nd.nth(1)?.parse().ok()?;
        let bytes = pages * rustix::param::page_size() as u64;
        Some(Self { pid, parent, group, start_time, bytes })
    }

    /// Kills this process, but no other that has got its id meanwhile.
    pub(super) fn kill(&self) {
        let Some(pid) = Pid::from_raw(self.pid) else {
            return;
        };
        if let Ok(handle) = pidfd_open(pid, PidfdFlags::empty())
            && Self::read(self.pid).is_some_and(|now| now.is(self))
        {
            pidfd_send_signal(handle, Signal::KILL).ok();
        }
    }

    /// The memory that it holds, of what it shares its part.
    fn proportional_bytes(&self) -> Option<u64> {
        let rollup = fs::read_to_string(format!("/proc/{}/smaps_rollup", self.pid)).ok()?;
        let line = rollup.lines().find_map(|line| line.strip_prefix("Pss:"))?;
        Some(line.trim_end_matches("kB").trim().parse::<u64>().ok()? * 1024)
    }

    fn is(&self, other: &Self) -> bool {
        (self.pid, self.start_time) == (other.pid, other.start_time)
    }
}

impl Ownership {
    /// Finds out anew whose the processes are, given which ids lead a container.
    pub(super) fn renew(&mut self, all: &HashMap<i32, Process>, leads: impl Fn(i32) -> bool) {
        let before = std::mem::take(&mut self.owned);
        for process in all.values() {
            let owner = lineage(process, all).find_map(|ancestor| {
                let known = before.get(&ancestor.pid).filter(|(known, _)| known.is(ancestor));
                let group = leads(ancestor.group).then_some(ancestor.group);
                group.or(known.map(|(_, leader)| *leader)).filter(|leader| leads(*leader))
            });
            if let Some(leader) = owner {
                self.owned.insert(process.pid, (*process, leader));
            }
        }
    }

    /// The processes of one container.
    pub(super) fn of(&self, leader: i32) -> impl Iterator<Item = &Process> {
        self.owned.values().filter(move |(_, owner)| *owner == leader).map(|(process, _)| process)
    }

    /// The memory that they hold together.
    pub(super) fn bytes(&self, leader: i32) -> u64 {
        self.of(leader).map(|process| process.bytes).sum()
    }

    /// The same, but what several of them share is counted once; takes longer to find out.
    pub(super) fn distinct_bytes(&self, leader: i32) -> u64 {
        self.of(leader).map(|process| process.proportional_bytes().unwrap_or(process.bytes)).sum()
    }

    /// Gives back those of a container that is gone.
    pub(super) fn forget(&mut self, leader: i32) -> Vec<Process> {
        let gone = self.owned.extract_if(|_, (_, owner)| *owner == leader);
        gone.map(|(_, (process, _))| process).collect()
    }
}

/// A process, the one that started it, and so on; no more of them than there are, as the moments
/// at which they were looked at differ.
fn lineage<'a>(
    process: &'a Process,
    all: &'a HashMap<i32, Process>,
) -> impl Iterator<Item = &'a Process> {
    std::iter::successors(Some(process), |process| all.get(&process.parent)).take(all.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn process(pid: i32, parent: i32, group: i32) -> (i32, Process) {
        (pid, Process { pid, parent, group, start_time: 1, bytes: 1 })
    }

    #[test]
    fn groups_descendants_and_those_who_once_were_either_count() {
        let mut ownership = Ownership::default();
        let leads = |pid| pid == 10;
        let all = HashMap::from([
            process(1, 0, 1),
            process(10, 1, 10),
            process(11, 10, 10),
            process(12, 11, 12),
            process(13, 12, 13),
            process(20, 1, 20),
        ]);
        ownership.renew(&all, leads);
        assert_eq!(ownership.bytes(10), 4);
        // The process between has ended, and 1 has taken over its child.
        let all = HashMap::from([process(1, 0, 1), process(10, 1, 10), process(13, 1, 13)]);
        ownership.renew(&all, leads);
        assert_eq!(ownership.bytes(10), 2);
        // Another process has got the id.
        let mut all = all;
        all.get_mut(&13).unwrap().start_time = 2;
        ownership.renew(&all, leads);
        assert_eq!(ownership.bytes(10), 1);
        assert_eq!(ownership.forget(10).len(), 1);
        assert_eq!(ownership.bytes(10), 0);
    }

    #[test]
    fn this_very_process_is_among_all_with_its_memory() {
        let own = i32::try_from(std::process::id()).unwrap();
        let all = all();
        assert!(all[&own].bytes > 100_000 && all[&own].start_time > 0);
        assert!(all.contains_key(&all[&own].parent));
    }
}
