//! What other tools have captured, imported by the built binary.

#![expect(clippy::unwrap_used, reason = "a step that fails is to end its test")]

mod fixture;
mod tables;

use std::fs;

use fixture::{Import, MAP, SPAM, gzip, is_golden, sample};
use serde_json::{Value, json};

#[test]
fn data_capture_takes_the_model_from_its_folder() {
    let import = Import::of("capture", &[]);
    is_golden(&import, "capture.jsonl");
    assert_eq!(import.audit()["files"], json!({"data-capture": 1}));
    assert!(import.stdout().contains("keeps no status (200 is put)"), "{}", import.stdout());
}

#[test]
fn data_capture_outside_of_its_folders_needs_a_model() {
    let event = r#"{"captureData":{"endpointInput":{"data":"1","encoding":"CSV"}},"eventMetadata":{"inferenceTime":"2026-11-21T10:00:00Z"}}"#;
    Import::text("a.jsonl", event, &[]).fails(70, "a.jsonl:1: nothing names the model");
    let import = Import::text("a.jsonl", event, &SPAM);
    assert_eq!(import.records()[0]["model"], "spam");
    for (was, is, reason) in [
        ("\"CSV\"", "\"UTF16\"", "`encoding` is `UTF16`, not CSV, JSON or BASE64"),
        ("\"CSV\"", "\"BASE64\"", "`endpointInput`: `data` is not base64"),
        ("endpointInput", "endpointOutput", "`endpointInput` is missing"),
        ("\"1\"", "7", "`data` is no text"),
        ("Z\"}}", "Z\"", "a.jsonl:1: EOF"),
    ] {
        Import::text("a.jsonl", event.replace(was, is), &SPAM).fails(70, reason);
    }
}

#[test]
fn gor_payloads_are_paired_in_the_order_of_their_requests() {
    let options = ["--model", "path:/score/{}", "--client", "header:x-client"];
    let import = Import::of("calls.gor", &[&options[..], &["--skip-bad"]].concat());
    is_golden(&import, "gor.jsonl");
    let audit = import.audit();
    assert_eq!(
        (&audit["responses_without_request"], &audit["replayed_responses"], &audit["bad"]),
        (&json!(1), &json!(1), &json!(1))
    );
    assert!(import.stdout().contains("calls.gor:"), "{}", import.stdout());
}

#[test]
fn gor_that_is_cut_anywhere_gives_calls_or_a_place_but_never_a_panic() {
    let whole = sample("calls.gor");
    let options = ["--model", "name:spam", "--skip-bad"];
    for length in (0..whole.len()).step_by(97) {
        let import = Import::text("cut.gor", &whole[..length], &options);
        let found = import.records().len() as u64;
        assert!(found <= 7, "{found} calls in the first {length} bytes");
    }
    let import = Import::text("cut.gor", &whole[..whole.len() - 20], &SPAM);
    import.fails(70, "the payload is cut off: no separator ends it");
}

#[test]
fn gor_with_hostile_messages_is_refused_with_their_lines() {
    let end = "\n🐵🙈🙉\n";
    let get = "GET / HTTP/1.1\r\n\r\n";
    for (payload, reason) in [
        (format!("7 a 1\n{get}{end}"), "a.gor:1: `7 a 1` is not `TYPE ID TIME`"),
        (format!("1 a x\n{get}{end}"), "is not `TYPE ID TIME`"),
        (format!("1 a 1\n{get}{end}\n1 b\n{get}{end}"), "a.gor:7: `1 b` is not"),
        (format!("1 a 9223372036854775807\n{get}{end}"), ""),
        (format!("1 a 1\n{end}"), "the message ends within its headers"),
        (format!("1 a 1\nGET /\r\n\r\n{end}"), "`GET /` is no request"),
        (format!("1 a 1\nGET / HTTP/1.1\r\nno header\r\n\r\n{end}"), "`no header` is no header"),
        (format!("1 a 1\nPOST / HTTP/1.1\r\nContent-Length: 9\r\n\r\nx{end}"), "has 1 bytes"),
        (format!("1 a 1\nPOST / HTTP/1.1\r\nContent-Length: -9\r\n\r\nx{end}"), "is `-9`"),
        (
            format!(
                "1 a 1\nPOST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\nx{end}"
            ),
            "the chunked body is cut off",
        ),
        (
            format!("1 a 1\nPOST / HTTP/1.1\r\nContent-Encoding: gzip\r\n\r\nx{end}"),
            "the body is no gzip",
        ),
        (format!("1 a 1\n{get}{end}2 a 2\nHTTP/1.1 99\r\n\r\n{end}"), "in line 6: `HTTP/1.1 99`"),
    ] {
        let import = Import::text("a.gor", &payload, &[&SPAM[..], &["--from", "gor"]].concat());
        if reason.is_empty() {
            assert_eq!(import.records().len(), 1);
        } else {
            import.fails(70, reason);
        }
    }
}

