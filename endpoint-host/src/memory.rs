//! Holds every container to its memory: by a control group of its own where the system lets the
//! host make some, else by looking at what its processes hold. Address space is not limited: the
//! Java machine, for one, reserves far more than it uses.

mod cgroup;
mod processes;

use std::collections::HashMap;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::task::spawn_blocking;
use tokio::time::sleep;

use crate::reason::Reason;
use cgroup::{Cgroups, Group};
use processes::{Ownership, Process};

pub(crate) use cgroup::clear;

/// The pause between two looks at all processes; longer where a look itself takes long.
const TICK: Duration = Duration::from_millis(250);

/// No more than one part in so many of a processor's time goes into looking.
const SHARE: u32 = 20;

/// Bytes in what SageMaker calls a megabyte.
const MEGABYTE: u64 = 1024 * 1024;

/// Limits the containers of all endpoints.
#[derive(Debug)]
pub(crate) struct Memory {
    /// Where groups are made, if they can be.
    groups: Option<Cgroups>,
    /// Every container that runs.
    watched: Arc<Mutex<Watched>>,
}

/// What is looked at.
#[derive(Debug, Default)]
struct Watched {
    /// By the process that leads it.
    containers: HashMap<i32, Arc<Usage>>,
    /// Which processes belong to which of them.
    ownership: Ownership,
    /// Whether a task looks.
    watching: bool,
}

/// The memory of one container.
#[derive(Debug)]
pub(crate) struct Usage {
    /// How much it may use, in megabytes.
    limit_mb: u16,
    /// How much it used when last looked at.
    bytes: AtomicU64,
    /// Whether it was killed for using too much.
    exceeded: AtomicBool,
    /// Its control group, if it has one.
    group: Option<Group>,
}

/// The limit of one running container.
#[derive(Debug)]
pub(crate) struct Limit {
    /// The process that leads it.
    leader: Pid,
    /// What it uses.
    usage: Arc<Usage>,
    /// Where it is looked at.
    watched: Arc<Mutex<Watched>>,
}

impl Memory {
    /// Uses control groups if that works, and says which way was found.
    pub(crate) fn open() -> Self {
        let groups = Cgroups::find();
        match &groups {
            Some(groups) => tracing::info!("containers' memory is limited by {groups}"),
            None => tracing::info!("containers' memory is limited by looking at it"),
        }
        Self { groups, watched: Arc::default() }
    }

    /// Looks at what containers use, whatever else the system has.
    #[cfg(test)]
    pub(crate) fn by_looking() -> Self {
        Self { groups: None, watched: Arc::default() }
    }

    /// Holds a container that was just started to its limit.
    pub(crate) fn limit(&self, leader: Pid, limit_mb: u16) -> Limit {
        let bytes = u64::from(limit_mb) * MEGABYTE;
        let group = self.groups.as_ref().and_then(|groups| groups.hold(leader, bytes));
        let usage = Usage { limit_mb, bytes: 0.into(), exceeded: false.into(), group };
        let (usage, watched) = (Arc::new(usage), Arc::clone(&self.watched));
        let mut state = lock(&watched);
        state.containers.insert(leader.as_raw_pid(), Arc::clone(&usage));
        if !std::mem::replace(&mut state.watching, true) {
            tokio::spawn(watch(Arc::clone(&watched)));
        }
        drop(state);
        Limit { leader, usage, watched }
    }
}

impl Usage {
    /// How much the container used when last looked at.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Why the container was killed, if that was for its memory.
    pub(crate) fn exceeded(&self) -> Option<Reason> {
        let by_system = || self.group.as_ref().is_some_and(Group::was_exceeded);
        let exceeded = self.exceeded.load(Ordering::Relaxed) || by_system();
        let limit_mb = self.limit_mb;
        exceeded.then(|| Reason::new(format!("the container exceeded its {limit_mb} MB of memory")))
    }

