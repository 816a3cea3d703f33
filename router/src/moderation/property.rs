//! Plans against the naive interpreter: random options, changes of them, contents and answers.

mod dice;
mod world;

use std::num::NonZero;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use uuid::Uuid;

use super::calls::StoredCalls;
use super::content::Content;
use super::course::Course;
use super::decide::{Verdict, decide};
use super::naive::{Answers, Interpreter, Naive, when};
use super::verdict::{Names, render};
use crate::fanout::call::{Call, Status};
use crate::policy::Policy;
use crate::policy::plan::{Plan, PlannedCall};
use crate::policy::scope::Label;
use dice::Dice;
use world::{MODELS, Stored, World, guess};

/// How many verdicts are compared, unless the environment says otherwise.
const CASES: usize = 2000;
const CASES_VARIABLE: &str = "PROPERTY_CASES";

#[test]
fn a_compiled_plan_and_the_naive_interpreter_agree() {
    let wanted = std::env::var(CASES_VARIABLE).map_or(CASES, |cases| cases.parse().unwrap());
    let (seeds, cases) = (AtomicU64::new(0), AtomicUsize::new(0));
    let live = || {
        let mut tally = Tally::default();
        while cases.load(Ordering::Relaxed) < wanted {
            let before = tally.cases;
            World::new(seeds.fetch_add(1, Ordering::Relaxed)).live(&mut tally);
            cases.fetch_add(tally.cases - before, Ordering::Relaxed);
        }
        tally.check();
    };
    // A few cases are over before a second thread is worth it.
    let cores = std::thread::available_parallelism().map_or(1, NonZero::get);
    let threads = cores.min(1 + wanted / 10_000);
    std::thread::scope(|scope| (0..threads).for_each(|_| drop(scope.spawn(live))));
    println!("{} verdicts agree", cases.into_inner());
}

/// What happened, to see that everything does.
#[derive(Clone, Copy, Debug, Default)]
struct Tally {
    cases: usize,
    edits: usize,
    refused: usize,
    rejected: usize,
    degraded: usize,
    spared: usize,
    when_false: usize,
    when_errors: usize,
    exhausted: usize,
    unknown: usize,
    brief: usize,
    deleted: usize,
    moved: usize,
    models_replaced: usize,
    followed: usize,
    loaded: usize,
    recalled: usize,
}

impl Tally {
    /// What never happens proves nothing.
    fn check(self) {
        println!("{self:?}");
        let often = self.cases / 50;
        for happened in [self.rejected, self.degraded, self.spared, self.when_false] {
            assert!(happened > often, "{self:?}");
        }
        for happened in [self.when_errors, self.unknown, self.edits, self.recalled, self.brief] {
            assert!(happened > often, "{self:?}");
        }
        let at_times = self.cases / 1000;
        let changes = [self.deleted, self.moved, self.models_replaced, self.exhausted];
        for happened in [&changes[..], &[self.followed, self.loaded]].concat() {
            assert!(happened > at_times, "{self:?}");
        }
    }
}

impl World {
    /// Compares verdicts, changes something, and so on.
    fn live(&mut self, tally: &mut Tally) {
        for _ in 0..8 {
            for _ in 0..12 {
                self.compare(tally);
                self.replay(tally);
            }
            if self.change(tally) {
                tally.edits += 1;
            } else {
                tally.refused += 1;
            }
            if self.dice.percent(40) {
                self.follow();
                tally.followed += 1;
            }
            if self.dice.percent(20) {
                self.load();
                tally.loaded += 1;
            }
        }
    }

