//! The TOML of a file of rules. All of its faults are found at once.

use std::collections::BTreeMap;
use std::ops::Range;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use toml::Spanned;
use toml::de::{DeTable, DeValue, ValueDeserializer};

use super::check;
use super::rule::Scalar;
use super::{Rename, Rules};
use crate::difference::Kind;

/// How many rules there may be.
const MAX_RULES: usize = 1_000;

/// A `[[rule]]`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WrittenRule {
    pub(super) name: Option<String>,
    pub(super) model: Option<OneOrMore>,
    pub(super) client: Option<OneOrMore>,
    pub(super) field: Option<String>,
    pub(super) kinds: Option<Vec<Kind>>,
    #[serde(default)]
    pub(super) ignore: bool,
    pub(super) ulp: Option<u64>,
    pub(super) absolute: Option<f64>,
    pub(super) relative: Option<f64>,
    pub(super) decimals: Option<u8>,
    pub(super) r#type: Option<AnyNumber>,
    pub(super) nan: Option<Equal>,
    pub(super) unicode: Option<Nfc>,
    pub(super) case: Option<Any>,
    pub(super) whitespace: Option<Any>,
    pub(super) null: Option<Missing>,
    pub(super) margin: Option<f64>,
    pub(super) values: Option<Vec<(Scalar, Scalar)>>,
    pub(super) order: Option<WrittenOrder>,
    pub(super) at_most: Option<String>,
    pub(super) ratio: Option<f64>,
    pub(super) text: Option<Exact>,
}

/// A `[[rename]]`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WrittenRename {
    pub(super) model: Option<OneOrMore>,
    pub(super) client: Option<OneOrMore>,
    pub(super) old: Option<String>,
    pub(super) new: Option<String>,
}

/// `[csv]`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WrittenCsv {
    pub(super) header: Option<bool>,
    pub(super) delimiter: Option<String>,
}

/// One pattern, or several.
#[derive(Debug, Deserialize)]
#[serde(untagged, expecting = "a pattern such as `spam-*`, or a list of them")]
pub(super) enum OneOrMore {
    One(String),
    More(Vec<String>),
}

/// `"any"`, or the member whose value elements have in common.
#[derive(Debug, Deserialize)]
#[serde(untagged, expecting = "`\"any\"` or `{ key = \"NAME\" }`")]
pub(super) enum WrittenOrder {
    Any(Any),
    Key(Key),
}

/// `{ key = "NAME" }`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Key {
    pub(super) key: String,
}

/// The one word that `case`, `whitespace` and `order` know.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Any {
    Any,
}

/// The one word that `type` knows.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum AnyNumber {
    AnyNumber,
}

/// The one word that `nan` knows.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Equal {
    Equal,
}

/// The one word that `unicode` knows.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Nfc {
    Nfc,
}

/// The one word that `null` knows.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Missing {
    Missing,
}

/// The one word that `text` knows.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Exact {
    Exact,
}

/// A table of the file, and where its keys stand.
#[derive(Debug)]
pub(super) struct Section<T> {
    pub(super) written: T,
    /// The line that it begins at.
    pub(super) line: usize,
    /// The lines of its keys.
    lines: BTreeMap<String, usize>,
    /// Whether nothing was left out that could not be understood.
    pub(super) is_whole: bool,
}

impl<T> Section<T> {
    /// The line of the key, or of the table if that has none.
    pub(super) fn line_of(&self, key: &str) -> usize {
        self.lines.get(key).copied().unwrap_or(self.line)
    }

    /// The keys that are there.
    pub(super) fn keys(&self) -> impl Iterator<Item = &str> {
        self.lines.keys().map(String::as_str)
    }
}

/// The faults that were found, with their lines.
#[derive(Debug, Default)]
pub(super) struct Faults(Vec<(usize, String)>);

impl Faults {
    /// Adds one.
    pub(super) fn add(&mut self, line: usize, text: impl Into<String>) {
        self.0.push((line, text.into()));
    }

    /// The value, or the fault that there is none.
    pub(super) fn take<T>(&mut self, line: usize, result: Result<T, String>) -> Option<T> {
        result.map_err(|fault| self.add(line, fault)).ok()
    }
}

