//! Remembers which rules have met what they are about, so that none is about nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};

use super::near::near;
use super::pattern::Pattern;
use super::rename::Side;
use super::rule::{Rule, Scope};
use super::{Rename, Rules};
use crate::compare::path::Path;
use crate::compare::{Case, Form, each_value};
use crate::error::Error;
use crate::json::Value;
use crate::record::{Answer, Reply};

/// How many names of models, of clients of one, and of its fields are remembered for suggestions.
const MAX_NAMES: usize = 1_000;

/// What all calls have shown.
#[derive(Debug, Default)]
pub(super) struct Met {
    /// One for each rule, then one for each renamed field.
    flags: Vec<Flags>,
    /// How many of them have not met what they are about.
    unmet: AtomicUsize,
    /// What there was instead.
    seen: Mutex<BTreeMap<String, Seen>>,
}

/// What a rule has met.
#[derive(Debug, Default)]
struct Flags {
    is_in_scope: AtomicBool,
    is_met: AtomicBool,
}

/// A rule that no call has shown to be about something.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Unmet {
    /// Its place among the rules and, behind them, the renamed fields.
    place: usize,
    /// Whether there were calls of its models and clients.
    is_in_scope: bool,
    /// What is wrong with it, for people.
    fault: String,
}

/// What was seen of a model.
#[derive(Debug, Default)]
struct Seen {
    clients: BTreeSet<String>,
    fields: BTreeSet<String>,
}

impl Met {
    /// As many rules that have met nothing yet.
    pub(super) fn none_of(count: usize) -> Self {
        let flags = (0..count).map(|_| Flags::default()).collect();
        Self { flags, unmet: count.into(), seen: Mutex::default() }
    }

    /// Whether every rule has met what it is about.
    pub(super) fn are_all(&self) -> bool {
        self.unmet.load(Relaxed) == 0
    }

    fn add(&self, place: usize) {
        if !self.flags[place].is_met.swap(true, Relaxed) {
            self.unmet.fetch_sub(1, Relaxed);
        }
    }

    /// Marks the rule as being about some call, and says whether its field is still to be met.
    fn is_awaited(&self, place: usize, scope: &Scope, case: &Case<'_>) -> bool {
        let flags = &self.flags[place];
        if flags.is_met.load(Relaxed) || !scope.holds(case.model, case.client) {
            return false;
        }
        flags.is_in_scope.store(true, Relaxed);
        true
    }

