//! The options' meaning once more, as slow and as plain as can be: from the raw documents, without
//! plans or compiled conditions. It asks every model and judges every rule, and only then says what
//! would not have run.

pub(super) mod when;

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

/// All documents by subject, such as `scopes/platform`.
pub(super) type Documents = BTreeMap<String, Value>;

/// What each model answers: scores by label, or the status of a failed call.
pub(super) type Answers = BTreeMap<String, Result<BTreeMap<String, f64>, &'static str>>;

/// A verdict, as far as both interpreters must agree on it.
#[derive(Debug, PartialEq)]
pub(super) struct Naive {
    pub(super) decision: String,
    /// All rules, as under `explain`.
    pub(super) reasons: Vec<Value>,
    pub(super) degraded: bool,
    pub(super) inclusion_probability: f64,
}

const STRICTNESS: [&str; 3] = ["approve", "review", "reject"];

fn strictness(outcome: &str) -> usize {
    STRICTNESS.iter().position(|known| *known == outcome).unwrap()
}

/// A value and the scope that set it.
type Field = (Value, String);

/// One content under the options of its scope.
pub(super) struct Interpreter<'a> {
    documents: &'a Documents,
    content: &'a Value,
    answers: &'a Answers,
    defaults: BTreeMap<String, Field>,
    /// The enabled rules.
    rules: BTreeMap<String, BTreeMap<String, Field>>,
    /// What is known already of who takes part.
    parts: RefCell<BTreeMap<String, Part>>,
}

/// Whether a rule takes part, and what was wrong with its `when`.
type Part = (bool, Option<String>);

impl<'a> Interpreter<'a> {
    pub(super) fn new(documents: &'a Documents, content: &'a Value, answers: &'a Answers) -> Self {
        let client = content["client"].as_str().unwrap();
        let of_site = content["site"].as_str().map(|site| format!("client/{client}/site/{site}"));
        let scope = of_site
            .filter(|scope| documents.contains_key(&format!("scopes/{scope}")))
            .unwrap_or_else(|| format!("client/{client}"));
        let mut defaults = BTreeMap::new();
        let mut rules: BTreeMap<String, BTreeMap<String, Field>> = BTreeMap::new();
        for scope in lineage(documents, &scope) {
            let document = &documents[&format!("scopes/{scope}")];
            overlay(&mut defaults, &document["defaults"], &scope);
            for (name, fields) in document["rules"].as_object().unwrap_or(&Map::new()) {
                overlay(rules.entry(name.clone()).or_default(), fields, &scope);
            }
        }
        rules.retain(|_, rule| {
            rule.get("enabled").is_none_or(|(enabled, _)| *enabled != json!(false))
        });
        Self { documents, content, answers, defaults, rules, parts: RefCell::default() }
    }

    pub(super) fn verdict(&self) -> Naive {
        let spared = self.spared();
        let reasons: Vec<_> = self.rules.keys().map(|rule| self.reason(rule, &spared)).collect();
        let every =
            self.rules.keys().map(|rule| strictness(self.judge(rule)["outcome"].as_str().unwrap()));
        let decision = every.max().unwrap_or(0).max(self.base());
        let ran = |rule: &&String| self.takes_part(rule).0 && !spared.contains(*rule);
        let sample = |rule: &String| self.number(rule, "sample").unwrap_or(0.0);
        let passed_over: f64 =
            self.rules.keys().filter(ran).map(|rule| 1.0 - sample(rule)).product();
        let base_sample =
            self.defaults.get("sample").map_or(0.0, |(share, _)| share.as_f64().unwrap());
        Naive {
            decision: STRICTNESS[decision].to_owned(),
            degraded: self.is_degraded(&spared),
            reasons,
            inclusion_probability: 1.0 - (1.0 - base_sample) * passed_over,
        }
    }

    fn base(&self) -> usize {
        self.defaults
            .get("decision")
            .map_or(0, |(decision, _)| strictness(decision.as_str().unwrap()))
    }

    fn text(&self, rule: &str, field: &str) -> Option<&str> {
        self.rules[rule].get(field).map(|(value, _)| value.as_str().unwrap())
    }

    fn number(&self, rule: &str, field: &str) -> Option<f64> {
        self.rules[rule].get(field).map(|(value, _)| value.as_f64().unwrap())
    }

    fn model(&self, rule: &str) -> &str {
        self.text(rule, "model").unwrap()
    }

    /// The rules that the rule's `when` looks at.
    fn looks_at(&self, rule: &str) -> Vec<String> {
        self.text(rule, "when").into_iter().flat_map(when::rules).map(str::to_owned).collect()
    }

