//! What a client's options come down to: the calls to make and the rules to judge them by.

use std::sync::Arc;
use std::time::Duration;

use super::condition::Condition;
use super::merge::Sourced;
use super::model::Model;
use super::name::Name;
use super::scope::{Direction, Label, Outcome, Threshold};

/// A scope's options, ready to run. Everything in it has been checked.
#[derive(Debug)]
pub(crate) struct Plan {
    /// The verdict where no rule is stricter.
    pub(crate) base: Outcome,
    /// The longest that a verdict may take.
    pub(crate) deadline: Duration,
    /// The share of all contents that people look at.
    pub(crate) sample: f64,
    /// Each model that a rule needs, once, in the order of the rules.
    pub(crate) calls: Vec<PlannedCall>,
    /// The enabled rules, by name.
    pub(crate) rules: Vec<Rule>,
    /// When each call is made and each rule judged; every one is in exactly one stage.
    pub(crate) stages: Vec<Stage>,
}

/// Calls that are made side by side, after those of the stages before.
#[derive(Debug)]
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
    /// An answer must have them all; its scores are kept in this order.
    pub(crate) labels: Vec<Label>,
}

/// A rule that takes part.
#[derive(Debug)]
pub(crate) struct Rule {
    /// Its name.
    pub(crate) name: Name,
    /// The index of its call in the plan.
    pub(crate) call: usize,
    /// The index of its label in the call.
    pub(crate) label: usize,
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
    pub(crate) when: Option<Condition>,
    /// The indices of the rules that its `when` looks at.
    pub(crate) looks_at: Vec<usize>,
    /// The strictest that it or a rule that looks at it, directly or through others, can demand.
    pub(crate) reach: Outcome,
    /// Whether it or such a rule must be judged even where the verdict is certain without.
    pub(crate) required: bool,
}

impl Rule {
    /// The strictest outcome that the rule can have, whatever its model answers.
    pub(crate) fn bound(&self) -> Outcome {
        let on_failure = self.on_failure.as_ref().map_or(Outcome::Review, |outcome| outcome.value);
        let scored = match (&self.reject_at, &self.review_at) {
            (Some(_), _) => Outcome::Reject,
            (None, Some(_)) => Outcome::Review,
            (None, None) => Outcome::Approve,
        };
        scored.max(on_failure)
    }
}

impl Plan {
    /// About how much memory the plan takes; models, names and expressions are shared.
    pub(super) fn bytes(&self) -> usize {
        let calls = self.calls.iter().map(|call| size_of_val(call) + size_of_val(&*call.labels));
        let rules = self.rules.iter().map(|rule| size_of_val(rule) + size_of_val(&*rule.looks_at));
        // A call and a rule are each in one stage.
        let stages = size_of_val(&*self.stages) + (calls.len() + rules.len()) * size_of::<usize>();
        size_of_val(self) + calls.sum::<usize>() + rules.sum::<usize>() + stages
    }
}
