//! What is written of a call, where, and what happens where nothing can be.

use std::fs;
use std::path::Path;

use bytes::Bytes;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::*;
use crate::meter::{Counters, Labels};
use crate::resource_name::ResourceName;

fn roots(data: &Path) -> Arc<ModelRoots> {
    let own = data.join("endpoint-host");
    fs::create_dir_all(&own).unwrap();
    Arc::new(ModelRoots::open(data, &own, &[]).unwrap())
}

fn rule(roots: &ModelRoots, changes: Value) -> Result<Option<Rule>, String> {
    let mut config = json!({
        "EnableCapture": true,
        "InitialSamplingPercentage": 100,
        "DestinationS3Uri": "s3://bucket/captured/",
        "CaptureOptions": [{"CaptureMode": "Input"}, {"CaptureMode": "Output"}],
        "CaptureContentTypeHeader": {
            "CsvContentTypes": ["text/csv"], "JsonContentTypes": ["application/json"],
        },
    });
    let Value::Object(changes) = changes else { panic!("{changes} are no fields") };
    config.as_object_mut().unwrap().extend(changes);
    Rule::of(&serde_json::from_value(config).unwrap(), roots)
}

fn captured(rule: Rule, input: (&str, &'static [u8])) -> Captured {
    let name = |name| ResourceName::parse(name).unwrap();
    let body = |(kind, bytes): (&str, &'static [u8])| Body {
        content_type: Some(kind.to_owned()),
        bytes: Bytes::from_static(bytes),
    };
    Captured {
        rule: Arc::new(rule),
        labels: Labels { endpoint: name("spam"), variant: name("all") },
        input: body(input),
        output: body(("application/json", b"{\"label\":\"ham\"}")),
        inference_id: Some("r-1001".to_owned()),
        custom_attributes: Some("trace=7".to_owned()),
        time: "2026-11-21T17:25:49.5Z".parse::<Timestamp>().unwrap(),
        counters: Arc::new(Counters::default()),
    }
}

fn line(captured: &Captured) -> Value {
    let line = String::from_utf8(captured.line()).unwrap();
    assert!(line.ends_with('\n') && line.matches('\n').count() == 1, "{line}");
    serde_json::from_str(&line).unwrap()
}

#[test]
fn a_line_is_as_sagemaker_writes_it() {
    let data = tempfile::tempdir().unwrap();
    let rule = rule(&roots(data.path()), json!({})).unwrap().unwrap();
    let mut line = line(&captured(rule, ("text/csv; charset=utf-8", b"1,2\n")));
    let id = line["eventMetadata"].as_object_mut().unwrap().remove("eventId").unwrap();
    assert!(id.as_str().unwrap().parse::<uuid::Uuid>().is_ok());
    let expected = json!({
        "captureData": {
            "endpointInput": {
                "observedContentType": "text/csv; charset=utf-8", "mode": "INPUT",
                "data": "1,2\n", "encoding": "CSV",
            },
            "endpointOutput": {
                "observedContentType": "application/json", "mode": "OUTPUT",
                "data": "{\"label\":\"ham\"}", "encoding": "JSON",
            },
        },
        "eventMetadata": {
            "inferenceId": "r-1001", "customAttributes": ["trace=7"],
            "inferenceTime": "2026-11-21T17:25:49Z",
        },
        "eventVersion": "0",
    });
    assert_eq!(line, expected);
}

#[test]
fn only_the_sides_asked_for_are_written_and_what_is_no_text_in_base64() {
    let data = tempfile::tempdir().unwrap();
    let roots = roots(data.path());
    let input = rule(&roots, json!({"CaptureOptions": [{"CaptureMode": "Input"}]}));
    let written = line(&captured(input.unwrap().unwrap(), ("text/csv", b"\xff")));
    assert_eq!(written["captureData"]["endpointInput"]["encoding"], "BASE64");
    assert_eq!(written["captureData"]["endpointInput"]["data"], "/w==");
    assert!(written["captureData"].get("endpointOutput").is_none());
    let both = json!({
        "CaptureOptions": [{"CaptureMode": "InputAndOutput"}],
        "CaptureContentTypeHeader": {"CsvContentTypes": ["text/plain"]},
    });
    let written = line(&captured(rule(&roots, both).unwrap().unwrap(), ("text/plain", b"x")));
    assert_eq!(written["captureData"]["endpointInput"]["encoding"], "CSV");
    assert_eq!(written["captureData"]["endpointOutput"]["encoding"], "BASE64");
    let none = rule(&roots, json!({"CaptureContentTypeHeader": null})).unwrap().unwrap();
    let written = line(&captured(none, ("text/csv", b"1")));
    assert_eq!(written["captureData"]["endpointInput"]["encoding"], "BASE64");
}

#[test]
fn destinations_that_lead_elsewhere_and_switched_off_captures_make_no_rule() {
    let data = tempfile::tempdir().unwrap();
    let roots = roots(data.path());
    for bad in ["s3://bucket/../x", "s3://bucket/a//b", "s3://x", "file:///etc", "capture"] {
        let refusal = rule(&roots, json!({"DestinationS3Uri": bad})).unwrap_err();
        assert!(refusal.starts_with("DestinationS3Uri `"), "{refusal}");
    }
    assert!(rule(&roots, json!({"EnableCapture": false})).unwrap().is_none());
    let never = rule(&roots, json!({"InitialSamplingPercentage": 0})).unwrap().unwrap();
    assert!(!(0..1000).any(|_| never.samples()));
    let always = rule(&roots, json!({})).unwrap().unwrap();
    assert!((0..1000).all(|_| always.samples()));
}

#[tokio::test]
async fn calls_are_in_the_folder_of_their_hour_once_the_capture_is_closed() {
    let data = tempfile::tempdir().unwrap();
    let roots = roots(data.path());
    let folder = data.path().canonicalize().unwrap().join("captured");
    let uri = json!({"DestinationS3Uri": format!("file://{}", folder.display())});
    let capture = Capture::start(&roots, 100);
    for _ in 0..3 {
        let rule = rule(&roots, uri.clone()).unwrap().unwrap();
        capture.write_down(captured(rule, ("text/csv", b"1")));
    }
    capture.close().await;
    let hour = folder.join("spam/all/2026/11/21/17");
    let files: Vec<_> = fs::read_dir(hour).unwrap().map(|file| file.unwrap().path()).collect();
    assert_eq!(files.len(), 1);
    assert!(files[0].file_name().unwrap().to_str().unwrap().starts_with("25-49-500-"));
    assert_eq!(files[0].extension().unwrap(), "jsonl");
    assert_eq!(fs::read_to_string(&files[0]).unwrap().lines().count(), 3);
}

#[tokio::test]
async fn what_does_not_fit_is_dropped_and_counted_and_nobody_waits() {
    let data = tempfile::tempdir().unwrap();
    let roots = roots(data.path());
    let (messages, mut receiver) = mpsc::channel(1);
    let capture = Capture { messages, room: Arc::new(Semaphore::new(2)) };
    let dropped = |bytes: &'static [u8]| {
        let call = captured(rule(&roots, json!({})).unwrap().unwrap(), ("text/csv", bytes));
        let counters = Arc::clone(&call.counters);
        capture.write_down(call);
        counters.captures_dropped()
    };
    assert_eq!(dropped(&[b'1'; 4096]), 1, "larger than all the room");
    assert_eq!(dropped(b"1"), 0);
    assert_eq!(dropped(b"1"), 1, "more than may wait");
    drop(receiver.recv().await);
    assert_eq!(dropped(b"1"), 0);
}

