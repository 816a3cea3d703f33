//! The process group of a container, which is signalled only while its id cannot have passed to
//! another.

use std::io;

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};
use tokio::process::Child;
use tokio::signal::unix::{SignalKind, signal};

/// A group whose leader is a child of the host.
#[derive(Debug)]
pub(crate) struct ProcessGroup(Pid);

impl ProcessGroup {
    /// The group of a process that was started as its leader.
    pub(crate) fn led_by(child: &Child) -> Self {
        let id = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
        Self(id.expect("a process that was just started has an id"))
    }

    /// The id of the group and its leader.
    pub(crate) fn id(&self) -> Pid {
        self.0
    }

    /// Signals the leader and every process it started that stayed in its group.
    pub(crate) fn signal(&self, signal: Signal) {
        kill_process_group(self.0, signal).ok();
    }

    /// Waits until the leader has ended, but does not reap it: until then its id stays taken.
    pub(crate) async fn leader_ended(&self) -> io::Result<()> {
        let mut children = signal(SignalKind::child())?;
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        while waitid(WaitId::Pid(self.0), options)?.is_none() {
            children.recv().await;
        }
        Ok(())
    }
}
