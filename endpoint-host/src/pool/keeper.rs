//! Owns a container from its start to its end, in a task of its own.

use std::io;
use std::process::ExitStatus;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::task::spawn_blocking;
use tokio::time::{Instant, sleep};

use super::member::Member;
use super::{Pool, SHORTEST_WAIT};
use crate::attempt::Attempt;
use crate::connections::Connections;
use crate::container::Container;
use crate::reason::Reason;

/// A container that lives for so long is worth being replaced at once.
const SOUND: Duration = Duration::from_secs(10);

/// What ends a container.
enum End {
    /// It does so itself, or is killed.
    Died(io::Result<ExitStatus>),
    /// It no longer answers.
    Hung,
    /// It has had no call for long.
    Idle,
    /// The pool is closed.
    Closed,
}

/// Where the outcome of a start is told.
pub(super) type Told = oneshot::Sender<Result<(), Reason>>;

impl Pool {
    /// Starts a container, hands it to the calls, and sees to its end. A start that nobody was told
    /// of is for the calls that wait.
    pub(super) async fn keep(self: Arc<Self>, told: Option<Told>) {
        let asked = Instant::now();
        let begun = self.launch.machine.starts.run(|| async {
            if told.is_none() && !self.still_needs_start() {
                return None;
            }
            Some(self.begin().await)
        });
        let Some((ready, mut container)) = begun.await else {
            return;
        };
        match (ready, &mut container) {
            (Ok(connections), Some(container)) => {
                let member = Member::new(connections, container.usage());
                self.lock().join(&member, asked.elapsed());
                self.give(&member);
                tell(told, Ok(()));
                self.serve(&member, container).await;
            }
            (ready, _) => {
                let reason = ready.err().unwrap_or_else(Reason::closed);
                self.failed_to_start(&reason);
                tell(told, Err(reason));
            }
        }
        if let Some(container) = container {
            container.stop().await;
        }
    }

    /// Starts a container and ends it as soon as it is ready; only then is the outcome told.
    pub(super) async fn rehearse(self: Arc<Self>, told: Told) {
        let asked = Instant::now();
        let (ready, container) = self.launch.machine.starts.run(|| self.begin()).await;
        if ready.is_ok() {
            self.lock().started(asked.elapsed());
        }
        if let Some(container) = container {
            container.stop().await;
        }
        told.send(ready.map(drop)).ok();
    }

    /// A container that has been started, and whether it got ready.
    async fn begin(self: &Arc<Self>) -> (Result<Connections, Reason>, Option<Container>) {
        let attempt = Attempt::new(&self.stop);
        let mut container = match self.spawn(&attempt).await {
            Ok(container) => container,
            Err(reason) => return (Err(reason), None),
        };
        let ready = tokio::select! {
            ready = container.ready(attempt.until) => ready,
            () = self.stop.cancelled() => Err(Reason::closed()),
        };
        (ready, Some(container))
    }

    /// The model is there before the process is; neither is left to itself when the pool is closed.
    async fn spawn(self: &Arc<Self>, attempt: &Attempt) -> Result<Container, Reason> {
        let pool = Arc::clone(self);
        let model = self.launch.home.prepare(&self.launch.model, attempt).await?;
        let spawned = spawn_blocking(move || Container::spawn(&pool.launch, &model)).await;
        spawned.unwrap_or_else(|error| Err(Reason::new(format!("starting failed: {error}"))))
    }

    /// Keeps a ready container until its end, whatever brings it about.
    async fn serve(self: &Arc<Self>, member: &Arc<Member>, container: &mut Container) {
        let born = Instant::now();
        let end = tokio::select! {
            ended = container.exited() => End::Died(ended),
            () = member.hung.cancelled() => End::Hung,
            () = self.idle(member) => End::Idle,
            () = self.stop.cancelled() => End::Closed,
        };
        let young = born.elapsed() < SOUND && matches!(end, End::Died(_) | End::Hung);
        self.lost(member, young);
        // Only now do its calls learn it, so that none asks for it again.
        let reason = match end {
            End::Died(ended) => self.warn(container.explain("unexpectedly", ended).await),
            End::Hung => {
                container.kill();
                self.warn(Reason::new("the container hung: it answered neither a call nor /ping"))
            }
            End::Idle => Reason::new("the container was idle"),
            End::Closed => Reason::closed(),
        };
        member.gone.send_replace(Some(reason));
    }

    fn warn(&self, reason: Reason) -> Reason {
        tracing::warn!(endpoint = %self.launch.endpoint, "{reason}");
        reason
    }

    /// Waits until a container has had no call for long enough and is not provisioned, and
    /// withdraws it in the same breath, so that the next call does not find it.
    async fn idle(&self, member: &Arc<Member>) {
        loop {
            let left = {
                let mut state = self.lock();
                let idle = state.idle(member).unwrap_or_default();
                let spare = state.members.len() > self.provisioned();
                if spare && state.idle(member).is_some() && idle >= self.idle_timeout {
                    return state.withdraw(member);
                }
                let due =
                    if spare { self.idle_timeout.saturating_sub(idle) } else { self.idle_timeout };
                due.max(SHORTEST_WAIT)
            };
            sleep(left).await;
        }
    }

    /// Forgets a container, and sees to those who need another.
    fn lost(self: &Arc<Self>, member: &Arc<Member>, young: bool) {
        let mut state = self.lock();
        state.withdraw(member);
        if young {
            state.dying.failed();
        } else {
            state.dying.succeeded();
        }
        self.revive(&mut state);
        self.refill(&mut state);
    }

    /// Counts a start out; calls for which there is no other hope learn why.
    fn failed_to_start(self: &Arc<Self>, reason: &Reason) {
        let dismissed = {
            let mut state = self.lock();
            state.starting -= 1;
            state.failing.failed();
            self.refill(&mut state);
            let hope = !state.members.is_empty() || state.starting > 0;
            if hope { Default::default() } else { state.dismiss() }
        };
        for waiter in dismissed {
            waiter.send(Err(reason.clone())).ok();
        }
    }

    /// Whether those who wait still need as many starts as there are; else counts this one out.
    fn still_needs_start(&self) -> bool {
        let mut state = self.lock();
        let missing = self.provisioned().saturating_sub(state.members.len());
        let needed = state.starting <= state.count_waiting() + missing;
        if !needed {
            state.starting -= 1;
        }
        needed
    }
}

fn tell(told: Option<Told>, outcome: Result<(), Reason>) {
    if let Some(told) = told {
        told.send(outcome).ok();
    }
}
