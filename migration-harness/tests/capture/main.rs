//! Captures with the built binary, between raw sockets on both sides.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod proxy;
mod redaction;
mod upstream;
#[path = "../wire/mod.rs"]
mod wire;

use std::io::{BufReader, Read, Write};
use std::sync::Mutex;
use std::sync::mpsc;
use std::thread;

use proxy::{Capture, files, run};
use serde_json::{Value, json};
use upstream::{Upstream, read_chunk, read_head, read_message};

const OK: &str = "HTTP/1.1 200 Fine\r\nX-Case: Kept\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n{\"a\": 1}\n";

#[test]
fn a_call_passes_as_it_is_and_is_recorded() {
    let upstream = Upstream::answering(OK);
    let names = "--model path:/score/{} --client header:X-Client";
    let more = format!("{names} --header x-client --header X-Case");
    let more: Vec<_> = more.split(' ').collect();
    let capture = Capture::of(&upstream.url(), &more);
    let answer = capture.ask(
        "POST /score/spam?x=%20 HTTP/1.1\r\nHoSt: legacy.example\r\nX-Client: toybox\r\nAccept: text/csv\r\nAuthorization: Bearer s3cret\r\nContent-Type: text/plain\r\nConnection: close\r\nContent-Length: 4\r\n\r\nh\u{e9}y",
    );
    assert_eq!(answer, OK.replace("\r\n\r\n", "\r\nconnection: close\r\n\r\n"));
    let (head, body) = &upstream.seen()[0];
    let mut lines: Vec<_> = head.trim_end().lines().collect();
    assert_eq!(lines.remove(0), "POST /score/spam?x=%20 HTTP/1.1");
    lines.sort_unstable();
    assert_eq!(
        lines,
        [
            "Accept: text/csv",
            "Authorization: Bearer s3cret",
            "Content-Length: 4",
            "Content-Type: text/plain",
            "HoSt: legacy.example",
            "X-Client: toybox"
        ]
    );
    assert_eq!(body, "h\u{e9}y".as_bytes());
    let captured = capture.stop();
    assert_eq!(captured.stdout, "captured 1 calls, dropped 0, skipped 0\n");
    let mut record = captured.record();
    assert!(record["latency_us"].as_u64().is_some() && record["id"].as_str().unwrap().len() == 36);
    assert_eq!(record["captured_at"].as_str().unwrap().len(), "2026-11-21T10:00:00.123456Z".len());
    for name in ["latency_us", "id", "captured_at"] {
        record.as_object_mut().unwrap().remove(name);
    }
    let expected = json!({
        "schema_version": 1, "model": "spam", "client": "toybox",
        "request": {"method": "POST", "path": "/score/spam?x=%20", "content_type": "text/plain",
                    "headers": {"accept": "text/csv", "x-client": "toybox"}, "body": "h\u{e9}y", "encoding": "utf8"},
        "response": {"status": 200, "content_type": "application/json", "headers": {"x-case": "Kept"},
                     "body": "{\"a\": 1}\n", "encoding": "utf8"},
    });
    assert_eq!(record, expected);
}

