//! Compares two bodies, each form in its way.

use super::Comparison;
use super::form::Form;
use super::pair::Pair;
use super::path::Path;
use super::scalar;
use super::sequence::Sequence;
use super::table::{Csv, Table};
use crate::difference::Kind;
use crate::json::{Document, MAX_VALUES, Text, Value};
use crate::rules::Side;

/// What stands for a body: no steps lead to it.
const WHOLE: Path<'static> = Path::Body;

impl Comparison<'_> {
    /// Adds what differs between two bodies, which are not the same bytes.
    pub(super) fn body(&mut self, form: Form, old: &[u8], new: &[u8]) {
        (self.found.has_values, self.found.has_texts) = (false, false);
        match form {
            Form::Json => self.json(old, new),
            Form::Lines => self.lines(old, new),
            Form::Csv => self.tables(old, new),
            Form::Text => self.text(old, new),
        }
    }

    /// Bytes that aren't JSON on either side are compared as they are.
    fn json(&mut self, old: &[u8], new: &[u8]) {
        match (Document::parse(old), Document::parse(new)) {
            (Some(old), Some(new)) => self.documents(old, new),
            _ => self.text(old, new),
        }
    }

    fn documents(&mut self, old: Document<'_>, new: Document<'_>) {
        let judge = self.found.judge();
        let old_value = judge.rename(old.value, Side::Legacy);
        let new_value = judge.rename(new.value, self.side);
        self.value(&WHOLE, &old_value, &new_value);
        self.layout(old.spaces != new.spaces, Kind::Whitespace);
    }

    /// Lines that are no JSON are compared as they are, one by one.
    fn lines(&mut self, old: &[u8], new: &[u8]) {
        let (old_lines, new_lines) = (split_lines(old), split_lines(new));
        if new_lines.len() < old_lines.len() && is_beginning(new, old) {
            self.found.add(&WHOLE, Kind::Truncated, &Pair::default());
            return;
        }
        if let (Some(old), Some(new)) = (documents(&old_lines), documents(&new_lines)) {
            return self.rows_of_json(old, new);
        }
        if is_beginning(new, old) {
            self.found.add(&WHOLE, Kind::Truncated, &Pair::default());
            return;
        }
        if old_lines.len() != new_lines.len() {
            self.found.add(&WHOLE, Kind::Length, &Pair::default());
        }
        let differing = old_lines.into_iter().zip(new_lines).filter(|(old, new)| old != new);
        differing.for_each(|(old, new)| self.json(old, new));
        self.layout(false, Kind::Whitespace);
    }

    fn rows_of_json(&mut self, old: Vec<Document<'_>>, new: Vec<Document<'_>>) {
        let spaces = |rows: &[Document<'_>]| rows.iter().map(|row| row.spaces).sum::<usize>();
        let is_spaced = spaces(&old) != spaces(&new);
        let [old, new] = [old, new].map(|rows| rows.into_iter().map(|row| row.value).collect());
        self.rows(old, new);
        self.layout(is_spaced, Kind::Whitespace);
    }

    fn tables(&mut self, old: &[u8], new: &[u8]) {
        let csv = self.found.judge().csv();
        let Some((old_table, new_table)) = Table::pair(old, new, csv) else {
            return self.text(old, new);
        };
        let is_shorter = new_table.cells() < old_table.cells() || has_open_quote(new);
        if is_shorter && is_beginning(new, old) {
            self.found.add(&WHOLE, Kind::Truncated, &Pair::default());
            return;
        }
        self.rows(vec![old_table.header()], vec![new_table.header()]);
        self.rows(old_table.rows(), new_table.rows());
        let is_quoted = quotes(old) != quotes(new);
        self.layout(is_quoted, if is_quoted { Kind::Escape } else { Kind::Whitespace });
    }

    fn rows(&mut self, old: Vec<Value<'_>>, new: Vec<Value<'_>>) {
        let judge = self.found.judge();
        let [old, new] = [(old, Side::Legacy), (new, self.side)].map(|(rows, side)| {
            rows.into_iter().map(|row| judge.rename(row, side)).collect::<Vec<_>>()
        });
        self.sequence(Sequence { list: &WHOLE, elements: &WHOLE, old: &old, new: &new });
    }

    /// Once all values were compared: the bytes differ, so where nothing else explains that, what
    /// stands between the values does. Beside values that differ it says nothing, unless a rule asks
    /// for every byte of the text.
    fn layout(&mut self, is_seen: bool, kind: Kind) {
        let (judge, has_values) = (self.found.judge(), self.found.has_values);
        let is_explained = has_values || self.found.has_texts || judge.has_renames();
        let is_told = !has_values || judge.is_text_exact();
        if (is_seen && is_told) || !is_explained {
            self.found.add(&WHOLE, kind, &Pair::default());
        }
    }

    fn text(&mut self, old: &[u8], new: &[u8]) {
        if is_beginning(new, old) {
            self.found.add(&WHOLE, Kind::Truncated, &Pair::default());
            return;
        }
        let (Ok(old), Ok(new)) = (std::str::from_utf8(old), std::str::from_utf8(new)) else {
            self.found.add(&WHOLE, Kind::Text, &Pair::default());
            return;
        };
        let (old, new) = (Text::plain(old), Text::plain(new));
        if let Some(kind) = scalar::text_kind(old, new) {
            let kind = if kind == Kind::Value { Kind::Text } else { kind };
            self.found.add(&WHOLE, kind, &Pair::of(&Value::Text(old), &Value::Text(new)));
        }
    }
}

/// Hands out the values of a body: its one value, or those of its lines or rows.
pub(crate) fn each_value(form: Form, body: &[u8], csv: Csv, mut take: impl FnMut(Value<'_>)) {
    match form {
        Form::Json => Document::parse(body).into_iter().for_each(|document| take(document.value)),
        Form::Lines => {
            let documents = split_lines(body).into_iter().filter_map(Document::parse);
            documents.for_each(|document| take(document.value));
        }
        Form::Csv => {
            let table = Table::read(body, csv);
            table.iter().flat_map(Table::rows).for_each(take);
        }
        Form::Text => {}
    }
}

/// Whether more than white space was cut off.
fn is_beginning(new: &[u8], old: &[u8]) -> bool {
    old.strip_prefix(new).is_some_and(|rest| !rest.trim_ascii().is_empty())
}

fn quotes(body: &[u8]) -> usize {
    body.iter().filter(|byte| **byte == b'"').count()
}

/// Whether CSV ends within a quoted cell.
fn has_open_quote(body: &[u8]) -> bool {
    !quotes(body).is_multiple_of(2)
}

fn split_lines(bytes: &[u8]) -> Vec<&[u8]> {
    let lines = bytes.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii);
    lines.filter(|line| !line.is_empty()).collect()
}

/// What each line holds, or `None` where one is no JSON, or all together hold too much.
fn documents<'l>(lines: &[&'l [u8]]) -> Option<Vec<Document<'l>>> {
    let mut left = MAX_VALUES;
    lines.iter().map(|line| Document::parse_within(line, &mut left)).collect()
}
