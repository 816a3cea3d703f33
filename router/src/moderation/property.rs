//! Plans against the naive interpreter: random options, changes of them, contents and answers.

use std::collections::{BTreeMap, HashMap};
use std::num::NonZero;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::content::Content;
use super::decide::{Verdict, decide};
use super::naive::{Answers, Documents, Interpreter, Naive};
use super::verdict::render;
use crate::fanout::call::{Call, Status};
use crate::policy::Policy;
use crate::policy::condition::Condition;
use crate::policy::plan::PlannedCall;

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
    unknown: usize,
}

impl Tally {
    /// What never happens proves nothing.
    fn check(self) {
        println!("{self:?}");
        let often = self.cases / 50;
        for happened in [self.rejected, self.degraded, self.spared, self.when_false] {
            assert!(happened > often, "{self:?}");
        }
        for happened in [self.when_errors, self.unknown, self.edits] {
            assert!(happened > often, "{self:?}");
        }
    }
}

/// Random numbers that are the same in each run (SplitMix64).
struct Dice(u64);

impl Dice {
    fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, limit: usize) -> usize {
        (self.roll() % limit as u64) as usize
    }

    /// True so many times in a hundred.
    fn percent(&mut self, chance: usize) -> bool {
        self.below(100) < chance
    }

    fn pick<'a, T>(&mut self, items: &'a [T]) -> &'a T {
        &items[self.below(items.len())]
    }

    /// A multiple of a tenth, so that scores meet thresholds exactly.
    fn tenth(&mut self, from: usize, to: usize) -> f64 {
        (from + self.below(to - from + 1)) as f64 / 10.0
    }
}

const MODELS: [&str; 4] = ["m0", "m1", "m2", "m3"];
const LABELS: [&str; 3] = ["a", "b", "c"];
const RULES: [&str; 6] = ["r0", "r1", "r2", "r3", "r4", "r5"];
const CLIENTS: [&str; 3] = ["c0", "c1", "c2"];
const SITES: [&str; 2] = ["s0", "s1"];

/// Some options and what was made of them.
struct World {
    seed: u64,
    dice: Dice,
    documents: Documents,
    policy: Policy,
    conditions: HashMap<String, Condition>,
}

impl World {
    fn new(seed: u64) -> Self {
        let (documents, policy) = (Documents::new(), Policy::default());
        let mut world =
            Self { seed, dice: Dice(seed), documents, policy, conditions: HashMap::new() };
        for model in MODELS {
            let document = world.model();
            assert!(world.put(&format!("models/{model}"), document));
        }
        for scope in ["platform", "industry/i0", "industry/i1"] {
            world.put_scope(scope);
        }
        for client in CLIENTS {
            world.put_scope(&format!("client/{client}"));
            for site in SITES {
                world.put_scope(&format!("client/{client}/site/{site}"));
            }
        }
        world
    }

    /// Compares verdicts, changes something, and so on.
    fn live(&mut self, tally: &mut Tally) {
        for _ in 0..8 {
            for _ in 0..12 {
                self.compare(tally);
            }
            if self.change() {
                tally.edits += 1;
            } else {
                tally.refused += 1;
            }
        }
    }

    fn change(&mut self) -> bool {
        let subjects: Vec<String> = self.documents.keys().cloned().collect();
        let subject = self.dice.pick(&subjects).clone();
        let document = match subject.strip_prefix("scopes/") {
            Some(scope) => self.scope(scope),
            None => self.model(),
        };
        self.put(&subject, document)
    }

    /// Tries some documents for the scope; the empty one always fits, unless it needs a parent.
    fn put_scope(&mut self, scope: &str) {
        for _ in 0..6 {
            let document = self.scope(scope);
            if self.put(&format!("scopes/{scope}"), document) {
                return;
            }
        }
        self.put(&format!("scopes/{scope}"), json!({}));
    }

    /// Makes a change, unless it is refused.
    fn put(&mut self, subject: &str, document: Value) -> bool {
        let edit = (subject.parse().unwrap(), Some(document.to_string().into()));
        let Ok(next) = self.policy.apply(&[edit]) else { return false };
        self.policy = next;
        self.documents.insert(subject.to_owned(), document);
        true
    }

