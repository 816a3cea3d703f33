//! A bounded number of places, and those who wait for one: clients are served in turns, so that one
//! with many contents can't starve the others.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

use crate::policy::name::Name;

/// The places of one model, or of the account. Who finds one free takes a lock and nothing more.
#[derive(Debug)]
pub(crate) struct Line(Mutex<State>);

#[derive(Debug)]
struct State {
    limit: usize,
    /// More than the limit, for a time, where that has fallen.
    taken: usize,
    /// Whose turn it is: clients with somebody waiting, each once.
    clients: VecDeque<Name>,
    /// Those who wait, of each client, the first one first.
    waiting: HashMap<Name, VecDeque<Waiting>>,
    /// How many have ever waited.
    tickets: u64,
    /// How many callers there are among those who wait.
    callers: usize,
}

#[derive(Debug)]
struct Waiting {
    ticket: u64,
    served: oneshot::Sender<()>,
}

/// A place, which goes to the next one when this is dropped.
#[derive(Debug)]
pub(crate) struct Place(Arc<Line>);

impl Line {
    /// A line with so many places.
    pub(super) fn new(limit: usize) -> Arc<Self> {
        let (clients, waiting) = (VecDeque::new(), HashMap::new());
        Arc::new(Self(Mutex::new(State {
            limit,
            taken: 0,
            clients,
            waiting,
            tickets: 0,
            callers: 0,
        })))
    }

    /// A place, if one is free and nobody waits.
    pub(super) fn try_take(self: &Arc<Self>) -> Option<Place> {
        self.lock().try_take().then(|| Place(Arc::clone(self)))
    }

    /// Waits for this client's turn: of its calls, the first one comes first. Who is dropped while
    /// waiting leaves the line.
    pub(super) async fn take(self: &Arc<Self>, client: &Name) -> Place {
        let turn = {
            let mut state = self.lock();
            if state.try_take() {
                return Place(Arc::clone(self));
            }
            let (ticket, served) = state.wait(client);
            Turn { line: self, client, ticket, served, has_place: false }
        };
        turn.come().await
    }

    /// Waits for this client's turn while a caller waits for it.
    pub(super) async fn take_soon(self: &Arc<Self>, client: &Name) -> Place {
        self.lock().callers += 1;
        let _caller = Caller(self);
        self.take(client).await
    }

    /// Whether callers wait.
    pub(super) fn is_pressed(&self) -> bool {
        self.lock().callers > 0
    }

    /// Has it so many places from now on. A lower limit holds against those that are taken.
    pub(super) fn resize(&self, limit: usize) {
        let mut state = self.lock();
        state.limit = limit;
        state.serve();
    }

    /// How many wait.
    pub(super) fn waiting(&self) -> usize {
        self.lock().waiting.values().map(VecDeque::len).sum()
    }

    /// How many places there are.
    pub(super) fn limit(&self) -> usize {
        self.lock().limit
    }

