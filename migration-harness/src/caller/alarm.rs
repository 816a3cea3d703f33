//! How long one call after the other may take: one timer for all of them. It is set anew only when it
//! rings, and so hardly ever; to set one for each call goes through the runtime's locks twice.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::task::Poll;
use std::time::Duration;

use tokio::task::coop::unconstrained;
use tokio::time::{Instant, Sleep, sleep};

/// A hundred years: times have an end.
const LONGEST: Duration = Duration::from_secs(100 * 365 * 86_400);

/// Rings for a call that takes too long.
#[derive(Debug)]
pub(super) struct Alarm {
    limit: Duration,
    /// Never rings later than the limit of the call under way.
    timer: Pin<Box<Sleep>>,
}

impl Alarm {
    /// For calls that may take so long.
    pub(super) fn new(limit: Duration) -> Self {
        let limit = limit.min(LONGEST);
        Self { limit, timer: Box::pin(sleep(limit)) }
    }

    /// What a call comes to; none where it takes too long. It is polled where it is, as calls are large.
    pub(super) async fn within<F: Future>(&mut self, mut call: Pin<&mut F>) -> Option<F::Output> {
        let end = Instant::now() + self.limit;
        poll_fn(|context| {
            if let Poll::Ready(done) = call.as_mut().poll(context) {
                return Poll::Ready(Some(done));
            }
            // A call that takes all of the task's turn each time would else never let it ring.
            while pin!(unconstrained(&mut self.timer)).poll(context).is_ready() {
                if Instant::now() >= end {
                    return Poll::Ready(None);
                }
                self.timer.as_mut().reset(end);
            }
            Poll::Pending
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};

    use tokio::task::coop::consume_budget;
    use tokio::task::yield_now;

    use super::*;

    #[tokio::test]
    async fn each_call_has_the_whole_limit_however_long_ago_the_alarm_was_set() {
        let limit = Duration::from_millis(500);
        let mut alarm = Alarm::new(limit);
        sleep(2 * limit).await;
        assert_eq!(alarm.within(pin!(yield_now())).await, Some(()));
        assert_eq!(alarm.within(pin!(pending::<()>())).await, None);
        assert_eq!(alarm.within(pin!(yield_now())).await, Some(()));
    }

    #[tokio::test]
    async fn a_call_that_is_never_idle_ends_as_well() {
        let (started, limit) = (Instant::now(), Duration::from_millis(100));
        let busy = async {
            while started.elapsed() < 100 * limit {
                consume_budget().await;
            }
        };
        assert_eq!(Alarm::new(limit).within(pin!(busy)).await, None);
    }

    #[tokio::test]
    async fn a_limit_without_end_has_one() {
        assert_eq!(Alarm::new(Duration::MAX).within(pin!(ready(1))).await, Some(1));
    }
}
