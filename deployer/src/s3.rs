//! Objects in S3, or in any server that speaks its protocol.
//!
//! A [`Bucket`] is a bucket and a prefix; keys are relative to it. Sizes and listings are bounded,
//! a transfer that stalls is ended, and every error names the `s3://` URL that it is about.

mod error;

use std::path::Path;
use std::time::Duration;

use aws_config::environment::EnvironmentVariableRegionProvider;
use aws_config::meta::region::RegionProviderChain;
use aws_config::profile::ProfileFileRegionProvider;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, SdkConfig};
use aws_sdk_s3::Client;
use aws_sdk_s3::config::{Builder, RequestChecksumCalculation, ResponseChecksumValidation};
use aws_sdk_s3::primitives::ByteStream;
use bytes::Bytes;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use tokio::fs::File;
use tokio::io::AsyncWriteExt as _;
use tokio::time::timeout;

use crate::http::in_full;
pub use error::Error;

/// A server that is there answers a connection attempt sooner.
const CONNECTS_WITHIN: Duration = Duration::from_secs(5);
/// A server that works begins its answer, and sends each next part of it, sooner.
const STALLS_AFTER: Duration = Duration::from_secs(30);
/// A line over which a MiB takes longer to be put counts as stalled.
const SLOWEST_PER_MIB: Duration = Duration::from_secs(10);
/// A server copies the largest object sooner.
const COPIES_WITHIN: Duration = Duration::from_secs(600);
/// How many objects a listing may have.
const MAX_OBJECTS: usize = 100_000;
/// What a key may have in a URL as it is.
const PLAIN: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'/').remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// How the environment or the profile says S3 is reached, in `us-east-1` where they name no region.
///
/// EC2's metadata service is not asked for a region: elsewhere that takes a second.
pub async fn config() -> SdkConfig {
    let region = RegionProviderChain::first_try(EnvironmentVariableRegionProvider::new())
        .or_else(ProfileFileRegionProvider::new())
        .or_else("us-east-1");
    aws_config::defaults(BehaviorVersion::v2026_01_12()).region(region).load().await
}

/// A bucket, and the prefix of all keys that are used in it.
#[derive(Debug, Clone)]
pub struct Bucket {
    client: Client,
    bucket: String,
    /// Empty, or ends with a slash.
    prefix: String,
}

/// An object as a listing shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Object {
    /// The key, relative to the bucket's prefix.
    pub key: String,
    /// The version of its content.
    pub etag: String,
    /// Its size.
    pub size_bytes: u64,
    /// When it was put, in milliseconds since 1970.
    pub modified_ms: i64,
}

impl Bucket {
    /// Reads `s3://BUCKET` or `s3://BUCKET/PREFIX`; nothing is asked of the server yet.
    ///
    /// # Errors
    /// When it is no such URL.
    pub fn parse(url: &str, config: &SdkConfig) -> Result<Self, Error> {
        let (bucket, prefix) = Self::place(url)?;
        Ok(Self { client: client(config), bucket, prefix })
    }

    /// The bucket and the prefix that such a URL names.
    fn place(url: &str) -> Result<(String, String), Error> {
        let fault = || Error::Url { url: url.to_owned() };
        let place = url.strip_prefix("s3://").ok_or_else(fault)?;
        let (bucket, prefix) = place.split_once('/').unwrap_or((place, ""));
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
        if !(3..=63).contains(&bucket.len()) || !bucket.bytes().all(is_plain) {
            return Err(fault());
        }
        let prefix = prefix.trim_matches('/');
        let prefix = if prefix.is_empty() { String::new() } else { format!("{prefix}/") };
        Ok((bucket.to_owned(), prefix))
    }

    /// Whether a URL names this place, however it is written.
    ///
    /// # Errors
    /// When it is no URL of a place in S3.
    pub fn is_at(&self, url: &str) -> Result<bool, Error> {
        let (bucket, prefix) = Self::place(url)?;
        Ok(bucket == self.bucket && prefix == self.prefix)
    }

    /// The `s3://` URL of a key; that of the prefix itself for an empty one.
    pub fn url(&self, key: &str) -> String {
        format!("s3://{}/{}{key}", self.bucket, self.prefix)
    }