    fn model(&mut self) -> Value {
        let mut model = json!({"endpoint": {"sagemaker": "m"}, "enabled": self.dice.percent(85)});
        if self.dice.percent(60) {
            model["cost"] = json!(self.dice.pick(&[0.5, 1.0, 2.0, 5.0]));
        }
        if self.dice.percent(30) {
            model["labels"] = json!(LABELS);
        }
        model
    }

    fn scope(&mut self, scope: &str) -> Value {
        let is_platform = scope == "platform";
        let mut document = Map::new();
        let parents = ["platform", "industry/i0", "industry/i1", "client/c0"];
        if !is_platform && !scope.contains("/site/") && self.dice.percent(50) {
            document.insert("parent".into(), json!(self.dice.pick(&parents)));
        }
        if self.dice.percent(25) {
            let rule = self.dice.pick(&RULES);
            let field = self.dice.pick(&["", ".reject_at", ".enabled", ".when", ".sample"]);
            document.insert("locked".into(), json!([format!("{rule}{field}")]));
        }
        if self.dice.percent(40) {
            document.insert("defaults".into(), self.defaults());
        }
        let mut rules = Map::new();
        for (number, rule) in RULES.iter().enumerate() {
            if self.dice.percent(if is_platform { 85 } else { 25 }) {
                rules.insert((*rule).to_owned(), self.rule(number, is_platform));
            }
        }
        document.insert("rules".into(), rules.into());
        document.into()
    }

    fn defaults(&mut self) -> Value {
        let mut defaults = Map::new();
        if self.dice.percent(40) {
            let decisions = [json!("approve"), json!("review"), json!("approve"), Value::Null];
            defaults.insert("decision".into(), self.dice.pick(&decisions).clone());
        }
        if self.dice.percent(50) {
            defaults.insert("sample".into(), json!(self.dice.tenth(0, 5)));
        }
        defaults.into()
    }

    /// Options of a rule; every third rule takes low scores for bad ones.
    fn rule(&mut self, number: usize, is_whole: bool) -> Value {
        let is_below = number % 3 == 2;
        let mut rule = Map::new();
        let mut set = |field: &str, value: Value| drop(rule.insert(field.to_owned(), value));
        let dice = &mut self.dice;
        if is_whole || dice.percent(15) {
            set("model", json!(dice.pick(&MODELS)));
        }
        if is_whole || dice.percent(15) {
            set("label", json!(dice.pick(&LABELS)));
        }
        if is_whole && (is_below || dice.percent(30)) {
            set("direction", json!(if is_below { "below" } else { "above" }));
        }
        let thresholds = [("review_at", (1, 5), (5, 9)), ("reject_at", (5, 10), (0, 5))];
        for (field, above, below) in thresholds {
            if dice.percent(if is_whole { 75 } else { 40 }) {
                let (from, to) = if is_below { below } else { above };
                let clear = dice.percent(15);
                set(field, if clear { Value::Null } else { json!(dice.tenth(from, to)) });
            }
        }
        if dice.percent(60) {
            let outcomes =
                [json!("approve"), json!("approve"), json!("review"), json!("reject"), Value::Null];
            set("on_failure", dice.pick(&outcomes).clone());
        }
        if dice.percent(30) {
            set("sample", json!(dice.tenth(0, 3)));
        }
        if dice.percent(15) {
            set("required", json!(dice.percent(70)));
        }
        if dice.percent(15) {
            set("enabled", json!(dice.percent(60)));
        }
        if dice.percent(35) {
            let when = self.when(number);
            rule.insert("when".to_owned(), when);
        }
        rule.into()
    }

