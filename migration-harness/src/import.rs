//! `parity import`: makes records of what other tools have captured, and says what is odd about it.

mod format;
mod input;
mod call;
mod data_capture;
mod gor;
mod har;
mod csv_file;
mod json_lines;
mod parquet_file;
mod columns;
mod row;
mod settle;
mod intake;
mod audit;
mod duplicates;
mod check;
mod run;
mod report;
#[cfg(test)]
mod seeds;

use std::io::{self, Write};
use std::path::PathBuf;
use std::time::Duration;

use crate::error::Error;
use crate::naming::Naming;
use columns::Assignment;
use run::Import;

pub use duplicates::Duplicates;
pub use format::Format;

/// What to import, and how to understand it.
#[derive(Debug, clap::Args)]
pub struct ImportArgs {
    /// Files, also packed by gzip, or folders of them.
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// The format of all files; each is looked at where this is left out.
    #[arg(long, value_name = "FORMAT", value_enum)]
    from: Option<Format>,
    /// The file of records to write; its audit goes to FILE.audit.json.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Where the model's name is: `name:NAME`, `path:/x/{}`, `header:NAME` or `json:/pointer`.
    #[arg(long, value_name = "FROM")]
    model: Option<Naming>,
    /// Where the client's name is, the same.
    #[arg(long, value_name = "FROM")]
    client: Option<Naming>,
    /// A header to keep, of requests and responses.
    #[arg(long = "header", value_name = "NAME")]
    headers: Vec<String>,
    /// A column of a table and what it holds, such as `body=text`.
    #[arg(long = "column", value_name = "FIELD=NAME", num_args = 1..)]
    columns: Vec<Assignment>,
    /// The columns that the request's JSON object is made of.
    #[arg(long, value_name = "NAME,…", value_delimiter = ',')]
    fields: Vec<String>,
    /// What separates a table's values; guessed where this is left out.
    #[arg(long, value_name = "CHARACTER")]
    delimiter: Option<char>,
    /// A JSON pointer into lines that are no records, and what is there, such as `body=/input`.
    #[arg(long, value_name = "FIELD=POINTER", num_args = 1..)]
    map: Vec<Assignment>,
    /// The request's path, where lines or rows don't tell.
    #[arg(long, value_name = "PATH", default_value = "/invocations")]
    path: String,
    /// The request's content type, the same; JSON or text by what the body is where this is left out.
    #[arg(long, value_name = "TYPE")]
    content_type: Option<String>,
    /// What to do about records that have the id of another.
    #[arg(long, value_enum, default_value_t = Duplicates::Error)]
    duplicates: Duplicates,
    /// The longest time without a call that is no gap; ten times the median interval, and at least
    /// a minute, where this is left out.
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration)]
    gap: Option<Duration>,
    /// Passes over what can't be read, and counts it.
    #[arg(long)]
    skip_bad: bool,
}

/// Writes records and audit, prints the audit and returns the exit code.
///
/// # Errors
/// When something can't be read or is no call, or can't be written; then there is no new file.
pub(crate) fn import(args: ImportArgs) -> Result<u8, Error> {
    check::check(&args)?;
    let report = Import::of(args).run()?;
    // Both files are written; a closed terminal takes nothing from them.
    let _ = write!(io::stdout(), "{report}");
    Ok(0)
}