#[test]
fn every_kind_of_answer_passes_on_one_connection() {
    let upstream = Upstream::start(|exchange| {
        let answer = match exchange.head.split(' ').nth(1).unwrap() {
            "/none" => "HTTP/1.1 204 No Content\r\n\r\n",
            "/same" => "HTTP/1.1 304 Not Modified\r\nETag: \"a\"\r\nContent-Length: 7\r\n\r\n",
            "/head" => "HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n",
            "/chunked" => {
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n4\r\ndefg\r\n0\r\n\r\n"
            }
            _ => "HTTP/1.1 404 Gone Fishing\r\nContent-Length: 0\r\n\r\n",
        };
        exchange.send(answer);
        true
    });
    let capture = Capture::of(&upstream.url(), &[]);
    let mut stream = capture.connect();
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut ask = |request: &str| {
        stream.write_all(request.as_bytes()).unwrap();
        read_head(&mut reader).unwrap()
    };
    assert_eq!(ask("GET /none HTTP/1.1\r\nHost: x\r\n\r\n"), "HTTP/1.1 204 No Content\r\n\r\n");
    let same = ask("GET /same HTTP/1.1\r\nHost: x\r\nIf-None-Match: \"a\"\r\n\r\n");
    assert!(same.starts_with("HTTP/1.1 304 Not Modified\r\nETag: \"a\"\r\n"), "{same}");
    let head = ask("HEAD /head HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_eq!(head, "HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n");
    let gone = ask("GET /other HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_eq!(gone, "HTTP/1.1 404 Gone Fishing\r\nContent-Length: 0\r\n\r\n");
    let chunked = ask(
        "POST /chunked HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n1\r\n!\r\n0\r\n\r\n",
    );
    assert!(chunked.to_lowercase().contains("transfer-encoding: chunked"), "{chunked}");
    let mut body = Vec::new();
    while let Some(mut chunk) = read_chunk(&mut reader) {
        body.append(&mut chunk);
    }
    assert_eq!(body, b"abcdefg");
    assert_eq!(upstream.seen()[4].1, b"hi!");
    drop((stream, reader));
    let records = capture.stop().records();
    let statuses: Vec<_> =
        records.iter().map(|it| it["response"]["status"].as_u64().unwrap()).collect();
    assert_eq!(statuses, [204, 304, 200, 404, 200]);
    assert_eq!(
        (&records[4]["request"]["body"], &records[4]["response"]["body"]),
        (&json!("hi!"), &json!("abcdefg"))
    );
}

#[test]
fn bodies_stream_both_ways_while_neither_is_whole() {
    let (passed, upstream_saw) = mpsc::channel();
    let passed = Mutex::new(passed);
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    thread::spawn(move || {
        let mut stream = listener.accept().unwrap().0;
        let mut reader = BufReader::new(stream.try_clone().unwrap());
        read_head(&mut reader).unwrap();
        stream.write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n").unwrap();
        while let Some(chunk) = read_chunk(&mut reader) {
            passed.lock().unwrap().send(chunk.clone()).unwrap();
            stream.write_all(format!("{:x}\r\n", chunk.len()).as_bytes()).unwrap();
            stream.write_all(&[&chunk[..], b"\r\n"].concat()).unwrap();
        }
        stream.write_all(b"0\r\n\r\n").unwrap();
    });
    let capture = Capture::of(&url, &[]);
    let mut stream = capture.connect();
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    stream.write_all(b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n").unwrap();
    read_head(&mut reader).unwrap();
    for part in ["one", "two", "three"] {
        stream.write_all(format!("{:x}\r\n{part}\r\n", part.len()).as_bytes()).unwrap();
        assert_eq!(upstream_saw.recv().unwrap(), part.as_bytes());
        assert_eq!(read_chunk(&mut reader).unwrap(), part.as_bytes());
    }
    stream.write_all(b"0\r\n\r\n").unwrap();
    assert_eq!(read_chunk(&mut reader), None);
    let record = capture.stop().record();
    assert_eq!(record["request"]["body"], "onetwothree");
    assert_eq!(record["response"]["body"], "onetwothree");
}

#[test]
fn a_client_that_expects_to_be_told_to_continue_is() {
    let upstream = Upstream::answering(OK);
    let capture = Capture::of(&upstream.url(), &[]);
    let mut stream = capture.connect();
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    stream
        .write_all(
            b"POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n",
        )
        .unwrap();
    assert_eq!(read_head(&mut reader).unwrap(), "HTTP/1.1 100 Continue\r\n\r\n");
    stream.write_all(b"hi").unwrap();
    assert_eq!(read_message(&mut reader).unwrap().1, b"{\"a\": 1}\n");
    assert_eq!(upstream.seen()[0].1, b"hi");
    assert_eq!(capture.stop().record()["request"]["body"], "hi");
}

#[test]
fn an_old_client_gets_an_answer_that_it_understands() {
    let upstream = Upstream::answering(
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n",
    );
    let capture = Capture::of(&upstream.url(), &[]);
    let answer = capture.ask("GET / HTTP/1.0\r\n\r\n");
    assert!(
        answer.starts_with("HTTP/1.0 200 OK\r\n") && answer.ends_with("\r\n\r\nhi"),
        "{answer}"
    );
    capture.stop();
}

#[test]
fn an_upstream_that_is_down_is_a_502_that_is_recorded() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let capture = Capture::of(&format!("http://{free}"), &[]);
    let answer = capture.ask("GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    assert!(
        answer
            .starts_with("HTTP/1.1 502 Bad Gateway\r\ncontent-type: application/problem+json\r\n"),
        "{answer}"
    );
    assert_eq!(capture.count("upstream_failures_total"), 1);
    let record = capture.stop().record();
    assert_eq!(record["response"], Value::Null);
    let error = record["error"].as_str().unwrap();
    assert!(
        error.starts_with("the upstream did not answer: ") && error.contains("refused"),
        "{error}"
    );
    assert!(record.get("incomplete").is_none(), "the request is known: it can be sent again");
}

#[test]
fn an_answer_that_breaks_off_breaks_off_for_the_client_too() {
    let upstream = Upstream::start(|exchange| {
        exchange.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n");
        false
    });
    let capture = Capture::of(&upstream.url(), &[]);
    let answer = capture.ask("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    assert!(!answer.contains("0\r\n\r\n"), "{answer}");
    let error = capture.stop().record()["error"].as_str().unwrap().to_owned();
    assert!(error.starts_with("the upstream broke off its answer: "), "{error}");
}

#[test]
fn a_client_that_goes_away_is_recorded_as_gone() {
    let (leave, left) = mpsc::channel::<()>();
    let left = Mutex::new(left);
    let upstream = Upstream::start(move |_| {
        left.lock().unwrap().recv().unwrap();
        false
    });
    let capture = Capture::of(&upstream.url(), &[]);
    let mut stream = capture.connect();
    stream.write_all(b"GET /gone HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    while upstream.seen().is_empty() {
        thread::yield_now();
    }
    drop(stream);
    capture.wait_for("captured_total", 1);
    leave.send(()).unwrap();
    let record = capture.stop().record();
    assert_eq!(record["error"], "the client went away before the answer");
    assert_eq!(record["incomplete"], true);
}

#[test]
fn longer_bodies_pass_whole_and_are_recorded_as_cut() {
    let upstream = Upstream::start(|exchange| {
        let length = exchange.body.len();
        exchange.send(&format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n"));
        let body = String::from_utf8(exchange.body.clone()).unwrap();
        exchange.send(&body);
        true
    });
    let capture = Capture::of(&upstream.url(), &["--max-body", "10KiB"]);
    let body = "x".repeat(300_000);
    assert_eq!(capture.post("/", &body), body);
    assert_eq!(capture.post("/", "short"), "short");
    let captured = capture.stop();
    let records = captured.records();
    assert_eq!(records[0]["request"]["body"].as_str().unwrap().len(), 10 << 10);
    assert_eq!((&records[0]["incomplete"], &records[0]["response"]), (&json!(true), &Value::Null));
    assert_eq!(records[0]["error"], "the request is longer than 10240 bytes");
    assert!(records[1].get("incomplete").is_none() && records[1]["response"]["body"] == "short");
    assert_eq!(replayed(&upstream, captured.folder.path()), 1, "half a call is not sent");
}

#[test]
fn a_full_disk_loses_records_and_no_call() {
    let upstream = Upstream::answering(OK);
    let capture = Capture::on_a_full_disk(8, &upstream.url(), &[]);
    for number in 0..60 {
        assert_eq!(capture.post("/", &format!("call {number}")), "{\"a\": 1}\n");
    }
    let calls = || capture.count("captured_total") + capture.count("dropped_total{cause=\"disk\"}");
    while calls() < 60 {
        thread::yield_now();
    }
    let written = capture.count("captured_total");
    let captured = capture.stop();
    assert!(written > 5 && written < 60, "{written}");
    assert_eq!(captured.records().len() as u64, written, "whole lines and nothing else");
    assert!(captured.stderr.contains("records lost so far: "), "{}", captured.stderr);
    assert_eq!(
        captured.stdout,
        format!("captured {written} calls, dropped {}, skipped 0\n", 60 - written)
    );
}

#[test]
fn whoever_is_killed_loses_nothing_that_was_written() {
    let upstream = Upstream::answering(OK);
    for (format, extension) in [("jsonl", "jsonl"), ("parquet", "parquet")] {
        let capture = Capture::of(&upstream.url(), &["--format", format]);
        for number in 0..20 {
            capture.post("/", &number.to_string());
        }
        capture.wait_for("captured_total", 20);
        let folder = capture.kill();
        assert_eq!(files(folder.path(), extension), [""; 0]);
        let partial = folder.path().join(&files(folder.path(), "partial")[0]);
        let mut file = std::fs::File::options().append(true).open(partial).unwrap();
        file.write_all(b"{\"schema_version\": 1, \"id").unwrap();
        drop(file);
        assert_eq!(replayed(&upstream, folder.path()), 20, "the leftover is read as it is");
        let capture = Capture::in_folder(folder, &upstream.url(), &["--format", format]);
        capture.post("/", "more");
        let captured = capture.stop();
        assert_eq!(captured.files(extension).len(), 2);
        assert_eq!(replayed(&upstream, captured.folder.path()), 21);
    }
}

/// How many records a replay finds.
fn replayed(upstream: &Upstream, folder: &std::path::Path) -> u64 {
    let out = tempfile::tempdir().unwrap();
    let paths = [folder.to_str().unwrap(), out.path().to_str().unwrap()];
    let output =
        run(&["replay", "--records", paths[0], "--target", &upstream.url(), "--out", paths[1]]);
    let verdict = std::fs::read(out.path().join("verdict.json"));
    let verdict = verdict.unwrap_or_else(|_| panic!("{output:?}"));
    let verdict: Value = serde_json::from_slice(&verdict).unwrap();
    assert_eq!(verdict["mismatches"], 0);
    verdict["records"].as_u64().unwrap()
}

#[test]
fn files_begin_anew_by_size_and_none_is_lost_between() {
    let upstream = Upstream::answering(OK);
    for format in ["jsonl", "parquet"] {
        let capture = Capture::of(&upstream.url(), &["--format", format, "--rotate-bytes", "1KB"]);
        for number in 0..40 {
            capture.post("/", &number.to_string());
            capture.wait_for("captured_total", number / 4 * 4);
        }
        let captured = capture.stop();
        assert!(captured.files(format).len() > 3, "{:?}", captured.files(format));
        assert_eq!(replayed(&upstream, captured.folder.path()), 40);
    }
}

#[test]
fn a_call_under_way_ends_after_the_signal_to_stop() {
    let (go, going) = mpsc::channel::<()>();
    let going = Mutex::new(going);
    let upstream = Upstream::start(move |exchange| {
        going.lock().unwrap().recv().unwrap();
        exchange.send(OK);
        true
    });
    let capture = Capture::of(&upstream.url(), &[]);
    let address = capture.address;
    let mut stream = capture.connect();
    stream.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    while upstream.seen().is_empty() {
        thread::yield_now();
    }
    capture.signal("-INT");
    while std::net::TcpStream::connect(address).is_ok() {
        thread::yield_now();
    }
    go.send(()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.ends_with("{\"a\": 1}\n"), "{answer}");
    assert_eq!(capture.ended(0).record()["response"]["status"], 200);
}

#[test]
fn only_what_was_asked_for_is_recorded() {
    let upstream = Upstream::answering(OK);
    let more = ["--include", "/score/*", "--model", "json:/model", "--sample", "0.5"];
    let capture = Capture::of(&upstream.url(), &more);
    for number in 0..60 {
        capture.post("/score/a", &format!("{{\"model\": \"spam\", \"n\": {}}}", number / 2));
    }
    capture.post("/ping", "{\"model\": \"spam\"}");
    capture.post("/score/b", "{}");
    let captured = capture.stop();
    let records = captured.records();
    assert!(records.len() > 10 && records.len() < 50, "{}", records.len());
    let bodies = |at: usize| records.iter().skip(at).step_by(2).map(|it| &it["request"]["body"]);
    assert!(bodies(0).eq(bodies(1)), "a request is always in or always out");
    assert!(captured.stdout.contains(&format!("skipped {}", 62 - records.len())));
}

#[test]
fn tunnels_and_other_protocols_are_refused_and_an_offer_of_them_is_not() {
    let upstream = Upstream::answering(OK);
    let capture = Capture::of(&upstream.url(), &[]);
    let close = "Host: x\r\nConnection: close, upgrade\r\n";
    let socket = capture.ask(&format!("GET / HTTP/1.1\r\n{close}Upgrade: websocket\r\n\r\n"));
    assert!(
        socket.starts_with("HTTP/1.1 501 ") && socket.contains("`websocket` must go past it"),
        "{socket}"
    );
    let tunnel = capture.ask("CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\nConnection: close\r\n\r\n");
    assert!(tunnel.starts_with("HTTP/1.1 501 "), "{tunnel}");
    let offer = capture.ask(&format!("GET / HTTP/1.1\r\n{close}Upgrade: h2c\r\n\r\n"));
    assert!(offer.starts_with("HTTP/1.1 200 Fine"), "{offer}");
    assert!(!upstream.seen()[0].0.to_lowercase().contains("upgrade"));
    capture.stop();
}

#[test]
fn what_can_not_be_meant_is_refused_before_any_call() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().to_str().unwrap();
    let rules = folder.path().join("rules.toml");
    std::fs::write(&rules, "[[redact]]\nfield = '/a'\nwith = 'token'").unwrap();
    let usual =
        ["capture", "--upstream", "http://127.0.0.1:9", "--listen", "127.0.0.1:0", "--out", out];
    let with = |more: &[&str]| run(&[&usual[..], more].concat());
    for (more, reason) in [
        (&[][..], "--model"),
        (
            &["--model", "spam"],
            "must be `path:/x/{}`, `header:NAME`, `json:/pointer` or `name:NAME`",
        ),
        (&["--model", "header:cookie"], "never recorded"),
        (&["--model", "name:a", "--header", "Authorization"], "never recorded"),
        (&["--model", "name:a", "--sample", "2"], "`--sample` must be above 0"),
        (&["--model", "name:a", "--max-body", "0"], "no size above zero"),
        (&["--model", "name:a", "--redact", rules.to_str().unwrap()], "PARITY_REDACTION_KEY"),
        (&["--model", "name:a", "--metrics", "nowhere:x"], "can't listen on `nowhere:x`"),
    ] {
        let output = with(more);
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.code() == Some(64) && stderr.contains(reason), "{more:?}: {stderr}");
    }
    let mut elsewhere = usual;
    elsewhere[2] = "http://legacy/api";
    let output = run(&[&elsewhere[..], &["--model", "name:a"]].concat());
    assert!(String::from_utf8(output.stderr).unwrap().contains("must have no path"));
}
