//! Control groups, of either version, as far as the system lets the host make some inside its own.

use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use uuid::Uuid;

/// What the names of our groups begin with.
const PREFIX: &str = "gatehouse-";

/// Killed processes are gone within this time, unless the system itself is stuck.
const END_STEPS: u32 = 200;

/// The pause between two looks at whether they are.
const END_STEP: Duration = Duration::from_millis(10);

/// Where groups are made.
#[derive(Clone, Debug)]
pub(super) struct Cgroups {
    /// The group that the host itself is in, or the one around that.
    own: PathBuf,
    /// What the files in it are called.
    version: Version,
}

/// The interfaces that Linux has for memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Version {
    /// One tree for each resource.
    One,
    /// One tree for all.
    Two,
}

/// The group of one container; it goes when dropped.
#[derive(Debug)]
pub(super) struct Group {
    /// Its folder.
    path: PathBuf,
    /// What the files in it are called.
    version: Version,
}

impl Cgroups {
    /// Makes a group as if for a container, to see whether that works.
    pub(super) fn find() -> Option<Self> {
        let mounts = fs::read_to_string("/proc/self/mounts").ok()?;
        let own = fs::read_to_string("/proc/self/cgroup").ok()?;
        let found = found(&mounts, &own).into_iter().find(Self::works)?;
        found.clear();
        Some(found)
    }

    fn works(&self) -> bool {
        if self.version == Version::Two {
            // Takes effect where no process is: beside the host, if it has a subgroup for itself.
            fs::write(self.own.join("cgroup.subtree_control"), "+memory").ok();
        }
        self.make(1 << 30).is_ok()
    }

    /// Moves a process, and all that it will start, into a group of its own.
    pub(super) fn hold(&self, leader: Pid, bytes: u64) -> Option<Group> {
        let held = self.make(bytes).and_then(|group| {
            fs::write(group.path.join("cgroup.procs"), leader.as_raw_pid().to_string())?;
            Ok(group)
        });
        held.inspect_err(|error| tracing::warn!("a container's memory is looked at: {error}")).ok()
    }

    fn make(&self, bytes: u64) -> io::Result<Group> {
        let path = self.own.join(format!("{PREFIX}{}", Uuid::new_v4()));
        fs::create_dir(&path)?;
        let group = Group { path, version: self.version };
        let set = |file: &str, value: &str| fs::write(group.path.join(file), value);
        let bytes = bytes.to_string();
        match self.version {
            Version::One => {
                set("memory.limit_in_bytes", &bytes)?;
                // Only where the kernel counts swap.
                set("memory.memsw.limit_in_bytes", &bytes).ok();
            }
            Version::Two => {
                set("memory.max", &bytes)?;
                set("memory.swap.max", "0").ok();
                set("memory.oom.group", "1").ok();
            }
        }
        Ok(group)
    }

    /// Removes the groups of hosts that were killed, but for those that still have processes.
    fn clear(&self) {
        for entry in fs::read_dir(&self.own).into_iter().flatten().flatten() {
            if entry.file_name().as_encoded_bytes().starts_with(PREFIX.as_bytes()) {
                fs::remove_dir(entry.path()).ok();
            }
        }
    }
}

impl fmt::Display for Cgroups {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let version = match self.version {
            Version::One => 1,
            Version::Two => 2,
        };
        write!(f, "control groups (version {version}) in `{}`", self.own.display())
    }
}

impl Group {
    /// A group of which a folder tells.
    #[cfg(test)]
    pub(super) fn of_version_two(folder: &Path) -> Self {
        Self { path: folder.to_owned(), version: Version::Two }
    }

    /// Its folder.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Whether the system has killed one of its processes for their memory.
    pub(super) fn was_exceeded(&self) -> bool {
        let file = match self.version {
            Version::One => "memory.oom_control",
            Version::Two => "memory.events",
        };
        self.value(file, "oom_kill ").is_some_and(|kills| kills > 0)
    }

    /// The memory that its processes hold, without the files that the system keeps for them.
    pub(super) fn bytes(&self) -> Option<u64> {
        match self.version {
            Version::One => self.value("memory.stat", "total_rss "),
            Version::Two => self.value("memory.stat", "anon "),
        }
    }

    /// Kills its processes.
    pub(super) fn kill(&self) {
        kill_all(&self.path);
    }

    fn value(&self, file: &str, name: &str) -> Option<u64> {
        let text = fs::read_to_string(self.path.join(file)).ok()?;
        text.lines().find_map(|line| line.strip_prefix(name))?.trim().parse().ok()
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if fs::remove_dir(&self.path).is_ok() {
            return;
        }
        // What was killed takes a moment to end.
        let path = self.path.clone();
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn_blocking(move || clear(&path));
        }
    }
}

