//! The containers of one variant: none until a call comes, as many as the load needs, none again
//! when idle.
//!
//! A container has one call at a time, as on AWS. A call takes the free container that was used
//! last, so that the others become idle; without a free one it waits its turn. Another container is
//! started at once when none runs or starts, and else when a call has waited for as long as the
//! last start took: waiting then has cost as much as starting at once would have, so that no call
//! waits more than twice as long as it would have to had anyone known the load, and quick calls
//! queue up for a moment instead of starting processes.

mod call;
mod member;
mod state;
mod backoff;
mod keeper;

use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use tokio::sync::{Notify, oneshot};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::container::Launch;
use crate::reason::Reason;
use crate::resource_name::ResourceName;
pub(crate) use call::{Call, NoContainer, Running};
use keeper::Told;
use state::State;

/// The shortest pause between two looks at whether something has come to pass.
const SHORTEST_WAIT: Duration = Duration::from_millis(10);

/// Runs the containers of a variant and counts the calls in flight.
pub(crate) struct Pool {
    /// What to run.
    pub(crate) launch: Launch,
    /// Time without a call after which a container is stopped.
    idle_timeout: Duration,
    /// Fires when the endpoint is deleted or the host stops.
    stop: CancellationToken,
    /// Wakes whoever waits for the last call of a retired pool.
    last_call: Notify,
    /// Every task that may have a process.
    pub(crate) tasks: TaskTracker,
    /// Never locked across an await.
    state: Mutex<State>,
}

/// How many containers a pool has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Containers {
    /// They load their model.
    pub(crate) starting: usize,
    /// They have no call.
    pub(crate) ready: usize,
    /// They have one.
    pub(crate) busy: usize,
}

impl Containers {
    /// All of them.
    pub(crate) fn total(self) -> usize {
        self.starting + self.ready + self.busy
    }
}

/// What becomes of the container in which a model was tried.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Afterwards {
    /// It is stopped: nobody has called yet.
    Stop,
    /// It waits for the calls that are about to come.
    Keep,
}

/// Why a call is not taken.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Refused {
    /// As many calls as allowed are in flight.
    Full,
    /// Others answer by now, or nobody any more.
    Closed,
}

impl Pool {
    /// A pool without a container.
    pub(crate) fn new(launch: Launch, idle_timeout: Duration) -> Self {
        Self {
            launch,
            idle_timeout,
            stop: CancellationToken::new(),
            last_call: Notify::new(),
            tasks: TaskTracker::new(),
            state: Mutex::new(State::new()),
        }
    }

    /// The variant whose containers these are.
    pub(crate) fn variant_name(&self) -> &ResourceName {
        &self.launch.variant.variant_name
    }

    /// Runs as many containers as are provisioned, at least one, until they are ready.
    pub(crate) async fn prove(self: &Arc<Self>, afterwards: Afterwards) -> Result<(), Reason> {
        let wanted = match (self.provisioned(), afterwards) {
            (0, Afterwards::Stop) => return self.rehearse().await,
            (0, Afterwards::Keep) => 1,
            (provisioned, _) => provisioned,
        };
        for outcome in self.start_told(wanted)? {
            outcome.await.unwrap_or_else(|_| Err(Reason::closed()))?;
        }
        Ok(())
    }

    /// Begins to start what is missing of the provisioned containers.
    pub(crate) fn warm(self: &Arc<Self>) {
        self.refill(&mut self.lock());
    }

    /// Counts a call in, or refuses it: while a container is ready there may be as many as
    /// `MaxConcurrency`, and those beyond that a cold pool may hold until then.
    pub(crate) fn admit(self: &Arc<Self>) -> Result<Call, Refused> {
        let mut state = self.lock();
        if state.retired || self.stop.is_cancelled() {
            return Err(Refused::Closed);
        }
        let held = if state.members.is_empty() { self.launch.machine.cold_queue } else { 0 };
        if state.calls >= self.max_concurrency().saturating_add(held) {
            return Err(Refused::Full);
        }
        state.calls += 1;
        Ok(Call { pool: Arc::clone(self) })
    }

