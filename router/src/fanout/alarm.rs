//! Timers for calls, which mostly are over long before their time: each is used again, and set anew
//! only where it has to be. To set one for each call goes through the runtime's locks twice. One that is
//! kept may ring for nobody, and wake whom it served last.

use std::fmt;
use std::future::poll_fn;
use std::ops::Range;
use std::pin::{Pin, pin};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use tokio::task::coop::unconstrained;
use tokio::time::{Instant, Sleep, sleep_until};

/// How many timers are kept.
const MOST: usize = 256;

/// The timers that no call uses.
#[derive(Default)]
pub(super) struct Alarms(Mutex<Vec<Pin<Box<Sleep>>>>);

impl fmt::Debug for Alarms {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Alarms").field("kept", &self.lock().len()).finish()
    }
}

impl Alarms {
    /// What `work` comes to within this time from now on; none where it takes longer. It is polled
    /// where it is, as calls are large.
    pub(super) async fn within<F: Future>(
        &self,
        time: Range<Instant>,
        mut work: Pin<&mut F>,
    ) -> Option<F::Output> {
        let mut alarm = Alarm { alarms: self, time, timer: None };
        poll_fn(|context| match work.as_mut().poll(context) {
            Poll::Ready(done) => Poll::Ready(Some(done)),
            Poll::Pending => alarm.poll(context).map(|()| None),
        })
        .await
    }

    /// A timer that rings not after the end, and not in the first half of the time.
    fn take(&self, Range { start, end }: &Range<Instant>) -> Pin<Box<Sleep>> {
        let Some(mut timer) = self.lock().pop() else { return Box::pin(sleep_until(*end)) };
        let soonest = *start + end.saturating_duration_since(*start) / 2;
        if !(soonest..=*end).contains(&timer.deadline()) {
            timer.as_mut().reset(*end);
        }
        timer
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Pin<Box<Sleep>>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Rings once the time is over. The timer is there as soon as it is needed, and goes back.
struct Alarm<'a> {
    alarms: &'a Alarms,
    time: Range<Instant>,
    timer: Option<Pin<Box<Sleep>>>,
}

impl Alarm<'_> {
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let timer = self.timer.get_or_insert_with(|| self.alarms.take(&self.time));
        // Work that takes all of the task's turn each time would else never let it ring.
        while pin!(unconstrained(timer.as_mut())).poll(context).is_ready() {
            if Instant::now() >= self.time.end {
                return Poll::Ready(());
            }
            timer.as_mut().reset(self.time.end);
        }
        Poll::Pending
    }
}

impl Drop for Alarm<'_> {
    fn drop(&mut self) {
        let Some(timer) = self.timer.take() else { return };
        let mut kept = self.alarms.lock();
        if kept.len() < MOST {
            kept.push(timer);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;
    use std::time::Duration;

    use tokio::task::coop::consume_budget;
    use tokio::task::yield_now;
    use tokio::time::sleep;

    use super::*;

    const SHORT: Duration = Duration::from_millis(20);
    const LONG: Duration = Duration::from_secs(3600);

    fn from_now(time: Duration) -> Range<Instant> {
        let now = Instant::now();
        now..now + time
    }

    #[tokio::test]
    async fn work_has_all_of_its_time_and_no_more_whatever_the_timer_was_set_to_before() {
        let alarms = Alarms::default();
        for time in [LONG, SHORT, LONG] {
            assert_eq!(alarms.within(from_now(time), pin!(yield_now())).await, Some(()));
            assert_eq!(alarms.within(from_now(SHORT), pin!(pending::<()>())).await, None);
            let begun = Instant::now();
            assert_eq!(alarms.within(from_now(SHORT), pin!(pending::<()>())).await, None);
            assert!(begun.elapsed() >= SHORT);
            // It rings while the next work is under way, or before.
            assert_eq!(alarms.within(from_now(SHORT), pin!(yield_now())).await, Some(()));
            assert_eq!(alarms.within(from_now(LONG), pin!(sleep(2 * SHORT))).await, Some(()));
        }
        assert_eq!(alarms.lock().len(), 1, "the timer is used again");
    }

    #[tokio::test]
    async fn each_has_a_timer_of_its_own_which_also_comes_back_when_it_is_given_up() {
        let alarms = Alarms::default();
        let (mut one, mut other) = (pin!(yield_now()), pin!(pending::<()>()));
        {
            let one = pin!(alarms.within(from_now(LONG), one.as_mut()));
            let other = pin!(alarms.within(from_now(LONG), other.as_mut()));
            tokio::select! { biased; _ = other => {}, done = one => assert_eq!(done, Some(())) }
        }
        assert_eq!(alarms.lock().len(), 2);
    }

    #[tokio::test]
    async fn work_that_is_never_idle_is_over_in_time_as_well() {
        let busy = async {
            loop {
                consume_budget().await;
            }
        };
        assert_eq!(Alarms::default().within(from_now(SHORT), pin!(busy)).await, None::<()>);
    }
}