#[test]
fn gor_gives_up_a_response_that_is_too_far_from_its_request() {
    let get = |n: u32| format!("1 r{n} {n}\nGET / HTTP/1.1\r\n\r\n\n🐵🙈🙉\n");
    let answer = |n: u32| format!("2 r{n} {n}\nHTTP/1.1 204 No\r\n\r\n\n🐵🙈🙉\n");
    let pairs: String = (1..12_000).map(|n| get(n) + &answer(n)).collect();
    let import = Import::text("a.gor", get(0) + &pairs + &answer(0), &SPAM);
    let records = import.records();
    assert_eq!(records.len(), 12_000);
    assert_eq!((&records[0]["response"], &records[0]["id"]), (&Value::Null, &json!("r0")));
    assert!(records[1..].iter().all(|record| record["response"]["status"] == 204));
    assert_eq!(import.audit()["responses_without_request"], 1);
}

#[test]
fn har_entries_become_calls_in_their_order() {
    let options = ["--model", "name:spam", "--client", "header:X-Client", "--header", "X-CLIENT"];
    let import = Import::of("calls.har", &options);
    is_golden(&import, "har.jsonl");
    assert!(!fs::read_to_string(import.out()).unwrap().contains("s3cret"));
    assert_eq!(import.audit()["clock"]["largest_step_seconds"], 0.25);
}