    /// Puts an object, and tells its URL.
    ///
    /// # Errors
    /// When the server refuses it or can't be reached.
    pub async fn put(&self, key: &str, body: Bytes) -> Result<String, Error> {
        let size_bytes = body.len() as u64;
        self.put_stream(key, ByteStream::from(body), size_bytes).await
    }

    /// Puts a file as an object, part by part from the disk, and tells its URL.
    ///
    /// # Errors
    /// When the file can't be read, or the server refuses it or can't be reached.
    pub async fn put_file(&self, key: &str, path: &Path) -> Result<String, Error> {
        let unread = |source| Error::File { path: path.to_owned(), source };
        let size_bytes = tokio::fs::metadata(path).await.map_err(unread)?.len();
        let body = ByteStream::from_path(path).await;
        let body = body.map_err(|error| unread(std::io::Error::other(error)))?;
        self.put_stream(key, body, size_bytes).await
    }

    async fn put_stream(
        &self,
        key: &str,
        body: ByteStream,
        size_bytes: u64,
    ) -> Result<String, Error> {
        let mebibytes = u32::try_from(size_bytes >> 20).unwrap_or(u32::MAX);
        let waits = answers_within(STALLS_AFTER + SLOWEST_PER_MIB.saturating_mul(mebibytes));
        let put = self.client.put_object().bucket(&self.bucket).key(self.key(key));
        let put = put.body(body).customize().config_override(waits).send().await;
        put.map_err(|error| Error::of(self.url(key), &error))?;
        Ok(self.url(key))
    }

    /// Whether an object is there.
    ///
    /// # Errors
    /// When the server refuses to tell or can't be reached.
    pub async fn exists(&self, key: &str) -> Result<bool, Error> {
        Ok(self.etag(key).await?.is_some())
    }

    /// The version of an object, where it is there.
    ///
    /// # Errors
    /// When the server refuses to tell or can't be reached.
    pub async fn etag(&self, key: &str) -> Result<Option<String>, Error> {
        let head = self.client.head_object().bucket(&self.bucket).key(self.key(key));
        match head.send().await {
            Ok(head) => Ok(Some(head.e_tag.unwrap_or_default())),
            Err(error) => match Error::of(self.url(key), &error) {
                Error::Missing { .. } => Ok(None),
                error => Err(error),
            },
        }
    }

    /// Deletes an object; one that is not there is no error.
    ///
    /// # Errors
    /// When the server refuses it or can't be reached.
    pub async fn delete(&self, key: &str) -> Result<(), Error> {
        let delete = self.client.delete_object().bucket(&self.bucket).key(self.key(key));
        delete.send().await.map_err(|error| Error::of(self.url(key), &error))?;
        Ok(())
    }

    /// The objects directly under the prefix, not those in "folders" below it.
    ///
    /// # Errors
    /// When there are over 100,000, or the server refuses or can't be reached.
    pub async fn list(&self) -> Result<Vec<Object>, Error> {
        let list = self.client.list_objects_v2().bucket(&self.bucket).delimiter("/");
        let mut pages = list.prefix(&self.prefix).into_paginator().send();
        let mut objects = Vec::new();
        while let Some(page) = pages.next().await {
            let page = page.map_err(|error| Error::of(self.url(""), &error))?;
            objects.extend(page.contents().iter().filter_map(|object| self.object(object)));
            if objects.len() > MAX_OBJECTS {
                return Err(Error::TooMany { url: self.url(""), limit: MAX_OBJECTS });
            }
        }
        Ok(objects)
    }

    /// Writes an object of at most `limit_bytes` to a file, and tells its size.
    ///
    /// # Errors
    /// When it is larger, longer or shorter than the server said, or not there, when the server
    /// refuses, stalls or can't be reached, and when the file can't be written.
    pub async fn get_to_file(
        &self,
        key: &str,
        limit_bytes: u64,
        path: &Path,
    ) -> Result<u64, Error> {
        self.get_version_to_file(key, None, limit_bytes, path).await
    }

