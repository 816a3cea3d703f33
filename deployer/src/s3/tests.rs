//! Against servers that answer as no good S3 server does; the journeys ask a good one.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpListener};

use aws_config::Region;
use aws_config::retry::RetryConfig;
use aws_credential_types::Credentials;
use aws_sdk_s3::config::SharedCredentialsProvider;

use super::*;

/// A bucket of a server that gives every request the same answer.
fn bucket(answer: &'static str) -> Bucket {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut request = [0; 8192];
            let _ = stream.read(&mut request);
            let _ = stream.write_all(answer.as_bytes());
            let _ = stream.shutdown(Shutdown::Write);
        }
    });
    Bucket::parse("s3://bucket/models/", &sdk_config(&url)).unwrap()
}

fn sdk_config(url: &str) -> SdkConfig {
    let credentials = Credentials::from_keys("AKID", "hidden-secret", None);
    SdkConfig::builder()
        .behavior_version(BehaviorVersion::v2026_01_12())
        .credentials_provider(SharedCredentialsProvider::new(credentials))
        .region(Region::from_static("us-east-1"))
        .retry_config(RetryConfig::disabled())
        .endpoint_url(url)
        .build()
}

/// Reads an object of at most ten bytes.
async fn get(bucket: &Bucket) -> Result<u64, Error> {
    let folder = tempfile::tempdir().unwrap();
    bucket.get_to_file("spam.model", 10, &folder.path().join("spam.model")).await
}

#[test]
fn only_urls_of_s3_are_taken() {
    let config = sdk_config("http://127.0.0.1:1");
    for (url, key) in [
        ("s3://bucket", "s3://bucket/spam.model"),
        ("s3://bucket/", "s3://bucket/spam.model"),
        ("s3://bucket/a/b/", "s3://bucket/a/b/spam.model"),
    ] {
        assert_eq!(Bucket::parse(url, &config).unwrap().url("spam.model"), key);
    }
    for url in ["", "bucket", "s3://", "s3:///a", "s3://b", "s3://a b/c", "https://bucket/a"] {
        let error = Bucket::parse(url, &config).unwrap_err().to_string();
        assert!(error.contains("write s3://BUCKET"), "{url}: {error}");
    }
}

#[tokio::test]
async fn a_body_shorter_than_announced_is_an_error() {
    let error =
        get(&bucket("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nshort")).await.unwrap_err();
    assert!(error.to_string().contains("s3://bucket/models/spam.model"), "{error}");
    assert!(matches!(error, Error::Unavailable { .. } | Error::Length { .. }), "{error:?}");
}

#[tokio::test]
async fn an_object_over_the_limit_is_not_stored() {
    let announced = bucket("HTTP/1.1 200 OK\r\ncontent-length: 11\r\n\r\n12345678901");
    let unannounced = bucket(
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nb\r\n12345678901\r\n0\r\n\r\n",
    );
    for bucket in [announced, unannounced] {
        let error = get(&bucket).await.unwrap_err();
        assert!(matches!(error, Error::TooLarge { limit_bytes: 10, .. }), "{error:?}");
    }
    assert_eq!(
        get(&bucket("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n1234567890")).await.unwrap(),
        10
    );
}

#[tokio::test]
async fn refusals_are_told_apart() {
    let denied = bucket(
        "HTTP/1.1 403 Forbidden\r\ncontent-length: 59\r\n\r\n\
         <Error><Code>AccessDenied</Code><Message>No</Message></Error>",
    );
    let error = get(&denied).await.unwrap_err();
    assert!(matches!(&error, Error::Denied { .. }), "{error:?}");
    assert!(!format!("{error} {error:?}").contains("hidden-secret"), "{error:?}");

    let changed = bucket("HTTP/1.1 412 Precondition Failed\r\ncontent-length: 0\r\n\r\n");
    assert!(matches!(get(&changed).await.unwrap_err(), Error::Changed { .. }));

    let no_bucket = bucket(
        "HTTP/1.1 404 Not Found\r\ncontent-length: 48\r\n\r\n\
         <Error><Code>NoSuchBucket</Code><Message/></Error>",
    );
    let error = get(&no_bucket).await.unwrap_err();
    assert!(matches!(error, Error::NoBucket { .. } | Error::Missing { .. }), "{error:?}");

    let away = Bucket::parse("s3://bucket", &sdk_config("http://127.0.0.1:1")).unwrap();
    let error = away.list().await.unwrap_err();
    assert!(matches!(error, Error::Unavailable { .. }), "{error:?}");
    assert!(error.to_string().contains("refused"), "{error}");
}

#[tokio::test]
async fn a_put_that_is_refused_or_breaks_off_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let packed = folder.path().join("spam.tar.gz");
    std::fs::write(&packed, vec![7; 3 << 20]).unwrap();
    let denied = bucket("HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
    let full = bucket(
        "HTTP/1.1 507 Insufficient Storage\r\ncontent-length: 0\r\nconnection: close\r\n\r\n",
    );
    let silent = bucket("");
    for bucket in [denied, full, silent] {
        let small = bucket.put("spam.tar.gz", Bytes::from_static(b"x")).await.unwrap_err();
        let large = bucket.put_file("spam.tar.gz", &packed).await.unwrap_err();
        for error in [small, large] {
            let is_told = matches!(error, Error::Denied { .. } | Error::Unavailable { .. });
            let text = error.to_string();
            assert!(is_told && text.contains("s3://bucket/models/spam.tar.gz"), "{text}");
        }
    }
    let missing = bucket("").put_file("spam.tar.gz", &folder.path().join("none")).await;
    assert!(matches!(missing, Err(Error::File { .. })), "{missing:?}");
}
