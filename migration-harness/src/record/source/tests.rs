use std::io::Write as _;

use flate2::Compression;
use flate2::write::GzEncoder;

use super::*;
use crate::record::line;

const CALL: &str = r#"{"schema_version": 1, "id": "a", "captured_at": "2026-11-21T10:00:00.123456Z", "model": "spam", "request": {"method": "POST", "path": "/score/spam", "content_type": "text/plain", "body": "aMOp", "encoding": "base64", "later": 1}, "response": null, "error": "timed out", "unknown": {}}"#;

type Read = Vec<Result<Numbered, Error>>;

fn read_bytes(name: &str, bytes: &[u8]) -> Read {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    std::fs::write(&path, bytes).unwrap();
    match Source::open(&path) {
        Ok(source) => source.collect(),
        Err(error) => vec![Err(error)],
    }
}

fn read_text(text: &str) -> Read {
    read_bytes("records.jsonl", text.as_bytes())
}

fn gzip(text: &str) -> Vec<u8> {
    let mut writer = GzEncoder::new(Vec::new(), Compression::fast());
    writer.write_all(text.as_bytes()).unwrap();
    writer.finish().unwrap()
}

/// The sequences of what was read whole, and the error at its end.
fn summary(read: &[Result<Numbered, Error>]) -> (usize, Option<String>) {
    let errors = read.iter().filter_map(|it| it.as_ref().err()).map(ToString::to_string);
    let error = errors.last();
    (read.iter().filter(|it| it.is_ok()).count(), error)
}

#[test]
fn a_record_is_read_with_unknown_fields_and_without_an_answer() {
    let records = read_text(&format!("\u{feff}\n{CALL}\n  \n{CALL}"));
    let records: Vec<_> = records.into_iter().map(Result::unwrap).collect();
    assert_eq!(records.iter().map(|r| r.place.line).collect::<Vec<_>>(), [2, 4]);
    assert_eq!(records.iter().map(|r| r.sequence).collect::<Vec<_>>(), [0, 1]);
    let record = &records[0].record;
    assert_eq!(record.request.body, "hé");
    assert_eq!(record.reply.answer, Err("timed out".to_owned()));
    assert!(record.client.is_none() && record.unknown.contains_key("unknown"));
}

