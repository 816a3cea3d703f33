//! Random options of a few clients, what changes them, and contents for them.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use super::Tally;
use super::dice::Dice;
use crate::moderation::naive::when::{EASY, HARD, LONG};
use crate::moderation::naive::{Answers, Documents};
use crate::policy::{Document, Policy};

pub(super) const MODELS: [&str; 4] = ["m0", "m1", "m2", "m3"];
const LABELS: [&str; 3] = ["a", "b", "c"];
const RULES: [&str; 6] = ["r0", "r1", "r2", "r3", "r4", "r5"];
const CLIENTS: [&str; 3] = ["c0", "c1", "c2"];
const SITES: [&str; 2] = ["s0", "s1"];
const PARENTS: [&str; 4] = ["platform", "industry/i0", "industry/i1", "client/c0"];

/// Letters in no order, so that no two places look the same.
fn noise(length: usize) -> String {
    (1..=length).map(|i| if i * i * i % 1_009 % 2 == 0 { 'a' } else { 'b' }).collect()
}

/// Documents that change together, by subject; nothing where one is deleted.
type Edits = BTreeMap<String, Option<Value>>;

/// All scopes that may be, each after those that it needs.
fn scopes() -> Vec<String> {
    let mut scopes = ["platform", "industry/i0", "industry/i1"].map(str::to_owned).to_vec();
    for client in CLIENTS {
        scopes.push(format!("client/{client}"));
        scopes.extend(SITES.map(|site| format!("client/{client}/site/{site}")));
    }
    scopes
}

/// Some options and what was made of them.
pub(super) struct World {
    pub(super) seed: u64,
    pub(super) dice: Dice,
    pub(super) documents: Documents,
    pub(super) policy: Policy,
    /// The policy of another router, which follows now and then.
    pub(super) follower: Policy,
    /// What has changed since.
    pub(super) missed: BTreeSet<String>,
    /// The policy of a router that has started since the last change.
    pub(super) fresh: Option<Policy>,
    pub(super) stored: Vec<Stored>,
}

/// A decision as it is stored, and what the models would answer at any time.
pub(super) struct Stored {
    pub(super) content: Value,
    pub(super) answers: Answers,
    pub(super) calls: String,
}

impl World {
    pub(super) fn new(seed: u64) -> Self {
        let mut world = Self {
            seed,
            dice: Dice(seed),
            documents: Documents::new(),
            policy: Policy::default(),
            follower: Policy::default(),
            missed: BTreeSet::new(),
            fresh: None,
            stored: Vec::new(),
        };
        for model in MODELS {
            let document = world.model();
            assert!(world.put([(format!("models/{model}"), Some(document))].into()));
        }
        scopes().iter().for_each(|scope| world.put_scope(scope));
        world
    }

    /// Changes one document or some, unless that is refused.
    pub(super) fn change(&mut self, tally: &mut Tally) -> bool {
        let (mut edits, before) = (Edits::new(), self.documents.clone());
        for _ in 0..*self.dice.pick(&[1, 1, 1, 2, 4]) {
            match self.dice.below(10) {
                0 => self.delete(&mut edits),
                1 => self.move_scope(&mut edits),
                2 => self.replace_model(&mut edits),
                _ => self.write(&mut edits),
            }
        }
        if !self.put(edits) {
            return false;
        }
        for (subject, document) in &before {
            match self.documents.get(subject) {
                None if subject.starts_with("models/") => tally.models_replaced += 1,
                None => tally.deleted += 1,
                Some(after) => tally.moved += usize::from(after["parent"] != document["parent"]),
            }
        }
        true
    }

    /// A new document for one of all subjects, whether there is one or not.
    fn write(&mut self, edits: &mut Edits) {
        let missing = MODELS.iter().find(|m| !self.documents.contains_key(&format!("models/{m}")));
        let (subject, document) = match (missing, self.dice.percent(20)) {
            (Some(model), _) => (format!("models/{model}"), self.model()),
            (None, true) => (format!("models/{}", self.dice.pick(&MODELS)), self.model()),
            (None, false) => {
                let scope = self.dice.pick(&scopes()).clone();
                (format!("scopes/{scope}"), self.scope(&scope))
            }
        };
        edits.insert(subject, Some(document));
    }