    /// As [`Self::get_to_file`], but only the version with an `etag`.
    ///
    /// # Errors
    /// As [`Self::get_to_file`], and [`Error::Changed`] when there is another version.
    pub async fn get_version_to_file(
        &self,
        key: &str,
        etag: Option<&str>,
        limit_bytes: u64,
        path: &Path,
    ) -> Result<u64, Error> {
        let url = self.url(key);
        let get = self.client.get_object().bucket(&self.bucket).key(self.key(key));
        let get = get.set_if_match(etag.map(str::to_owned)).send().await;
        let object = get.map_err(|error| Error::of(url.clone(), &error))?;
        let announced = object.content_length.and_then(|length| u64::try_from(length).ok());
        if announced.is_some_and(|length| length > limit_bytes) {
            return Err(Error::TooLarge { url, limit_bytes });
        }
        let got = write(object.body, &url, limit_bytes, path).await?;
        match announced {
            Some(announced) if announced != got => Err(Error::Length { url, got, announced }),
            _ => Ok(got),
        }
    }

    /// Moves the version of an object with an `etag` to another key.
    ///
    /// # Errors
    /// When there is another version by now, or the server refuses or can't be reached.
    pub async fn move_to(&self, from: &str, etag: &str, to: &str) -> Result<(), Error> {
        let source = format!("{}/{}", self.bucket, self.key(from));
        let source = utf8_percent_encode(&source, PLAIN).to_string();
        let copy = self.client.copy_object().bucket(&self.bucket).key(self.key(to));
        let copy = copy.copy_source(source).copy_source_if_match(etag).customize();
        let copy = copy.config_override(answers_within(COPIES_WITHIN)).send().await;
        copy.map_err(|error| Error::of(self.url(from), &error))?;
        // Few servers delete a version by its tag, so a newer one is looked for just before.
        match self.etag(from).await? {
            Some(now) if now == etag => self.delete(from).await,
            Some(_) => Err(Error::Changed { url: self.url(from) }),
            None => Ok(()),
        }
    }

    fn key(&self, key: &str) -> String {
        format!("{}{key}", self.prefix)
    }

    /// None for the "folder" itself, which some tools put as an empty object.
    fn object(&self, object: &aws_sdk_s3::types::Object) -> Option<Object> {
        let key = object.key()?.strip_prefix(&self.prefix).filter(|key| !key.is_empty())?;
        Some(Object {
            key: key.to_owned(),
            etag: object.e_tag().unwrap_or_default().to_owned(),
            size_bytes: object.size().and_then(|size| u64::try_from(size).ok()).unwrap_or(0),
            modified_ms: object.last_modified().and_then(|at| at.to_millis().ok()).unwrap_or(0),
        })
    }
}

/// Other servers than AWS's know neither bucket names as host names nor AWS's newer checksums.
fn client(config: &SdkConfig) -> Client {
    let has_own_url =
        config.endpoint_url().is_some() || std::env::var_os("AWS_ENDPOINT_URL_S3").is_some();
    let s3 = Builder::from(config)
        .force_path_style(has_own_url)
        .timeout_config(timeouts(STALLS_AFTER))
        .request_checksum_calculation(RequestChecksumCalculation::WhenRequired)
        .response_checksum_validation(ResponseChecksumValidation::WhenRequired);
    Client::from_conf(s3.build())
}

/// For a call whose answer may take longer than others.
fn answers_within(time: Duration) -> Builder {
    Builder::new().timeout_config(timeouts(time))
}

/// The SDK counts the time for sending a request's body to that of the answer.
fn timeouts(answer: Duration) -> TimeoutConfig {
    TimeoutConfig::builder().connect_timeout(CONNECTS_WITHIN).read_timeout(answer).build()
}

/// Writes what comes to a file, up to the limit.
async fn write(
    mut body: ByteStream,
    url: &str,
    limit_bytes: u64,
    path: &Path,
) -> Result<u64, Error> {
    let unavailable = |reason: String| Error::Unavailable { url: url.to_owned(), reason };
    let unwritten = |source| Error::File { path: path.to_owned(), source };
    let mut file = File::create(path).await.map_err(unwritten)?;
    let mut got = 0;
    loop {
        let part = timeout(STALLS_AFTER, body.next()).await;
        let part = part.map_err(|_| unavailable(format!("nothing came for {STALLS_AFTER:?}")))?;
        let Some(part) = part else { break };
        let part = part.map_err(|error| unavailable(in_full(&error)))?;
        got += part.len() as u64;
        if got > limit_bytes {
            return Err(Error::TooLarge { url: url.to_owned(), limit_bytes });
        }
        file.write_all(&part).await.map_err(unwritten)?;
    }
    file.flush().await.map_err(unwritten)?;
    Ok(got)
}

#[cfg(test)]
mod tests;