#[test]
fn har_that_is_cut_off_or_something_else_is_refused() {
    let whole = String::from_utf8(sample("calls.har")).unwrap();
    let half = &whole[..whole.find("net::ERR").unwrap()];
    Import::text("a.har", half, &SPAM)
        .fails(70, "a.har:3: the rest of the file is no HTTP archive");
    let import = Import::text("a.har", half, &[&SPAM[..], &["--skip-bad"]].concat());
    assert_eq!((import.records().len(), &import.audit()["unread_rests"]), (2, &json!(1)));
    for (text, reason) in [
        ("{}", "there is no `log.entries`"),
        (r#"{"log": {"entries": {}}}"#, "a list of entries"),
        (r#"{"log": {"entries": [{}]}}"#, "a.har:1: missing field `startedDateTime`"),
        (r#"{"log": {"entries": []}} x"#, "trailing"),
        (r#"{"log": {"entries": []}, "log": {"entries": []}}"#, "`log` is there twice"),
        (&whole.replace("\"text\": \"{\\\"text", "\"was\": \"{\\\"text"), ""),
    ] {
        let import = Import::text("a.har", text, &[&SPAM[..], &["--from", "har"]].concat());
        if reason.is_empty() {
            assert_eq!(import.records()[0]["request"]["body"], "");
        } else {
            import.fails(70, reason);
        }
    }
}

#[test]
fn the_lost_rest_of_a_file_is_told_apart_from_a_line_that_can_not_be_read() {
    let lines: String =
        (0..2_000).map(|id| format!("{{\"id\": {id}, \"text\": \"a\"}}\n")).collect();
    let packed = gzip(("nonsense\n".to_owned() + &lines).as_bytes());
    let options = ["--model", "name:spam", "--map", "id=/id", "body=/text", "--skip-bad"];
    let import = Import::text("a.jsonl.gz", &packed[..packed.len() / 2], &options);
    assert!(import.records().len() < 2_000);
    let audit = import.audit();
    assert_eq!((&audit["bad"], &audit["unread_rests"]), (&json!(1), &json!(1)));
    let told = "1 files could not be read to their end: any number of calls may lack";
    assert!(import.stdout().contains(told), "{}", import.stdout());
    Import::text("a.jsonl.gz", &packed[..packed.len() / 2], &options[..5]).fails(70, "");
}

#[test]
fn a_folder_that_is_no_imports_is_left_alone_and_one_in_use_too() {
    let import = Import::new();
    let scratch = import.folder.path().join("out.jsonl.import");
    fs::create_dir(&scratch).unwrap();
    let mine = scratch.join("mine.txt");
    fs::write(&mine, "precious").unwrap();
    let calls = import.file("t.csv", "id,text\na,b\n");
    let import = import.run(&[&calls], &SPAM);
    assert!(
        import.code() == 64 && import.stderr().contains("is in the way"),
        "{}",
        import.stderr()
    );
    assert_eq!(fs::read_to_string(&mine).unwrap(), "precious");
    let lock = fs::File::create(scratch.join("lock")).unwrap();
    lock.lock().unwrap();
    let import = import.run(&[&calls], &SPAM);
    assert!(import.stderr().contains("in use by another import"), "{}", import.stderr());
    fs::create_dir(scratch.join("draft")).unwrap();
    drop(lock);
    assert_eq!(import.run(&[&calls], &SPAM).ids(), ["a"], "what a killed import left is no matter");
}

#[test]
fn csv_columns_are_known_by_common_names_and_make_json_bodies() {
    let import = Import::of("calls.csv", &["--model", "name:spam", "--fields", "title,text"]);
    is_golden(&import, "csv.jsonl");
}

#[test]
fn csv_columns_of_any_name_are_told() {
    let table = "words|kind\n{\"a\": 1}|spam\nplain|ham\n";
    let options = ["--column", "body=words", "model=kind", "--path", "/score"];
    let records = Import::text("t.csv", table, &options).records();
    let request = |record: &Value| record["request"].clone();
    assert_eq!(
        (request(&records[0]), request(&records[1])),
        (
            json!({"method": "POST", "path": "/score", "content_type": "application/json",
                   "body": "{\"a\": 1}", "encoding": "utf8"}),
            json!({"method": "POST", "path": "/score", "content_type": "text/plain",
                   "body": "plain", "encoding": "utf8"})
        )
    );
    assert_eq!(records[1]["captured_at"], "1970-01-01T00:00:00.000000Z");
}

#[test]
fn csv_that_can_not_be_read_is_refused_with_its_row() {
    for (table, reason) in [
        (&b"id,text\na,b\nc,\"d\ne,f\n"[..], "t.csv:3: a quote that opens in this row"),
        (b"id,text\r\na,b\r\nc\r\n", "the row has 1 values, the header 2"),
        (b"id,text\na,\xff\n", "t.csv:2: `\u{fffd}` is not UTF-8"),
        (b"id,words\na,b\n", "t.csv:1: no column is known to be the request's body"),
        (b"id,text,text\na,b,c\n", "there are two columns `text`"),
        (b"id,text,status\na,b,2000\n", "t.csv:2: `2000` is no status"),
        (b"id,text,time\na,b,noon\n", "t.csv:2: `noon` is no time"),
        (b"id,text,latency_ms\na,b,-1\n", "t.csv:2: `-1` is no latency"),
    ] {
        Import::text("t.csv", table, &SPAM).fails(70, reason);
    }
    let table = b"id,text\na,b\nc\nd,\xff\ne,f\n";
    let import = Import::text("t.csv", table, &[&SPAM[..], &["--skip-bad"]].concat());
    assert_eq!(import.ids(), ["a", "e"]);
    let places: Vec<_> = import.audit()["first_bad"].as_array().unwrap().clone();
    let ends = |place: &Value, end: &str| place["place"].as_str().unwrap().ends_with(end);
    assert!(ends(&places[0], "t.csv:3") && ends(&places[1], "t.csv:4"), "{places:?}");
}

#[test]
fn json_lines_of_any_shape_are_mapped_and_bodies_stay_as_written() {
    let import = Import::of("shaped.jsonl", &[&MAP[..], &["latency_ms=/ms"]].concat());
    is_golden(&import, "shaped.jsonl");
}

#[test]
fn records_pass_as_they_are() {
    let import = Import::of("records.jsonl", &[]);
    is_golden(&import, "records.jsonl");
    let again = Import::new();
    let first = import.out();
    let again = again.run(&[&first], &[]);
    assert_eq!(fs::read(again.out()).unwrap(), fs::read(import.out()).unwrap());
    assert!(import.stdout().contains("1 records have a field that tells of sampling"));
    Import::of("shaped.jsonl", &[]).fails(70, "is understood with `--map body=/POINTER");
}

#[test]
fn half_a_line_stops_an_import_unless_it_may_be_left_out() {
    let whole = sample("records.jsonl");
    let cut = &whole[..whole.len() - 30];
    Import::text("r.jsonl", cut, &[]).fails(70, "r.jsonl:2: ");
    let import = Import::text("r.jsonl", cut, &["--skip-bad"]);
    assert_eq!(import.ids(), ["r-1"]);
    assert!(import.stdout().contains("left out: "), "{}", import.stdout());
}

#[test]
fn files_that_are_packed_or_in_folders_are_read_in_order_of_name() {
    let import = Import::new();
    let folder = import.folder.path().join("in");
    fs::create_dir_all(folder.join("b")).unwrap();
    let record = |id: &str| {
        String::from_utf8(sample("records.jsonl"))
            .unwrap()
            .lines()
            .next()
            .unwrap()
            .replace("r-1", id)
    };
    fs::write(folder.join("c.jsonl"), record("c")).unwrap();
    fs::write(folder.join("a.jsonl.gz"), [gzip(record("a").as_bytes()), gzip(b"\n")].concat())
        .unwrap();
    fs::write(folder.join("b/x.csv"), "id,text,model\nb,words,spam\n").unwrap();
    fs::write(folder.join("_SUCCESS"), "").unwrap();
    let import = import.run(&[&folder], &[]);
    assert_eq!(import.ids(), ["a", "b", "c"]);
    assert_eq!(import.audit()["files"], json!({"csv": 1, "json-lines": 2}));
}

#[test]
fn a_packed_file_that_is_cut_off_is_refused() {
    let packed = gzip(&sample("records.jsonl").repeat(50));
    let cut = &packed[..packed.len() - 9];
    let import = Import::text("r.jsonl.gz", cut, &["--duplicates", "keep"]);
    assert_eq!(import.code(), 70);
    assert!(import.stderr().contains("can't be read"), "{}", import.stderr());
}

#[test]
fn missing_ids_are_the_same_whenever_a_file_is_imported() {
    let table = "text\none\none\n";
    let first = Import::text("a.csv", table, &SPAM).ids();
    assert_eq!(first, Import::text("b.csv", table, &SPAM).ids());
    assert_ne!(first[0], first[1]);
    assert!(
        first.iter().all(|id| id.len() == 36 && id.starts_with("00000000-0000-7")),
        "{first:?}"
    );
    assert_ne!(first, Import::text("a.csv", format!("{table}two\n"), &SPAM).ids()[..2]);
}

#[test]
fn records_with_the_id_of_another_are_refused_unless_told_what_to_do() {
    let table = "id,text\na,1\nb,2\na,3\na,4\n";
    let with = |policy| {
        let import = Import::new();
        let path = import.file("t.csv", table);
        import.run(&[&path], &[&SPAM[..], &["--duplicates", policy]].concat())
    };
    with("error").fails(70, "2 records have the id of another: `a`; choose");
    assert_eq!(with("keep").ids(), ["a", "b", "a", "a"]);
    assert_eq!(with("drop").ids(), ["a", "b"]);
    assert_eq!(with("number").ids(), ["a", "b", "a-2", "a-3"]);
    let dropped = with("drop").audit();
    assert_eq!((&dropped["duplicate_ids"], &dropped["records"]), (&json!(2), &json!(2)));
    let clash = Import::text(
        "t.csv",
        "id,text\na,1\na,2\na-2,3\n",
        &[&SPAM[..], &["--duplicates", "number"]].concat(),
    );
    clash.fails(70, "1 records have the id of another: `a-2`");
}

#[test]
fn the_audit_tells_gaps_steps_backwards_and_repeated_requests() {
    let rows: String = (0..100)
        .map(|n| format!("{n},same,{}\n", if n == 50 { 3_000 } else { 1_000 + n * 5 }))
        .collect();
    let table = format!("id,text,time\n{rows}");
    let import = Import::text("t.csv", &table, &SPAM);
    import.records();
    let audit = import.audit();
    assert_eq!(audit["records"], 100);
    assert_eq!(audit["distinct_requests"], 1);
    assert_eq!(audit["clock"], json!({"backwards": 1, "largest_step_seconds": 1745.0}));
    let gaps = &audit["gaps"];
    assert_eq!((&gaps["longer_than_seconds"], &gaps["count"]), (&json!(60.0), &json!(1)));
    assert_eq!(gaps["longest"][0]["seconds"], 1505.0);
    assert_eq!(audit["unanswered"], json!({"no answer was captured": 100}));
    assert_eq!(audit["groups"], json!([{"model": "spam", "client": null, "records": 100}]));
    assert!(!import.stdout().contains("may be a sample"));
    let import = Import::text("t.csv", &table, &[&SPAM[..], &["--gap", "4s"]].concat());
    import.records();
    assert_eq!(import.audit()["gaps"]["count"], 99);
    let import = Import::text("t.csv", "id,text\n10,x\n1009,y\n", &SPAM);
    assert!(import.stdout().contains("2 records are 0.20 % of them"), "{}", import.stdout());
}

#[test]
fn what_can_not_be_meant_is_a_usage_error() {
    let import = Import::new();
    let path = import.file("notes", "hello\n");
    import.run(&[&path], &[]).fails(64, "its format can't be told; use `--from`");
    for (options, reason) in [
        (&["--model", "spam"][..], "must be `path:/x/{}`"),
        (&["--client", "header:Authorization"], "never recorded: it holds secrets"),
        (&["--header", "Authorization"], "never recorded: it holds secrets"),
        (&["--column", "colour=red"], "`colour` is none of id, captured_at"),
        (&["--map", "body=x"], "the pointer `x` must begin with /"),
        (&["--map", "id=/x"], "must tell where the request's body is"),
        (&["--delimiter", "\""], "--delimiter"),
        (&["--path", "x"], "must begin with /"),
        (&["--from", "xml"], "--from"),
        (&["--column", "body=a", "--fields", "b"], "both make the request's body"),
    ] {
        Import::of("records.jsonl", options).fails(64, reason);
    }
    let import = Import::new();
    import.file("in.jsonl", sample("records.jsonl"));
    let folder = import.folder.path().to_owned();
    import.run(&[&folder], &[]).fails(64, "which is read");
    let missing = Import::new();
    let path = missing.folder.path().join("missing");
    missing.run(&[&path], &[]).fails(70, "missing");
}

#[test]
fn an_older_file_stays_when_an_import_fails() {
    let import = Import::new();
    let bad = import.file("in.jsonl", "{}\n");
    fs::write(import.out(), "older").unwrap();
    let import = import.run(&[&bad], &[]);
    assert_eq!(import.code(), 70);
    assert_eq!(fs::read_to_string(import.out()).unwrap(), "older");
}
