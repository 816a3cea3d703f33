//! Checks what a file of rules says: what contradicts itself or says nothing is refused.

use std::collections::BTreeSet;
use std::time::Duration;

use super::file::{
    Faults, OneOrMore, Section, WrittenCsv, WrittenOrder, WrittenRename, WrittenRule,
};
use super::number::Numbers;
use super::pattern::{Glob, Pattern};
use super::rename::Rename;
use super::rule::{Late, Order, Rule, Scope, Terms};
use super::string::Strings;
use crate::compare::Csv;

/// The keys that say what a rule is about.
const SUBJECT: [&str; 5] = ["name", "model", "client", "field", "kinds"];

/// How many decimals a double can be told apart by, as long as it is around one.
const MAX_DECIMALS: u8 = 17;

/// The rules, without those that can't be.
pub(super) fn rules(sections: Vec<Section<WrittenRule>>, faults: &mut Faults) -> Vec<Rule> {
    let mut names = BTreeSet::new();
    let mut rules = Vec::new();
    for (number, section) in (1..).zip(sections) {
        let name = section.written.name.clone().unwrap_or_else(|| format!("rule {number}"));
        if !names.insert(name.clone()) {
            let fault = format!("another rule has the name `{name}`, too");
            faults.add(section.line_of("name"), fault);
        }
        rules.extend(rule(section, name, faults));
    }
    rules
}

fn rule(section: Section<WrittenRule>, name: String, faults: &mut Faults) -> Option<Rule> {
    let line = section.line_of("field");
    let Some(written_field) = section.written.field.clone() else {
        let fault =
            format!("`{name}` lacks `field`, such as `scores.*`, or `**` for all of a body");
        if section.is_whole {
            faults.add(line, fault);
        }
        return None;
    };
    let field = faults.take(line, Pattern::parse(&written_field))?;
    check_keys(&section, &field, &name, faults);
    check_numbers(&section, faults);
    let at_most = duration(&section, faults);
    let Section { written, .. } = section;
    Some(Rule {
        name,
        scope: scope(written.model.as_ref(), written.client.as_ref()),
        field,
        written_field,
        kinds: written.kinds.clone(),
        terms: terms(written, at_most),
    })
}

/// Which keys go together, and with the field.
fn check_keys(section: &Section<WrittenRule>, field: &Pattern, name: &str, faults: &mut Faults) {
    let terms: Vec<&str> = section.keys().filter(|key| !SUBJECT.contains(key)).collect();
    let says_nothing = terms.is_empty() || (terms == ["ignore"] && !section.written.ignore);
    if says_nothing && section.is_whole && !matches!(field, Pattern::Header(_)) {
        faults
            .add(section.line, format!("`{name}` says neither what is permitted nor what is not"));
    }
    if section.written.ignore {
        for key in terms.iter().filter(|key| **key != "ignore") {
            let fault = format!("`ignore` permits everything; `{key}` contradicts it");
            faults.add(section.line_of(key), fault);
        }
    }
    let (what, known): (_, &[&str]) = match field {
        Pattern::Status => ("the status takes", &["ignore", "values"]),
        Pattern::Response => ("the response takes", &["ignore"]),
        Pattern::Latency => ("the latency takes", &["ignore", "at_most", "ratio"]),
        Pattern::ContentType | Pattern::Header(_) => {
            ("it takes", &["ignore", "values", "case", "unicode", "whitespace"])
        }
        Pattern::Body(_) => return check_body(section, &terms, faults),
    };
    for key in terms.iter().filter(|key| !known.contains(key)) {
        let fault = format!("`{key}` says nothing here; {what} {}", known.join(", "));
        faults.add(section.line_of(key), fault);
    }
}

fn check_body(section: &Section<WrittenRule>, terms: &[&str], faults: &mut Faults) {
    for key in terms.iter().filter(|key| ["at_most", "ratio"].contains(key)) {
        let fault = format!("`{key}` is about the field `latency`");
        faults.add(section.line_of(key), fault);
    }
}

