//! What secrets a capture keeps to itself.

use std::io::Write;

use serde_json::json;

use super::OK;
use super::proxy::Capture;
use super::upstream::Upstream;

#[test]
fn what_is_redacted_reaches_the_upstream_as_it_was() {
    let upstream = Upstream::answering(OK);
    let rules = tempfile::NamedTempFile::new().unwrap();
    let text = "[[redact]]\nfield = '/fields/email'\nwith = 'token'\n[[redact]]\npattern = 'ann@[a-z.]+'\nwith = 'token'\n";
    std::fs::write(rules.path(), text).unwrap();
    let rules = rules.path().to_str().unwrap();
    let capture =
        Capture::of(&upstream.url(), &["--redact", rules, "--client", "json:/fields/email"]);
    let body = r#"{"fields": {"email": "ann@example.org", "text": "write to ann@example.org"}}"#;
    capture.post("/u/ann@example.org", body);
    assert_eq!(upstream.seen()[0].1, body.as_bytes());
    let captured = capture.stop();
    let record = captured.record();
    let token = record["client"].as_str().unwrap();
    assert!(token.starts_with("tok_"), "{token}");
    assert_eq!(record["request"]["body"], body.replace("ann@example.org", token));
    assert_eq!(record["request"]["path"], format!("/u/{token}"));
    assert!(record["redaction"].as_str().unwrap().starts_with("sha256:"));
    assert!(!record.to_string().contains("example.org"));
}

#[test]
fn half_a_secret_is_no_way_past_a_pattern() {
    let upstream = Upstream::answering(OK);
    let rules = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(rules.path(), "[[redact]]\npattern = '[0-9]{16}'\nwith = 'token'\n").unwrap();
    let capture = Capture::of(&upstream.url(), &["--redact", rules.path().to_str().unwrap()]);
    let mut stream = capture.connect();
    let head = "POST /pay HTTP/1.1\r\nHost: x\r\nContent-Length: 99\r\n\r\n";
    stream.write_all(format!("{head}card=411111111111").as_bytes()).unwrap();
    stream.shutdown(std::net::Shutdown::Write).unwrap();
    capture.wait_for("captured_total", 1);
    let record = capture.stop().record();
    assert_eq!((&record["incomplete"], &record["request"]["body"]), (&json!(true), &json!("")));
}