#[tokio::test]
async fn what_can_not_be_written_is_counted() {
    let data = tempfile::tempdir().unwrap();
    let roots = roots(data.path());
    let uri = format!("file://{}", data.path().canonicalize().unwrap().join("captured").display());
    let uri = json!({"DestinationS3Uri": uri});
    let call = captured(rule(&roots, uri.clone()).unwrap().unwrap(), ("text/csv", b"1"));
    fs::write(data.path().join("captured"), "in the way").unwrap();
    assert!(rule(&roots, uri).unwrap_err().ends_with("is not a folder"));
    let counters = Arc::clone(&call.counters);
    let capture = Capture::start(&roots, 100);
    capture.write_down(call);
    capture.close().await;
    assert_eq!(counters.captures_dropped(), 1);
}

#[tokio::test]
async fn nothing_is_written_while_the_disk_is_too_full() {
    let data = tempfile::tempdir().unwrap();
    let roots = roots(data.path());
    let folder = data.path().canonicalize().unwrap().join("captured");
    let uri = json!({"DestinationS3Uri": format!("file://{}", folder.display())});
    let call = captured(rule(&roots, uri).unwrap().unwrap(), ("text/csv", b"1"));
    let counters = Arc::clone(&call.counters);
    let capture = Capture::start(&roots, 0);
    capture.write_down(call);
    capture.close().await;
    assert_eq!(counters.captures_dropped(), 1);
    let hour = folder.join("spam/all/2026/11/21/17");
    assert_eq!(fs::read_dir(hour).unwrap().count(), 0);
}

