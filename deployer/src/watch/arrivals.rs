//! Which uploads are complete, due, waiting or dealt with: decides by looks and times alone.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::sighting::{Kind, Sighting};

/// The first wait after a failure of the platform; it doubles up to the longest.
const FIRST_WAIT: Duration = Duration::from_secs(1);
const LONGEST_WAIT: Duration = Duration::from_secs(60);

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
    /// The platform failed; it is tried again then.
    Waiting(Instant),
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
            _ => None,
        });
        hopeless.collect()
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

    /// The platform failed to deploy it; tells after how long it is tried again.
    pub(super) fn postpone(&mut self, sighting: &Sighting, now: Instant) -> Duration {
        let Some(arrival) = self.present(sighting) else { return FIRST_WAIT };
        let wait = LONGEST_WAIT.min(FIRST_WAIT * 2_u32.pow(arrival.failures.min(10)));
        arrival.failures += 1;
        arrival.phase = Phase::Waiting(now + wait);
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
            Kind::Unfit(reason) => Phase::Faulty(reason.clone()),
            Kind::Growing | Kind::Whole => Phase::Arriving,
        };
        Self { sighting, since: now, looks: 1, failures: 0, phase }
    }

    fn is_due(&self, now: Instant) -> bool {
        match self.phase {
            Phase::Arriving => self.looks > 1 || self.sighting.kind == Kind::Whole,
            Phase::Waiting(until) => now >= until,
            Phase::AtWork | Phase::Faulty(_) | Phase::Settled => false,
        }
    }

    fn is_final(&self, now: Instant, grace: Duration) -> bool {
        self.sighting.kind != Kind::Growing || now.duration_since(self.since) >= grace
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn sighting(key: &str, stamp: &str, modified_ms: i64, kind: Kind) -> Sighting {
        let name = key.split('.').next().unwrap().to_owned();
        Sighting { key: key.to_owned(), name, stamp: stamp.to_owned(), modified_ms, kind }
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
    fn failures_of_the_platform_are_retried_after_growing_waits() {
        let (mut arrivals, now) = (Arrivals::default(), Instant::now());
        arrivals.see(vec![file("a")], now, |_| false);
        let waits: Vec<_> = (0..20).map(|_| arrivals.postpone(&file("a"), now)).collect();
        assert_eq!(waits[..3], [SECOND, 2 * SECOND, 4 * SECOND]);
        assert_eq!(waits[19], LONGEST_WAIT);
        assert!(arrivals.due(now + 59 * SECOND).is_empty());
        assert_eq!(arrivals.due(now + 60 * SECOND).len(), 1);
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
