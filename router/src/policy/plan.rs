//! What a client's options come down to: the calls to make and the rules to judge them by.

use std::sync::Arc;
use std::time::Duration;

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
    /// Each model that a rule needs, once, in the order of the rules.
    pub(crate) calls: Vec<PlannedCall>,
    /// The enabled rules, by name.
    pub(crate) rules: Vec<Rule>,
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
}