    /// How many places are free.
    pub(super) fn free(&self) -> usize {
        let state = self.lock();
        state.limit.saturating_sub(state.taken)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn try_take(&mut self) -> bool {
        // As long as somebody waits, no place is free.
        let is_free = self.taken < self.limit;
        self.taken += usize::from(is_free);
        is_free
    }

    fn wait(&mut self, client: &Name) -> (u64, oneshot::Receiver<()>) {
        let (served, turn) = oneshot::channel();
        if !self.waiting.contains_key(client) {
            self.clients.push_back(client.clone());
        }
        let waiting = Waiting { ticket: self.tickets, served };
        self.tickets += 1;
        let ticket = waiting.ticket;
        self.waiting.entry(client.clone()).or_default().push_back(waiting);
        (ticket, turn)
    }

    /// Gives the places that are free to those who wait.
    fn serve(&mut self) {
        while self.taken < self.limit {
            let Some(next) = self.next() else { return };
            self.taken += 1;
            let is_there = next.served.send(()).is_ok();
            debug_assert!(is_there, "who goes away leaves the line first");
        }
    }

    fn next(&mut self) -> Option<Waiting> {
        let client = self.clients.pop_front()?;
        let queue = self.waiting.get_mut(&client)?;
        let next = queue.pop_front();
        if queue.is_empty() {
            self.waiting.remove(&client);
        } else {
            self.clients.push_back(client);
        }
        next
    }

    fn give_back(&mut self) {
        self.taken -= 1;
        self.serve();
    }

    /// Whether this one was still waiting.
    fn leave(&mut self, client: &Name, ticket: u64) -> bool {
        let Some(queue) = self.waiting.get_mut(client) else { return false };
        let Ok(index) = queue.binary_search_by_key(&ticket, |waiting| waiting.ticket) else {
            return false;
        };
        queue.remove(index);
        if queue.is_empty() {
            self.waiting.remove(client);
            self.clients.retain(|other| other != client);
        }
        true
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.lock().give_back();
    }
}

/// A caller among those who wait, until this is dropped.
struct Caller<'l>(&'l Line);

impl Drop for Caller<'_> {
    fn drop(&mut self) {
        self.0.lock().callers -= 1;
    }
}

/// One who waits, in the line until this is dropped.
struct Turn<'l> {
    line: &'l Arc<Line>,
    client: &'l Name,
    ticket: u64,
    served: oneshot::Receiver<()>,
    has_place: bool,
}