    /// Whether the rule takes part, were every rule run.
    fn takes_part(&self, rule: &str) -> Part {
        let known = self.parts.borrow().get(rule).cloned();
        known.unwrap_or_else(|| {
            let part = self.find_part(rule);
            self.parts.borrow_mut().insert(rule.to_owned(), part.clone());
            part
        })
    }

    fn find_part(&self, rule: &str) -> Part {
        let Some(when) = self.text(rule, "when") else { return (true, None) };
        match when::holds(when, &|fact| self.fact(fact)) {
            Ok(holds) => (holds, None),
            Err(error) => (true, Some(error)),
        }
    }

    /// What a `when` calls by this name.
    fn fact(&self, name: &str) -> Option<Value> {
        match name.split('.').collect::<Vec<_>>()[..] {
            ["scores", rule] if self.takes_part(rule).0 => self.score(rule).ok().map(Value::from),
            ["scores", _] => None,
            ["content", "fields", field] => self.content["fields"].get(field).cloned(),
            ["content", part] => self.content.get(part).cloned(),
            _ => self.content.get(name).cloned(),
        }
    }

    fn score(&self, rule: &str) -> Result<f64, &'static str> {
        let model = self.model(rule);
        if self.documents[&format!("models/{model}")]["enabled"] == json!(false) {
            return Err("skipped");
        }
        let scores = self.answers[model].as_ref().map_err(|status| *status)?;
        scores.get(self.text(rule, "label").unwrap()).copied().ok_or("failed")
    }

    /// What the rule says, were every rule run.
    pub(super) fn judge(&self, rule: &str) -> Value {
        let mut reason = json!({
            "rule": rule, "model": self.model(rule), "version": null, "label": self.text(rule, "label"),
            "score": null, "threshold": null, "outcome": "approve", "set_by": null,
        });
        let (takes_part, error) = self.takes_part(rule);
        if !takes_part {
            reason["cause"] = json!("when");
            return reason;
        }
        if let Some(error) = error {
            reason["when_error"] = json!(error);
        }
        let score = match self.score(rule) {
            Ok(score) => score,
            Err(status) => {
                reason["cause"] = json!(status);
                reason["outcome"] = json!(self.text(rule, "on_failure").unwrap_or("review"));
                let set_by = self.rules[rule].get("on_failure").map(|(_, set_by)| set_by);
                reason["set_by"] = json!(set_by);
                return reason;
            }
        };
        reason["score"] = json!(score);
        for (field, outcome) in [("review_at", "review"), ("reject_at", "reject")] {
            let Some((threshold, set_by)) = self.rules[rule].get(field) else { continue };
            let threshold = threshold.as_f64().unwrap();
            let is_below = self.text(rule, "direction") == Some("below");
            if if is_below { score <= threshold } else { score >= threshold } {
                reason["threshold"] = json!(threshold);
                reason["outcome"] = json!(outcome);
                reason["set_by"] = json!(set_by);
            }
        }
        reason
    }

    fn reason(&self, rule: &str, spared: &BTreeSet<String>) -> Value {
        if !spared.contains(rule) {
            return self.judge(rule);
        }
        json!({
            "rule": rule, "model": self.model(rule), "version": null, "label": self.text(rule, "label"),
            "score": null, "threshold": null, "outcome": "approve", "set_by": null, "cause": "certain",
        })
    }

    /// Whether a rule without a score, or one that looks at such a rule, may say more than all
    /// those that are sure of what they say.
    fn is_degraded(&self, spared: &BTreeSet<String>) -> bool {
        let (sure, unsure): (Vec<_>, Vec<_>) = self
            .rules
            .keys()
            .filter(|rule| !spared.contains(*rule))
            .partition(|rule| self.is_sure(rule));
        let said = |rule: &String| strictness(self.judge(rule)["outcome"].as_str().unwrap());
        let certain = sure.into_iter().map(said).fold(self.base(), usize::max);
        unsure.into_iter().any(|rule| self.bound(rule) > certain)
    }

    fn is_sure(&self, rule: &str) -> bool {
        let fails = self.takes_part(rule).0 && self.score(rule).is_err();
        !fails && self.looks_at(rule).iter().all(|seen| self.is_sure(seen))
    }

    /// The rules that were not run since nothing could come of it.
    fn spared(&self) -> BTreeSet<String> {
        let mut spared = BTreeSet::new();
        let mut verdict = self.base();
        for (number, models) in self.stages().into_iter().enumerate() {
            let mut here: Vec<&String> =
                self.rules.keys().filter(|rule| models.contains(self.model(rule))).collect();
            here.sort_by_key(|rule| self.depth(rule));
            let runs = |rule: &String, spared: &BTreeSet<String>| {
                self.takes_part(rule).0
                    && !self.looks_at(rule).iter().any(|seen| spared.contains(seen))
            };
            let alive: Vec<&String> =
                here.iter().copied().filter(|rule| runs(rule, &spared)).collect();
            let is_first = number == 0 && self.base() < strictness("reject");
            let is_open = is_first || alive.iter().any(|rule| self.reach(rule) > verdict);
            let needing = alive.iter().filter(|rule| is_open || self.is_required(rule));
            let asked: BTreeSet<&str> = needing.map(|rule| self.model(rule)).collect();
            // Where no rule could change anything, only those are looked at that share a model with
            // a required one.
            let may_open = is_first || here.iter().any(|rule| self.reach(rule) > verdict);
            let required = here.iter().filter(|rule| self.is_required(rule));
            let required: BTreeSet<&str> = required.map(|rule| self.model(rule)).collect();
            for rule in here {
                let looks_at_spared = self.looks_at(rule).iter().any(|seen| spared.contains(seen));
                let is_left_out = !may_open && !required.contains(self.model(rule));
                let is_spared = self.takes_part(rule).0 && !asked.contains(self.model(rule));
                if looks_at_spared || is_left_out || is_spared {
                    spared.insert(rule.clone());
                } else {
                    verdict =
                        verdict.max(strictness(self.judge(rule)["outcome"].as_str().unwrap()));
                }
            }
        }
        spared
    }

    /// The models in the order in which they are asked.
    fn stages(&self) -> Vec<BTreeSet<String>> {
        let mut left: BTreeSet<String> =
            self.rules.keys().map(|rule| self.model(rule).to_owned()).collect();
        let mut stages = Vec::new();
        let cost = |model: &String| {
            self.documents[&format!("models/{model}")]["cost"].as_f64().unwrap_or(1.0)
        };
        while !left.is_empty() {
            let waits = |model: &&String| {
                let own = self.rules.keys().filter(|rule| self.model(rule) == **model);
                let mut seen = own.flat_map(|rule| self.looks_at(rule));
                seen.any(|rule| self.model(&rule) != **model && left.contains(self.model(&rule)))
            };
            let ready: BTreeSet<String> =
                left.iter().filter(|model| !waits(model)).cloned().collect();
            let least = ready.iter().map(cost).fold(f64::INFINITY, f64::min);
            let stage: BTreeSet<String> =
                ready.into_iter().filter(|model| cost(model) == least).collect();
            left.retain(|model| !stage.contains(model));
            stages.push(stage);
        }
        stages
    }

    fn depth(&self, rule: &str) -> usize {
        self.looks_at(rule).iter().map(|seen| 1 + self.depth(seen)).max().unwrap_or(0)
    }

    /// Those that look at the rule.
    fn watchers(&self, rule: &str) -> impl Iterator<Item = &String> {
        self.rules.keys().filter(move |other| self.looks_at(other).iter().any(|seen| seen == rule))
    }

    /// The strictest that the rule can say.
    fn bound(&self, rule: &str) -> usize {
        let has = |field: &str| self.rules[rule].contains_key(field);
        let scored = if has("reject_at") { 2 } else { usize::from(has("review_at")) };
        scored.max(strictness(self.text(rule, "on_failure").unwrap_or("review")))
    }

    fn reach(&self, rule: &str) -> usize {
        self.watchers(rule).map(|other| self.reach(other)).fold(self.bound(rule), usize::max)
    }

    fn is_required(&self, rule: &str) -> bool {
        let own = self.rules[rule].get("required").is_some_and(|(value, _)| *value == json!(true));
        own || self.watchers(rule).any(|other| self.is_required(other))
    }
}

/// The scopes from the platform down.
fn lineage(documents: &Documents, scope: &str) -> Vec<String> {
    let parent = match (documents[&format!("scopes/{scope}")]["parent"].as_str(), scope) {
        (Some(parent), _) => parent.to_owned(),
        (None, "platform") => return vec![scope.to_owned()],
        (None, site) if site.contains("/site/") => site.split("/site/").next().unwrap().to_owned(),
        (None, _) => "platform".to_owned(),
    };
    let mut lineage = lineage(documents, &parent);
    lineage.push(scope.to_owned());
    lineage
}

fn overlay(fields: &mut BTreeMap<String, Field>, said: &Value, scope: &str) {
    for (name, value) in said.as_object().unwrap_or(&Map::new()) {
        if value.is_null() {
            fields.remove(name);
        } else {
            fields.insert(name.clone(), (value.clone(), scope.to_owned()));
        }
    }
}
