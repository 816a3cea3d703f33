//! The process group of a worker, which is signalled only while its id can't have passed to
//! another.

use std::io;
use std::process::ExitStatus;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};
use tokio::process::Child;
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::sleep;

/// How often the rest of a killed group is looked at, and how long apart.
const REAPS: usize = 20;
const REAP_PAUSE: Duration = Duration::from_millis(10);

/// A group whose leader is our child; nothing once the leader has been reaped.
#[derive(Debug)]
pub(super) struct ProcessGroup {
    pub(super) id: Pid,
    alive: Mutex<bool>,
    /// Whether the leader's death by SIGKILL would be our doing.
    was_killed: AtomicBool,
}

impl ProcessGroup {
    /// The group of a process that was started as its leader.
    pub(super) fn led_by(child: &Child) -> Self {
        let id = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
        let id = id.expect("a process that was just started has an id");
        Self { id, alive: Mutex::new(true), was_killed: AtomicBool::new(false) }
    }

    /// Signals the leader and every process it started that stayed in its group.
    pub(super) fn signal(&self, signal: Signal) {
        if *self.alive() {
            if signal == Signal::KILL {
                self.was_killed.store(true, Ordering::Relaxed);
            }
            kill_process_group(self.id, signal).ok();
        }
    }

    /// Whether we have sent it SIGKILL while its leader was there.
    pub(super) fn was_killed(&self) -> bool {
        self.was_killed.load(Ordering::Relaxed)
    }

    /// Waits until the leader ends, kills what it leaves behind, and only then reaps it.
    pub(super) async fn ended(&self, leader: &mut Child) -> io::Result<ExitStatus> {
        let mut children = signal(SignalKind::child())?;
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        while waitid(WaitId::Pid(self.id), options)?.is_none() {
            children.recv().await;
        }
        kill_process_group(self.id, Signal::KILL).ok();
        *self.alive() = false;
        leader.wait().await
    }

    /// Reaps what the leader left behind, which is ours where we are a container's first process.
    ///
    /// Call it as soon as the leader was reaped: while members are left no other group has the id.
    pub(super) async fn reap_orphans(&self) {
        let group = WaitId::Pgid(Some(self.id));
        for _ in 0..REAPS {
            match waitid(group.clone(), WaitIdOptions::EXITED | WaitIdOptions::NOHANG) {
                Ok(Some(_)) => {}
                Ok(None) => sleep(REAP_PAUSE).await,
                Err(_) => return,
            }
        }
    }

    fn alive(&self) -> MutexGuard<'_, bool> {
        self.alive.lock().expect("sending a signal does not panic")
    }
}
