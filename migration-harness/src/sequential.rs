//! A sequential test: after each call, whether more calls are needed to know the outcome.

use std::collections::HashMap;

use crate::bound;
use crate::outcome::{Limits, Outcome};
use crate::record::Fingerprint;

/// How much smaller than the largest permitted rate a rate is that parity is meant to be found for.
const BETTER: f64 = 10.0;
/// How many distinct requests are remembered.
const MAX_REMEMBERED: usize = 500_000;

/// Wald's sequential probability ratio test of a tenth of the largest permitted mismatch rate
/// against that rate itself, both errors being at most 1 - confidence.
#[derive(Debug, Clone)]
pub(crate) struct Sequential {
    limits: Limits,
    mismatches: u64,
    /// How many distinct requests there were, and how many of them differed.
    requests: u64,
    differing: u64,
    /// The logarithm of how much more likely the smaller rate is.
    evidence: f64,
    outcome: Option<Outcome>,
}

impl Sequential {
    /// A test that nothing has been added to.
    pub(crate) fn new(limits: Limits) -> Self {
        Self { limits, mismatches: 0, requests: 0, differing: 0, evidence: 0.0, outcome: None }
    }

    /// Adds a distinct request, and says what is known then, if anything. What is known once stays
    /// so: parity, where the rate is small enough; unproven, where so many differ, though no more
    /// than are allowed, that further calls won't show parity; broken, where more differ.
    pub(crate) fn add(&mut self, is_mismatch: bool) -> Option<Outcome> {
        self.requests += 1;
        self.differing += u64::from(is_mismatch);
        let (large, small) = (self.limits.max_rate, self.limits.max_rate / BETTER);
        if is_mismatch {
            self.evidence -= BETTER.ln();
            self.add_repeated();
        } else {
            self.evidence += (-small).ln_1p() - (-large).ln_1p();
        }
        self.outcome = self.outcome.or_else(|| self.shown());
        self.outcome
    }

    /// Adds a mismatch of a request that counted as one before: no more evidence, but one more
    /// record that differs.
    pub(crate) fn add_repeated(&mut self) -> Option<Outcome> {
        self.mismatches += 1;
        if self.mismatches > self.limits.allow {
            self.outcome = Some(Outcome::Broken);
        }
        self.outcome
    }

    /// A request that counted as one without a mismatch has come to differ.
    fn turn(&mut self) {
        self.requests -= 1;
        self.add(true);
    }

    /// Parity is known only where the verdict will say so, too: with little confidence asked for,
    /// the sequential test is content before the bound is.
    fn shown(&self) -> Option<Outcome> {
        let error = 1.0 - self.limits.confidence;
        let enough = ((1.0 - error) / error).ln();
        if self.evidence >= enough {
            let rate = bound::mismatch_rate(self.differing, self.requests, self.limits.confidence);
            (rate <= self.limits.max_rate).then_some(Outcome::Parity)
        } else {
            (self.evidence <= -enough).then_some(Outcome::Unproven)
        }
    }
}

/// The test over calls that may repeat requests.
///
/// Where there are more distinct requests than can be remembered, only those with a growing number
/// of leading zeros in their fingerprints go on to count: a fair sample, in which each is still
/// counted once.
#[derive(Debug)]
pub(crate) struct OverDistinct {
    test: Sequential,
    /// The distinct requests, and whether they ever differed.
    seen: HashMap<Fingerprint, bool>,
    leading_zeros: u32,
    capacity: usize,
}

impl OverDistinct {
    /// A test that no call has been added to.
    pub(crate) fn new(limits: Limits) -> Self {
        Self::with_capacity(limits, MAX_REMEMBERED)
    }

    fn with_capacity(limits: Limits, capacity: usize) -> Self {
        let test = Sequential::new(limits);
        Self { test, seen: HashMap::new(), leading_zeros: 0, capacity }
    }

    /// Adds a call.
    pub(crate) fn add(&mut self, request: Fingerprint, is_mismatch: bool) {
        if zeros(&request) < self.leading_zeros {
            if is_mismatch {
                self.test.add_repeated();
            }
            return;
        }
        match self.seen.get(&request).copied() {
            Some(differed) if differed && is_mismatch => {
                self.test.add_repeated();
            }
            Some(differed) if differed || !is_mismatch => {}
            Some(_) => {
                self.seen.insert(request, true);
                self.test.turn();
            }
            None => {
                self.seen.insert(request, is_mismatch);
                self.test.add(is_mismatch);
            }
        }
        while self.seen.len() > self.capacity {
            self.leading_zeros += 1;
            self.seen.retain(|request, _| zeros(request) >= self.leading_zeros);
        }
    }

    /// Adds a mismatch that is no evidence, as its record wasn't drawn at random.
    pub(crate) fn add_mismatch(&mut self) {
        self.test.add_repeated();
    }

    /// What is known, if anything.
    pub(crate) fn outcome(&self) -> Option<Outcome> {
        self.test.outcome
    }
}

