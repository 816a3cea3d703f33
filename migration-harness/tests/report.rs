//! Shows reports with the built binary, in each form.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod fixture;

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output};

use serde_json::{Value, json};
use tempfile::TempDir;

/// The folder of a comparison that has ended.
struct Folder(TempDir);

impl Folder {
    fn with(report: &Value) -> Self {
        Self::with_text(&report.to_string())
    }

    fn with_text(report: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("report.json"), report).unwrap();
        Self(folder)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// `parity report` with more arguments, on a terminal of 100 columns.
    fn run(&self, more: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_migration-harness"));
        command.arg("report").arg(self.0.path()).args(more).env("COLUMNS", "100");
        command.output().unwrap()
    }

    fn shown(&self, format: &str) -> String {
        let output = self.run(&["--format", format]);
        assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    fn refusal(&self, more: &[&str]) -> (i32, String) {
        let output = self.run(more);
        (output.status.code().unwrap(), String::from_utf8(output.stderr).unwrap())
    }
}

fn shown(report: &Value, format: &str) -> String {
    Folder::with(report).shown(format)
}

#[test]
fn a_broken_replay_on_a_terminal() {
    assert_eq!(shown(&fixture::broken(), "terminal"), include_str!("golden/broken.txt"));
}

#[test]
fn an_unproven_replay_on_a_terminal() {
    let report = fixture::calm("unproven", 412, 0.007_245);
    assert_eq!(shown(&report, "terminal"), include_str!("golden/unproven.txt"));
}

#[test]
fn parity_on_a_terminal() {
    let report = fixture::calm("parity", 20_000, 0.000_149_78);
    assert_eq!(shown(&report, "terminal"), include_str!("golden/parity.txt"));
}

#[test]
fn a_broken_replay_as_junit() {
    assert_eq!(shown(&fixture::broken(), "junit"), include_str!("golden/broken.xml"));
}

#[test]
fn a_broken_replay_as_markdown() {
    assert_eq!(shown(&fixture::broken(), "markdown"), include_str!("golden/broken.md"));
}

#[test]
fn json_holds_what_was_there() {
    let report: Value = serde_json::from_str(&shown(&fixture::broken(), "json")).unwrap();
    for part in ["verdict", "limits", "clusters", "timing"] {
        assert_eq!(report[part], fixture::broken()[part], "{part}");
    }
}

#[test]
fn the_page_holds_the_tables_without_its_script() {
    let page = shown(&fixture::broken(), "html");
    let page = page.split("<script").next().unwrap();
    for text in ["312 of 20,000 records differ, and none may", "scores.spam", "plain/store", "503"]
    {
        assert!(page.contains(text), "{text}");
    }
    for elsewhere in ["http-equiv=\"refresh\"", " src=", "@import", "url("] {
        assert!(!page.contains(elsewhere), "{elsewhere}");
    }
}

#[test]
fn forms_are_written_into_a_folder() {
    let folder = Folder::with(&fixture::broken());
    let out = folder.path("forms");
    let forms = ["--format", "junit", "--format", "html", "--format", "terminal", "--out"];
    let output = folder.run(&[&forms[..], &[out.to_str().unwrap()]].concat());
    assert_eq!((output.status.code(), output.stdout), (Some(0), Vec::new()));
    let mut names: Vec<_> =
        fs::read_dir(out).unwrap().map(|file| file.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, ["junit.xml", "report.html", "summary.txt"]);
}

#[test]
fn several_forms_need_a_folder() {
    let folder = Folder::with(&fixture::broken());
    let (code, error) = folder.refusal(&["--format", "junit", "--format", "html"]);
    assert_eq!((code, error.contains("--out")), (64, true), "{error}");
}

#[test]
fn a_folder_without_a_report_is_named() {
    let folder = Folder(tempfile::tempdir().unwrap());
    let (code, error) = folder.refusal(&[]);
    assert_eq!(code, 64);
    assert!(error.starts_with("error: there is no `") && error.contains("report.json"), "{error}");
}

#[test]
fn half_a_report_is_refused_with_its_place() {
    let folder = Folder::with_text("{\"verdict\": {\n\"outcome\": \"bro");
    let (code, error) = folder.refusal(&[]);
    assert_eq!(code, 70);
    assert!(error.contains("report.json") && error.contains("line 2"), "{error}");
}

/// What breaks pages, tables, terminals and parsers, for at most so many bytes.
fn hostile(size: usize) -> String {
    let marks =
        "</script><img src=x onerror=alert(1)>\"'`|\u{202e}\0\u{1b}[31m\u{feff}-->]]>{{7*7}}\n";
    marks.repeat(size / marks.len())
}

/// A report whose every name and text is hostile.
fn hostile_report() -> Value {
    let mut report = fixture::broken();
    let clusters = report["clusters"].as_array().unwrap().clone();
    report["clusters"] = (0..12).map(|n| clusters[n % clusters.len()].clone()).collect();
    poison(&mut report, &hostile(4_096));
    // In debug builds more of them would take minutes.
    report["run"]["target"] = json!(hostile(1 << 20));
    report["verdict"]["groups"][0]["model"] = json!(hostile(1 << 20));
    report["clusters"][0]["field"] = json!(hostile(1 << 20));
    report["clusters"][1]["example"]["record"]["request"]["body"] = json!(hostile(1 << 20));
    report
}

/// Puts the text in place of each name and text from outside.
fn poison(value: &mut Value, text: &str) {
    const OUTSIDE: [&str; 12] = [
        "model",
        "client",
        "field",
        "name",
        "body",
        "records",
        "path",
        "id",
        "curl",
        "error",
        "rule",
        "content_type",
    ];
    match value {
        Value::Array(elements) => elements.iter_mut().for_each(|element| poison(element, text)),
        Value::Object(members) => {
            if let Some(Value::Object(clients)) = members.get_mut("clients") {
                clients.insert(text.to_owned(), json!(1));
            }
            for (name, member) in members {
                match member {
                    Value::String(string) if OUTSIDE.contains(&name.as_str()) => {
                        text.clone_into(string);
                    }
                    _ => poison(member, text),
                }
            }
        }
        _ => {}
    }
}

#[test]
fn nothing_from_outside_is_markup_in_the_page() {
    let page = shown(&hostile_report(), "html");
    assert!(page.len() < 8 << 20, "{}", page.len());
    assert!(!page.contains("<img") && !page.contains("\u{202e}") && !page.contains('\0'));
    assert_eq!(page.matches("</script").count(), 2);
    assert_eq!(page.matches("<script").count(), 2);
    let data = page.split("id=\"data\">").nth(1).unwrap().split("</script>").next().unwrap();
    assert!(serde_json::from_str::<Value>(data).unwrap()["clusters"]["0"]["example"].is_object());
}

#[test]
fn nothing_from_outside_is_markup_in_a_summary_for_ci() {
    let summary = shown(&hostile_report(), "markdown");
    assert!(summary.len() < 1 << 20, "{}", summary.len());
    let mut fence = None;
    for line in summary.lines() {
        match fence {
            Some(end) if line == end => fence = None,
            Some(_) => {}
            None if line.starts_with("```") => fence = line.strip_suffix("text"),
            None => assert!(!line.contains("<img") && !line.contains("]]>"), "{line}"),
        }
    }
    assert!(!summary.contains(['\0', '\u{1b}', '\u{202e}']));
    assert_eq!(fence, None);
}

#[test]
fn nothing_from_outside_commands_a_terminal() {
    let text = shown(&hostile_report(), "terminal");
    assert!(text.len() < 100_000, "{}", text.len());
    assert!(!text.contains(['\0', '\u{1b}', '\u{202e}']));
}

#[test]
fn nothing_from_outside_breaks_the_xml() {
    let xml = shown(&hostile_report(), "junit");
    assert!(xml.len() < 1 << 20, "{}", xml.len());
    assert!(!xml.contains("<img") && !xml.contains(['\0', '\u{1b}', '\u{202e}']));
    let cases = xml.matches("<testcase").count();
    assert_eq!(cases, 1 + 8 + 6);
}

#[test]
fn so_many_groups_and_clusters_leave_a_summary_below_a_mebibyte() {
    let mut report = fixture::broken();
    let group = report["verdict"]["groups"][0].clone();
    let cluster = report["clusters"][0].clone();
    report["verdict"]["groups"] = vec![group; 5_000].into();
    report["clusters"] = vec![cluster; 1_000].into();
    let (summary, page) = (shown(&report, "markdown"), shown(&report, "html"));
    assert!(summary.len() < 1 << 20 && summary.contains("and 4,900 more"), "{}", summary.len());
    assert!(page.len() < 8 << 20 && page.contains("and 3,000 more"));
    assert!(page.contains("and 800 more"));
}