    /// Takes down what the container's processes hold; tells whether that is too much, once.
    fn note(&self, leader: i32, ownership: &Ownership) -> bool {
        let (held, exceeds) = match &self.group {
            Some(group) => (group.bytes().unwrap_or_default(), group.was_exceeded()),
            None => self.look(leader, ownership),
        };
        self.bytes.store(held, Ordering::Relaxed);
        exceeds && !self.exceeded.swap(true, Ordering::Relaxed)
    }

    fn look(&self, leader: i32, ownership: &Ownership) -> (u64, bool) {
        let limit = u64::from(self.limit_mb) * MEGABYTE;
        let held = ownership.bytes(leader);
        let held = if held > limit { ownership.distinct_bytes(leader) } else { held };
        (held, held > limit)
    }
}

impl Limit {
    /// What the container uses.
    pub(crate) fn usage(&self) -> &Arc<Usage> {
        &self.usage
    }

    /// The control group, if the container has one.
    pub(crate) fn group(&self) -> Option<&Path> {
        self.usage.group.as_ref().map(Group::path)
    }

    /// Looks no longer, and kills what has left the container's process group. To be called before
    /// the leader is reaped, while its id cannot be another's.
    pub(crate) fn lift(&self) {
        let left = {
            let mut state = lock(&self.watched);
            state.containers.remove(&self.leader.as_raw_pid());
            state.ownership.forget(self.leader.as_raw_pid())
        };
        left.iter().for_each(Process::kill);
        if let Some(group) = &self.usage.group {
            group.kill();
        }
    }
}

impl Drop for Limit {
    fn drop(&mut self) {
        self.lift();
    }
}

/// Looks at all containers until there is none.
async fn watch(watched: Arc<Mutex<Watched>>) {
    let mut pause = TICK;
    loop {
        sleep(pause).await;
        let begun = Instant::now();
        let looking = Arc::clone(&watched);
        if !spawn_blocking(move || look(&looking)).await.unwrap_or(false) {
            return;
        }
        pause = TICK.max(begun.elapsed() * SHARE);
    }
}

/// One look at every process; tells whether there was any container to look at. Files are read
/// without the lock: containers start and end meanwhile.
fn look(watched: &Mutex<Watched>) -> bool {
    let Some(containers) = to_look_at(watched) else {
        return false;
    };
    let needed = containers.values().any(|usage| usage.group.is_none());
    let all = if needed { processes::all() } else { HashMap::new() };
    let ownership = {
        let Watched { containers, ownership, .. } = &mut *lock(watched);
        ownership.renew(&all, |leader| containers.contains_key(&leader));
        ownership.clone()
    };
    for (leader, usage) in containers {
        if usage.note(leader, &ownership) {
            kill(watched, leader, &usage);
        }
    }
    true
}

/// All containers; where there is none, nobody looks from now on.
fn to_look_at(watched: &Mutex<Watched>) -> Option<HashMap<i32, Arc<Usage>>> {
    let mut state = lock(watched);
    state.watching = !state.containers.is_empty();
    state.watching.then(|| state.containers.clone())
}

/// Kills a container, unless it has ended meanwhile: under the lock, what is still looked at has a
/// leader that was not reaped, whose id is no other's.
fn kill(watched: &Mutex<Watched>, leader: i32, usage: &Arc<Usage>) {
    let state = lock(watched);
    if !state.containers.get(&leader).is_some_and(|now| Arc::ptr_eq(now, usage)) {
        return;
    }
    if let Some(group) = Pid::from_raw(leader) {
        kill_process_group(group, Signal::KILL).ok();
    }
    state.ownership.of(leader).for_each(Process::kill);
    if let Some(group) = &usage.group {
        group.kill();
    }
}

