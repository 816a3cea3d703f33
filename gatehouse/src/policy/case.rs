//! A case of `gatehouse policy test`: a content, and the verdict that it must get.

use std::collections::BTreeSet;
use std::fmt;

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::folder::File;

/// One case, ready to be sent.
#[derive(Debug)]
pub(super) struct Case {
    /// The file that it stands in.
    pub(super) file: String,
    /// What it shows.
    pub(super) name: String,
    /// What `POST /v1/moderate` takes.
    pub(super) content: Value,
    verdict: Decision,
    rules: Option<BTreeSet<String>>,
}

/// A case as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    name: String,
    client: String,
    site: Option<String>,
    content: Map<String, Value>,
    verdict: Decision,
    rules: Option<BTreeSet<String>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Decision {
    Approve,
    Review,
    Reject,
}

/// How a case went.
#[derive(Debug, PartialEq)]
pub(super) enum Judgement {
    /// As expected.
    Right,
    /// Another verdict than expected, or none that could ever come.
    Wrong(Actual),
    /// No verdict to judge by: a model failed, or the router did.
    Unproven(String),
}

/// What came instead.
#[derive(Debug, PartialEq)]
pub(super) struct Actual {
    /// The verdict and its rules.
    pub(super) verdict: String,
    /// Why.
    pub(super) reasons: String,
}

/// The cases of a file, or what is wrong with each.
pub(super) fn read(file: &File) -> Result<Vec<Case>, Vec<String>> {
    let path = file.path.display();
    let cases = match &file.document {
        Ok(Value::Array(cases)) => cases,
        Ok(_) => return Err(vec![format!("`{path}` must hold a list of cases")]),
        Err(fault) => return Err(vec![format!("`{path}`: {fault}")]),
    };
    let (mut read, mut faults) = (Vec::new(), Vec::new());
    for (index, case) in cases.iter().enumerate() {
        match Case::parse(&path.to_string(), index, case) {
            Ok(case) => read.push(case),
            Err(fault) => faults.push(fault),
        }
    }
    if faults.is_empty() { Ok(read) } else { Err(faults) }
}

impl Case {
    fn parse(file: &str, index: usize, case: &Value) -> Result<Self, String> {
        let number = index + 1;
        let told = |fault: String| match case["name"].as_str() {
            Some(name) => format!("`{file}`: case {number}, `{name}`: {fault}"),
            None => format!("`{file}`: case {number}: {fault}"),
        };
        let written = Written::deserialize(case).map_err(|error| told(error.to_string()))?;
        let Written { name, client, site, content, verdict, rules } = written;
        let mut content = content_of(content).map_err(told)?;
        content.insert("client".to_owned(), json!(client));
        content.extend(site.map(|site| ("site".to_owned(), json!(site))));
        content.entry("content_id").or_insert_with(|| json!(format!("policy-test-{number}")));
        Ok(Self { file: file.to_owned(), name, content: content.into(), verdict, rules })
    }

    /// What it expects, in words.
    pub(super) fn expected(&self) -> String {
        verdict(&self.verdict.to_string(), self.rules.iter().flatten().map(String::as_str))
    }

    /// Holds the router's answer against what is expected.
    pub(super) fn judge(&self, answer: &Value) -> Result<Judgement, String> {
        if let Some(problem) = answer.get("error") {
            return Ok(refused(problem));
        }
        let after = &answer["after"];
        let decision = after["decision"].as_str().ok_or("the router's answer has no verdict")?;
        if after["degraded"] != false {
            return Ok(Judgement::Unproven(degraded(after)));
        }
        let rules = || reasons(after).filter_map(|reason| reason["rule"].as_str());
        let is_right = decision == self.verdict.to_string()
            && self.rules.as_ref().is_none_or(|expected| {
                *expected == rules().map(str::to_owned).collect::<BTreeSet<_>>()
            });
        if is_right {
            return Ok(Judgement::Right);
        }
        let why = reasons(after).map(reason).collect::<Vec<_>>().join("; ");
        Ok(Judgement::Wrong(Actual { verdict: verdict(decision, rules()), reasons: why }))
    }
}

/// A content as the router takes it, from one that may be its fields alone.
fn content_of(content: Map<String, Value>) -> Result<Map<String, Value>, String> {
    if content.get("fields").is_some_and(Value::is_object) {
        return match ["client", "site"].into_iter().find(|key| content.contains_key(*key)) {
            Some(key) => Err(format!("content: `{key}` stands beside `content`, not in it")),
            None => Ok(content),
        };
    }
    match content.iter().find(|(_, value)| !value.is_string()) {
        Some((field, _)) => Err(format!(
            "content: `{field}` is no text; beside a rating and the like, texts stand in `fields`"
        )),
        None => Ok(Map::from_iter([("fields".to_owned(), Value::Object(content))])),
    }
}

/// Overload may pass; any other refusal is the case's own fault.
fn refused(problem: &Value) -> Judgement {
    let word = |key: &str| problem[key].as_str();
    let said = word("detail").or(word("title")).unwrap_or("refused without a word").to_owned();
    match problem["status"].as_u64() {
        Some(status) if (400..500).contains(&status) && status != 429 => {
            Judgement::Wrong(Actual { verdict: "refused".to_owned(), reasons: said })
        }
        _ => Judgement::Unproven(said),
    }
}

/// The models that did not answer.
fn degraded(verdict: &Value) -> String {
    let calls = verdict["calls"].as_array().into_iter().flatten();
    let failed =
        calls.filter_map(|call| match (call["model"].as_str()?, call["status"].as_str()?) {
            (_, "ok" | "cached" | "skipped") => None,
            (model, status) => Some(format!("model {model}: {status}")),
        });
    let failed = failed.collect::<Vec<_>>().join(", ");
    if failed.is_empty() { "degraded".to_owned() } else { format!("degraded ({failed})") }
}

fn reasons(verdict: &Value) -> impl Iterator<Item = &Value> {
    verdict["reasons"].as_array().into_iter().flatten()
}

/// Such as `spam 0.81 of 0.7, set by industry/beer`.
fn reason(reason: &Value) -> String {
    let text = |key: &str| reason[key].as_str().unwrap_or("?");
    let cause = reason["cause"].as_str().map(|cause| format!(", {cause}")).unwrap_or_default();
    let (score, threshold) = (&reason["score"], &reason["threshold"]);
    format!("{} {score} of {threshold}, set by {}{cause}", text("rule"), text("set_by"))
}

fn verdict<'a>(decision: &str, rules: impl Iterator<Item = &'a str>) -> String {
    let rules = rules.collect::<Vec<_>>().join(", ");
    if rules.is_empty() { decision.to_owned() } else { format!("{decision} ({rules})") }
}

impl fmt::Display for Decision {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Approve => "approve",
            Self::Review => "review",
            Self::Reject => "reject",
        })
    }
}

#[cfg(test)]
mod tests;