    /// How many containers there are.
    pub(crate) fn containers(&self) -> Containers {
        let state = self.lock();
        let ready = state.count_free();
        Containers { starting: state.starting, ready, busy: state.members.len() - ready }
    }

    /// The memory that the containers that are ready held when last looked at.
    pub(crate) fn memory_bytes(&self) -> u64 {
        self.lock().members.iter().map(|member| member.usage.bytes()).sum()
    }

    /// Calls in flight.
    pub(crate) fn calls(&self) -> usize {
        self.lock().calls
    }

    /// Takes no more calls; those that were taken go on.
    pub(crate) fn retire(&self) {
        self.lock().retired = true;
    }

    /// Waits until the last call of a retired pool has ended.
    pub(crate) async fn retired(&self) {
        let mut woken = std::pin::pin!(self.last_call.notified());
        loop {
            woken.as_mut().enable();
            if self.lock().calls == 0 {
                return;
            }
            woken.as_mut().await;
            woken.set(self.last_call.notified());
        }
    }

    /// Tells the containers to stop; [`Pool::closed`] waits until they have.
    pub(crate) fn close(&self) {
        // Under the lock, so that no container is started behind the back of `closed`.
        let mut state = self.lock();
        self.stop.cancel();
        self.tasks.close();
        for waiter in state.dismiss() {
            waiter.send(Err(Reason::closed())).ok();
        }
    }

    /// Waits until no process is left.
    pub(crate) async fn closed(&self) {
        self.tasks.wait().await;
    }

    /// Starts another container if those who wait need more than are about to be ready.
    fn grow(self: &Arc<Self>) {
        let mut state = self.lock();
        let room = state.members.len() + state.starting < self.max_concurrency();
        let tried = state.failing.blocked().is_none() && !self.stop.is_cancelled();
        if room && tried && state.starting < state.count_waiting() {
            self.start(&mut state, None);
        }
    }

    fn start(self: &Arc<Self>, state: &mut State, told: Option<Told>) {
        state.starting += 1;
        self.tasks.spawn(Arc::clone(self).keep(told));
    }

    fn start_told(
        self: &Arc<Self>,
        wanted: usize,
    ) -> Result<Vec<oneshot::Receiver<Result<(), Reason>>>, Reason> {
        let mut state = self.lock();
        if self.stop.is_cancelled() {
            return Err(Reason::closed());
        }
        let start = |_| {
            let (told, outcome) = oneshot::channel();
            self.start(&mut state, Some(told));
            outcome
        };
        Ok((0..wanted).map(start).collect())
    }

    /// Has what is missing of the provisioned containers started, after a pause if those before
    /// failed or died young.
    fn refill(self: &Arc<Self>, state: &mut State) {
        if !state.refilling && self.missing(state) > 0 {
            state.refilling = true;
            let pause = state.failing.left().max(state.dying.left());
            let pool = Arc::clone(self);
            self.tasks.spawn(async move {
                tokio::select! {
                    () = sleep(pause) => pool.refill_now(),
                    () = pool.stop.cancelled() => {}
                }
            });
        }
    }

    fn refill_now(self: &Arc<Self>) {
        let mut state = self.lock();
        state.refilling = false;
        for _ in 0..self.missing(&state) {
            self.start(&mut state, None);
        }
    }

    fn missing(&self, state: &State) -> usize {
        if state.retired || self.stop.is_cancelled() {
            return 0;
        }
        self.provisioned().saturating_sub(state.members.len() + state.starting)
    }

    fn max_concurrency(&self) -> usize {
        self.launch.variant.serverless_config.max_concurrency.into()
    }

    fn provisioned(&self) -> usize {
        self.launch.variant.serverless_config.provisioned_concurrency.map_or(0, usize::from)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("counting calls does not panic")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture;

    #[tokio::test]
    async fn a_closed_pool_starts_no_container() {
        let homes = tempfile::tempdir().unwrap();
        let pool = fixture::python_pool(homes.path());
        pool.close();
        assert!(pool.prove(Afterwards::Keep).await.is_err());
        assert!(pool.admit().is_err());
        assert!(pool.tasks.is_empty());
        pool.closed().await;
    }
}
