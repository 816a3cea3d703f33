//! Reads CSV as rows of named cells.

use std::collections::HashSet;

use csv::{ReaderBuilder, StringRecord};

use crate::json::{Member, Number, Text, Value};

/// How many rows and cells a body may hold: each row takes a hundred times the memory of its shortest
/// text.
const MAX_CELLS: usize = 1 << 20;

/// How CSV is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Csv {
    /// Whether the first row holds the names of columns, where somebody said.
    pub(crate) has_header: Option<bool>,
    /// What stands between cells.
    pub(crate) delimiter: u8,
}

impl Default for Csv {
    fn default() -> Self {
        Self { has_header: None, delimiter: b',' }
    }
}

/// A body of rows.
pub(super) struct Table {
    /// A name for each column; the columns of a body without names are numbered from 1.
    names: Vec<String>,
    /// How many columns the header names.
    named: usize,
    rows: Vec<StringRecord>,
}

impl Table {
    /// The rows of two bodies, or `None` where one isn't UTF-8. If nobody said, both have a header
    /// where the captured one looks like it.
    pub(super) fn pair(old: &[u8], new: &[u8], csv: Csv) -> Option<(Self, Self)> {
        let (old, new) = (records(old, csv)?, records(new, csv)?);
        let has_header = csv.has_header.unwrap_or_else(|| begins_with_names(&old));
        Some((Self::new(old, has_header), Self::new(new, has_header)))
    }

    /// The rows of one body.
    pub(super) fn read(body: &[u8], csv: Csv) -> Option<Self> {
        let rows = records(body, csv)?;
        let has_header = csv.has_header.unwrap_or_else(|| begins_with_names(&rows));
        Some(Self::new(rows, has_header))
    }

    fn new(mut rows: Vec<StringRecord>, has_header: bool) -> Self {
        let has_header = has_header && !rows.is_empty();
        let header = if has_header { rows.remove(0) } else { StringRecord::new() };
        let columns = rows.iter().map(StringRecord::len).max().unwrap_or(0).max(header.len());
        Self { names: names(&header, columns), named: header.len(), rows }
    }

    /// Each row as an object.
    pub(super) fn rows(&self) -> Vec<Value<'_>> {
        self.rows.iter().map(|row| Value::Object(self.members(row))).collect()
    }

    /// Which columns have names, as an object: a column may have a name and no cells. The names
    /// are no values, as renamed columns would differ in them.
    pub(super) fn header(&self) -> Value<'_> {
        let names = self.names[..self.named].iter().map(|name| Text::plain(name));
        let member = |name| Member { name, value: Value::Bool(true), is_repeated: false };
        Value::Object(names.map(member).collect())
    }

    /// How many cells there are.
    pub(super) fn cells(&self) -> usize {
        self.rows.iter().map(StringRecord::len).sum()
    }

    fn members<'t>(&'t self, row: &'t StringRecord) -> Vec<Member<'t>> {
        let member = |(name, cell): (&'t String, &'t str)| Member {
            name: Text::plain(name),
            value: number(cell).map_or(Value::Text(Text::plain(cell)), Value::Number),
            is_repeated: false,
        };
        self.names.iter().zip(row).map(member).collect()
    }
}

/// The rows, or `None` where they aren't UTF-8 or too many. Of a single column, an empty line is an
/// empty cell, such as a score that is missing; elsewhere it is none.
fn records(body: &[u8], csv: Csv) -> Option<Vec<StringRecord>> {
    if !body.contains(&csv.delimiter) && !body.contains(&b'"') {
        let text = std::str::from_utf8(body.trim_ascii_end()).ok()?;
        let cells = text.lines().map(|line| StringRecord::from(vec![line]));
        return within_limit(cells.map(Some));
    }
    let mut reader = ReaderBuilder::new();
    reader.has_headers(false).flexible(true).delimiter(csv.delimiter);
    within_limit(reader.from_reader(body).records().map(Result::ok))
}

fn within_limit(rows: impl Iterator<Item = Option<StringRecord>>) -> Option<Vec<StringRecord>> {
    let mut left = MAX_CELLS;
    let counted = rows.map(|row| {
        let row = row?;
        left = left.checked_sub(1 + row.len())?;
        Some(row)
    });
    counted.collect()
}

/// Names are distinct and no numbers, and stand above numbers.
fn begins_with_names(rows: &[StringRecord]) -> bool {
    let has_number = |row: &StringRecord| row.iter().any(|cell| number(cell).is_some());
    let Some((first, rest)) = rows.split_first() else { return false };
    let distinct: HashSet<&str> = first.iter().collect();
    let is_blank = first.iter().all(|cell| cell.trim().is_empty());
    !has_number(first) && !is_blank && distinct.len() == first.len() && rest.iter().any(has_number)
}

fn number(cell: &str) -> Option<Number<'_>> {
    Number::parse(cell.trim_ascii())
}

/// A column of a name that an earlier one has, or of none, is named by its number too.
fn names(header: &StringRecord, columns: usize) -> Vec<String> {
    let mut names: Vec<String> = Vec::with_capacity(columns);
    let mut known = HashSet::new();
    for number in 1..=columns {
        let name = match header.get(number - 1).map(str::trim) {
            None | Some("") => number.to_string(),
            Some(name) if known.contains(name) => format!("{name} ({number})"),
            Some(name) => name.to_owned(),
        };
        known.insert(name.clone());
        names.push(name);
    }
    names
}
