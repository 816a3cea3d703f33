//! The time that calls are signed with: this machine's, until an answer tells that AWS has another.

use std::sync::atomic::{AtomicI64, Ordering};

use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use jiff::Timestamp;
use jiff::fmt::rfc2822::DateTimeParser;

/// By less than this no call is refused: AWS allows five minutes, of which the way takes some.
const TOLERATED_MS: u64 = 4 * 60 * 1000;

/// How far AWS's clock is ahead of this machine's.
#[derive(Debug, Default)]
pub(super) struct Clock {
    ahead_ms: AtomicI64,
}

impl Clock {
    /// The time by AWS's clock.
    pub(super) fn now(&self) -> Timestamp {
        self.at(Timestamp::now())
    }

    /// Whether a call that was signed at this time was refused for it, so that nobody has looked at
    /// its payload, and it is worth being made with the time that the clock has from now on.
    pub(super) fn has_misled(&self, signed: Timestamp, answer: &HttpResponse) -> bool {
        let is_refused = matches!(answer.status().as_u16(), 400 | 403);
        let date = answer.headers().get("date").filter(|_| is_refused);
        let told = date.and_then(|date| DateTimeParser::new().parse_timestamp(date).ok());
        let Some(told) = told.filter(|told| is_other(*told, signed)) else { return false };
        let now = Timestamp::now();
        if is_other(told, self.at(now)) {
            let seconds = told.duration_since(now).as_secs();
            tracing::warn!(seconds, "AWS's clock is ahead of this machine's, which must be set");
        }
        self.set(told, now);
        true
    }

    fn at(&self, now: Timestamp) -> Timestamp {
        let ahead_ms = self.ahead_ms.load(Ordering::Relaxed);
        Timestamp::from_millisecond(now.as_millisecond() + ahead_ms).unwrap_or(now)
    }

    fn set(&self, told: Timestamp, now: Timestamp) {
        self.ahead_ms.store(told.as_millisecond() - now.as_millisecond(), Ordering::Relaxed);
    }
}

fn is_other(told: Timestamp, signed: Timestamp) -> bool {
    told.as_millisecond().abs_diff(signed.as_millisecond()) > TOLERATED_MS
}

#[cfg(test)]
mod tests {
    use aws_smithy_types::body::SdkBody;

    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn answer(status: u16, date: Option<&str>) -> HttpResponse {
        let mut answer = HttpResponse::new(status.try_into().unwrap(), SdkBody::empty());
        if let Some(date) = date {
            answer.headers_mut().insert("date", date.to_owned());
        }
        answer
    }

    #[test]
    fn only_a_refusal_that_tells_of_another_time_is_one_for_the_time() {
        let (clock, signed) = (Clock::default(), at("2026-11-22T10:45:00Z"));
        let misled = |status, date| clock.has_misled(signed, &answer(status, date));
        let (same, other) = ("Sun, 22 Nov 2026 10:48:59 GMT", "Sun, 22 Nov 2026 10:40:00 GMT");
        for (status, date) in [
            (403, None),
            (403, Some("yesterday")),
            (403, Some("Sun, 22 Nov 99999 10:40:00 GMT")),
            (403, Some(same)),
            (200, Some(other)),
            (424, Some(other)),
        ] {
            assert!(!misled(status, date), "{status} {date:?}");
        }
        assert!(misled(403, Some(other)) && misled(400, Some(other)));
    }

    #[test]
    fn the_time_is_the_one_told_of_last() {
        let (clock, now) = (Clock::default(), at("2026-11-22T10:45:00Z"));
        assert_eq!(clock.at(now), now);
        for told in ["2026-11-22T09:00:00Z", "2027-01-01T00:00:00Z", "2026-11-22T10:45:00Z"] {
            clock.set(at(told), now);
            assert_eq!(clock.at(now), at(told));
        }
        clock.set(Timestamp::MAX, now);
        assert_eq!(clock.at(Timestamp::MAX), Timestamp::MAX, "not beyond the end of time");
    }
}
