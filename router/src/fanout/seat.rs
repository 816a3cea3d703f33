//! A place among those who wait for a flight.

use std::ops::Range;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::alarm::Alarms;
use super::failure::Failure;
use super::flight::{Course, Flight, Landing, Order};

/// The longest that a flight may take once it is being made, as with SageMaker.
const LONGEST: Duration = Duration::from_secs(60);

/// A place among those who wait for a flight; the first of them drives it.
pub(crate) struct Seat {
    flight: Arc<Flight>,
    course: Option<Course>,
    is_caller: bool,
    taken: Instant,
}

impl std::fmt::Debug for Seat {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { flight, course, is_caller, taken } = self;
        let mut f = f.debug_struct("Seat");
        f.field("flight", flight).field("drives", &course.is_some());
        f.field("is_caller", is_caller).field("taken", taken).finish()
    }
}

impl Seat {
    /// A seat on a flight, which is driven by this one if there is a course.
    pub(super) fn new(
        (flight, course): (Arc<Flight>, Option<Course>),
        is_caller: bool,
        taken: Instant,
    ) -> Self {
        Self { flight, course, is_caller, taken }
    }

    /// What the flight is about.
    pub(super) fn order(&self) -> &Order {
        &self.flight.order
    }

    /// Waits from now on until the flight is over, not longer than to the deadline, nor longer than
    /// `patience`, or than anything may take, once it has begun and the seat is taken; it is left
    /// then.
    pub(super) async fn wait(
        &mut self,
        alarms: &Alarms,
        Range { start: mut now, end: deadline }: Range<Instant>,
        patience: Option<Duration>,
    ) -> Landing {
        let patience = patience.map_or(LONGEST, |patience| patience.min(LONGEST));
        loop {
            let limit = self.limit(now, deadline, patience);
            let landed = alarms.within(now..limit, pin!(self.landing())).await;
            if let Some(landing) = landed {
                return landing;
            }
            now = Instant::now();
            if self.limit(now, deadline, patience) <= now {
                break;
            }
        }
        let failure = self.late();
        self.leave();
        Err(failure)
    }

    async fn landing(&mut self) -> Landing {
        if let Some(course) = &mut self.course {
            if self.is_caller {
                course.await;
            } else {
                tokio::select! {
                    () = course => {}
                    // Boxed, as a timer makes whatever it is in much larger.
                    () = Box::pin(self.flight.is_to_yield()) => {}
                }
            }
            self.course = None;
        }
        self.flight.wait().await
    }

    /// A flight that waits for its turn is looked at again after the patience for one under way.
    fn limit(&self, now: Instant, deadline: Instant, patience: Duration) -> Instant {
        let since = self.flight.begun().map_or(now, |begun| begun.max(self.taken));
        deadline.min(since + patience)
    }

    fn late(&self) -> Failure {
        let cause = match self.flight.begun() {
            Some(_) => "no answer in time",
            None => "all of the calls allowed were taken in the time",
        };
        let failure = Failure::late(cause);
        if self.flight.may_be_starting() { failure.while_starting() } else { failure }
    }

    /// Waits no more; the flight may go on.
    fn leave(&mut self) {
        if std::mem::take(&mut self.is_caller) {
            self.flight.leave();
        }
        if let Some(course) = self.course.take() {
            self.flight.go_on(course);
        }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.leave();
    }
}
