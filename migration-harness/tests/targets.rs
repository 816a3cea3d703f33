//! Replays against each kind of target, well or badly behaved.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[expect(dead_code, reason = "other tests use the rest of it")]
mod run;
#[expect(dead_code, reason = "other tests use the rest of it")]
mod target;

use std::sync::Arc;

use run::{ANSWER, LINES, Replay, record};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use serde_json::json;
use target::{Reply, Target};

/// Calls that do not depend on the AWS settings of whoever runs the tests.
fn aws(url: &str) -> [(&str, &str); 6] {
    [
        ("AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME", url),
        ("AWS_REGION", "eu-west-1"),
        ("AWS_ACCESS_KEY_ID", "test"),
        ("AWS_SECRET_ACCESS_KEY", "test"),
        ("AWS_CONFIG_FILE", "/dev/null"),
        ("AWS_SHARED_CREDENTIALS_FILE", "/dev/null"),
    ]
}

#[test]
fn a_sagemaker_endpoint_is_called_through_the_sdk_with_the_captured_bytes() {
    let target = Target::start(|request| {
        let is_so = request.method == "POST"
            && request.path == "/endpoints/gate-spam/invocations"
            && request.content_type.as_deref() == Some(LINES)
            && request.headers.contains("AWS4-HMAC-SHA256")
            && request.body == "{\"text\": \"call 0\"}\n";
        Reply::new(if is_so { 200 } else { 400 }, LINES, ANSWER)
    });
    let url = target.url("");
    let replay = Replay::of(1).with_environment("sagemaker:gate-{model}", &[], &aws(&url));
    assert_eq!(replay.code(), 2, "{} {}", replay.stdout(), replay.stderr());
    assert_eq!(replay.answers()[0]["response"]["body"], ANSWER);
}