fn lock(watched: &Mutex<Watched>) -> MutexGuard<'_, Watched> {
    watched.lock().expect("looking at processes does not panic")
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use http_body_util::Full;
    use hyper::Request;

    use super::*;
    use crate::fixture;
    use crate::pool::{Call, Pool, Running};

    /// Sends `body` to a container and tells whether it answered, and which one it was.
    async fn send(pool: &Arc<Pool>, body: &'static str) -> (bool, Call, Running) {
        let call = pool.admit().unwrap();
        let running = call.container().await.unwrap();
        let request = Request::post("/invocations").body(Full::new(Bytes::from(body))).unwrap();
        (running.connections.ask(request).await.is_ok(), call, running)
    }

    async fn is_held_to_its_memory(memory: Memory, hog: &'static str) {
        let homes = tempfile::tempdir().unwrap();
        let pool = fixture::python_pool_with(homes.path(), memory);
        assert!(send(&pool, "hello").await.0);
        // Where the system kills a child alone, the container may answer before it is ended.
        let (_, call, running) = send(&pool, hog).await;
        let reason = running.ended().await.to_string();
        assert!(reason.contains("exceeded its 1024 MB of memory"), "{reason}");
        drop((call, running));
        assert!(send(&pool, "hello").await.0);
        pool.close();
        pool.closed().await;
    }

    #[tokio::test]
    async fn a_container_that_is_looked_at_is_killed_when_it_exceeds_its_memory() {
        is_held_to_its_memory(Memory::by_looking(), "hog 1200").await;
    }

    #[test]
    fn containers_start_and_end_while_files_are_read() {
        let folder = tempfile::tempdir().unwrap();
        // Whoever reads it waits for a writer.
        let slow = folder.path().join("memory.stat");
        let made = std::process::Command::new("mkfifo").arg(&slow).status().unwrap();
        assert!(made.success());
        let group = Some(Group::of_version_two(folder.path()));
        let usage = Usage { limit_mb: 1024, bytes: 0.into(), exceeded: false.into(), group };
        let watched = Mutex::new(Watched::default());
        lock(&watched).containers.insert(i32::MAX, Arc::new(usage));
        std::thread::scope(|scope| {
            let looking = scope.spawn(|| look(&watched));
            // Opened once the other end is: someone looks.
            let writer = std::fs::File::options().write(true).open(&slow).unwrap();
            let free = watched.try_lock().is_ok();
            drop(writer);
            assert!(looking.join().unwrap());
            assert!(free, "the lock is held while a file is read");
        });
    }

    #[tokio::test]
    async fn what_a_child_in_a_session_of_its_own_holds_counts() {
        is_held_to_its_memory(Memory::by_looking(), "child hog 1200").await;
    }

    #[tokio::test]
    async fn what_processes_share_counts_once() {
        let homes = tempfile::tempdir().unwrap();
        let pool = fixture::python_pool(homes.path());
        assert!(send(&pool, "share 700").await.0);
        pool.close();
        pool.closed().await;
    }

    #[tokio::test]
    async fn the_memory_of_both_a_container_and_its_child_is_limited_by_what_the_system_has() {
        is_held_to_its_memory(Memory::open(), "hog 1200").await;
        is_held_to_its_memory(Memory::open(), "child hog 1200").await;
    }

    #[tokio::test]
    async fn what_a_container_holds_is_told_and_nothing_is_looked_at_without_containers() {
        let homes = tempfile::tempdir().unwrap();
        let pool = fixture::python_pool(homes.path());
        assert!(send(&pool, "hello").await.0);
        let deadline = Instant::now() + Duration::from_secs(20);
        while pool.memory_bytes() < MEGABYTE {
            assert!(Instant::now() < deadline, "its memory is not known");
            sleep(Duration::from_millis(20)).await;
        }
        pool.close();
        pool.closed().await;
        let watched = &pool.launch.machine.memory.watched;
        while lock(watched).watching {
            assert!(Instant::now() < deadline, "nobody runs, and yet someone looks");
            sleep(Duration::from_millis(20)).await;
        }
    }
}