fn check_numbers(section: &Section<WrittenRule>, faults: &mut Faults) {
    let WrittenRule { absolute, relative, margin, ratio, decimals, values, kinds, .. } =
        &section.written;
    let numbers =
        [("absolute", absolute), ("relative", relative), ("margin", margin), ("ratio", ratio)];
    for (key, number) in numbers {
        if number.is_some_and(|number| !number.is_finite() || number < 0.0) {
            let fault = format!("`{key}` must be a number that is not below 0");
            faults.add(section.line_of(key), fault);
        }
    }
    if decimals.is_some_and(|decimals| decimals > MAX_DECIMALS) {
        let fault = format!("`decimals` must be at most {MAX_DECIMALS}");
        faults.add(section.line_of("decimals"), fault);
    }
    if values.as_ref().is_some_and(|values| values.iter().any(|(old, new)| old == new)) {
        faults.add(section.line_of("values"), "`values` pairs a value with itself");
    }
    let is_empty = values.as_ref().is_some_and(Vec::is_empty);
    if is_empty || kinds.as_ref().is_some_and(Vec::is_empty) {
        let key = if is_empty { "values" } else { "kinds" };
        faults.add(section.line_of(key), format!("`{key}` is empty"));
    }
}

fn duration(section: &Section<WrittenRule>, faults: &mut Faults) -> Option<Duration> {
    let written = section.written.at_most.as_deref()?;
    let parsed = humantime::parse_duration(written);
    let parsed = parsed.map_err(|error| format!("`at_most` is no time such as `200ms`: {error}"));
    faults.take(section.line_of("at_most"), parsed)
}

fn terms(written: WrittenRule, at_most: Option<Duration>) -> Terms {
    Terms {
        ignore: written.ignore,
        numbers: Numbers {
            ulp: written.ulp,
            absolute: written.absolute,
            relative: written.relative,
            decimals: written.decimals,
            any_type: written.r#type.is_some(),
            nan_is_equal: written.nan.is_some(),
        },
        strings: Strings {
            any_composition: written.unicode.is_some(),
            any_case: written.case.is_some(),
            any_space: written.whitespace.is_some(),
        },
        null_is_missing: written.null.is_some(),
        margin: written.margin,
        values: written.values.unwrap_or_default(),
        order: written.order.map(|order| match order {
            WrittenOrder::Any(_) => Order::Any,
            WrittenOrder::Key(key) => Order::Key(key.key),
        }),
        late: Late { at_most, ratio: written.ratio },
        is_text_exact: written.text.is_some(),
    }
}

/// The renamed field, if it can be.
pub(super) fn rename(section: &Section<WrittenRename>, faults: &mut Faults) -> Option<Rename> {
    let WrittenRename { model, client, old, new } = &section.written;
    let (Some(old), Some(new)) = (old, new) else {
        if section.is_whole {
            faults.add(section.line, "a rename needs both `old` and `new`");
        }
        return None;
    };
    let scope = scope(model.as_ref(), client.as_ref());
    faults.take(section.line_of("old"), Rename::new(scope, old, new))
}

/// How CSV is written.
pub(super) fn csv(section: &Section<WrittenCsv>, faults: &mut Faults) -> Csv {
    let WrittenCsv { header, delimiter } = &section.written;
    let delimiter = match delimiter.as_deref().map(str::as_bytes) {
        None => Csv::default().delimiter,
        Some(&[byte]) if byte.is_ascii() && !byte.is_ascii_alphanumeric() && byte != b'"' => byte,
        Some(_) => {
            let line = section.line_of("delimiter");
            faults.add(line, "`delimiter` must be one character, such as `;` or a tab");
            Csv::default().delimiter
        }
    };
    Csv { has_header: *header, delimiter }
}

fn scope(models: Option<&OneOrMore>, clients: Option<&OneOrMore>) -> Scope {
    Scope { models: models.map(globs), clients: clients.map(globs) }
}

fn globs(written: &OneOrMore) -> Vec<Glob> {
    match written {
        OneOrMore::One(pattern) => vec![Glob::new(pattern)],
        OneOrMore::More(patterns) => patterns.iter().map(|it| Glob::new(it)).collect(),
    }
}
