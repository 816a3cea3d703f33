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
    /// It waits for the calls that come once the pool takes over, with others up to so many.
    Keep(usize),
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

    /// Runs as many containers as are provisioned or are to be kept, at least one, until they are
    /// ready; those that run already count.
    pub(crate) async fn prove(self: &Arc<Self>, afterwards: Afterwards) -> Result<(), Reason> {
        for outcome in self.begin_to_prove(afterwards)? {
            outcome.await.unwrap_or_else(|_| Err(Reason::closed()))?;
        }
        Ok(())
    }

    /// Begins to start what is missing of the provisioned containers.
    pub(crate) fn warm(self: &Arc<Self>) {
        self.refill(&mut self.lock());
    }

    /// How many containers had work just now, or a moment ago.
    pub(crate) fn at_work(&self) -> usize {
        self.lock().count_at_work()
    }

    /// Begins to answer in the place of another pool.
    pub(crate) fn take_over(&self) {
        self.lock().settles_from_now();
    }

    /// Holds calls while an update starts containers beside these, until [`Pool::uncrowd`].
    pub(crate) fn crowd(&self) {
        self.lock().crowd();
    }

    /// Holds calls for a moment more only.
    pub(crate) fn uncrowd(&self) {
        self.lock().uncrowd();
    }

    /// Counts a call in, or refuses it: there may be as many as `MaxConcurrency`, and beyond that
    /// those that are held while none of the containers is ready, too few are for a load that has
    /// just come, or an update keeps the machine busy.
    pub(crate) fn admit(self: &Arc<Self>) -> Result<Call, Refused> {
        let mut state = self.lock();
        if state.retired || self.stop.is_cancelled() {
            return Err(Refused::Closed);
        }
        let most = self.max_concurrency();
        let held = if state.settles(most) { self.launch.machine.cold_queue } else { 0 };
        if state.calls >= most.saturating_add(held) {
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

    /// Whether its containers were told to stop.
    pub(crate) fn is_closed(&self) -> bool {
        self.stop.is_cancelled()
    }

    /// Waits until no process is left.
    pub(crate) async fn closed(&self) {
        self.tasks.wait().await;
    }

    /// Starts another container if those who wait need more than are about to be ready.
    fn grow(self: &Arc<Self>) {
        let mut state = self.lock();
        let room = state.members.len() + state.starting < self.max_concurrency();
        let tried = state.failing.left().is_zero() && !self.stop.is_cancelled();
        if room && tried && state.starting < state.count_waiting() {
            self.start(&mut state, None);
        }
    }

    fn start(self: &Arc<Self>, state: &mut State, told: Option<Told>) {
        state.starting += 1;
        self.tasks.spawn(Arc::clone(self).keep(told));
    }

    fn begin_to_prove(
        self: &Arc<Self>,
        afterwards: Afterwards,
    ) -> Result<Vec<oneshot::Receiver<Result<(), Reason>>>, Reason> {
        let mut state = self.lock();
        if self.stop.is_cancelled() {
            return Err(Reason::closed());
        }
        let mut begun = Vec::new();
        let mut begin = || {
            let (told, outcome) = oneshot::channel();
            begun.push(outcome);
            told
        };
        match (afterwards, self.provisioned()) {
            (Afterwards::Stop, 0) => drop(self.tasks.spawn(Arc::clone(self).rehearse(begin()))),
            (Afterwards::Stop, wanted) => self.start_up_to(wanted, &mut state, begin),
            (Afterwards::Keep(least), provisioned) => {
                state.stand_by();
                let wanted = least.min(self.max_concurrency()).max(provisioned).max(1);
                self.start_up_to(wanted, &mut state, begin);
            }
        }
        Ok(begun)
    }

    fn start_up_to(
        self: &Arc<Self>,
        wanted: usize,
        state: &mut State,
        mut told: impl FnMut() -> Told,
    ) {
        for _ in state.members.len() + state.starting..wanted {
            self.start(state, Some(told()));
        }
    }

    /// Has a container started for those who wait, if none runs or starts: at once, or after the
    /// pause to which a start that failed has led.
    fn revive(self: &Arc<Self>, state: &mut State) {
        let hope = !state.members.is_empty() || state.starting > 0 || state.reviving;
        if hope || self.stop.is_cancelled() || state.count_waiting() == 0 {
            return;
        }
        let pause = state.failing.left();
        if pause.is_zero() {
            return self.start(state, None);
        }
        state.reviving = true;
        let pool = Arc::clone(self);
        self.tasks.spawn(async move {
            tokio::select! {
                () = sleep(pause) => pool.revive_now(),
                () = pool.stop.cancelled() => {}
            }
        });
    }

    fn revive_now(self: &Arc<Self>) {
        let mut state = self.lock();
        state.reviving = false;
        self.revive(&mut state);
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
        assert!(pool.prove(Afterwards::Keep(1)).await.is_err());
        assert!(pool.admit().is_err());
        assert!(pool.tasks.is_empty());
        pool.closed().await;
    }

    #[tokio::test]
    async fn containers_that_are_to_take_over_are_not_idle_before() {
        let homes = tempfile::tempdir().unwrap();
        let mut pool = Arc::into_inner(fixture::python_pool(homes.path())).unwrap();
        pool.idle_timeout = Duration::from_millis(100);
        let pool = Arc::new(pool);
        pool.prove(Afterwards::Keep(1)).await.unwrap();
        sleep(5 * pool.idle_timeout).await;
        assert_eq!(pool.containers().ready, 1);
        pool.take_over();
        let idle = async {
            while pool.containers().total() > 0 {
                sleep(SHORTEST_WAIT).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(60), idle).await.unwrap();
        pool.close();
        pool.closed().await;
    }
}
