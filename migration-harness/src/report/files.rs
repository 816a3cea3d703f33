//! The files of a report, for whoever comes later: people, CI and `parity report`.

use std::path::Path;

use super::Report;
use super::command::Format;
use crate::error::Error;
use crate::tally::DIFFERING;
use crate::whole;

/// What a report consists of beside the verdict.
pub(crate) const FILES: [&str; 5] =
    ["report.json", "junit.xml", "summary.md", "report.html", DIFFERING];

/// Writes `report.json`, `junit.xml`, `summary.md`, `report.html` and `mismatches.jsonl` into the
/// folder.
///
/// `verdict.json` is to be written after them, so that its presence means that all are there.
///
/// # Errors
/// When the folder can't be written to.
pub(crate) fn write_all(report: &Report, folder: &Path) -> Result<(), Error> {
    let formats = [Format::Json, Format::Junit, Format::Markdown, Format::Html];
    formats.into_iter().try_for_each(|format| write(format, report, folder))?;
    report.differing.write(folder)
}

/// Writes one form into the folder, whole or not at all.
pub(super) fn write(format: Format, report: &Report, folder: &Path) -> Result<(), Error> {
    whole::write(folder, format.file(), format.render(report))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::report::fixture;

    #[test]
    fn a_comparison_leaves_every_form_and_no_half_of_one() {
        let folder = tempfile::tempdir().unwrap();
        let report = serde_json::from_value(fixture::broken()).unwrap();
        write_all(&report, folder.path()).unwrap();
        let entries = fs::read_dir(folder.path()).unwrap();
        let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        let mut expected = FILES.map(std::ffi::OsString::from);
        expected.sort();
        assert_eq!(names, expected);
    }
}
