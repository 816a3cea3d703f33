//! Which uploads are complete, due, waiting or dealt with: decides by looks and times alone.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::sighting::{Kind, Sighting};

/// The first wait after a failure of the platform; it doubles up to the longest.
const FIRST_WAIT: Duration = Duration::from_secs(1);
const LONGEST_WAIT: Duration = Duration::from_secs(60);
/// So many attempts are made at that pace: an outage ends sooner.
const EAGER_ATTEMPTS: u32 = 20;
/// The wait from then on: each attempt may cost the platform an endpoint.
const PATIENT_WAIT: Duration = Duration::from_secs(600);

/// All uploads that the last look saw, by their keys.
#[derive(Debug, Default)]
pub(super) struct Arrivals {
    arrivals: BTreeMap<String, Arrival>,
}

#[derive(Debug)]
struct Arrival {
    sighting: Sighting,
    /// Since when it has been seen unchanged.
    since: Instant,
    /// In how many looks.
    looks: u32,
    /// How often the platform failed to deploy it.
    failures: u32,
    phase: Phase,
}

/// How far an upload is.
#[derive(Debug, PartialEq, Eq)]
enum Phase {
    /// It may still grow.
    Arriving,
    /// It is being deployed.
    AtWork,
    /// It is not fit as it is; more of it may come.
    Faulty(String),
    /// It is not fit, and could not be moved away; that is tried again then.
    Kept(String, Instant),
    /// The platform failed; it is tried again then.
    Waiting(Instant),
    /// It is no upload, which is still to be told.
    Strange(String),
    /// Nothing is to be done until it changes.
    Settled,
}

impl Arrivals {
    /// Takes in what a look saw; an upload for which `is_known` holds was dealt with before.
    pub(super) fn see(
        &mut self,
        sightings: Vec<Sighting>,
        now: Instant,
        is_known: impl Fn(&Sighting) -> bool,
    ) {
        let mut before = std::mem::take(&mut self.arrivals);
        for sighting in sightings {
            let same = before.remove(&sighting.key).filter(|old| old.sighting == sighting);
            let arrival = same.map(|old| Arrival { looks: old.looks + 1, ..old });
            let arrival = arrival.unwrap_or_else(|| Arrival::new(sighting, now, &is_known));
            self.arrivals.insert(arrival.sighting.key.clone(), arrival);
        }
    }

    /// What is complete and to be deployed now: the newest first, as it outdates the others.
    pub(super) fn due(&self, now: Instant) -> Vec<Sighting> {
        let due = self.arrivals.values().filter(|arrival| arrival.is_due(now));
        let mut due: Vec<_> = due.map(|arrival| arrival.sighting.clone()).collect();
        due.sort_by_key(|sighting| std::cmp::Reverse(sighting.modified_ms));
        due
    }

    /// What is not fit and has not changed for the time of `grace`, each with the reason.
    pub(super) fn hopeless(&self, now: Instant, grace: Duration) -> Vec<(Sighting, String)> {
        let hopeless = self.arrivals.values().filter_map(|arrival| match &arrival.phase {
            Phase::Faulty(reason) if arrival.is_final(now, grace) => {
                Some((arrival.sighting.clone(), reason.clone()))
            }
            Phase::Kept(reason, until) if now >= *until => {
                Some((arrival.sighting.clone(), reason.clone()))
            }
            _ => None,
        });
        hopeless.collect()
    }

    /// What is no upload and was not seen before, each with the reason; it is settled by this.
    pub(super) fn strange(&mut self) -> Vec<(String, String)> {
        let strange = self.arrivals.iter_mut().filter_map(|(key, arrival)| {
            let Phase::Strange(reason) = &mut arrival.phase else { return None };
            let reason = std::mem::take(reason);
            arrival.phase = Phase::Settled;
            Some((key.clone(), reason))
        });
        strange.collect()
    }

    /// Whether it is seen in this state for the first time.
    pub(super) fn is_new(&self, sighting: &Sighting) -> bool {
        self.arrivals.get(&sighting.key).is_some_and(|arrival| arrival.failures == 0)
    }

    /// It is being deployed from now on.
    pub(super) fn begin(&mut self, sighting: &Sighting) {
        self.set(sighting, Phase::AtWork);
    }

    /// Nothing is to be done about it until it changes.
    pub(super) fn settle(&mut self, sighting: &Sighting) {
        self.set(sighting, Phase::Settled);
    }

    /// It is not fit as it is; whether more of it may come.
    pub(super) fn fail(&mut self, sighting: &Sighting, reason: String) -> bool {
        self.set(sighting, Phase::Faulty(reason));
        sighting.kind == Kind::Growing
    }