    /// Deletes a scope, and mostly those of its sites.
    fn delete(&mut self, edits: &mut Edits) {
        let subject = format!("scopes/{}", self.dice.pick(&scopes()));
        if self.dice.percent(80) {
            let sites = format!("{subject}/site/");
            let sites = self.documents.keys().filter(|other| other.starts_with(&sites));
            edits.extend(sites.map(|site| (site.clone(), None)));
        }
        edits.insert(subject, None);
    }

    /// Lets a scope inherit from another one, all else being equal.
    fn move_scope(&mut self, edits: &mut Edits) {
        let subject = format!("scopes/{}", self.dice.pick(&scopes()));
        let parent = *self.dice.pick(&PARENTS);
        if let Some(document) = self.documents.get(&subject) {
            let mut document = document.clone();
            document["parent"] = json!(parent);
            edits.insert(subject, Some(document));
        }
    }

    /// Lets all rules of one model use another one, and deletes the first.
    fn replace_model(&mut self, edits: &mut Edits) {
        let (old, new) = (*self.dice.pick(&MODELS), *self.dice.pick(&MODELS));
        if old == new {
            return;
        }
        for (subject, document) in &self.documents {
            let mut document = document.clone();
            let rules = document.get_mut("rules").and_then(Value::as_object_mut);
            let named = rules.into_iter().flat_map(Map::values_mut);
            let mut named = named.filter(|rule| rule["model"] == json!(old)).peekable();
            if named.peek().is_some() {
                named.for_each(|rule| rule["model"] = json!(new));
                edits.insert(subject.clone(), Some(document));
            }
        }
        edits.insert(format!("models/{old}"), None);
    }

    /// The other router learns all that it missed, as one change.
    pub(super) fn follow(&mut self) {
        let missed = std::mem::take(&mut self.missed).into_iter().map(|subject| {
            let subject = subject.parse().unwrap();
            let document = self.policy.document(&subject).cloned();
            (subject, document)
        });
        let missed: Vec<_> = missed.collect();
        let next = self.follower.follow(self.policy.version, &missed);
        self.follower = next.unwrap_or_else(|fault| panic!("{}: {}", self.about(), fault.detail));
        self.compare_documents(&self.follower);
    }

    /// Another router starts.
    pub(super) fn load(&mut self) {
        let documents = self.policy.documents();
        let documents = documents.map(|(subject, document)| (subject, document.clone()));
        let fresh = Policy::load(self.policy.version, documents);
        let fresh = fresh.unwrap_or_else(|fault| panic!("{}: {}", self.about(), fault.detail));
        self.compare_documents(&fresh);
        self.fresh = Some(fresh);
    }

    fn compare_documents(&self, other: &Policy) {
        let written = |policy: &Policy| -> Vec<(String, Document)> {
            let documents = policy.documents();
            documents.map(|(subject, document)| (subject.to_string(), document.clone())).collect()
        };
        let (here, there) = (written(&self.policy), written(other));
        let expected = self.documents.iter().map(|(subject, text)| (subject, text.to_string()));
        let expected: BTreeMap<_, _> = expected.collect();
        let texts = here.iter().map(|(subject, document)| (subject, document.text.to_string()));
        let texts: BTreeMap<_, _> = texts.collect();
        assert_eq!(texts, expected, "{}", self.about());
        let is_same = |((a, one), (b, other)): (&(String, Document), &(String, Document))| {
            a == b && one.text == other.text && one.version == other.version
        };
        assert!(here.len() == there.len() && here.iter().zip(&there).all(is_same));
        assert_eq!(self.policy.version, other.version);
    }

    pub(super) fn about(&self) -> String {
        let documents = serde_json::to_string_pretty(&self.documents).unwrap();
        format!("seed {}: {documents}", self.seed)
    }

    /// Tries some documents for the scope; the empty one always fits, unless it needs a parent.
    fn put_scope(&mut self, scope: &str) {
        for _ in 0..6 {
            let document = self.scope(scope);
            if self.put([(format!("scopes/{scope}"), Some(document))].into()) {
                return;
            }
        }
        self.put([(format!("scopes/{scope}"), Some(json!({})))].into());
    }

