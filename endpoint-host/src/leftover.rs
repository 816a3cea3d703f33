//! Notes about running containers, by which a host that starts finds and ends those that an
//! earlier one left when it was killed. They need `/proc`; without it there are no notes.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group};
use serde::{Deserialize, Serialize};

use crate::memory;

/// The folder of the notes inside a variant's folder.
const NOTES: &str = "processes";

/// A killed process is gone in no time, unless the system itself is stuck.
const END_LIMIT: Duration = Duration::from_secs(2);

/// What tells a process from every other, before and after it: a command line would not, since
/// programs may rewrite their own.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Identity {
    /// Its id, which is also that of its group.
    pid: i32,
    /// When it was started, in clock ticks since the system was.
    start_time: u64,
    /// Which start of the system that is.
    boot_id: String,
}

/// What a note tells.
#[derive(Debug, Serialize, Deserialize)]
struct Left {
    /// The process.
    #[serde(flatten)]
    identity: Identity,
    /// The control group that holds it and all that it has started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    group: Option<PathBuf>,
}

/// The note about one running container; it disappears with the container.
#[derive(Debug)]
pub(crate) struct Note {
    /// Where it is.
    path: PathBuf,
}

impl Note {
    /// Writes the note about the process `pid` into the variant's folder `home`.
    pub(crate) fn write(home: &Path, pid: Pid, group: Option<&Path>) -> io::Result<Self> {
        let identity = Identity::of(pid.as_raw_pid())?;
        let left = Left { identity, group: group.map(Path::to_owned) };
        let folder = home.join(NOTES);
        fs::create_dir_all(&folder)?;
        let path = folder.join(pid.as_raw_pid().to_string());
        fs::write(&path, serde_json::to_vec(&left)?)?;
        Ok(Self { path })
    }
}

impl Drop for Note {
    fn drop(&mut self) {
        fs::remove_file(&self.path).ok();
    }
}

/// Kills every noted process that still runs, and those it started.
pub(crate) fn end_all(homes: &Path) {
    let homes = entries(homes).flat_map(|serving| entries(&serving));
    let notes = homes.flat_map(|home| entries(&home.join(NOTES)));
    for left in notes.filter_map(|note| Left::read(&note)) {
        left.identity.end();
        if let Some(group) = &left.group {
            memory::clear(group);
        }
    }
}

impl Identity {
    fn of(pid: i32) -> io::Result<Self> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
        let boot_id = fs::read_to_string("/proc/sys/kernel/random/boot_id")?.trim().to_owned();
        let start_time = start_time(&stat).ok_or(io::ErrorKind::InvalidData)?;
        Ok(Self { pid, start_time, boot_id })
    }

    /// Kills the process and its group, and waits for its end for as long as that may take.
    fn end(&self) {
        let Some(group) = Pid::from_raw(self.pid).filter(|_| self.is_running()) else {
            return;
        };
        tracing::warn!(pid = self.pid, "ending a container that an earlier host left behind");
        let killed = Instant::now();
        kill_process_group(group, Signal::KILL).ok();
        while self.is_running() && killed.elapsed() < END_LIMIT {
            sleep(Duration::from_millis(1));
        }
    }

    fn is_running(&self) -> bool {
        Self::of(self.pid).is_ok_and(|running| running == *self)
    }
}

impl Left {
    fn read(note: &Path) -> Option<Self> {
        serde_json::from_slice(&fs::read(note).ok()?).ok()
    }
}

/// The 22nd field, but nothing for a process that has ended and was not reaped yet; the second
/// field is a name in brackets that may hold anything, the third the state.
fn start_time(stat: &str) -> Option<u64> {
    let (_, from_third) = stat.rsplit_once(") ").filter(|(_, rest)| !rest.starts_with('Z'))?;
    from_third.split(' ').nth(22 - 3)?.parse().ok()
}

fn entries(folder: &Path) -> impl Iterator<Item = PathBuf> + use<> {
    fs::read_dir(folder).into_iter().flatten().filter_map(|entry| Some(entry.ok()?.path()))
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
    use std::process::{Child, Command};

    use super::*;

    fn sleeper() -> (Child, Pid) {
        let child = Command::new("sleep").arg("60").process_group(0).spawn().unwrap();
        let pid = Pid::from_raw(child.id().try_into().unwrap()).unwrap();
        (child, pid)
    }

    #[test]
    fn a_noted_process_is_ended() {
        let homes = tempfile::tempdir().unwrap();
        let (mut child, pid) = sleeper();
        let _note = Note::write(&homes.path().join("serving/variant"), pid, None).unwrap();
        end_all(homes.path());
        assert_eq!(child.wait().unwrap().signal(), Some(Signal::KILL.as_raw()));
    }

    #[test]
    fn a_process_that_has_taken_over_the_id_of_a_noted_one_is_left_alone() {
        let homes = tempfile::tempdir().unwrap();
        let (mut child, pid) = sleeper();
        let note = Note::write(&homes.path().join("serving/variant"), pid, None).unwrap();
        let mut left = Left::read(&note.path).unwrap();
        left.identity.start_time -= 1;
        fs::write(&note.path, serde_json::to_vec(&left).unwrap()).unwrap();
        end_all(homes.path());
        kill_process_group(pid, Signal::TERM).unwrap();
        assert_eq!(child.wait().unwrap().signal(), Some(Signal::TERM.as_raw()));
    }

    #[test]
    fn the_start_time_is_found_behind_any_name() {
        let numbers: Vec<_> = (4..=52).map(|number| number.to_string()).collect();
        let stat = format!("7 (a) S (b)) S {}", numbers.join(" "));
        assert_eq!(start_time(&stat), Some(22));
        assert_eq!(start_time("7 (a) S"), None);
        assert_eq!(start_time(&stat.replace(") S ", ") Z ")), None);
    }
}
