//! What a client's options come down to: the calls to make and the rules to judge them by.

use std::sync::Arc;
use std::time::Duration;

use super::condition::When;
use super::fingerprint::Fingerprint;
use super::merge::Sourced;
use super::model::Model;
use super::name::Name;
use super::scope::{Direction, Label, Outcome, Threshold};

/// A scope's options, ready to run. Everything in it has been checked. What is the same in the plan
/// of the scope above is shared with that.
#[derive(Debug)]
pub(crate) struct Plan {
    /// The verdict where no rule is stricter.
    pub(crate) base: Outcome,
    /// The longest that a verdict may take.
    pub(crate) deadline: Duration,
    /// The share of all contents that people look at.
    pub(crate) sample: f64,
    /// Each model that a rule needs, once, in the order of the rules.
    pub(crate) calls: Vec<Arc<PlannedCall>>,
    /// The enabled rules, by name.
    pub(crate) rules: Vec<Rule>,
    /// When each call is made and each rule judged; every one is in exactly one stage.
    pub(crate) stages: Arc<Vec<Stage>>,
    /// The fingerprint of all that decides which calls fail, but the time that they have.
    pub(super) failing: Fingerprint,
}

/// Calls that are made side by side, after those of the stages before.
#[derive(Debug, PartialEq)]
pub(crate) struct Stage {
    /// The indices of its calls.
    pub(crate) calls: Vec<usize>,
    /// The indices of the rules that they are for, each after those that it looks at.
    pub(crate) rules: Vec<usize>,
}

/// A model and the labels that the rules want from it.
#[derive(Debug)]
pub(crate) struct PlannedCall {
    /// The model.
    pub(crate) model: Arc<Model>,
    /// An answer that lacks one is a failed call, and has no score for the rules that look at it; the
    /// scores are kept in this order.
    pub(crate) labels: Vec<Label>,
}

impl PartialEq for PlannedCall {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.model, &other.model) && self.labels == other.labels
    }
}

/// A rule that takes part.
#[derive(Debug)]
pub(crate) struct Rule {
    /// Its name.
    pub(crate) name: Name,
    /// What it demands.
    pub(crate) terms: Arc<Terms>,
    /// The index of its call in the plan.
    pub(crate) call: usize,
    /// The index of its label in the call.
    pub(crate) label: usize,
    /// The indices of the rules that its `when` looks at.
    pub(crate) looks_at: Vec<usize>,
    /// The strictest that it or a rule that looks at it, directly or through others, can demand.
    pub(crate) reach: Outcome,
    /// Whether it or such a rule must be judged even where the verdict is certain without.
    pub(crate) required: bool,
}

/// What a rule demands, whatever else is in the plan.
#[derive(Debug, PartialEq)]
pub(crate) struct Terms {
    /// Whether high or low scores are bad.
    pub(crate) direction: Direction,
    /// The score from which people must look.
    pub(crate) review_at: Option<Sourced<Threshold>>,
    /// The score from which content is refused.
    pub(crate) reject_at: Option<Sourced<Threshold>>,
    /// The outcome where there is no score; review where no scope says.
    pub(crate) on_failure: Option<Sourced<Outcome>>,
    /// The share of the contents that it judges that people look at.
    pub(crate) sample: f64,
    /// The contents that it takes part for; all where there is none.
    pub(crate) when: Option<Arc<When>>,
}

impl Rule {
    /// The strictest outcome that the rule can have, whatever its model answers.
    pub(crate) fn bound(&self) -> Outcome {
        let Terms { review_at, reject_at, on_failure, .. } = &*self.terms;
        let on_failure = on_failure.as_ref().map_or(Outcome::Review, |outcome| outcome.value);
        let scored = match (reject_at, review_at) {
            (Some(_), _) => Outcome::Reject,
            (None, Some(_)) => Outcome::Review,
            (None, None) => Outcome::Approve,
        };
        scored.max(on_failure)
    }
}

impl Plan {
    /// The fingerprint of all that decides which calls fail where a verdict may take so long: while
    /// it is the same, and the same calls are made, the same fail, as far as one can tell.
    pub(crate) fn failing_within(&self, time: Duration) -> Fingerprint {
        Fingerprint::of(&(self.failing, time.as_millis()))
    }

    /// The calls of the stages before that of this one.
    pub(crate) fn calls_before(&self, planned: &PlannedCall) -> impl Iterator<Item = &PlannedCall> {
        let is_it = |call: &usize| self.calls[*call].model.name == planned.model.name;
        let own = self.stages.iter().position(|stage| stage.calls.iter().any(is_it));
        let before = &self.stages[..own.unwrap_or_default()];
        before.iter().flat_map(|stage| &stage.calls).map(|call| &*self.calls[*call])
    }

    /// Takes over from the plan of the scope above what is the same there.
    pub(super) fn share(&mut self, above: &Self) {
        for rule in &mut self.rules {
            let same = above.rules.binary_search_by(|other| other.name.cmp(&rule.name));
            if let Ok(same) = same {
                let above = &above.rules[same].terms;
                take_over(&mut rule.terms, above);
                let own = Arc::get_mut(&mut rule.terms).and_then(|terms| terms.when.as_mut());
                own.into_iter().zip(&above.when).for_each(|(own, above)| take_over(own, above));
            }
        }
        for call in &mut self.calls {
            let same = above.calls.iter().find(|other| other.model.name == call.model.name);
            same.into_iter().for_each(|same| take_over(call, same));
        }
        take_over(&mut self.stages, &above.stages);
    }

    /// About how much memory the plan takes, without what it shares: that is counted with the plan
    /// that had it first, which is kept as long. Models, names and expressions are the documents'
    /// own; a pattern counts with each plan, as nobody knows which one will be kept longest.
    pub(super) fn bytes(&self) -> usize {
        let calls = self.calls.iter();
        let calls = calls.map(|call| own(call, size_of_val(&*call.labels)) + size_of_val(call));
        let rules = self.rules.iter();
        let rules = rules.map(|rule| {
            terms_bytes(&rule.terms) + size_of_val(rule) + size_of_val(&*rule.looks_at)
        });
        // A call and a rule are each in one stage.
        let indices = (calls.len() + rules.len()) * size_of::<usize>();
        let stages = own(&self.stages, size_of_val(&**self.stages) + indices);
        size_of_val(self) + calls.sum::<usize>() + rules.sum::<usize>() + stages
    }
}

fn take_over<T: PartialEq>(own: &mut Arc<T>, above: &Arc<T>) {
    if own == above {
        *own = Arc::clone(above);
    }
}

fn terms_bytes(terms: &Arc<Terms>) -> usize {
    let when = terms.when.as_ref().map_or(0, |when| own(when, when.pattern_bytes()));
    own(terms, when)
}

/// What a part and so many bytes that it refers to take, unless another plan has it too.
fn own<T>(part: &Arc<T>, referred_to: usize) -> usize {
    match Arc::strong_count(part) {
        1 => 2 * size_of::<usize>() + size_of::<T>() + referred_to,
        _ => 0,
    }
}
