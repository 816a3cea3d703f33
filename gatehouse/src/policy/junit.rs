//! The report of `gatehouse policy test` as JUnit's XML, which CI systems show.

use std::fmt::Write as _;

use super::case::{Case, Judgement};
use super::test::Judged;

/// One suite a file; a wrong verdict is a failure, a missing one an error.
pub(super) fn report(judged: &[Judged]) -> String {
    let mut xml = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n".to_owned();
    xml += &format!("<testsuites{}>\n", totals(judged));
    for suite in judged.chunk_by(|(one, _), (other, _)| one.file == other.file) {
        // Writing into memory does not fail.
        let _ =
            writeln!(xml, "  <testsuite name=\"{}\"{}>", escape(&suite[0].0.file), totals(suite));
        suite.iter().for_each(|(case, judgement)| xml += &test_case(case, judgement));
        xml += "  </testsuite>\n";
    }
    xml + "</testsuites>\n"
}

fn totals(judged: &[Judged]) -> String {
    let count = |of: fn(&Judgement) -> bool| judged.iter().filter(|(_, found)| of(found)).count();
    let failures = count(|found| matches!(found, Judgement::Wrong(_)));
    let errors = count(|found| matches!(found, Judgement::Unproven(_)));
    format!(" tests=\"{}\" failures=\"{failures}\" errors=\"{errors}\"", judged.len())
}

fn test_case(case: &Case, judgement: &Judgement) -> String {
    let head = format!(
        "    <testcase classname=\"{}\" name=\"{}\"",
        escape(&case.file),
        escape(&case.name)
    );
    match judgement {
        Judgement::Right => format!("{head}/>\n"),
        Judgement::Wrong(actual) => {
            let message = format!("expected {}, got {}", case.expected(), actual.verdict);
            let (message, reasons) = (escape(&message), escape(&actual.reasons));
            format!("{head}><failure message=\"{message}\">{reasons}</failure></testcase>\n")
        }
        Judgement::Unproven(reason) => {
            format!("{head}><error message=\"{}\"/></testcase>\n", escape(reason))
        }
    }
}

/// XML 1.0 has no place for most control characters, not even escaped.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped += "&amp;",
            '<' => escaped += "&lt;",
            '>' => escaped += "&gt;",
            '"' => escaped += "&quot;",
            '\u{fffe}' | '\u{ffff}' => escaped.push('\u{fffd}'),
            c if c.is_control() => escaped.push('\u{fffd}'),
            c => escaped.push(c),
        }
    }
    escaped
}
