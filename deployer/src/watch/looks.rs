//! Looks at the place of uploads again and again, without keeping anybody waiting for one.

use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{Interval, MissedTickBehavior, interval};

use super::sighting::Sighting;
use super::source::Source;

/// What one look saw, or why it saw nothing.
pub(super) type Looked = Result<Vec<Sighting>, String>;

/// The looks at a source, one after the other.
pub(super) struct Looks {
    source: Source,
    ticks: Interval,
    /// The look that is under way, if one is; it ends with this.
    under_way: JoinSet<Looked>,
}

impl Looks {
    /// The first look is due at once, the next ones after `every` each.
    pub(super) fn new(source: &Source, every: Duration) -> Self {
        let mut ticks = interval(every.max(Duration::from_millis(1)));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self { source: source.clone(), ticks, under_way: JoinSet::new() }
    }

    /// The next look; one that is not waited for any more is not begun anew the next time.
    pub(super) async fn next(&mut self) -> Looked {
        if self.under_way.is_empty() {
            self.ticks.tick().await;
            let source = self.source.clone();
            self.under_way.spawn(async move { source.look().await });
        }
        let looked = self.under_way.join_next().await.expect("a look is under way");
        looked.unwrap_or_else(|error| Err(error.to_string()))
    }
}
