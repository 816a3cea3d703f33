//! Against servers that answer as no good S3 server does; the journeys ask a good one.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpListener};
use std::path::PathBuf;

use aws_config::Region;
use aws_config::retry::RetryConfig;
use aws_sdk_s3::config::{Credentials, SharedCredentialsProvider};

use super::*;

/// Buckets of a server that gives every request this answer, and then closes or goes silent.
pub(crate) fn buckets(answer: &'static str, then: Then) -> Buckets {
    buckets_by(move |_| (answer, then))
}

/// The same, where each request's first line decides.
pub(crate) fn buckets_by(
    decide: impl Fn(&str) -> (&'static str, Then) + Send + 'static,
) -> Buckets {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        let mut silent = Vec::new();
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut request = [0; 8192];
            let _ = stream.read(&mut request);
            let request = String::from_utf8_lossy(&request);
            let (answer, then) = decide(request.lines().next().unwrap_or_default());
            let _ = stream.write_all(answer.as_bytes());
            match then {
                Then::Close => drop(stream.shutdown(Shutdown::Write)),
                Then::Stall => silent.push(stream),
            }
        }
    });
    Buckets { client: OnceCell::new_with(Some(client(&sdk_config(&url)))) }
}

/// What such a server does after its answer.
#[derive(Clone, Copy)]
pub(crate) enum Then {
    Close,
    Stall,
}

fn sdk_config(url: &str) -> SdkConfig {
    let credentials = Credentials::new("AKID", "hidden-secret", None, None, "test");
    SdkConfig::builder()
        .behavior_version(BehaviorVersion::v2026_01_12())
        .credentials_provider(SharedCredentialsProvider::new(credentials))
        .region(Region::from_static("us-east-1"))
        .retry_config(RetryConfig::disabled())
        .endpoint_url(url)
        .build()
}

/// Reads an object of at most ten bytes into a file.
async fn read(buckets: &Buckets, into: PathBuf) -> Result<(), String> {
    let object = Object::parse("s3://bucket/spam/model.tar.gz").unwrap();
    buckets.download(&object, 10, &into).await.map_err(|reason| reason.to_string())
}

async fn refusal(answer: &'static str) -> String {
    let folder = tempfile::tempdir().unwrap();
    let read = read(&buckets(answer, Then::Close), folder.path().join("model")).await;
    let refusal = read.unwrap_err();
    assert!(refusal.starts_with("cannot read `s3://bucket/spam/model.tar.gz`: "), "{refusal}");
    assert!(!refusal.contains("hidden-secret"));
    refusal
}

#[test]
fn only_urls_of_buckets_are_taken() {
    let object = Object::parse("s3://bucket/a/b.tar.gz").unwrap();
    assert_eq!((object.bucket.as_str(), object.key.as_str()), ("bucket", "a/b.tar.gz"));
    assert_eq!(object.url(), "s3://bucket/a/b.tar.gz");
    for bad in ["", "bucket/a", "s3://", "s3:///a", "s3://b/a", "s3://../a", "s3://a b/c"] {
        assert_eq!(Object::parse(bad), None, "{bad}");
    }
}

#[tokio::test]
async fn a_body_other_than_announced_is_refused() {
    let short = refusal("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nshort").await;
    assert!(short.contains("broke off"), "{short}");
    let cut = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nshort\r\n";
    assert!(refusal(cut).await.contains("broke off"));
}

#[tokio::test]
async fn an_object_over_the_limit_is_refused_announced_or_not() {
    for answer in [
        "HTTP/1.1 200 OK\r\ncontent-length: 11\r\n\r\n12345678901",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nb\r\n12345678901\r\n0\r\n\r\n",
    ] {
        assert!(refusal(answer).await.contains("larger than 10 bytes"));
    }
}

#[tokio::test]
async fn what_is_missing_or_denied_is_told_by_name() {
    for (status, code, words) in [
        ("404 Not Found", "NoSuchBucket", "no such bucket"),
        ("404 Not Found", "NoSuchKey", "no such object"),
        ("403 Forbidden", "AccessDenied", "S3 denies it (AccessDenied: no way); check"),
        ("500 Oh", "InternalError", "S3 answered with 500 (InternalError: no way)"),
    ] {
        let body = format!("<Error><Code>{code}</Code><Message>no way</Message></Error>");
        let answer = format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\n\r\n{body}", body.len());
        let refusal = refusal(answer.leak()).await;
        assert!(refusal.contains(words), "{refusal}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_server_that_stalls_is_given_up() {
    let folder = tempfile::tempdir().unwrap();
    let stalled = "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nshort";
    for answer in [stalled, ""] {
        let read = read(&buckets(answer, Then::Stall), folder.path().join("model")).await;
        let refusal = read.unwrap_err();
        assert!(refusal.contains("cannot read `s3://bucket/spam/model.tar.gz`"), "{refusal}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_object_may_take_longer_to_be_sent_than_an_answer_to_begin() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let object = Object::parse("s3://bucket/captured/calls.jsonl").unwrap();
    let begun = tokio::time::Instant::now();
    buckets("", Then::Stall).upload(file.path(), &object).await.unwrap_err();
    // By a clock that stands still but for waiting.
    assert!(begun.elapsed() >= GOES_WITHIN, "{:?}", begun.elapsed());
}

#[tokio::test]
async fn a_file_that_cannot_be_written_is_told_as_such() {
    let buckets = buckets("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nwhole", Then::Close);
    let refusal = read(&buckets, PathBuf::from("/dev/full/model")).await.unwrap_err();
    assert!(refusal.contains("cannot be stored here"), "{refusal}");
    let refusal = read(&buckets, PathBuf::from("/dev/full")).await.unwrap_err();
    assert!(refusal.contains("No space left on device"), "{refusal}");
}
