//! The course of one verdict through the stages of its plan: what to call next, what is known.

use std::collections::BTreeSet;

use tokio::time::Instant;

use super::content::Content;
use super::decide::Verdict;
use super::judge::{Cause, Finding, judge, pass};
use crate::fanout::call::Call;
use crate::policy::plan::{Plan, Rule, Stage};
use crate::policy::scope::Outcome;

/// A verdict in the making: a pure function of plan, content and the calls' results.
#[derive(Debug)]
pub(crate) struct Course<'a> {
    plan: &'a Plan,
    content: &'a Content,
    /// How many stages have begun.
    begun: usize,
    /// One for each rule.
    rules: Vec<State<'a>>,
    /// One for each call.
    calls: Vec<Slot>,
    /// Which of the rules would say the same whatever the scores that are missing.
    is_certain: Vec<bool>,
    /// The verdict, if nothing stricter comes.
    decision: Outcome,
    /// The same by the rules alone that are certain.
    certain: Outcome,
}

/// What became of a call.
#[derive(Debug)]
enum Slot {
    /// Its stage has not begun, or has and could do without.
    NotMade,
    /// It is to be made, or is being made.
    UnderWay,
    Made(Call),
    /// It would be made, but only its results of another time are at hand, and this is not one.
    Unknown,
}

/// How far a rule has come.
#[derive(Clone, Debug)]
enum State<'a> {
    /// Whether it takes part is not known yet.
    Waiting,
    /// It takes part, perhaps because its `when` could not be evaluated.
    TakesPart(Option<String>),
    /// Nothing will change any more.
    Settled(Finding<'a>),
}

/// Whether a rule takes part.
enum Part {
    Yes(Option<String>),
    No(Cause),
    NotYet,
}

impl<'a> Course<'a> {
    pub(super) fn new(plan: &'a Plan, content: &'a Content) -> Self {
        Self {
            plan,
            content,
            begun: 0,
            rules: vec![State::Waiting; plan.rules.len()],
            calls: plan.calls.iter().map(|_| Slot::NotMade).collect(),
            is_certain: vec![true; plan.rules.len()],
            decision: plan.base,
            certain: plan.base,
        }
    }

    /// Begins the next stage: the indices of the calls to make for it, perhaps none at all; `None`
    /// after the last. Calls of stages before may still be under way: a stage is only left out by
    /// what is known, and a rule that waits for a score counts as one that takes part. The results
    /// are to be given to [`Self::settle`] in any case, in whatever order they come.
    pub(super) fn begin_stage(&mut self) -> Option<Vec<usize>> {
        let stage = self.plan.stages.get(self.begun)?;
        self.spare(stage);
        stage.rules.iter().for_each(|rule| self.consider(*rule));
        let open = self.is_wanted() || self.could_change(stage);
        self.begun += 1;
        let needs = |rule: &&usize| {
            let is_open = !matches!(self.rules[**rule], State::Settled(_));
            is_open && (open || self.plan.rules[**rule].required)
        };
        let mut is_needed = vec![false; self.calls.len()];
        let needing = stage.rules.iter().filter(needs);
        needing.for_each(|rule| is_needed[self.plan.rules[*rule].call] = true);
        let wanted = stage.calls.iter().copied().filter(|call| is_needed[*call]);
        let wanted: Vec<usize> = wanted.collect();
        wanted.iter().for_each(|call| self.calls[*call] = Slot::UnderWay);
        self.go_on();
        Some(wanted)
    }

    /// Whether the scores of the next stage are wanted for themselves: the first ones are, unless
    /// everything is rejected anyway.
    fn is_wanted(&self) -> bool {
        self.begun == 0 && self.decision < Outcome::Reject
    }

    /// Settles the rules of a stage that will be left out whether they take part or not.
    fn spare(&mut self, stage: &Stage) {
        if self.is_wanted() || self.could_change(stage) {
            return;
        }
        let rules = |index: &usize| &self.plan.rules[*index];
        let required = stage.rules.iter().map(rules).filter(|rule| rule.required);
        let required: BTreeSet<usize> = required.map(|rule| rule.call).collect();
        for &index in &stage.rules {
            let rule = &self.plan.rules[index];
            if !required.contains(&rule.call) {
                self.rules[index] = State::Settled(pass(rule, Cause::Spared));
            }
        }
    }

    /// When the stage after the one begun last, at `now`, must begin even if calls are under way:
    /// each stage left has the same share of the time left, and the last one has all of it.
    pub(super) fn end_of_stage(&self, now: Instant, deadline: Instant) -> Instant {
        let after = self.plan.stages.len() - self.begun;
        let stages = u32::try_from(after + 1).unwrap_or(u32::MAX);
        now + deadline.saturating_duration_since(now) / stages
    }

    /// Whether a call of the stage begun last is under way that may matter.
    pub(super) fn awaits_stage(&self) -> bool {
        let stage = self.begun.checked_sub(1).map(|last| &self.plan.stages[last]);
        stage.is_some_and(|stage| stage.rules.iter().any(|rule| self.is_awaited(*rule)))
    }

