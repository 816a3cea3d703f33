//! Calls in flight, and the containers that they have for themselves.

use std::sync::Arc;

use tokio::sync::oneshot;
use tokio::time::{Instant, timeout};

use super::Pool;
use super::member::Member;
use super::state::Turn;
use crate::connections::Connections;
use crate::reason::Reason;

/// A call in flight, which keeps its pool from being closed.
pub(crate) struct Call {
    /// Where it counts.
    pub(super) pool: Arc<Pool>,
}

/// A container that has no other call; dropping this makes it free for the next.
pub(crate) struct Running {
    /// The way to it.
    pub(crate) connections: Arc<Connections>,
    /// The container.
    member: Arc<Member>,
    /// Where it goes back to.
    pool: Option<Arc<Pool>>,
}

/// Why a call gets no container.
#[derive(Clone, Debug)]
pub(crate) enum NoContainer {
    /// None was ready for it in time.
    Late,
    /// None starts, for this reason.
    Failed(Reason),
}

/// A container at once, or the promise of one.
pub(super) enum Place {
    /// It was free.
    Free(Running),
    /// It will be given here.
    Queue(oneshot::Receiver<Turn>),
}

impl Call {
    /// The endpoint that is called.
    pub(crate) fn pool(&self) -> &Arc<Pool> {
        &self.pool
    }

    /// Whether a container is ready, free or not, so that this is no cold call.
    pub(crate) fn finds_a_container(&self) -> bool {
        !self.pool.lock().members.is_empty()
    }

    /// A container for this call alone, once one is ready and free. Who gives up waiting gives up
    /// the place.
    pub(crate) async fn container(&self) -> Result<Running, NoContainer> {
        let turn = match self.pool.place().map_err(NoContainer::Failed)? {
            Place::Free(running) => return Ok(running),
            Place::Queue(turn) => turn,
        };
        match timeout(self.pool.launch.machine.cold_deadline, self.pool.patiently(turn)).await {
            Ok(turn) => turn.map_err(NoContainer::Failed),
            Err(_) => Err(NoContainer::Late),
        }
    }

    /// Has a container that missed a call replaced if it misses a ping as well. Nobody waits for
    /// that, but the call counts until it is known.
    pub(crate) fn doubt(self, running: Running) {
        self.pool.tasks.clone().spawn(async move {
            if !running.connections.are_healthy().await {
                // In this order: no other call may get it.
                self.pool.lock().withdraw(&running.member);
                running.member.hung.cancel();
            }
            drop(running);
            drop(self);
        });
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        let mut state = self.pool.lock();
        state.calls -= 1;
        if state.calls == 0 {
            self.pool.last_call.notify_waiters();
        }
    }
}

impl Running {
    pub(super) fn new(pool: &Arc<Pool>, member: &Arc<Member>) -> Self {
        Self {
            connections: Arc::clone(&member.connections),
            member: Arc::clone(member),
            pool: Some(Arc::clone(pool)),
        }
    }

    /// Waits until the container is gone, and says why.
    pub(crate) async fn ended(&self) -> Reason {
        let mut gone = self.member.gone.subscribe();
        let reason = gone.wait_for(Option::is_some).await;
        reason.ok().and_then(|reason| reason.clone()).unwrap_or_else(Reason::closed)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(pool) = self.pool.take() {
            pool.give(&self.member);
        }
    }
}

impl Pool {
    /// The container that was used last, or a place in the queue for the next one.
    fn place(self: &Arc<Self>) -> Result<Place, Reason> {
        let mut state = self.lock();
        if self.stop.is_cancelled() {
            return Err(Reason::closed());
        }
        if let Some(member) = state.take_free() {
            return Ok(Place::Free(Running::new(self, &member)));
        }
        let turn = state.wait();
        self.revive(&mut state);
        Ok(Place::Queue(turn))
    }

    /// Waits for a turn; each time that it has taken as long as a start, another one may begin:
    /// whoever waits as long as help would take waits at most twice as long as need be.
    async fn patiently(self: &Arc<Self>, mut turn: oneshot::Receiver<Turn>) -> Turn {
        let mut since = Instant::now();
        loop {
            let (patience, cold) = {
                let state = self.lock();
                (state.patience(since).unwrap_or(state.last_start), state.members.is_empty())
            };
            if let Ok(turn) = timeout(patience.max(super::SHORTEST_WAIT), &mut turn).await {
                return turn.unwrap_or_else(|_| Err(Reason::closed()));
            }
            if !cold && self.lock().patience(since).is_some_and(|left| left.is_zero()) {
                self.grow();
                since = Instant::now();
            }
        }
    }

    /// Hands a container that is free to the call that waits first.
    pub(super) fn give(self: &Arc<Self>, member: &Arc<Member>) {
        loop {
            let Some(waiter) = self.lock().next(member) else {
                return;
            };
            match waiter.send(Ok(Running::new(self, member))) {
                Ok(()) => return,
                // That call has left. Dropped as it is, it would hand the container on itself.
                Err(Ok(mut running)) => running.pool = None,
                Err(Err(_)) => {}
            }
        }
    }
}