/// Kills every process of a group and removes it; may take a moment.
pub(crate) fn clear(path: &Path) {
    let ours =
        path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(PREFIX.as_bytes()));
    if !ours {
        return;
    }
    for _ in 0..END_STEPS {
        kill_all(path);
        if fs::remove_dir(path).is_ok() || !path.exists() {
            return;
        }
        std::thread::sleep(END_STEP);
    }
    tracing::warn!("cannot remove the control group `{}`", path.display());
}

fn kill_all(path: &Path) {
    let pids = fs::read_to_string(path.join("cgroup.procs")).unwrap_or_default();
    for pid in pids.lines().filter_map(|pid| Pid::from_raw(pid.parse().ok()?)) {
        // No other process that has got the id meanwhile.
        if let Ok(handle) = pidfd_open(pid, PidfdFlags::empty())
            && is_in(pid, path)
        {
            pidfd_send_signal(handle, Signal::KILL).ok();
        }
    }
}

/// The group's name is like no other.
fn is_in(pid: Pid, path: &Path) -> bool {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or("/");
    fs::read_to_string(format!("/proc/{}/cgroup", pid.as_raw_pid()))
        .is_ok_and(|groups| groups.lines().any(|line| line.ends_with(name)))
}

/// Where groups may be made: the group that this process is in, for each tree that counts memory,
/// and the one around it, which is where version 2 lets some be made beside a process. That is never
/// the root of a tree, which belongs to the system, unless this process is in the root itself: in a
/// container, and where nothing sorts processes into groups, that is the only one it has been given.
fn found(mounts: &str, own: &str) -> Vec<Cgroups> {
    let mut found = Vec::new();
    for mount in mounts.lines() {
        let mut fields = mount.split(' ').skip(1);
        let (Some(at), Some(kind), Some(options)) = (fields.next(), fields.next(), fields.next())
        else {
            continue;
        };
        let (version, controller) = match kind {
            "cgroup" if options.split(',').any(|option| option == "memory") => {
                (Version::One, "memory")
            }
            "cgroup2" => (Version::Two, ""),
            _ => continue,
        };
        let path = own.lines().find_map(|line| {
            let (controllers, path) = line.split_once(':')?.1.split_once(':')?;
            controllers.split(',').any(|name| name == controller).then_some(path)
        });
        let Some(path) = path else {
            continue;
        };
        let (root, mut own) = (Path::new(at), Path::new(at).join(path.trim_start_matches('/')));
        if !own.is_dir() {
            // The path is the one outside of a container, whose group is mounted as the root.
            own = root.to_owned();
        }
        let around = own.parent().filter(|around| around.starts_with(root) && *around != root);
        let all = [Some(own.clone()), around.map(Path::to_owned)];
        found.extend(all.into_iter().flatten().map(|own| Cgroups { own, version }));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is found in a machine with one tree of each version, which has these groups.
    fn found_in(own: &str, groups: &[&str]) -> Vec<(Version, String)> {
        let machine = tempfile::tempdir().unwrap();
        for group in groups {
            fs::create_dir_all(machine.path().join(group)).unwrap();
        }
        let at = machine.path().display();
        let mounts = format!(
            "tmpfs {at} tmpfs rw 0 0\n\
             cgroup {at}/cpu cgroup rw,cpu 0 0\n\
             cgroup {at}/memory cgroup rw,memory 0 0\n\
             cgroup2 {at}/unified cgroup2 rw 0 0\n"
        );
        let inside = |groups: Cgroups| {
            let own = groups.own.strip_prefix(machine.path()).unwrap();
            (groups.version, own.to_str().unwrap().to_owned())
        };
        found(&mounts, own).into_iter().map(inside).collect()
    }

    #[test]
    fn groups_are_made_in_the_own_one_or_around_it_and_not_in_the_root_of_the_tree() {
        let own = "5:cpu:/a\n4:memory:/b/c\n0::/d\n";
        let found = found_in(own, &["cpu/a", "memory/b/c", "unified/d"]);
        let expected =
            [(Version::One, "memory/b/c"), (Version::One, "memory/b"), (Version::Two, "unified/d")];
        assert_eq!(found, expected.map(|(version, own)| (version, own.to_owned())));
    }

    #[test]
    fn the_root_is_used_where_this_process_has_no_other_group() {
        let root = vec![(Version::Two, "unified".to_owned())];
        assert_eq!(found_in("0::/\n", &["unified"]), root);
        // As in a container that sees the path outside.
        assert_eq!(found_in("0::/docker/1234\n", &["unified"]), root);
    }

    #[test]
    fn kills_are_read_from_what_either_version_tells() {
        let folder = tempfile::tempdir().unwrap();
        let group = |version| Group { path: folder.path().to_owned(), version };
        for (version, file) in
            [(Version::One, "memory.oom_control"), (Version::Two, "memory.events")]
        {
            fs::write(folder.path().join(file), "oom 3\noom_kill 0\n").unwrap();
            assert!(!group(version).was_exceeded());
            fs::write(folder.path().join(file), "oom 3\noom_kill 1\n").unwrap();
            assert!(group(version).was_exceeded());
        }
    }
}
