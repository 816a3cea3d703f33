//! Tables of delimited values, with a header row.

use std::io::{self, BufRead, Read};

use csv::{ByteRecord, ReaderBuilder};
use serde_json::Map;

use super::call::{Call, Found, Take};
use super::columns::{Assignment, Columns};
use super::input::{Rationed, unreadable};
use super::row::{Cell, Defaults, Row};
use crate::error::Error;

/// The delimiters that are told from one another by the header row; the first where none is there.
const DELIMITERS: [u8; 4] = *b",;\t|";
/// Stands behind a table as its last row; where that ends another, a quote was not closed.
const END: &[u8] = b"\x03";
/// What is read behind a file's end: the last line may lack its line break.
const ENDING: &[u8] = b"\n\x03";

/// How a table is to be read.
#[derive(Debug)]
pub(super) struct Layout {
    /// What separates values; guessed where this is missing.
    pub(super) delimiter: Option<u8>,
    /// The columns that the user has named.
    pub(super) columns: Vec<Assignment>,
    /// The columns that make the request's JSON object.
    pub(super) members: Vec<String>,
    /// What rows don't tell.
    pub(super) defaults: Defaults,
}

/// Reads a file; calls are numbered by their rows, of which the header is the first.
pub(super) fn read(
    layout: &Layout,
    reader: &mut dyn BufRead,
    take: &mut Take<'_>,
) -> Result<(), Error> {
    let delimiter = match layout.delimiter.map_or_else(|| guess(reader), Ok) {
        Ok(delimiter) => delimiter,
        Err(error) => return take(1, Found::Rest(unreadable(&error))),
    };
    let reader = Rationed::new(reader);
    let allowance = reader.allowance();
    let mut builder = ReaderBuilder::new();
    builder.has_headers(false).flexible(true).delimiter(delimiter);
    let mut rows = builder.from_reader(reader.chain(ENDING));
    let (mut row, mut table) = (ByteRecord::new(), None);
    for number in 1.. {
        allowance.renew();
        match rows.read_byte_record(&mut row) {
            Ok(true) => {}
            Ok(false) => break,
            Err(error) => return take(number, Found::Rest(unreadable(&error))),
        }
        if row.len() == 1 && &row[0] == END {
            continue;
        }
        let Some(table) = &table else {
            match Table::of(layout, &row) {
                Ok(found) => table = Some(found),
                Err(reason) => return take(number, Found::Rest(reason)),
            }
            continue;
        };
        take(number, Found::of(table.call(&row)))?;
    }
    Ok(())
}

/// The delimiter that the first line has most of.
fn guess(reader: &mut dyn BufRead) -> io::Result<u8> {
    let start = reader.fill_buf()?;
    let line = start.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let count = |delimiter: &u8| line.iter().filter(|byte| *byte == delimiter).count();
    // Of several that are as frequent, `max_by_key` gives the last.
    Ok(DELIMITERS.into_iter().rev().max_by_key(count).unwrap_or(DELIMITERS[0]))
}

/// What the header row says.
struct Table<'a> {
    columns: Columns,
    width: usize,
    defaults: &'a Defaults,
}

impl<'a> Table<'a> {
    fn of(layout: &'a Layout, header: &ByteRecord) -> Result<Self, String> {
        let names: Result<Vec<_>, _> = header.iter().map(text).collect();
        let names = names.map_err(|reason| format!("the header row: {reason}"))?;
        let columns = Columns::of(&names, &layout.columns, &layout.members)?;
        Ok(Self { columns, width: names.len(), defaults: &layout.defaults })
    }

    fn call(&self, row: &ByteRecord) -> Result<Call, String> {
        if row.iter().next_back().is_some_and(|last| last.ends_with(END)) {
            return Err("a quote that opens in this row is not closed".to_owned());
        }
        if row.len() != self.width {
            let (width, found) = (self.width, row.len());
            return Err(format!("the row has {found} values, the header {width}"));
        }
        let mut unknown = Map::new();
        for (name, column) in self.columns.others.iter().filter(|it| !row[it.1].is_empty()) {
            let value = text(&row[*column]).map_err(|reason| format!("`{name}`: {reason}"))?;
            unknown.insert(name.clone(), value.into());
        }
        let cell = |column: usize| Ok::<_, String>(Cell::Text(text(&row[column])?.into()));
        let cells = self.columns.fields.iter().map(|(field, column)| Ok((*field, cell(*column)?)));
        let members = &self.columns.members;
        let members = members.iter().map(|(name, column)| Ok((name.clone(), cell(*column)?)));
        let cells = cells.collect::<Result<_, String>>()?;
        let members = members.collect::<Result<_, String>>()?;
        Row { cells, members, unknown }.call(self.defaults)
    }
}

fn text(bytes: &[u8]) -> Result<String, String> {
    match std::str::from_utf8(bytes) {
        Ok(text) => Ok(text.to_owned()),
        Err(_) => {
            Err(format!("`{}` is not UTF-8: convert the file", String::from_utf8_lossy(bytes)))
        }
    }
}