    fn seen(&self) -> MutexGuard<'_, BTreeMap<String, Seen>> {
        // Names for suggestions are worth having even if they are incomplete.
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Rules {
    /// Looks whether a case holds what rules are about. Costs next to nothing once all were met.
    pub(crate) fn meet(&self, case: &Case<'_>) {
        if self.met.are_all() {
            return;
        }
        self.see_scope(case);
        let mut fields = Vec::new();
        for (place, rule) in self.rules.iter().enumerate() {
            if !self.met.is_awaited(place, &rule.scope, case) {
                continue;
            }
            match is_met(rule, case) {
                Some(true) => self.met.add(place),
                Some(false) => {}
                None => fields.push((place, &rule.field)),
            }
        }
        let renames = self.renames.iter().enumerate().map(|(n, it)| (self.rules.len() + n, it));
        let renames: Vec<_> =
            renames.filter(|(n, it)| self.met.is_awaited(*n, &it.scope, case)).collect();
        if !fields.is_empty() || !renames.is_empty() {
            for (reply, side) in [(case.old, Side::Legacy), (case.new, Side::Target)] {
                self.meet_body(case, (reply, side), &fields, &renames);
            }
        }
    }

    fn meet_body(
        &self,
        case: &Case<'_>,
        (reply, side): (&Reply, Side),
        fields: &[(usize, &Pattern)],
        renames: &[(usize, &Rename)],
    ) {
        let Ok(answer) = &reply.answer else { return };
        let answer = &*answer.unpacked();
        let judge = self.judge(case.model, case.client);
        let mut names = BTreeSet::new();
        each_value(Form::of(answer), &answer.body, self.csv, |mut value| {
            for (place, rename) in renames {
                if rename.is_met(&mut value) {
                    self.met.add(*place);
                }
            }
            let value = judge.rename(value, side);
            visit(&Path::Body, &value, &mut |path| {
                let met = fields.iter().filter(|(_, field)| field.matches(path));
                met.for_each(|(place, _)| self.met.add(*place));
                if names.len() < MAX_NAMES {
                    names.insert(path.to_string());
                }
            });
        });
        let mut seen = self.met.seen();
        let Some(seen) = seen.get_mut(case.model) else { return };
        let room = MAX_NAMES.saturating_sub(seen.fields.len());
        seen.fields.extend(names.into_iter().take(room));
    }

    fn see_scope(&self, case: &Case<'_>) {
        let mut seen = self.met.seen();
        if !seen.contains_key(case.model) && seen.len() < MAX_NAMES {
            seen.insert(case.model.to_owned(), Seen::default());
        }
        if let (Some(seen), Some(client)) = (seen.get_mut(case.model), case.client)
            && !seen.clients.contains(client)
            && seen.clients.len() < MAX_NAMES
        {
            seen.clients.insert(client.to_owned());
        }
    }

    /// The rules that are about nothing that was there, or `None` where nothing was.
    pub(crate) fn unmet(&self) -> Option<Vec<Unmet>> {
        let seen = self.met.seen();
        if seen.is_empty() {
            return None;
        }
        let rules = self.rules.iter().map(|it| (it.name.as_str(), &it.written_field, &it.scope));
        let renames = self.renames.iter().map(|it| ("rename", &it.written_old, &it.scope));
        let all = rules.chain(renames).zip(&self.met.flags);
        let unmet = (0..).zip(all).filter(|(_, (_, flags))| !flags.is_met.load(Relaxed));
        let unmet = unmet.map(|(place, ((name, field, scope), flags))| Unmet {
            place,
            is_in_scope: flags.is_in_scope.load(Relaxed),
            fault: flags.fault(name, field, scope, &seen),
        });
        Some(unmet.collect())
    }
}

/// Refuses rules that are about nothing.
///
/// # Errors
/// A usage error that names them, where there are any.
pub(crate) fn check(unmet: &[Unmet]) -> Result<(), Error> {
    if unmet.is_empty() {
        return Ok(());
    }
    let lines: String = unmet.iter().map(|it| format!("\n  {}", it.fault)).collect();
    Err(Error::Usage(format!("rules that are about nothing; correct or remove them:{lines}")))
}

/// The rules that are about nothing in any part of a run, as the part tells it that has calls of
/// their models.
pub(crate) fn unmet_by_all(parts: &[&[Unmet]]) -> Vec<Unmet> {
    let Some((first, others)) = parts.split_first() else { return Vec::new() };
    let is_at = |place: usize| move |it: &&Unmet| it.place == place;
    let in_all =
        |unmet: &&Unmet| others.iter().all(|part| part.iter().any(|it| is_at(unmet.place)(&it)));
    let most_telling = |unmet: &Unmet| {
        let told = parts.iter().copied().flatten().filter(is_at(unmet.place));
        told.max_by_key(|it| it.is_in_scope).cloned()
    };
    first.iter().filter(in_all).filter_map(most_telling).collect()
}

impl Flags {
    fn fault(
        &self,
        name: &str,
        field: &str,
        scope: &Scope,
        seen: &BTreeMap<String, Seen>,
    ) -> String {
        if self.is_in_scope.load(Relaxed) {
            let models = seen.iter().filter(|(model, _)| scope.is_about_model(model));
            let fields = models.flat_map(|(_, seen)| &seen.fields).map(String::as_str);
            return format!(
                "`{name}`: no answer that it is about has the field `{field}`{}",
                near(field, fields)
            );
        }
        let models = near("", seen.keys().map(String::as_str)).replace("near to it", "models");
        let clients = seen.values().flat_map(|seen| &seen.clients).map(String::as_str);
        let clients = near("", clients).replace("near to it", "clients");
        format!("`{name}`: no call is of the model and client that it names{models}{clients}")
    }
}

/// Whether a case holds the field, or `None` where it is one of the body's.
fn is_met(rule: &Rule, case: &Case<'_>) -> Option<bool> {
    let mut answers =
        [case.old, case.new].into_iter().filter_map(|reply| reply.answer.as_ref().ok());
    match &rule.field {
        Pattern::Response => Some(true),
        Pattern::Status | Pattern::ContentType => Some(answers.next().is_some()),
        Pattern::Header(name) => Some(answers.any(|answer| answer.header(name).is_some())),
        Pattern::Latency => Some(is_timed(rule, case)),
        Pattern::Body(parts) if parts.is_empty() => {
            Some(answers.any(|it: &Answer| !it.body.is_empty()))
        }
        Pattern::Body(_) => None,
    }
}

fn is_timed(rule: &Rule, case: &Case<'_>) -> bool {
    let is_compared = rule.terms.late.ratio.is_none() || case.old.latency_us.is_some();
    case.new.latency_us.is_some() && is_compared
}

/// Visits every place of a value.
fn visit(path: &Path<'_>, value: &Value<'_>, take: &mut impl FnMut(&Path<'_>)) {
    take(path);
    match value {
        Value::Object(members) => {
            for member in members {
                visit(&Path::Member(path, member.name), &member.value, take);
            }
        }
        Value::Array(elements) => {
            let below = Path::Elements(path);
            take(&below);
            elements.iter().for_each(|element| visit(&below, element, take));
        }
        _ => {}
    }
}
