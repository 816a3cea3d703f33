//! Draws the calls that are recorded.

use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};

use sha2::{Digest, Sha256};

use crate::record::{Fingerprint, Request};

/// What is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum SampleBy {
    /// A request: always in, or always out.
    Request,
    /// A call, whatever was asked.
    Call,
}

/// A share of the calls.
#[derive(Debug)]
pub(crate) struct Sample {
    rate: f64,
    by: SampleBy,
    /// Whoever doesn't know it can't tell which requests are drawn.
    key: String,
    random: RandomState,
    drawn: AtomicU64,
}

impl Sample {
    /// `rate` of all.
    ///
    /// # Errors
    /// When that is no share.
    pub(crate) fn new(rate: f64, by: SampleBy, key: Option<&str>) -> Result<Self, String> {
        if !(rate > 0.0 && rate <= 1.0) {
            return Err(format!("must be above 0 and at most 1, not {rate}"));
        }
        let (random, key) = (RandomState::new(), key.unwrap_or_default().to_owned());
        Ok(Self { rate, by, key, random, drawn: AtomicU64::new(0) })
    }

    /// Whether this call is in, as far as calls are drawn.
    pub(super) fn takes_call(&self) -> bool {
        self.by == SampleBy::Request
            || self.takes(self.random.hash_one(self.drawn.fetch_add(1, Ordering::Relaxed)))
    }

    /// Whether this request is in, as far as requests are drawn.
    pub(super) fn takes_request(&self, request: &Request) -> bool {
        if self.by == SampleBy::Call || self.rate >= 1.0 {
            return true;
        }
        let hash = Sha256::new()
            .chain_update(&self.key)
            .chain_update(Fingerprint::of("", request).0)
            .finalize();
        self.takes(hash.iter().take(8).fold(0, |number, byte| number << 8 | u64::from(*byte)))
    }

    /// Whether a number out of all 64-bit ones is among the share.
    #[expect(clippy::cast_precision_loss, reason = "53 of the bits are drawn from")]
    fn takes(&self, number: u64) -> bool {
        ((number >> 11) as f64) / ((1_u64 << 53) as f64) < self.rate
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(number: usize) -> Request {
        Request { body: number.to_string().into(), ..Request::default() }
    }

    #[test]
    fn a_request_is_always_in_or_always_out() {
        let sample = Sample::new(0.25, SampleBy::Request, Some("key")).unwrap();
        let draw = || (0..4000).map(|n| sample.takes_request(&request(n))).collect::<Vec<_>>();
        let drawn = draw();
        assert_eq!(drawn, draw());
        let share = drawn.iter().filter(|taken| **taken).count();
        assert!((850..1150).contains(&share), "{share}");
        let other = Sample::new(0.25, SampleBy::Request, Some("other")).unwrap();
        assert!((0..4000).any(|n| other.takes_request(&request(n)) != drawn[n]));
    }

    #[test]
    fn calls_are_drawn_by_themselves() {
        let sample = Sample::new(0.25, SampleBy::Call, None).unwrap();
        let share = (0..4000).filter(|_| sample.takes_call()).count();
        assert!((850..1150).contains(&share), "{share}");
        assert!(sample.takes_request(&request(1)));
    }

    #[test]
    fn no_share_is_refused() {
        for rate in [0.0, -1.0, 1.1, f64::NAN] {
            assert!(Sample::new(rate, SampleBy::Call, None).is_err(), "{rate}");
        }
    }
}