fn zeros(request: &Fingerprint) -> u32 {
    u128::from_be_bytes(request.0).leading_zeros()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outcome::Looks;

    fn limits(allow: u64, max_rate: f64) -> Limits {
        Limits { allow, max_rate, confidence: 0.95, looks: Looks::Once }
    }

    /// A generator of pseudo-random numbers (SplitMix64), so that a simulation repeats itself.
    struct Random(u64);

    impl Random {
        fn share(&mut self) -> f64 {
            self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut z = self.0;
            z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            ((z ^ (z >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
        }
    }

    /// The call at which the test knows something, and what.
    fn decided(test: &mut Sequential, mut is_mismatch: impl FnMut(u64) -> bool) -> (u64, Outcome) {
        let decided = (1..).find_map(|call| Some((call, test.add(is_mismatch(call))?)));
        decided.unwrap()
    }

    #[test]
    fn matches_alone_are_parity_after_the_published_number() {
        let mut test = Sequential::new(limits(0, 1e-3));
        assert_eq!(decided(&mut test, |_| false), (3_270, Outcome::Parity));
    }

    #[test]
    fn each_mismatch_costs_the_published_number_of_calls() {
        let mut test = Sequential::new(limits(5, 1e-3));
        assert_eq!(decided(&mut test, |call| call == 1), (1 + 3_270 + 2_557, Outcome::Parity));
    }

    #[test]
    fn a_mismatch_too_many_is_known_at_once_and_stays_known() {
        let mut test = Sequential::new(limits(0, 1e-3));
        assert_eq!(decided(&mut test, |call| call == 7), (7, Outcome::Broken));
        assert_eq!(test.add(false), Some(Outcome::Broken));
    }

    #[test]
    fn so_many_allowed_mismatches_that_parity_will_not_be_shown_end_the_test() {
        let mut test = Sequential::new(limits(1_000, 1e-3));
        assert_eq!(decided(&mut test, |call| call % 10 == 0), (20, Outcome::Unproven));
    }

    #[test]
    fn parity_at_once_is_parity_by_the_fixed_bound_too() {
        for mismatches in [0, 1, 5, 50] {
            let limits = limits(1_000, 1e-2);
            let mut test = Sequential::new(limits);
            let spread = |call: u64| call.is_multiple_of(300) && call / 300 <= mismatches;
            let (calls, outcome) = decided(&mut test, spread);
            let found = (calls / 300).min(mismatches);
            let bound = crate::bound::mismatch_rate(found, calls, limits.confidence);
            assert!(outcome == Outcome::Parity && bound <= limits.max_rate, "{found} in {calls}");
        }
    }

    #[test]
    fn parity_with_little_confidence_is_known_when_the_bound_shows_it_too() {
        for confidence in [0.3, 0.5, 0.7, 0.83, 0.9] {
            let limits = Limits { confidence, ..limits(0, 1e-2) };
            let (calls, outcome) = decided(&mut Sequential::new(limits), |_| false);
            let bound = bound::mismatch_rate(0, calls, confidence);
            assert!(outcome == Outcome::Parity && bound <= 1e-2, "{calls} at {confidence}");
        }
    }

    #[test]
    fn a_mismatch_that_is_no_evidence_is_one_record_that_differs() {
        let mut test = OverDistinct::new(limits(1, 1e-3));
        test.add_mismatch();
        assert_eq!(test.outcome(), None);
        test.add_mismatch();
        assert_eq!(test.outcome(), Some(Outcome::Broken));
    }

    #[test]
    fn no_rate_at_all_is_never_shown() {
        let mut test = Sequential::new(limits(0, 0.0));
        assert!((0..100_000).all(|_| test.add(false).is_none()));
    }

    #[test]
    fn it_errs_no_more_often_than_it_says() {
        let mut random = Random(11);
        for (rate, wrong) in [(0.02, Outcome::Parity), (0.002, Outcome::Unproven)] {
            let errors = (0..1_000).filter(|_| {
                let mut test = Sequential::new(limits(u64::MAX, 0.02));
                decided(&mut test, |_| random.share() < rate).1 == wrong
            });
            let errors = errors.count();
            assert!(errors <= 60, "{errors} of 1,000 at {rate}");
        }
    }

    fn fingerprint(number: u64) -> Fingerprint {
        // Spread over all leading digits, as hashes are.
        let spread = u128::from(number).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835);
        Fingerprint(spread.to_be_bytes())
    }

    #[test]
    fn a_repeated_request_counts_once() {
        let mut test = OverDistinct::new(limits(0, 1e-3));
        for _ in 0..10_000 {
            test.add(fingerprint(1), false);
        }
        assert_eq!(test.outcome(), None);
        (0..3_270).for_each(|number| test.add(fingerprint(number), false));
        assert_eq!(test.outcome(), Some(Outcome::Parity));
    }

    #[test]
    fn a_request_that_comes_to_differ_is_a_mismatch_and_so_is_each_repetition() {
        let mut test = OverDistinct::new(limits(2, 1e-3));
        for is_mismatch in [false, true, false, true] {
            test.add(fingerprint(1), is_mismatch);
        }
        assert_eq!(test.outcome(), None);
        test.add(fingerprint(1), true);
        assert_eq!(test.outcome(), Some(Outcome::Broken));
    }

    #[test]
    fn more_requests_than_are_remembered_are_sampled_and_still_counted_once() {
        let mut test = OverDistinct::with_capacity(limits(0, 1e-9), 1_000);
        let twice = || (1..=5_000).map(fingerprint);
        twice().for_each(|request| test.add(request, false));
        assert!(test.leading_zeros >= 2 && test.seen.len() <= 1_000);
        let evidence = test.test.evidence;
        twice().for_each(|request| test.add(request, false));
        assert_eq!(test.test.evidence, evidence);
    }
}
