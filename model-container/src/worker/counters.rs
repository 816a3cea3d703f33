//! What happens to worker processes, in numbers.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::registry::Registry;

/// Counted since the container's start.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(super) restarts: Counter,
    pub(super) recycled: Counter,
    pub(super) poisoned: Counter,
    pub(super) garbage: Counter,
    pub(super) strays: Counter,
}

impl Counters {
    /// Makes them visible at `/metrics`.
    pub(crate) fn register(&self, registry: &mut Registry) {
        let mut counter = |name, help, counter: &Counter| {
            registry.register(name, help, counter.clone());
        };
        counter("worker_restarts", "Workers started in place of one that ended", &self.restarts);
        counter("worker_recycled", "Workers replaced for their memory", &self.recycled);
        counter("worker_poisoned", "Requests refused for ending a worker twice", &self.poisoned);
        counter("worker_garbage_lines", "Lines from workers that are no replies", &self.garbage);
        counter("worker_stray_replies", "Replies that no request waits for", &self.strays);
    }
}