#[tokio::test]
async fn what_a_bucket_does_not_take_waits_for_the_next_host() {
    let data = tempfile::tempdir().unwrap();
    let refusing = crate::s3::tests::buckets(
        "HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\n\r\n",
        crate::s3::tests::Then::Close,
    );
    let taking = crate::s3::tests::buckets(
        "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n",
        crate::s3::tests::Then::Close,
    );
    let with = |buckets| {
        let mut roots = Arc::into_inner(roots(data.path())).unwrap();
        roots.buckets = buckets;
        Arc::new(roots)
    };
    let first = with(refusing);
    let capture = Capture::start(&first, 100);
    let rule = rule(&first, json!({})).unwrap().unwrap();
    capture.write_down(captured(rule, ("text/csv", b"1")));
    capture.close().await;
    let waiting = data.path().join("endpoint-host/capture/bucket/captured/spam/all/2026/11/21/17");
    assert_eq!(fs::read_dir(&waiting).unwrap().count(), 1);
    let second = Capture::start(&with(taking), 100);
    second.close().await;
    assert!(!data.path().join("endpoint-host/capture/bucket").exists());
}

/// Leaves a whole file for a destination, and says where.
fn leave(data: &Path, destination: &str) -> std::path::PathBuf {
    let own = data.join("endpoint-host/capture");
    let folder = own.join(destination).join("spam/all/2026/11/21/17");
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("00-00-000-x.jsonl"), "{}\n").unwrap();
    folder
}

async fn wait_until_gone(folders: &[std::path::PathBuf]) {
    let deadline = tokio::time::Instant::now() + Duration::from_secs(60);
    while let Some(waiting) = folders.iter().find(|folder| folder.exists()) {
        assert!(tokio::time::Instant::now() < deadline, "{} waits", waiting.display());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn a_destination_that_stalls_keeps_no_other_from_its_last_files() {
    use crate::s3::tests::Then;
    let data = tempfile::tempdir().unwrap();
    let mut roots = Arc::into_inner(roots(data.path())).unwrap();
    roots.buckets = crate::s3::tests::buckets_by(|request| match request {
        stalled if stalled.contains("stalled") => ("", Then::Stall),
        _ => ("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n", Then::Close),
    });
    let (stalled, good) = (leave(data.path(), "stalled"), leave(data.path(), "taking"));
    let capture = Capture::start(&Arc::new(roots), 100);
    // Both have set out together.
    wait_until_gone(&[good]).await;
    let last = leave(data.path(), "taking");
    capture.close().await;
    assert!(stalled.exists() && !last.exists());
}

#[tokio::test]
async fn destinations_that_deny_or_stall_hold_up_no_other() {
    use crate::s3::tests::Then;
    let data = tempfile::tempdir().unwrap();
    let mut roots = Arc::into_inner(roots(data.path())).unwrap();
    roots.buckets = crate::s3::tests::buckets_by(|request| match request {
        denied if denied.contains("denied") => {
            ("HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\n\r\n", Then::Close)
        }
        stalled if stalled.contains("stalled") => ("", Then::Stall),
        _ => ("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n", Then::Close),
    });
    // Whatever the order in which a folder is read, some of these come first.
    let bad = ["denied-1", "bucket/denied", "stalled-1", "bucket/stalled", "denied-2", "denied"];
    let bad = bad.map(|destination| leave(data.path(), destination));
    let good = ["taking-1", "bucket/taking", "taking-2", "bucket", "a-taking", "x-taking"];
    let good = good.map(|destination| leave(data.path(), destination));
    let capture = Capture::start(&Arc::new(roots), 100);
    wait_until_gone(&good).await;
    // Not the first time alone.
    let again = [leave(data.path(), "taking-1"), leave(data.path(), "bucket/taking")];
    wait_until_gone(&again).await;
    assert!(bad.iter().all(|folder| folder.exists()));
    drop(capture);
}