    fn compare(&mut self, tally: &mut Tally) {
        let (content, answers) = (self.content(), self.answers());
        let mut dice = self.dice.fork();
        let read = Content::parse(&content.to_string(), "text").unwrap();
        let Some(plan) = self.policy.plan_for(&read.client, read.site.as_ref()) else {
            return assert!(!self.has_client(&content), "{}\n{content}", self.about());
        };
        let interpreter = Interpreter::new(&self.documents, &content, &answers);
        let naive = interpreter.verdict();
        let about = || format!("{}\n{content}\n{answers:?}", self.about());
        let verdict = decide(&plan, &read, |call| Some(result(call, &answers)));
        assert_eq!(said(&read, &verdict), naive, "{}", about());
        assert!(verdict.is_known, "{}", about());
        count(tally, &naive);
        for other in self.others() {
            let plan = other.plan_for(&read.client, read.site.as_ref()).unwrap();
            let there = decide(&plan, &read, |call| Some(result(call, &answers)));
            assert_eq!(said(&read, &there), naive, "in another router: {}", about());
        }

        // Whoever answers first, all of the verdict is the same.
        let verdict_in_any_order = run_in_any_order(&mut dice, (&plan, &read), &answers);
        assert_eq!(said(&read, &verdict_in_any_order), naive, "in another order: {}", about());

        // Whatever is late, the decision is the same, and so is what each rule says that was run.
        let mut same_dice = dice.clone();
        let late_verdict = run_late(&mut dice, (&plan, &read), &answers, |_| false);
        let late = said(&read, &late_verdict);
        let is_right = |reason: &Value| {
            reason.get("cause") == Some(&json!("certain"))
                || *reason == interpreter.judge(reason["rule"].as_str().unwrap())
        };
        assert!(late.decision == naive.decision, "late: {late:?}\n{}", about());
        assert!(late.reasons.iter().all(is_right), "late: {late:?}\n{}", about());

        // What is not waited for would have changed nothing.
        let is_over = |course: &Course<'_>| !course.awaits_any();
        let brief = run_late(&mut same_dice, (&plan, &read), &answers, is_over);
        let long = (late_verdict.decision, late_verdict.degraded);
        assert_eq!((brief.decision, brief.degraded), long, "brief: {}", about());
        tally.brief += usize::from(made(&brief) < made(&late_verdict));

        // So it is if it is made again, but that some time-outs need not happen again.
        let stored = StoredCalls::of(&plan, &read, &late_verdict).render();
        let stored = StoredCalls::parse(&stored).unwrap();
        let again = decide(&plan, &read, stored.recall(&plan, &read));
        let has_timeout = late_verdict.calls.iter().any(|(_, call)| call.status == Status::Timeout);
        assert!(again.is_known || has_timeout, "late: {late:?}\n{}", about());
        assert!(!again.is_known || again.decision == verdict.decision, "{}", about());

        // Whatever is not known, a verdict that is said to be known is the right one.
        let unknown = *dice.pick(&MODELS);
        let partial = decide(&plan, &read, |call| {
            (call.model.name.as_str() != unknown).then(|| result(call, &answers))
        });
        let about = || format!("without {unknown}: {}\n{content}\n{answers:?}", self.about());
        assert!(partial.decision <= verdict.decision, "{}", about());
        assert!(partial.decision == verdict.decision || !partial.is_known, "{}", about());
        tally.unknown += usize::from(!partial.is_known);

        // A verdict that is not degraded is the right one, whatever the missing scores are.
        let guessed = guess(&mut dice, &answers);
        let sure = decide(&plan, &read, |call| Some(result(call, &guessed)));
        let about = || format!("{}\n{content}\n{answers:?}\n{guessed:?}", self.about());
        for verdict in [&verdict, &late_verdict] {
            assert!(verdict.degraded || sure.decision == verdict.decision, "{}", about());
        }

        // What is stored says the same again.
        let calls = StoredCalls::of(&plan, &read, &verdict).render();
        let stored = StoredCalls::parse(&calls).unwrap();
        let again = decide(&plan, &read, stored.recall(&plan, &read));
        assert!(again.is_known, "{}", about());
        assert_eq!(said(&read, &again), naive, "{}", about());

        if self.stored.len() == 8 {
            self.stored.swap_remove(dice.below(8));
        }
        self.stored.push(Stored { content, answers, calls });
    }

    /// Decides again on what was stored, by the options of now.
    fn replay(&mut self, tally: &mut Tally) {
        if self.stored.is_empty() {
            return;
        }
        let Stored { content, answers, calls } = self.dice.pick(&self.stored);
        let read = Content::parse(&content.to_string(), "text").unwrap();
        let Some(plan) = self.policy.plan_for(&read.client, read.site.as_ref()) else { return };
        let calls = StoredCalls::parse(calls).unwrap();
        let again = decide(&plan, &read, calls.recall(&plan, &read));
        let naive = Interpreter::new(&self.documents, content, answers).verdict();
        let again_said = said(&read, &again);
        let about = || format!("{}\n{content}\n{answers:?}\n{again_said:?}", self.about());
        let truth = decide(&plan, &read, |call| Some(result(call, answers)));
        assert!(again.decision <= truth.decision, "{}", about());
        assert!(again_said.decision == naive.decision || !again.is_known, "{}", about());
        let is_unknown = |reason: &Value| reason.get("cause") == Some(&json!("unknown"));
        let lacks_some = again_said.reasons.iter().any(is_unknown);
        assert!(lacks_some || again_said == naive, "{}", about());
        tally.recalled += usize::from(again.is_known);
    }