    fn when(&mut self, number: usize) -> Value {
        if self.dice.percent(10) {
            return Value::Null;
        }
        // Mostly later rules, so that few of them wait for each other.
        let later = |dice: &mut Dice| match number + 1 < RULES.len() && dice.percent(85) {
            true => RULES[number + 1 + dice.below(RULES.len() - number - 1)],
            false => *dice.pick(&RULES),
        };
        let (x, y) = (later(&mut self.dice), later(&mut self.dice));
        let limit = self.dice.tenth(1, 8);
        let text = match self.dice.below(9) {
            0 => "content.type == 'review'".to_owned(),
            1 => "content.rating <= 2".to_owned(),
            2 => "has(content.rating) && content.rating <= 2".to_owned(),
            3 => "client in ['c0', 'c1']".to_owned(),
            4 => format!("scores.{x} > {limit} && content.rating < 4"),
            5 => format!("scores.{x} > {limit} || scores.{y} <= 0.5"),
            6 => format!("has(scores.{x}) && scores.{x} >= {limit}"),
            _ => format!("scores.{x} >= {limit}"),
        };
        let condition = Condition::parse(&text).unwrap();
        self.conditions.insert(text.clone(), condition);
        text.into()
    }

    fn content(&mut self) -> Value {
        let dice = &mut self.dice;
        let mut content = json!({
            "client": dice.pick(&CLIENTS), "content_id": format!("r-{}", dice.below(1000)),
            "type": dice.pick(&["review", "question"]), "fields": {"text": "x"}, "explain": true,
        });
        if dice.percent(60) {
            content["site"] = json!(dice.pick(&["s0", "s1", "s9"]));
        }
        if dice.percent(70) {
            content["rating"] = json!(1 + dice.below(5));
        }
        content
    }

    fn answers(&mut self) -> Answers {
        let mut answers = BTreeMap::new();
        for model in MODELS {
            let answer = if self.dice.percent(15) {
                Err(*self.dice.pick(&["timeout", "throttled", "failed"]))
            } else {
                Ok(LABELS.map(|label| (label.to_owned(), self.dice.tenth(0, 10))).into())
            };
            answers.insert(model.to_owned(), answer);
        }
        answers
    }

    fn compare(&mut self, tally: &mut Tally) {
        let (content, answers) = (self.content(), self.answers());
        let read = Content::parse(&content.to_string(), "text").unwrap();
        let plan = self.policy.plan_for(&read.client, read.site.as_ref()).unwrap();
        let naive =
            Interpreter::new(&self.documents, &content, &answers, &self.conditions).verdict();
        let verdict = decide(&plan, &read, |call| Some(result(call, &answers)));
        let compiled = said(&read, &verdict);
        let about = || {
            let documents = serde_json::to_string_pretty(&self.documents).unwrap();
            format!("seed {}: {documents}\n{content}\n{answers:?}", self.seed)
        };
        assert_eq!(compiled, naive, "{}", about());
        assert!(verdict.is_known, "{}", about());
        count(tally, &naive);

        // Whatever is not known, a verdict that is said to be known is the right one.
        let unknown = self.dice.pick(&MODELS);
        let partial = decide(&plan, &read, |call| {
            (call.model.name.as_str() != *unknown).then(|| result(call, &answers))
        });
        assert!(partial.decision <= verdict.decision, "without {unknown}: {}", about());
        let is_right = partial.decision == verdict.decision || !partial.is_known;
        assert!(is_right, "without {unknown}: {}", about());
        tally.unknown += usize::from(!partial.is_known);
    }
}

/// A call's result, as the fan-out makes it of an answer.
fn result(planned: &PlannedCall, answers: &Answers) -> Call {
    let status = match &answers[planned.model.name.as_str()] {
        Ok(scores) => {
            let scores = planned.labels.iter().map(|label| scores[label.as_str()]).collect();
            return Call { scores, ..Call::without_scores(Status::Ok, Duration::ZERO) };
        }
        Err("timeout") => Status::Timeout,
        Err("throttled") => Status::Throttled,
        Err(_) => Status::Failed,
    };
    Call::without_scores(status, Duration::ZERO)
}

/// The verdict as callers get it.
fn said(content: &Content, verdict: &Verdict<'_>) -> Naive {
    let response = render(Uuid::nil(), content, 1, verdict);
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
    tally.spared += usize::from(has("cause", "skipped") && !verdict.degraded);
    tally.when_false += usize::from(has("cause", "when"));
    tally.when_errors += usize::from(has_error);
}