#[test]
fn a_line_that_is_no_record_is_named_by_file_and_line() {
    for (bad, reason) in [
        ("{", "EOF"),
        (&CALL[..200], "the line ends in the middle of a record, after 200 bytes"),
        ("[1]", "expected a record, which is a JSON object"),
        (&CALL.replace("aMOp", "a?"), "base64"),
        (&CALL.replace(r#"version": 1"#, r#"version": 2"#), "`schema_version` 2"),
        (&CALL.replace(r#""schema_version": 1, "#, ""), "missing field `schema_version`"),
        (&CALL.replace(r#""id": "a""#, r#""id": "a", "id": "b""#), "duplicate field `id`"),
        (&CALL.replace(r#""request""#, r#""reqest""#), "missing field `request`"),
        (&CALL.replace("base64", "latin1"), "latin1"),
        (&CALL.replace("2026", "26"), "byte "),
    ] {
        let mut records = read_text(&format!("{CALL}\n{bad}\n{CALL}\n")).into_iter();
        assert!(records.next().unwrap().is_ok(), "records before a bad line are given");
        let error = records.next().unwrap().unwrap_err().to_string();
        assert!(error.contains("records.jsonl:2: ") && error.contains(reason), "{error}");
        assert!(records.next().is_none(), "there is nothing after an error");
    }
}

#[test]
fn a_line_without_an_end_is_not_read_into_memory() {
    let (count, error) = summary(&read_bytes("a.jsonl", &vec![b'x'; (64 << 20) + 9]));
    assert!(count == 0 && error.unwrap().contains("a.jsonl:1: the line is longer than 67108864"));
}

#[test]
fn a_line_that_is_too_long_is_not_taken_for_the_end_of_what_a_capture_left() {
    let text = format!("{CALL}\n{}\n{CALL}\n", "x".repeat((64 << 20) + 9));
    let (count, error) = summary(&read_bytes("a.jsonl.partial", text.as_bytes()));
    assert!(count == 1 && error.unwrap().contains("a.jsonl.partial:2: the line is longer than"));
}

#[test]
fn a_body_of_many_escapes_is_written_so_that_it_can_be_read() {
    for (body, encoding) in [("\u{1}".repeat(12 << 20), "base64"), ("\u{1}\n".into(), "utf8")] {
        let mut record = line::parse(CALL.as_bytes(), Content::Calls).unwrap();
        record.request.body = body.into();
        let mut text = Vec::new();
        line::write(&record, &mut text);
        assert!(text.len() <= line::MAX_BYTES, "{}", text.len());
        assert!(line::parse(&text, Content::Calls).unwrap() == record);
        assert_eq!(line::value(&record)["request"]["encoding"], encoding);
    }
}

#[test]
fn a_missing_file_is_named() {
    let error = Source::open(Path::new("no/such.jsonl")).unwrap_err();
    assert!(error.to_string().contains("`no/such.jsonl`"), "{error}");
}

#[test]
fn compressed_lines_are_told_by_their_first_bytes() {
    let two = [gzip(&format!("{CALL}\n")), gzip(&format!("{CALL}\n"))].concat();
    assert_eq!(summary(&read_bytes("a.jsonl", &two)), (2, None));
    assert_eq!(summary(&read_bytes("a.gz", format!("{CALL}\n").as_bytes())), (1, None));
    let (_, error) = summary(&read_bytes("a.jsonl.gz", &two[..two.len() - 20]));
    assert!(error.unwrap().contains("the compressed data ends too early"));
    let (_, error) = summary(&read_bytes("a.jsonl", &[0x28, 0xb5, 0x2f, 0xfd, 0]));
    assert!(error.unwrap().contains("unpack it first"));
}

#[test]
fn a_folder_gives_one_sequence_in_the_order_of_names() {
    let folder = tempfile::tempdir().unwrap();
    let line = |id: &str| format!("{}\n", CALL.replace(r#""a""#, &format!("{id:?}")));
    std::fs::create_dir(folder.path().join("b")).unwrap();
    for (name, text) in [
        ("c.ndjson", line("3")),
        ("a.json", line("1")),
        ("b/x.jsonl", line("2")),
        ("d.audit.json", "no record".to_owned()),
        (".hidden.jsonl", "no record".to_owned()),
        ("notes.txt", "no record".to_owned()),
        ("e.parquet.partial", "no record".to_owned()),
        ("f.jsonl.partial", line("4") + &CALL[..40]),
        ("g.jsonl.partial", "made into Parquet".to_owned()),
        ("g.parquet", line("5")),
        ("z.jsonl.partial", "locked".to_owned()),
    ] {
        std::fs::write(folder.path().join(name), text).unwrap();
    }
    std::fs::write(folder.path().join("d.jsonl.gz"), gzip(&line("3.5"))).unwrap();
    let running = std::fs::File::open(folder.path().join("z.jsonl.partial")).unwrap();
    running.lock().unwrap();
    let read: Vec<_> = Source::open(folder.path()).unwrap().map(Result::unwrap).collect();
    let ids: Vec<_> = read.iter().map(|it| it.record.id.as_str()).collect();
    assert_eq!(ids, ["1", "2", "3", "3.5", "4", "5"]);
    assert!(read.iter().zip(0..).all(|(it, sequence)| it.sequence == sequence));
    let empty = tempfile::tempdir().unwrap();
    assert!(Source::open(empty.path()).unwrap_err().to_string().contains("holds no records"));
}

#[test]
fn answers_need_not_say_what_was_asked() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("answers.jsonl");
    let line = CALL.replace(r#""request""#, r#""sequence": 7, "asked""#);
    std::fs::write(&path, &line).unwrap();
    let answer = Source::answers(&path).unwrap().next().unwrap().unwrap();
    assert_eq!(answer.record.request, crate::record::Request::default());
    assert_eq!(answer.record.unknown["sequence"], 7);
    assert!(Source::open(&path).unwrap().next().unwrap().is_err());
}

#[test]
fn what_fuzzing_began_with_is_read_and_written_the_same() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus/record_line");
    for seed in std::fs::read_dir(corpus).unwrap() {
        let line = std::fs::read(seed.unwrap().path()).unwrap();
        for content in [Content::Calls, Content::Answers] {
            let Ok(record) = line::parse(&line, content) else { continue };
            let (mut written, mut again) = (Vec::new(), Vec::new());
            line::write(&record, &mut written);
            line::write(&line::parse(&written, content).unwrap(), &mut again);
            assert_eq!(again, written);
        }
    }
}