    /// Whether any call is under way that may matter.
    pub(super) fn awaits_any(&self) -> bool {
        (0..self.rules.len()).any(|rule| self.is_awaited(rule))
    }

    /// Whether the rule waits for a call that may still change the verdict, or make it certain, or
    /// is wanted for itself.
    fn is_awaited(&self, index: usize) -> bool {
        let rule = &self.plan.rules[index];
        let is_open = !matches!(self.rules[index], State::Settled(_));
        let is_under_way = matches!(self.calls[rule.call], Slot::UnderWay);
        is_open && is_under_way && (rule.required || rule.reach > self.certain)
    }

    /// Takes in what became of a call: nothing where nobody knows.
    pub(super) fn settle(&mut self, call: usize, result: Option<Call>) {
        self.calls[call] = result.map_or(Slot::Unknown, Slot::Made);
        self.go_on();
    }

    /// The same becomes of all calls under way.
    pub(super) fn give_up(&mut self, result: Option<&Call>) {
        for call in 0..self.calls.len() {
            if matches!(self.calls[call], Slot::UnderWay) {
                self.settle(call, result.cloned());
            }
        }
    }

    /// Judges what can be judged by now; each rule comes after those that it looks at.
    fn go_on(&mut self) {
        let plan = self.plan;
        for &index in plan.stages[..self.begun].iter().flat_map(|stage| &stage.rules) {
            self.consider(index);
            self.judge(index);
        }
    }

    fn judge(&mut self, index: usize) {
        let State::TakesPart(when_error) = &mut self.rules[index] else { return };
        let rule = &self.plan.rules[index];
        let finding = match &self.calls[rule.call] {
            Slot::UnderWay => return,
            Slot::Made(call) => Finding { when_error: when_error.take(), ..judge(rule, call) },
            Slot::NotMade => pass(rule, Cause::Spared),
            Slot::Unknown => pass(rule, Cause::Unknown),
        };
        self.conclude(index, finding);
    }

    /// Takes in what a rule has to say, after those that it looks at.
    fn conclude(&mut self, index: usize, finding: Finding<'a>) {
        let mut looks_at = self.plan.rules[index].looks_at.iter();
        self.is_certain[index] =
            !finding.has_failed() && looks_at.all(|seen| self.is_certain[*seen]);
        if self.is_certain[index] {
            self.certain = self.certain.max(finding.outcome);
        }
        self.decision = self.decision.max(finding.outcome);
        self.rules[index] = State::Settled(finding);
    }

    /// The verdict, once there is no more stage and no call under way that may matter.
    pub(super) fn end(mut self) -> Verdict<'a> {
        for slot in &mut self.calls {
            if matches!(slot, Slot::UnderWay) {
                *slot = Slot::NotMade;
            }
        }
        self.go_on();
        let findings = self.rules.into_iter().filter_map(|state| match state {
            State::Settled(finding) => Some(finding),
            State::Waiting | State::TakesPart(_) => None,
        });
        let calls = self.calls.into_iter().map(|slot| match slot {
            Slot::Made(call) => call,
            Slot::NotMade | Slot::UnderWay | Slot::Unknown => Call::skipped(),
        });
        Verdict::new(self.plan, findings.collect(), calls.collect())
    }

    /// Finds out whether a rule takes part, as soon as all that it looks at is settled.
    fn consider(&mut self, index: usize) {
        if !matches!(self.rules[index], State::Waiting) {
            return;
        }
        let rule = &self.plan.rules[index];
        match self.part(rule) {
            Part::Yes(when_error) => self.rules[index] = State::TakesPart(when_error),
            Part::No(cause) => self.conclude(index, pass(rule, cause)),
            Part::NotYet => {}
        }
    }

    fn part(&self, rule: &Rule) -> Part {
        let Some(when) = &rule.terms.when else { return Part::Yes(None) };
        let mut seen = Vec::with_capacity(rule.looks_at.len());
        for &index in &rule.looks_at {
            let State::Settled(finding) = &self.rules[index] else { return Part::NotYet };
            seen.push(finding);
        }
        // What was spared could not change the verdict, and neither could those that look at it.
        for cause in [Cause::Spared, Cause::Unknown] {
            if seen.iter().any(|finding| finding.cause == Some(cause)) {
                return Part::No(cause);
            }
        }
        let score =
            |name: &str| seen.iter().find(|finding| finding.rule.name.as_str() == name)?.score;
        match when.holds(&self.content.facts(&score)) {
            Ok(true) => Part::Yes(None),
            Ok(false) => Part::No(Cause::When),
            Err(error) => Part::Yes(Some(error)),
        }
    }

    /// Whether a rule of the stage, or one that looks at it, could make the verdict stricter.
    fn could_change(&self, stage: &Stage) -> bool {
        let is_open = |rule: &usize| !matches!(self.rules[*rule], State::Settled(_));
        let reach = |rule: &usize| self.plan.rules[*rule].reach;
        stage.rules.iter().any(|rule| is_open(rule) && reach(rule) > self.decision)
    }
}

#[cfg(test)]
mod tests;