    /// The platform failed to deploy it, for what may be no fault of its own; tells how often that
    /// was, and after how long it is tried again. It is never given up: a good upload may wait.
    pub(super) fn postpone(&mut self, sighting: &Sighting, now: Instant) -> (u32, Duration) {
        let Some(arrival) = self.present(sighting) else { return (1, FIRST_WAIT) };
        let wait = arrival.wait();
        arrival.phase = Phase::Waiting(now + wait);
        (arrival.failures, wait)
    }

    /// It is not fit, and could not be moved away; tells after how long that is tried again.
    pub(super) fn keep(&mut self, sighting: &Sighting, reason: String, now: Instant) -> Duration {
        let Some(arrival) = self.present(sighting) else { return FIRST_WAIT };
        let wait = arrival.wait();
        arrival.phase = Phase::Kept(reason, now + wait);
        wait
    }

    /// It changed while it was read: it is looked at from the beginning.
    pub(super) fn restart(&mut self, sighting: &Sighting, now: Instant) {
        if let Some(arrival) = self.present(sighting) {
            (arrival.since, arrival.looks, arrival.phase) = (now, 1, Phase::Arriving);
        }
    }

    /// Whether there is nothing to be done or waited for.
    pub(super) fn all_settled(&self) -> bool {
        self.arrivals.values().all(|arrival| arrival.phase == Phase::Settled)
    }

    /// The keys of all uploads.
    pub(super) fn keys(&self) -> impl Iterator<Item = &String> {
        self.arrivals.keys()
    }

    fn set(&mut self, sighting: &Sighting, phase: Phase) {
        if let Some(arrival) = self.present(sighting) {
            arrival.phase = phase;
        }
    }

    /// What becomes of an upload says nothing about one that took its place meanwhile.
    fn present(&mut self, sighting: &Sighting) -> Option<&mut Arrival> {
        let arrival = self.arrivals.get_mut(&sighting.key)?;
        (arrival.sighting == *sighting).then_some(arrival)
    }
}

impl Arrival {
    fn new(sighting: Sighting, now: Instant, is_known: impl Fn(&Sighting) -> bool) -> Self {
        let phase = match &sighting.kind {
            _ if is_known(&sighting) => Phase::Settled,
            Kind::Unfit(reason) | Kind::Misnamed(reason) => Phase::Faulty(reason.clone()),
            Kind::Foreign(reason) => Phase::Strange(reason.clone()),
            Kind::Growing | Kind::Whole => Phase::Arriving,
        };
        Self { sighting, since: now, looks: 1, failures: 0, phase }
    }

    /// Counts a failure, and tells how long to wait after it.
    fn wait(&mut self) -> Duration {
        let failures = self.failures;
        self.failures = failures.saturating_add(1);
        match failures {
            0..EAGER_ATTEMPTS => LONGEST_WAIT.min(FIRST_WAIT * 2_u32.pow(failures.min(10))),
            _ => PATIENT_WAIT,
        }
    }

    fn is_due(&self, now: Instant) -> bool {
        match self.phase {
            Phase::Arriving => self.looks > 1 || self.sighting.kind == Kind::Whole,
            Phase::Waiting(until) => now >= until,
            Phase::AtWork
            | Phase::Faulty(_)
            | Phase::Kept(..)
            | Phase::Strange(_)
            | Phase::Settled => false,
        }
    }