    /// Makes a change, unless it is refused.
    fn put(&mut self, edits: Edits) -> bool {
        let written = edits.iter().map(|(subject, document)| {
            let text = document.as_ref().map(|document| document.to_string().into());
            (subject.parse().unwrap(), text)
        });
        let mut written: Vec<_> = written.collect();
        if self.dice.percent(50) {
            written.reverse();
        }
        let Ok(next) = self.policy.apply(&written) else { return false };
        self.policy = next;
        self.fresh = None;
        for (subject, document) in edits {
            self.missed.insert(subject.clone());
            match document {
                Some(document) => drop(self.documents.insert(subject, document)),
                None => drop(self.documents.remove(&subject)),
            }
        }
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
        if !is_platform && !scope.contains("/site/") && self.dice.percent(50) {
            document.insert("parent".into(), json!(self.dice.pick(&PARENTS)));
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
            let decisions = ["approve", "approve", "review", "review", "reject"].map(Value::from);
            let decisions = [&decisions[..], &[Value::Null]].concat();
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
        let text = match self.dice.below(16) {
            0 => "content.type == 'review'".to_owned(),
            1 => "content.rating <= 2".to_owned(),
            2 => "has(content.rating) && content.rating <= 2".to_owned(),
            3 => "client in ['c0', 'c1']".to_owned(),
            4 => format!("scores.{x} > {limit} && content.rating < 4"),
            5 => format!("scores.{x} > {limit} || scores.{y} <= 0.5"),
            6 => format!("has(scores.{x}) && scores.{x} >= {limit}"),
            7 => format!("!(scores.{x} < {limit}) && content.site != 's0'"),
            8 => format!("!(has(content.site)) || scores.{x} > {limit} && content.rating < 4"),
            9 => "content.fields.text == 'x' && !(content.fields.title == 'x')".to_owned(),
            10 => format!("content.fields.text.matches('{EASY}')"),
            11 => format!("content.fields.text.matches('{HARD}') && scores.{x} >= {limit}"),
            12 => format!("!(content.fields.text.matches('{HARD}')) || scores.{x} >= {limit}"),
            _ => format!("scores.{x} >= {limit}"),
        };
        text.into()
    }

    pub(super) fn content(&mut self) -> Value {
        let dice = &mut self.dice;
        let text = match dice.below(12) {
            0 => noise(LONG),
            1..4 => noise(30),
            _ => "x".to_owned(),
        };
        let mut content = json!({
            "client": dice.pick(&CLIENTS), "content_id": format!("r-{}", dice.below(1000)),
            "type": dice.pick(&["review", "question"]), "fields": {"text": text}, "explain": true,
        });
        if dice.percent(60) {
            content["site"] = json!(dice.pick(&["s0", "s1", "s9"]));
        }
        if dice.percent(70) {
            content["rating"] = json!(1 + dice.below(5));
        }
        content
    }

    pub(super) fn answers(&mut self) -> Answers {
        let mut answers = BTreeMap::new();
        for model in MODELS {
            let answer = if self.dice.percent(15) {
                Err(*self.dice.pick(&["timeout", "throttled", "failed"]))
            } else {
                let scores = LABELS.map(|label| (label.to_owned(), self.dice.tenth(0, 10)));
                let mut scores = BTreeMap::from(scores);
                if self.dice.percent(8) {
                    scores.remove(*self.dice.pick(&LABELS));
                }
                Ok(scores)
            };
            answers.insert(model.to_owned(), answer);
        }
        answers
    }
}

/// The same answers with all that they lack.
pub(super) fn guess(dice: &mut Dice, answers: &Answers) -> Answers {
    let complete = |answer: &Result<BTreeMap<String, f64>, _>| {
        let mut scores = BTreeMap::from(LABELS.map(|label| (label.to_owned(), dice.tenth(0, 10))));
        scores.extend(answer.clone().unwrap_or_default());
        Ok(scores)
    };
    let names = answers.keys().cloned();
    names.zip(answers.values().map(complete)).collect()
}
