//! The process group of a worker, which is signalled only while its id can't have passed to
//! another.

use std::io;
use std::process::ExitStatus;
use std::sync::{Mutex, MutexGuard};

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};
use tokio::process::Child;
use tokio::signal::unix::{SignalKind, signal};

/// A group whose leader is our child; nothing once the leader has been reaped.
#[derive(Debug)]
pub(super) struct ProcessGroup {
    pub(super) id: Pid,
    alive: Mutex<bool>,
}

impl ProcessGroup {
    /// The group of a process that was started as its leader.
    pub(super) fn led_by(child: &Child) -> Self {
        let id = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
        let id = id.expect("a process that was just started has an id");
        Self { id, alive: Mutex::new(true) }
    }

    /// Signals the leader and every process it started that stayed in its group.
    pub(super) fn signal(&self, signal: Signal) {
        if *self.alive() {
            kill_process_group(self.id, signal).ok();
        }
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

    fn alive(&self) -> MutexGuard<'_, bool> {
        self.alive.lock().expect("sending a signal does not panic")
    }
}
