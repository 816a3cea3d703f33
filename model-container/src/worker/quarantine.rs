//! Which requests ended a worker: one death makes a suspect, a second one a poison.
//!
//! Of several calls that a process has when it dies any may be the culprit, and the process may
//! as well have been killed from outside. So a suspect is tried alone, after a pause in which
//! whoever killed one worker may kill the others, and only if the worker dies again, with no
//! answer to that request in between, is the request refused.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use tokio::time::Instant;

use super::call::Hash;

/// How many requests are remembered.
const MAX_RECORDS: usize = 1_000;
/// For how long.
const MEMORY: Duration = Duration::from_mins(10);

/// Deaths closer to each other than this may have the same cause, whatever the requests were.
pub(super) const TRIAL_PAUSE: Duration = Duration::from_millis(250);

/// What is known of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    /// Nothing bad.
    Clean,
    /// A worker died with it once.
    Suspect,
    /// A worker died with it twice.
    Poisonous,
}

/// The requests that ended a worker lately.
#[derive(Default)]
pub(super) struct Quarantine(Mutex<HashMap<Hash, Record>>);

struct Record {
    is_poisonous: bool,
    at: Instant,
}

impl Quarantine {
    /// What is known of a request, whose hash is asked for only where anything is known of any.
    pub(super) fn standing(&self, hash: impl FnOnce() -> Hash) -> Standing {
        if self.lock().is_empty() {
            return Standing::Clean;
        }
        // Hashing a large request takes long, and others need the records meanwhile.
        let hash = hash();
        match self.lock().get(&hash).filter(|record| record.is_fresh()) {
            None => Standing::Clean,
            Some(Record { is_poisonous: false, .. }) => Standing::Suspect,
            Some(_) => Standing::Poisonous,
        }
    }

    /// Notes that a worker died with a request, which it had alone since then if this was a trial.
    ///
    /// Returns what the request is from now on.
    pub(super) fn strike(&self, hash: Hash, trial: Option<Instant>) -> Standing {
        let mut records = self.lock();
        let suspected = records.get(&hash).filter(|record| record.is_fresh()).map(|one| one.at);
        if records.len() >= MAX_RECORDS && suspected.is_none() {
            make_room(&mut records);
        }
        let is_poisonous =
            suspected.zip(trial).is_some_and(|(at, trial)| trial >= at + TRIAL_PAUSE);
        records.insert(hash, Record { is_poisonous, at: Instant::now() });
        if is_poisonous { Standing::Poisonous } else { Standing::Suspect }
    }

    /// Forgets a request that was answered.
    pub(super) fn acquit(&self, hash: impl FnOnce() -> Hash) {
        if self.lock().is_empty() {
            return;
        }
        let hash = hash();
        self.lock().remove(&hash);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Hash, Record>> {
        self.0.lock().expect("nothing panics while it holds the records")
    }
}

impl Record {
    fn is_fresh(&self) -> bool {
        self.at.elapsed() < MEMORY
    }
}

/// Drops what is too old, or else the oldest.
fn make_room(records: &mut HashMap<Hash, Record>) {
    records.retain(|_, record| record.is_fresh());
    if records.len() < MAX_RECORDS {
        return;
    }
    let oldest = records.iter().min_by_key(|(_, record)| record.at).map(|(hash, _)| *hash);
    if let Some(hash) = oldest {
        records.remove(&hash);
    }
}

/// The sentence for a request that is refused.
pub(super) fn refusal(hash: Hash) -> String {
    let mut digits = String::with_capacity(64);
    for byte in hash {
        write!(digits, "{byte:02x}").expect("writing into memory can't fail");
    }
    let minutes = MEMORY.as_secs() / 60;
    format!(
        "this request (SHA-256 {digits}) ended a worker twice; it is refused for {minutes} minutes"
    )
}

#[cfg(test)]
mod tests {
    use serde_json::value::RawValue;

    use super::*;
    use crate::worker::call::Call;

    fn hash(json: &str) -> Hash {
        Call::Fields(RawValue::from_string(json.to_owned()).unwrap()).hash()
    }

    #[tokio::test(start_paused = true)]
    async fn a_second_death_makes_a_poison_only_in_a_trial_after_a_pause() {
        let quarantine = Quarantine::default();
        let one = hash("1");
        assert_eq!(quarantine.standing(|| one), Standing::Clean);
        assert_eq!(quarantine.strike(one, None), Standing::Suspect);
        assert_eq!(quarantine.strike(one, None), Standing::Suspect);
        assert_eq!(quarantine.strike(one, Some(Instant::now())), Standing::Suspect);
        tokio::time::advance(TRIAL_PAUSE).await;
        assert_eq!(quarantine.strike(one, Some(Instant::now())), Standing::Poisonous);
        assert_eq!(quarantine.standing(|| one), Standing::Poisonous);
        assert_eq!(quarantine.standing(|| hash("2")), Standing::Clean);
        tokio::time::advance(MEMORY).await;
        assert_eq!(quarantine.standing(|| one), Standing::Clean);
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_clears_a_suspect() {
        let quarantine = Quarantine::default();
        let one = hash("1");
        quarantine.strike(one, None);
        quarantine.acquit(|| one);
        tokio::time::advance(TRIAL_PAUSE).await;
        assert_eq!(quarantine.strike(one, Some(Instant::now())), Standing::Suspect);
    }

    #[test]
    fn a_refusal_names_the_requests_hash() {
        let refusal = refusal(hash("{}"));
        let digits = "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a";
        assert!(refusal.contains(&format!("(SHA-256 {digits})")), "{refusal}");
    }

    #[tokio::test(start_paused = true)]
    async fn no_more_than_a_thousand_are_remembered_the_latest_of_all() {
        let quarantine = Quarantine::default();
        for number in 0..=MAX_RECORDS {
            quarantine.strike(hash(&number.to_string()), None);
            tokio::time::advance(Duration::from_millis(1)).await;
        }
        assert_eq!(quarantine.lock().len(), MAX_RECORDS);
        assert_eq!(quarantine.standing(|| hash("0")), Standing::Clean);
    }
}