/// The rules that the text holds.
pub(super) fn parse(text: &str) -> Result<Rules, Vec<String>> {
    let (table, errors) = DeTable::parse_recoverable(text);
    let mut reader = Reader { text, faults: Faults::default() };
    for error in &errors {
        let line = reader.line(error.span().unwrap_or_default().start);
        reader.faults.add(line, error.message());
    }
    // What follows a fault of the syntax would be guessed at.
    let rules = if errors.is_empty() { reader.rules(table.into_inner()) } else { Rules::default() };
    let mut faults = reader.faults.0;
    if faults.is_empty() {
        return Ok(rules);
    }
    faults.sort();
    Err(faults.iter().map(|(line, fault)| format!("line {line}: {}", one_line(fault))).collect())
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

struct Reader<'t> {
    text: &'t str,
    faults: Faults,
}

impl Reader<'_> {
    fn rules(&mut self, table: DeTable<'_>) -> Rules {
        let (mut rules, mut renames, mut csv) = (Vec::new(), Vec::new(), None);
        for (key, value) in table {
            match key.get_ref().as_ref() {
                "rule" => rules = self.sections(value),
                "rename" => renames = self.sections(value),
                "csv" => csv = self.section(value),
                other => {
                    let line = self.line(key.span().start);
                    let fault = format!("unknown key `{other}`; there are rule, rename and csv");
                    self.faults.add(line, fault);
                }
            }
        }
        let faults = &mut self.faults;
        let rules = check::rules(rules, faults);
        let renames: Vec<Rename> =
            renames.into_iter().filter_map(|it| check::rename(&it, faults)).collect();
        Rules::new(rules, renames, csv.map(|it| check::csv(&it, faults)).unwrap_or_default())
    }

    /// The tables of a `[[name]]`.
    fn sections<T: DeserializeOwned>(&mut self, value: Spanned<DeValue<'_>>) -> Vec<Section<T>> {
        let line = self.line(value.span().start);
        let DeValue::Array(array) = value.into_inner() else {
            self.faults.add(line, "tables with double brackets, as in [[rule]], are expected");
            return Vec::new();
        };
        if array.len() > MAX_RULES {
            self.faults.add(line, format!("more than {MAX_RULES} tables"));
            return Vec::new();
        }
        array.into_iter().filter_map(|value| self.section(value)).collect()
    }

    /// What can't be understood is reported and left out, until the rest can be.
    fn section<T: DeserializeOwned>(&mut self, value: Spanned<DeValue<'_>>) -> Option<Section<T>> {
        let line = self.line(value.span().start);
        let mut value = value;
        let lines = self.lines(&value);
        let mut is_whole = true;
        loop {
            let error = match T::deserialize(ValueDeserializer::from(value.clone())) {
                Ok(written) => return Some(Section { written, line, lines, is_whole }),
                Err(error) => error,
            };
            let span = error.span().unwrap_or_else(|| value.span());
            let fault_line = self.line(span.start);
            self.faults.add(fault_line, error.message());
            is_whole = false;
            if !leave_out(&mut value, &span) {
                return None;
            }
        }
    }

    fn lines(&self, value: &Spanned<DeValue<'_>>) -> BTreeMap<String, usize> {
        let keys = value.get_ref().as_table().into_iter().flatten().map(|(key, _)| key);
        keys.map(|key| (key.get_ref().to_string(), self.line(key.span().start))).collect()
    }

    fn line(&self, offset: usize) -> usize {
        let before = &self.text.as_bytes()[..offset.min(self.text.len())];
        1 + before.iter().filter(|byte| **byte == b'\n').count()
    }
}

/// Leaves out the entries of a table that the span is in, and says whether there were any.
fn leave_out(value: &mut Spanned<DeValue<'_>>, span: &Range<usize>) -> bool {
    let DeValue::Table(table) = value.get_mut() else { return false };
    let is_in = |other: Range<usize>| other.start <= span.start && span.start < other.end;
    let (faulty, sound): (Vec<_>, Vec<_>) = std::mem::take(table)
        .into_iter()
        .partition(|(key, value)| is_in(key.span()) || is_in(value.span()));
    table.extend(sound);
    !faulty.is_empty()
}
