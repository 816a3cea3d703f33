//! `parity report`: shows the report in a folder once more, in any form.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Read, Write};
use std::path::{Path, PathBuf};

use super::{Report, files, html, junit, markdown, terminal};
use crate::error::Error;

/// No comparison writes a larger report.
const MAX_BYTES: u64 = 1 << 30;

/// What to show.
#[derive(Debug, clap::Args)]
pub struct ReportArgs {
    /// The folder that a comparison wrote its report to.
    #[arg(value_name = "DIR")]
    folder: PathBuf,
    /// In which form; may be given several times, together with `--out`.
    #[arg(long, value_enum, value_name = "FORM", default_value = "terminal")]
    format: Vec<Format>,
    /// A folder to write each form to, as a file of its own, instead of to standard output.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

/// The forms of a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Format {
    /// Text for people.
    Terminal,
    /// Everything that is known, `report.json`.
    Json,
    /// JUnit XML, `junit.xml`: a test case for each cluster of mismatches and each group.
    Junit,
    /// Markdown for the summaries of CI, `summary.md`.
    Markdown,
    /// A page for the browser, `report.html`.
    Html,
}

impl Format {
    /// The file's name in a folder.
    pub(super) fn file(self) -> &'static str {
        match self {
            Self::Terminal => "summary.txt",
            Self::Json => "report.json",
            Self::Junit => "junit.xml",
            Self::Markdown => "summary.md",
            Self::Html => "report.html",
        }
    }

    /// The report in this form.
    pub(super) fn render(self, report: &Report) -> String {
        match self {
            Self::Terminal => terminal::text(report, terminal::Style::default()),
            Self::Json => json(report),
            Self::Junit => junit::text(report),
            Self::Markdown => markdown::text(report),
            Self::Html => html::text(report),
        }
    }
}

/// Shows a report in the forms that are asked for.
///
/// # Errors
/// When there is no report, or nowhere to write it.
pub(crate) fn report(args: &ReportArgs) -> Result<u8, Error> {
    let report = read(&args.folder)?;
    match (args.format.as_slice(), &args.out) {
        (formats, Some(folder)) => {
            fs::create_dir_all(folder).map_err(Error::file(folder))?;
            formats.iter().try_for_each(|format| files::write(*format, &report, folder))?;
        }
        ([Format::Terminal], None) => terminal::print(&report),
        ([format], None) => {
            // A closed standard output leaves nobody to show it to.
            let _ = io::stdout().write_all(format.render(&report).as_bytes());
        }
        _ => {
            return Err(Error::Usage("several forms need `--out DIR` to be written to".to_owned()));
        }
    }
    Ok(0)
}

/// The report in the folder.
///
/// # Errors
/// When there is none that can be read.
pub(crate) fn read(folder: &Path) -> Result<Report, Error> {
    let path = folder.join(Format::Json.file());
    let file = File::open(&path).map_err(|error| match error.kind() {
        ErrorKind::NotFound => Error::Usage(format!(
            "there is no `{}`; `parity replay`, `diff`, `merge` and `watch` write one to their `--out`",
            path.display()
        )),
        _ => Error::file(&path)(error),
    })?;
    let mut text = Vec::new();
    file.take(MAX_BYTES + 1).read_to_end(&mut text).map_err(Error::file(&path))?;
    if text.len() as u64 > MAX_BYTES {
        return Err(unreadable(&path, format!("larger than a report's {MAX_BYTES} bytes")));
    }
    serde_json::from_slice(&text)
        .map_err(|error| unreadable(&path, format!("not a report of this version: {error}")))
}

fn unreadable(path: &Path, reason: String) -> Error {
    Error::file(path)(io::Error::new(ErrorKind::InvalidData, reason))
}

fn json(report: &Report) -> String {
    let text = serde_json::to_string_pretty(report);
    text.expect("a report holds nothing JSON lacks") + "\n"
}