    fn is_final(&self, now: Instant, grace: Duration) -> bool {
        let may_change = matches!(self.sighting.kind, Kind::Growing | Kind::Misnamed(_));
        !may_change || now.duration_since(self.since) >= grace
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn sighting(key: &str, stamp: &str, modified_ms: i64, kind: Kind) -> Sighting {
        let name = key.split('.').next().unwrap().to_owned();
        let [key, stamp, put] = [key, stamp, ""].map(str::to_owned);
        Sighting { key, name, stamp, put, modified_ms, kind }
    }

    fn file(stamp: &str) -> Sighting {
        sighting("spam.model", stamp, 1, Kind::Growing)
    }

    #[test]
    fn a_file_is_due_once_two_looks_saw_the_same() {
        let (mut arrivals, now) = (Arrivals::default(), Instant::now());
        for (stamp, is_due) in [("half", false), ("more", false), ("more", true)] {
            arrivals.see(vec![file(stamp)], now, |_| false);
            assert_eq!(!arrivals.due(now).is_empty(), is_due, "{stamp}");
        }
        arrivals.begin(&file("more"));
        assert!(arrivals.due(now).is_empty() && !arrivals.all_settled());
        arrivals.settle(&file("more"));
        arrivals.see(vec![file("more")], now, |_| false);
        assert!(arrivals.due(now).is_empty() && arrivals.all_settled());
    }

    #[test]
    fn an_object_is_due_at_once_and_the_newest_first() {
        let (mut arrivals, now) = (Arrivals::default(), Instant::now());
        let old = sighting("spam.model", "a", 1, Kind::Whole);
        let new = sighting("spam.onnx", "b", 2, Kind::Whole);
        arrivals.see(vec![old.clone(), new.clone()], now, |_| false);
        assert_eq!(arrivals.due(now), [new, old]);
    }

    #[test]
    fn what_was_dealt_with_before_a_restart_is_settled() {
        let (mut arrivals, now) = (Arrivals::default(), Instant::now());
        for _ in 0..2 {
            arrivals.see(vec![file("a")], now, |sighting| sighting.stamp == "a");
        }
        assert!(arrivals.due(now).is_empty() && arrivals.all_settled());
    }

    #[test]
    fn a_faulty_file_may_be_completed_within_its_grace() {
        let (mut arrivals, start) = (Arrivals::default(), Instant::now());
        arrivals.see(vec![file("half")], start, |_| false);
        assert!(arrivals.fail(&file("half"), "truncated".to_owned()));
        assert!(arrivals.hopeless(start + 9 * SECOND, 10 * SECOND).is_empty());
        assert_eq!(arrivals.hopeless(start + 10 * SECOND, 10 * SECOND).len(), 1);
        arrivals.see(vec![file("whole")], start + 9 * SECOND, |_| false);
        assert!(arrivals.hopeless(start + 10 * SECOND, 10 * SECOND).is_empty());
    }

    #[test]
    fn a_faulty_object_and_a_link_have_no_grace() {
        let (mut arrivals, now) = (Arrivals::default(), Instant::now());
        let object = sighting("a.onnx", "a", 1, Kind::Whole);
        let link = sighting("b.onnx", "b", 1, Kind::Unfit("a link".to_owned()));
        arrivals.see(vec![object.clone(), link], now, |_| false);
        assert!(!arrivals.fail(&object, "no model".to_owned()));
        assert_eq!(arrivals.hopeless(now, 10 * SECOND).len(), 2);
    }

    #[test]
    fn a_misnamed_file_may_be_renamed_within_its_grace() {
        let (mut arrivals, now) = (Arrivals::default(), Instant::now());
        let zip = sighting("a.zip", "a", 1, Kind::Misnamed("a zip".to_owned()));
        arrivals.see(vec![zip], now, |_| false);
        assert!(arrivals.hopeless(now + 9 * SECOND, 10 * SECOND).is_empty());
        assert_eq!(arrivals.hopeless(now + 10 * SECOND, 10 * SECOND).len(), 1);
    }

    #[test]
    fn what_is_no_upload_is_told_of_once_and_is_nobodys_fault() {
        let (mut arrivals, now) = (Arrivals::default(), Instant::now());
        let notes = sighting("notes.txt", "", 0, Kind::Foreign("no model".to_owned()));
        for told in [1, 0] {
            arrivals.see(vec![notes.clone()], now, |_| false);
            assert_eq!(arrivals.strange().len(), told);
            assert!(arrivals.all_settled() && arrivals.hopeless(now, Duration::ZERO).is_empty());
        }
    }

    #[test]
    fn failures_of_the_platform_are_retried_after_growing_waits() {
        let (mut arrivals, now) = (Arrivals::default(), Instant::now());
        arrivals.see(vec![file("a")], now, |_| false);
        let waits: Vec<_> = (0..21).map(|_| arrivals.postpone(&file("a"), now)).collect();
        assert_eq!(waits[..3], [(1, SECOND), (2, 2 * SECOND), (3, 4 * SECOND)]);
        assert_eq!(waits[19..], [(20, LONGEST_WAIT), (21, PATIENT_WAIT)]);
        assert!(arrivals.due(now + PATIENT_WAIT - SECOND).is_empty());
        assert_eq!(arrivals.due(now + PATIENT_WAIT).len(), 1);
        assert!(arrivals.hopeless(now + PATIENT_WAIT, SECOND).is_empty());
    }

    #[test]
    fn what_could_not_be_moved_away_is_moved_later_and_not_deployed_again() {
        let (mut arrivals, now) = (Arrivals::default(), Instant::now());
        arrivals.see(vec![file("a")], now, |_| false);
        arrivals.fail(&file("a"), "no model".to_owned());
        assert_eq!(arrivals.keep(&file("a"), "no model".to_owned(), now), SECOND);
        arrivals.see(vec![file("a")], now, |_| false);
        assert!(arrivals.hopeless(now, Duration::ZERO).is_empty() && !arrivals.all_settled());
        assert_eq!(arrivals.hopeless(now + SECOND, Duration::ZERO).len(), 1);
        assert!(arrivals.due(now + SECOND).is_empty());
    }

    #[test]
    fn what_becomes_of_an_upload_says_nothing_about_its_successor() {
        let (mut arrivals, now) = (Arrivals::default(), Instant::now());
        arrivals.see(vec![file("b")], now, |_| false);
        arrivals.settle(&file("a"));
        arrivals.see(vec![file("b")], now, |_| false);
        assert_eq!(arrivals.due(now), [file("b")]);
    }
}
