//! What is permitted to differ, and what is compared beyond the exact default: a TOML file.

mod check;
mod file;
mod met;
mod near;
mod number;
pub(crate) mod pattern;
mod rename;
mod rule;
mod string;

use std::path::Path as FilePath;

use crate::compare::Csv;
use crate::compare::pair::Pair;
use crate::compare::path::Path;
use crate::difference::{Kind, Permit};
use crate::error::Error;
use crate::json::Value;

pub(crate) use met::{Unmet, check, unmet_by_all};
pub(crate) use rename::Side;
pub(crate) use rule::{Late, Order};

use met::Met;
use pattern::Pattern;
use rename::Rename;
use rule::{Rule, Ruling};

/// How long a file of rules may be.
const MAX_BYTES: u64 = 1 << 20;

/// The rules of a comparison; without a file, everything is compared exactly.
#[derive(Debug, Default)]
pub(crate) struct Rules {
    /// In their order: the first that permits a difference does.
    rules: Vec<Rule>,
    renames: Vec<Rename>,
    csv: Csv,
    /// What answers have shown of the fields that rules name.
    met: Met,
}

impl Rules {
    /// Reads a file of rules; none means the exact comparison.
    ///
    /// # Errors
    /// When the file can't be read, or with all of its faults and their lines.
    pub(crate) fn read(path: Option<&FilePath>) -> Result<Self, Error> {
        let Some(path) = path else { return Ok(Self::default()) };
        let usage = |reason: String| Error::Usage(format!("`{}`: {reason}", path.display()));
        let bytes = std::fs::metadata(path).map_err(|error| usage(error.to_string()))?.len();
        if bytes > MAX_BYTES {
            return Err(usage(format!("{bytes} bytes are too many for a file of rules")));
        }
        let text = std::fs::read_to_string(path).map_err(|error| usage(error.to_string()))?;
        Self::parse(&text).map_err(|faults| {
            let lines: String = faults.iter().map(|fault| format!("\n  {fault}")).collect();
            usage(format!("the rules can't be understood:{lines}"))
        })
    }

    /// Takes the text of a file of rules.
    ///
    /// # Errors
    /// All faults, each with its line.
    pub(crate) fn parse(text: &str) -> Result<Self, Vec<String>> {
        file::parse(text)
    }

    fn new(rules: Vec<Rule>, renames: Vec<Rename>, csv: Csv) -> Self {
        let met = Met::none_of(rules.len() + renames.len());
        Self { rules, renames, csv, met }
    }

    /// After all calls were compared: refuses rules that name what no answer held.
    ///
    /// # Errors
    /// When a rule's field was in no answer, which makes it a rule about nothing.
    pub(crate) fn check_all_were_met(&self) -> Result<(), Error> {
        check(&self.unmet().unwrap_or_default())
    }

    /// Whether answers that agree in all but headers and latencies differ in nothing that the rules
    /// ask for, nor show anything that a rule still has to meet.
    pub(crate) fn pass_equal_answers(&self) -> bool {
        let asks =
            |rule: &Rule| !rule.terms.late.is_empty() || matches!(rule.field, Pattern::Header(_));
        self.met.are_all() && !self.rules.iter().any(asks)
    }

    /// What they say on a call of the model for the client.
    pub(crate) fn judge<'r>(&'r self, model: &'r str, client: Option<&'r str>) -> Judge<'r> {
        Judge { rules: self, model, client }
    }
}

/// The rules that are about one call.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Judge<'r> {
    rules: &'r Rules,
    model: &'r str,
    client: Option<&'r str>,
}

impl<'r> Judge<'r> {
    /// What permits a difference: the first rule that does, or that only the text differs.
    pub(crate) fn permit(self, path: &Path<'_>, kind: Kind, pair: &Pair<'_>) -> Option<Permit> {
        for rule in self.rules.rules.iter().filter(|rule| self.is_about(rule)) {
            match rule.ruling(path, kind, pair) {
                Some(Ruling::Permitted) => return Some(Permit::Rule(rule.name.clone())),
                Some(Ruling::Refused) => return None,
                None => {}
            }
        }
        kind.is_of_text_only().then_some(Permit::TextOnly)
    }

    /// How the elements of a list find each other, by the rule of that name.
    pub(crate) fn order(
        self,
        list: &Path<'_>,
        elements: &Path<'_>,
    ) -> Option<(&'r Order, &'r str)> {
        self.rules.rules.iter().find_map(|rule| {
            let order = rule.terms.order.as_ref()?;
            let is_about = rule.field.matches(list) || rule.field.matches(elements);
            (is_about && self.is_about(rule)).then_some((order, rule.name.as_str()))
        })
    }

    /// How late an answer may be, by every rule that says so.
    pub(crate) fn late(self) -> impl Iterator<Item = &'r Late> {
        let rules = self.rules.rules.iter().filter(|rule| !rule.terms.late.is_empty());
        rules.filter(move |rule| self.is_about(rule)).map(|rule| &rule.terms.late)
    }

    /// The headers that are compared.
    pub(crate) fn headers(self) -> impl Iterator<Item = &'r str> {
        self.rules.rules.iter().filter_map(move |rule| match &rule.field {
            Pattern::Header(name) if !rule.terms.ignore && self.is_about(rule) => {
                Some(name.as_str())
            }
            _ => None,
        })
    }

    /// Whether some rule makes differences of text only count.
    pub(crate) fn is_text_exact(self) -> bool {
        self.rules.rules.iter().any(|rule| rule.terms.is_text_exact && self.is_about(rule))
    }

    /// How CSV is written.
    pub(crate) fn csv(self) -> Csv {
        self.rules.csv
    }

    /// Gives the fields of an answer the names that are compared.
    pub(crate) fn rename<'v>(self, mut value: Value<'v>, side: Side) -> Value<'v>
    where
        'r: 'v,
    {
        if self.rules.renames.is_empty() {
            return value;
        }
        let is_about = |it: &&Rename| it.scope.holds(self.model, self.client);
        let renames: Vec<_> = self.rules.renames.iter().filter(is_about).collect();
        rename::rename(&mut value, &renames, side);
        value
    }

    /// Whether an answer may be written with other names.
    pub(crate) fn has_renames(self) -> bool {
        !self.rules.renames.is_empty()
    }

    fn is_about(self, rule: &Rule) -> bool {
        rule.scope.holds(self.model, self.client)
    }
}
