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

use super::call::{Call, Hash};

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
    /// What is known of a request.
    pub(super) fn standing(&self, call: &Call) -> Standing {
        let records = self.lock();
        if records.is_empty() {
            return Standing::Clean;
        }
        match records.get(&call.hash()).filter(|record| record.is_fresh()) {
            None => Standing::Clean,
            Some(Record { is_poisonous: false, .. }) => Standing::Suspect,
            Some(_) => Standing::Poisonous,
        }
    }

    /// Notes that a worker died with a request, which it had alone since then if this was a trial.
    ///
    /// Returns what the request is from now on.
    pub(super) fn strike(&self, call: &Call, trial: Option<Instant>) -> Standing {
        let mut records = self.lock();
        let hash = call.hash();
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
    pub(super) fn acquit(&self, call: &Call) {
        let mut records = self.lock();
        if !records.is_empty() {
            records.remove(&call.hash());
        }
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
pub(super) fn refusal(call: &Call) -> String {
    let mut hash = String::with_capacity(64);
    for byte in call.hash() {
        write!(hash, "{byte:02x}").expect("writing into memory can't fail");
    }
    let minutes = MEMORY.as_secs() / 60;
    format!(
        "this request (SHA-256 {hash}) ended a worker twice; it is refused for {minutes} minutes"
    )
}

#[cfg(test)]
mod tests {
    use serde_json::value::RawValue;

    use super::*;

    fn call(text: &str) -> Call {
        Call::Fields(serde_json::value::to_raw_value(text).unwrap())
    }

    #[tokio::test(start_paused = true)]
    async fn a_second_death_makes_a_poison_only_in_a_trial_after_a_pause() {
        let quarantine = Quarantine::default();
        let one = call("one");
        assert_eq!(quarantine.standing(&one), Standing::Clean);
        assert_eq!(quarantine.strike(&one, None), Standing::Suspect);
        assert_eq!(quarantine.strike(&one, None), Standing::Suspect);
        assert_eq!(quarantine.strike(&one, Some(Instant::now())), Standing::Suspect);
        tokio::time::advance(TRIAL_PAUSE).await;
        assert_eq!(quarantine.strike(&one, Some(Instant::now())), Standing::Poisonous);
        assert_eq!(quarantine.standing(&one), Standing::Poisonous);
        assert_eq!(quarantine.standing(&call("two")), Standing::Clean);
        tokio::time::advance(MEMORY).await;
        assert_eq!(quarantine.standing(&one), Standing::Clean);
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_clears_a_suspect() {
        let quarantine = Quarantine::default();
        let one = call("one");
        quarantine.strike(&one, None);
        quarantine.acquit(&one);
        tokio::time::advance(TRIAL_PAUSE).await;
        assert_eq!(quarantine.strike(&one, Some(Instant::now())), Standing::Suspect);
    }

    #[test]
    fn a_refusal_names_the_requests_hash() {
        let fields = Call::Fields(RawValue::from_string("{}".to_owned()).unwrap());
        let hash = "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a";
        assert!(refusal(&fields).contains(&format!("(SHA-256 {hash})")), "{}", refusal(&fields));
    }

    #[tokio::test(start_paused = true)]
    async fn no_more_than_a_thousand_are_remembered_the_latest_of_all() {
        let quarantine = Quarantine::default();
        for number in 0..=MAX_RECORDS {
            let number = RawValue::from_string(number.to_string()).unwrap();
            quarantine.strike(&Call::Fields(number), None);
            tokio::time::advance(Duration::from_millis(1)).await;
        }
        assert_eq!(quarantine.lock().len(), MAX_RECORDS);
        let first = Call::Fields(RawValue::from_string("0".to_owned()).unwrap());
        assert_eq!(quarantine.standing(&first), Standing::Clean);
    }
}
