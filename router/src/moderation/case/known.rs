//! What has become of a case's calls by now. It counts while the model is registered as it was: the digest
//! may be another by now.

use std::collections::HashMap;

use crate::fanout::Seat;
use crate::fanout::call::{Call, Status};
use crate::moderation::{AtHand, Verdict};
use crate::policy::fingerprint::Fingerprint;
use crate::policy::name::Name;
use crate::policy::plan::PlannedCall;

/// The calls that are over, and those that are still under way; each counts for the model of the
/// same name as long as its registration is the same.
#[derive(Debug, Default)]
pub(super) struct Known {
    calls: HashMap<Name, (Fingerprint, Call)>,
    seats: HashMap<Name, (Fingerprint, Seat)>,
}

impl Known {
    /// What is known by a verdict that was told of, and by its calls that may still come.
    pub(super) fn of(verdict: &Verdict<'_>, pending: Vec<(usize, Seat)>) -> Self {
        let mut known = Self::default();
        known.learn(verdict, pending);
        // They were no part of what follows.
        known.calls.values_mut().for_each(|(_, call)| call.ended = None);
        known
    }

    /// Takes in what a verdict knows besides.
    pub(super) fn learn(&mut self, verdict: &Verdict<'_>, pending: Vec<(usize, Seat)>) {
        for (planned, call) in &verdict.calls {
            if call.status != Status::Skipped {
                let call = (planned.model.registration, call.clone());
                self.calls.insert(planned.model.name.clone(), call);
            }
        }
        for (index, seat) in pending {
            let model = &verdict.calls[index].0.model;
            self.calls.remove(&model.name);
            self.seats.insert(model.name.clone(), (model.registration, seat));
        }
    }

    /// What there is of a planned call, if anything.
    pub(super) fn at_hand(&mut self, planned: &PlannedCall) -> Option<AtHand> {
        if !planned.model.document.enabled {
            return None;
        }
        self.result(planned).map(AtHand::Result).or_else(|| self.seat(planned).map(AtHand::Seat))
    }

    /// What a call that is over says to a planned one: its scores, if it has all that are wanted,
    /// or that it has failed.
    fn result(&self, planned: &PlannedCall) -> Option<Call> {
        let known = self.calls.get(&planned.model.name);
        let (_, call) =
            known.filter(|(registration, _)| *registration == planned.model.registration)?;
        let score = |label: &str| call.all_scores.get(label).copied();
        let scores: Vec<_> = planned.labels.iter().map(|label| score(label.as_str())).collect();
        let is_scored = scores.iter().all(Option::is_some);
        let status = match call.status {
            status if status.has_scores() => is_scored.then_some(status)?,
            _ if is_scored => Status::Ok,
            status => status,
        };
        let cause = call.cause.clone().filter(|_| !status.has_scores());
        Some(Call { status, scores, cause, ..call.clone() })
    }

    fn seat(&mut self, planned: &PlannedCall) -> Option<Seat> {
        let (registration, seat) = self.seats.remove(&planned.model.name)?;
        (registration == planned.model.registration).then_some(seat)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use serde_json::json;
    use tokio::time::Instant;

    use super::*;
    use crate::moderation::{Content, decide};
    use crate::policy::example::policy;
    use crate::policy::plan::Plan;
    use crate::policy::scope_path::ScopePath;

    fn plan(endpoint: &str, label: &str) -> Arc<Plan> {
        let model = json!({"endpoint": {"sagemaker": endpoint}}).to_string();
        let platform = json!({"rules": {"r": {"model": "m", "label": label}}}).to_string();
        let policy = policy(&[("models/m", &model), ("scopes/platform", &platform)]).unwrap();
        policy.plan(&ScopePath::Platform).unwrap()
    }

    fn known(call: &Call) -> Known {
        let content = r#"{"client": "a", "content_id": "r-1", "fields": {"text": ""}}"#;
        let (plan, content) = (plan("e", "x"), Content::parse(content, "text").unwrap());
        Known::of(&decide(&plan, &content, |_| Some(call.clone())), Vec::new())
    }

    fn at_hand(known: &mut Known, plan: &Plan) -> Option<Call> {
        match known.at_hand(&plan.calls[0])? {
            AtHand::Result(call) => Some(call),
            AtHand::Seat(_) => None,
        }
    }

    #[test]
    fn what_failed_counts_as_it_stood_while_the_model_is_asked_in_the_same_way() {
        for status in [Status::Timeout, Status::Throttled, Status::Failed] {
            let mut known = known(&Call::failed(status, Duration::ZERO, "x".into()));
            let call = at_hand(&mut known, &plan("e", "x")).unwrap();
            assert_eq!((call.status, call.cause.as_deref()), (status, Some("x")));
            assert_eq!(call.ended, None, "it was told of");
            assert!(at_hand(&mut known, &plan("other", "x")).is_none());
        }
        assert!(at_hand(&mut known(&Call::skipped()), &plan("e", "x")).is_none());
    }

    #[test]
    fn what_was_scored_counts_for_the_labels_that_it_has() {
        let all_scores = Arc::new([("x".to_owned(), 0.5)].into());
        let call = Call::without_scores(Status::Cached, Duration::ZERO);
        let ended = Some(Instant::now());
        let mut known = known(&Call { scores: vec![Some(0.5)], all_scores, ended, ..call });
        let call = at_hand(&mut known, &plan("e", "x")).unwrap();
        assert_eq!((call.status, call.scores, call.ended), (Status::Cached, vec![Some(0.5)], None));
        assert!(at_hand(&mut known, &plan("e", "y")).is_none());
    }
}