    fn has_client(&self, content: &Value) -> bool {
        let client = content["client"].as_str().unwrap();
        self.documents.contains_key(&format!("scopes/client/{client}"))
    }

    /// The policies of the other routers, as far as they are up to date.
    fn others(&self) -> impl Iterator<Item = &Policy> {
        let follower = self.missed.is_empty().then_some(&self.follower);
        follower.into_iter().chain(&self.fresh)
    }
}

/// The verdict where the calls of each stage end in any order.
fn run_in_any_order<'a>(
    dice: &mut Dice,
    (plan, content): (&'a Plan, &'a Content),
    answers: &Answers,
) -> Verdict<'a> {
    let mut course = Course::new(plan, content);
    while let Some(mut under_way) = course.begin_stage() {
        while !under_way.is_empty() {
            let call = under_way.swap_remove(dice.below(under_way.len()));
            course.settle(call, Some(result(&plan.calls[call], answers)));
        }
    }
    course.end()
}

/// How many calls were made and waited for.
fn made(verdict: &Verdict<'_>) -> usize {
    verdict.calls.iter().filter(|(_, call)| call.status != Status::Skipped).count()
}

/// The verdict where stages begin before all calls of those before are over, which end in any order,
/// until the rest is not waited for.
fn run_late<'a>(
    dice: &mut Dice,
    (plan, content): (&'a Plan, &'a Content),
    answers: &Answers,
    is_over: fn(&Course<'_>) -> bool,
) -> Verdict<'a> {
    let mut course = Course::new(plan, content);
    let mut under_way = Vec::new();
    let settle = |course: &mut Course<'a>, under_way: &mut Vec<usize>, dice: &mut Dice| {
        let call = under_way.swap_remove(dice.below(under_way.len()));
        course.settle(call, Some(result(&plan.calls[call], answers)));
    };
    while let Some(wanted) = course.begin_stage() {
        under_way.extend(wanted);
        while !under_way.is_empty() && dice.percent(60) {
            settle(&mut course, &mut under_way, dice);
        }
    }
    while !under_way.is_empty() && !is_over(&course) {
        settle(&mut course, &mut under_way, dice);
    }
    course.end()
}

/// A call's result, as the fan-out makes it of an answer: one that lacks a label has failed.
fn result(planned: &PlannedCall, answers: &Answers) -> Call {
    if !planned.model.document.enabled {
        return Call::skipped();
    }
    let status = match &answers[planned.model.name.as_str()] {
        Ok(all) => {
            let score = |label: &Label| all.get(label.as_str()).copied();
            let scores: Vec<Option<f64>> = planned.labels.iter().map(score).collect();
            let lacks_some = scores.contains(&None);
            let status = if lacks_some { Status::Failed } else { Status::Ok };
            let nothing = Call::without_scores(status, Duration::ZERO);
            return Call { scores, all_scores: Arc::new(all.clone()), ..nothing };
        }
        Err("timeout") => Status::Timeout,
        Err("throttled") => Status::Throttled,
        Err(_) => Status::Failed,
    };
    Call::without_scores(status, Duration::ZERO)
}

/// The verdict as callers get it.
fn said(content: &Content, verdict: &Verdict<'_>) -> Naive {
    let response =
        render(Names { decision_id: Uuid::nil(), supersedes: None }, content, 1, verdict);
    let response: Value = serde_json::from_str(&response).unwrap();
    Naive {
        decision: response["decision"].as_str().unwrap().to_owned(),
        reasons: response["reasons"].as_array().unwrap().clone(),
        degraded: response["degraded"].as_bool().unwrap(),
        inclusion_probability: verdict.inclusion_probability,
    }
}

fn count(tally: &mut Tally, verdict: &Naive) {
    let has = |field: &str, value: &str| {
        verdict.reasons.iter().any(|reason| reason.get(field).is_some_and(|v| v == value))
    };
    let has_error = verdict.reasons.iter().any(|reason| reason.get("when_error").is_some());
    tally.cases += 1;
    tally.rejected += usize::from(verdict.decision == "reject");
    tally.degraded += usize::from(verdict.degraded);
    tally.spared += usize::from(has("cause", "certain"));
    tally.when_false += usize::from(has("cause", "when"));
    tally.when_errors += usize::from(has_error);
    let is_exhausted = has("when_error", when::TOO_MUCH);
    tally.exhausted += usize::from(is_exhausted);
}