impl Turn<'_> {
    async fn come(mut self) -> Place {
        (&mut self.served).await.expect("who waits is never forgotten");
        self.has_place = true;
        Place(Arc::clone(self.line))
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        if self.has_place {
            return;
        }
        let mut state = self.line.lock();
        if !state.leave(self.client, self.ticket) {
            // The place came in the moment of going away.
            state.give_back();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::pin::Pin;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    use futures_util::FutureExt;
    use futures_util::future::join_all;
    use tokio::time::timeout;

    use super::*;

    fn clients(names: &str) -> Vec<Name> {
        names.split("").filter_map(|name| name.parse().ok()).collect()
    }

    /// One who has found no place.
    fn waiting<'l>(
        line: &'l Arc<Line>,
        client: &'l Name,
    ) -> Pin<Box<dyn Future<Output = Place> + 'l>> {
        let mut turn: Pin<Box<dyn Future<Output = Place>>> = Box::pin(line.take(client));
        assert!(turn.as_mut().now_or_never().is_none());
        turn
    }

    #[test]
    fn clients_that_wait_are_served_in_turns_however_many_contents_they_have() {
        let (line, clients) = (Line::new(1), clients("aaabcb"));
        let mut place = line.try_take().unwrap();
        let mut turns: Vec<_> =
            clients.iter().map(|client| (client, waiting(&line, client))).collect();
        assert_eq!((line.waiting(), line.free()), (6, 0));
        let mut order = String::new();
        while !turns.is_empty() {
            drop(place);
            let mut indexed = turns.iter_mut().enumerate();
            let served =
                indexed.find_map(|(i, (_, turn))| Some((i, turn.as_mut().now_or_never()?)));
            let (index, next) = served.unwrap();
            order += turns.remove(index).0.as_str();
            place = next;
        }
        drop(place);
        assert_eq!((order.as_str(), line.waiting(), line.free()), ("abcaba", 0, 1));
    }

    #[test]
    fn who_goes_away_leaves_the_line_and_keeps_nobody_waiting() {
        let (line, clients) = (Line::new(1), clients("aab"));
        let place = line.try_take().unwrap();
        let gone = waiting(&line, &clients[0]);
        let stays = waiting(&line, &clients[1]);
        let other = waiting(&line, &clients[2]);
        drop(gone);
        assert_eq!(line.waiting(), 2);
        drop(place);
        let place = stays.now_or_never().unwrap();
        // One goes away whose turn has come in that moment: the next one is served.
        let last = waiting(&line, &clients[0]);
        drop(place);
        assert_eq!(line.waiting(), 1);
        drop(other);
        assert_eq!(line.waiting(), 0);
        drop(last.now_or_never().unwrap());
        assert_eq!(line.free(), 1);
    }

    #[test]
    fn a_line_is_pressed_while_callers_wait() {
        let (line, clients) = (Line::new(1), clients("a"));
        let place = line.try_take().unwrap();
        let later = waiting(&line, &clients[0]);
        assert!(!line.is_pressed());
        let mut caller = Box::pin(line.take_soon(&clients[0]));
        assert!(caller.as_mut().now_or_never().is_none() && line.is_pressed());
        drop(later);
        drop(place);
        let place = caller.now_or_never().unwrap();
        assert!(!line.is_pressed());
        drop(place);
    }

    #[test]
    fn a_client_that_has_left_is_at_the_end_when_it_comes_back() {
        let (line, clients) = (Line::new(1), clients("ab"));
        let place = line.try_take().unwrap();
        drop(waiting(&line, &clients[0]));
        let b = waiting(&line, &clients[1]);
        let a = waiting(&line, &clients[0]);
        drop(place);
        drop(b.now_or_never().unwrap());
        drop(a.now_or_never().unwrap());
    }

    #[test]
    fn nobody_overtakes_those_who_wait() {
        let (line, clients) = (Line::new(1), clients("a"));
        let place = line.try_take().unwrap();
        assert!(line.try_take().is_none());
        let turn = waiting(&line, &clients[0]);
        drop(place);
        assert!(line.try_take().is_none());
        drop(turn.now_or_never().unwrap());
        assert!(line.try_take().is_some());
    }

    #[test]
    fn a_lower_limit_holds_against_the_places_taken_and_those_who_wait() {
        let (line, clients) = (Line::new(3), clients("a"));
        let mut taken: Vec<_> = (0..3).map(|_| line.try_take().unwrap()).collect();
        let mut turn = waiting(&line, &clients[0]);
        line.resize(1);
        for _ in 0..2 {
            taken.pop();
            assert!(turn.as_mut().now_or_never().is_none());
        }
        taken.pop();
        let place = turn.now_or_never().unwrap();
        assert!(line.try_take().is_none());
        drop(place);
        assert!(line.try_take().is_some());
    }

    #[test]
    fn a_limit_that_falls_and_rises_again_is_where_it_was() {
        let (line, clients) = (Line::new(3), clients("a"));
        let taken: Vec<_> = (0..3).map(|_| line.try_take().unwrap()).collect();
        let turn = waiting(&line, &clients[0]);
        line.resize(1);
        line.resize(5);
        assert_eq!((line.limit(), line.free()), (5, 1));
        drop((taken, turn.now_or_never().unwrap()));
        assert_eq!(line.free(), 5);
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn no_place_is_lost_or_given_twice_while_many_come_and_go() {
        let (line, clients) = (Line::new(3), clients("abcde"));
        let inside = Arc::new(AtomicUsize::new(0));
        let tasks = (0..200).map(|n| {
            let (line, inside) = (Arc::clone(&line), Arc::clone(&inside));
            let client = clients[n % clients.len()].clone();
            tokio::spawn(async move {
                for round in 0..20 {
                    // Every other one soon loses patience.
                    let patience =
                        if n % 2 == 0 { Duration::from_micros(50 * round) } else { Duration::MAX };
                    let Ok(_place) = timeout(patience, line.take(&client)).await else { continue };
                    assert!(inside.fetch_add(1, Ordering::SeqCst) < 3);
                    tokio::task::yield_now().await;
                    inside.fetch_sub(1, Ordering::SeqCst);
                }
            })
        });
        join_all(tasks).await.into_iter().for_each(|done| done.unwrap());
        assert_eq!((line.waiting(), line.free()), (0, 3));
    }
}