#[test]
fn an_error_of_the_model_behind_sagemaker_is_its_answer() {
    let target = Target::start(|_| {
        let body =
            json!({"Message": "x", "OriginalStatusCode": 422, "OriginalMessage": "{\"no\": 1}"});
        let body = body.to_string();
        Reply::verbatim(format!(
            "HTTP/1.1 424 Failed\r\nx-amzn-errortype: ModelError\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        ))
    });
    let mut call = record(0);
    call["response"] = json!({"status": 422, "content_type": "application/json", "body": "{\"no\":1}", "encoding": "utf8"});
    let url = target.url("");
    let replay = Replay::of_text(&call.to_string());
    let replay = replay.with_environment("sagemaker:spam", &[], &aws(&url));
    assert_eq!(replay.code(), 2, "{} {}", replay.stdout(), replay.stderr());
    assert_eq!(replay.answers()[0]["response"]["status"], 422);
}

#[test]
fn what_sagemaker_itself_refuses_is_no_answer_and_is_not_asked_again() {
    let target = Target::start(|_| {
        Reply::verbatim(
            "HTTP/1.1 400 Bad\r\nx-amzn-errortype: ValidationError\r\ncontent-length: 22\r\n\r\n{\"Message\": \"no such\"}",
        )
    });
    let url = target.url("");
    let replay = Replay::of(1).with_environment("sagemaker:spam", &[], &aws(&url));
    assert_eq!(replay.code(), 1);
    assert_eq!(replay.answers()[0]["error"], "ValidationError: no such");
    let down = Target::down();
    let replay = Replay::of(100).with_environment("sagemaker:spam", &[], &aws(&down));
    assert_eq!(replay.code(), 70, "{}", replay.stderr());
}

fn pem(name: &str) -> String {
    format!("{}/tests/target/{name}.pem", env!("CARGO_MANIFEST_DIR"))
}

#[test]
fn https_targets_are_called_if_the_system_trusts_them() {
    let certificate = CertificateDer::from_pem_file(pem("certificate")).unwrap();
    let key = PrivateKeyDer::from_pem_file(pem("key")).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider);
    let config = config.with_safe_default_protocol_versions().unwrap().with_no_client_auth();
    let config = Arc::new(config.with_single_cert(vec![certificate], key).unwrap());
    let wrap =
        move |stream| StreamOwned::new(ServerConnection::new(Arc::clone(&config)).unwrap(), stream);
    let target = Target::start_on("127.0.0.1:0", wrap, |request| {
        let is_so = request.path == "/score/spam" && request.body.contains("call ");
        Reply::new(if is_so { 200 } else { 400 }, LINES, ANSWER)
    });
    let url = target.url("").replace("http://", "https://");
    let trust = [("SSL_CERT_FILE", &*pem("certificate"))];
    let replay = Replay::of(20).with_environment(&url, &[], &trust);
    assert_eq!(replay.code(), 2, "{} {}", replay.stdout(), replay.stderr());
    let stranger = Replay::of(1).against(&url);
    assert!(stranger.stdout().contains("certificate"), "{}", stranger.stdout());
}

#[test]
fn a_redirect_is_an_answer_and_is_not_followed() {
    let target = Target::start(|_| {
        Reply::verbatim("HTTP/1.1 302 Found\r\nlocation: /elsewhere\r\ncontent-length: 0\r\n\r\n")
    });
    let replay = Replay::of(2).against(&target.url(""));
    assert_eq!(replay.clusters()[0].0, "status");
    assert_eq!(replay.answers()[0]["response"]["status"], 302);
}

#[test]
fn calls_without_a_body_and_answers_to_head_work() {
    let target = Target::start(|request| {
        let length = if request.method == "HEAD" { 5 } else { 0 };
        assert!(request.body.is_empty());
        Reply::verbatim(format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n"))
    });
    let calls = ["HEAD", "GET", "HEAD", "DELETE"].map(|method| {
        let mut call = record(0);
        call["request"] = json!({"method": method, "path": "/x", "body": "", "encoding": "utf8"});
        call["response"] = json!({"status": 200, "body": "", "encoding": "utf8"});
        format!("{call}\n")
    });
    let replay = Replay::of_text(&calls.concat()).against(&target.url(""));
    assert_eq!(replay.verdict()["mismatches"], 0, "{}", replay.stdout());
}

#[test]
fn garbage_is_no_answer_and_the_next_call_gets_a_new_connection() {
    let target = Target::start(|request| match request.body.contains("call 3\"") {
        true => Reply::verbatim("\u{0}garbage\r\n\r\n"),
        false => Reply::new(200, LINES, ANSWER),
    });
    let replay = Replay::of(12).with(&target.url(""), &["--concurrency", "1"]);
    assert_eq!(replay.verdict()["mismatches"], 1);
    assert_eq!(replay.clusters(), [("response".to_owned(), "error".to_owned(), 1)]);
}

#[test]
fn a_server_that_closes_each_connection_is_no_fault() {
    let target = Target::start(|_| {
        Reply::verbatim(format!(
            "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-type: {LINES}\r\ncontent-length: {}\r\n\r\n{ANSWER}",
            ANSWER.len()
        ))
    });
    assert_eq!(Replay::of(40).against(&target.url("")).verdict()["mismatches"], 0);
}

#[test]
fn an_answer_beyond_the_limit_is_none() {
    let target = Target::start(|_| {
        Reply::verbatim("HTTP/1.1 200 OK\r\n\r\n".to_owned() + &"x".repeat(65 << 20))
    });
    let replay = Replay::of(1).against(&target.url(""));
    assert_eq!(replay.code(), 1);
    assert!(replay.stdout().contains("the answer is too large"), "{}", replay.stdout());
}

#[test]
fn fixed_headers_are_sent_and_captured_ones_compared_by_name() {
    let target = Target::start(|request| {
        let headers = request.headers.to_lowercase();
        let is_so = headers.contains("x-tenant: b\r\n")
            && headers.contains("x-secret: s3cret\r\n")
            && headers.contains("authorization: bearer k\r\n");
        let status = if is_so { 200 } else { 403 };
        Reply::verbatim(format!(
            "HTTP/1.1 {status} OK\r\nx-version: 2\r\ndate: now\r\ncontent-type: {LINES}\r\ncontent-length: {}\r\n\r\n{ANSWER}",
            ANSWER.len()
        ))
    });
    let mut call = record(0);
    call["request"]["headers"] = json!({"x-tenant": "a"});
    call["response"]["headers"] = json!({"x-version": "1"});
    let options = ["--header", "X-Tenant: b", "--header-env", "x-secret=SECRET_OF_TEST"];
    let environment = [("SECRET_OF_TEST", "s3cret"), ("GATEHOUSE_KEY", "k")];
    let replay = Replay::of_text(&call.to_string());
    let replay = replay.with_environment(&target.url("/v1/moderate"), &options, &environment);
    let answer = &replay.answers()[0];
    assert_eq!(answer["response"]["status"], 200, "{answer}");
    assert_eq!(answer["response"]["headers"], json!({"x-version": "2"}));
    for file in ["replay.json", "report.json", "answers.jsonl"] {
        let text = std::fs::read_to_string(replay.out().join(file)).unwrap();
        assert!(!text.contains("s3cret"), "{file}");
    }
}

#[test]
fn a_target_that_takes_no_connection_in_time_is_down() {
    // Nobody accepts, so no handshake ends.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("https://{}", listener.local_addr().unwrap());
    let options = ["--timeout", "50ms", "--concurrency", "20"];
    let replay = Replay::of(110).with(&url, &options);
    assert_eq!(replay.code(), 70, "{} {}", replay.stdout(), replay.stderr());
    assert!(replay.stderr().contains("100 calls in a row (no connection within 50ms)"));
}
