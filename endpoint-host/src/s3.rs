//! Objects in S3, or in any server that speaks its protocol: models come from there, captured calls
//! go there. Sizes and times are bounded, and a host that uses no S3 makes no client.

mod error;

use std::path::Path;
use std::time::Duration;

use aws_config::environment::EnvironmentVariableRegionProvider;
use aws_config::meta::region::RegionProviderChain;
use aws_config::profile::ProfileFileRegionProvider;
use aws_config::stalled_stream_protection::StalledStreamProtectionConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, SdkConfig};
use aws_sdk_s3::Client;
use aws_sdk_s3::config::RequestChecksumCalculation;
use aws_sdk_s3::primitives::ByteStream;
use tokio::fs::File;
use tokio::io::AsyncWriteExt as _;
use tokio::sync::OnceCell;
use tokio::time::timeout;

use crate::reason::Reason;

/// A server that is there answers a connection attempt sooner.
const CONNECTS_WITHIN: Duration = Duration::from_secs(5);

/// A server that works begins its answer, and sends each next part of it, sooner.
const STALLS_AFTER: Duration = Duration::from_secs(15);

/// The answer to an object that is sent here comes once all of it was sent, which over a slow line
/// takes a while; a line that stalls altogether is given up sooner.
const GOES_WITHIN: Duration = Duration::from_secs(120);

/// Serverless endpoints must have their model and answer `/ping` within three minutes:
/// <https://docs.aws.amazon.com/sagemaker/latest/dg/serverless-endpoints-invoke.html>
const COMES_WITHIN: Duration = Duration::from_secs(150);

/// The way to all buckets, as the environment or the profile says; found when first used.
#[derive(Debug, Default)]
pub(crate) struct Buckets {
    /// The client, once it was used.
    client: OnceCell<Client>,
}

/// The place of an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Object {
    /// The bucket.
    pub(crate) bucket: String,
    /// The key in it.
    pub(crate) key: String,
}

impl Object {
    /// The place that an `s3://BUCKET/KEY` URL names; the key may be empty.
    pub(crate) fn parse(url: &str) -> Option<Self> {
        let place = url.strip_prefix("s3://")?;
        let (bucket, key) = place.split_once('/').unwrap_or((place, ""));
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
        let is_bucket = (3..=63).contains(&bucket.len())
            && bucket.bytes().all(is_plain)
            && bucket.starts_with(|first: char| first.is_ascii_alphanumeric());
        is_bucket.then(|| Self { bucket: bucket.to_owned(), key: key.to_owned() })
    }

    /// The URL of the place.
    pub(crate) fn url(&self) -> String {
        format!("s3://{}/{}", self.bucket, self.key)
    }
}

impl Buckets {
    /// Writes an object of at most `limit` bytes to a file.
    pub(crate) async fn download(
        &self,
        object: &Object,
        limit: u64,
        into: &Path,
    ) -> Result<(), Reason> {
        let downloaded = timeout(COMES_WITHIN, self.copy(object, limit, into)).await;
        let downloaded = downloaded.unwrap_or_else(|_| {
            Err(format!("it did not come within {} seconds", COMES_WITHIN.as_secs()))
        });
        downloaded.map_err(|why| Reason::new(format!("cannot read `{}`: {why}", object.url())))
    }

    /// Writes a file to an object.
    pub(crate) async fn upload(&self, file: &Path, object: &Object) -> Result<(), String> {
        let body = ByteStream::from_path(file).await.map_err(|error| error::in_full(&error))?;
        let put = self.client().await.put_object().bucket(&object.bucket).key(&object.key);
        let patient = aws_sdk_s3::config::Builder::new().timeout_config(timeouts(GOES_WITHIN));
        let put = put.body(body).customize().config_override(patient);
        put.send().await.map(|_| ()).map_err(|error| error::explain(&error))
    }

    async fn copy(&self, object: &Object, limit: u64, into: &Path) -> Result<(), String> {
        let get = self.client().await.get_object().bucket(&object.bucket).key(&object.key);
        let answer = get.send().await.map_err(|error| error::explain(&error))?;
        let announced = answer.content_length.and_then(|length| u64::try_from(length).ok());
        let too_large = || format!("it is larger than {limit} bytes");
        if announced.is_some_and(|length| length > limit) {
            return Err(too_large());
        }
        let mut body = answer.body;
        let mut file = File::create(into).await.map_err(|error| unwritten(&error))?;
        let mut got = 0;
        while let Some(part) = next(&mut body).await? {
            got += part.len() as u64;
            if got > limit {
                return Err(too_large());
            }
            file.write_all(&part).await.map_err(|error| unwritten(&error))?;
        }
        file.flush().await.map_err(|error| unwritten(&error))?;
        match announced {
            Some(length) if length != got => {
                Err(format!("{got} bytes came, but {length} were announced"))
            }
            _ => Ok(()),
        }
    }

    async fn client(&self) -> &Client {
        self.client.get_or_init(async || client(&config().await)).await
    }
}

async fn next(body: &mut ByteStream) -> Result<Option<bytes::Bytes>, String> {
    let part = timeout(STALLS_AFTER, body.next()).await;
    let part = part.map_err(|_| format!("nothing came for {} seconds", STALLS_AFTER.as_secs()))?;
    part.transpose().map_err(|error| format!("it broke off: {}", error::in_full(&error)))
}

fn unwritten(error: &std::io::Error) -> String {
    format!("it cannot be stored here: {error}")
}

/// EC2's metadata service is not asked for a region: elsewhere that takes a second.
async fn config() -> SdkConfig {
    let region = RegionProviderChain::first_try(EnvironmentVariableRegionProvider::new())
        .or_else(ProfileFileRegionProvider::new())
        .or_else("us-east-1");
    aws_config::defaults(BehaviorVersion::v2026_01_12()).region(region).load().await
}

fn timeouts(answers_within: Duration) -> TimeoutConfig {
    let connecting = TimeoutConfig::builder().connect_timeout(CONNECTS_WITHIN);
    connecting.read_timeout(answers_within).build()
}

/// Other servers than AWS's know neither bucket names as host names nor AWS's newer checksums.
fn client(config: &SdkConfig) -> Client {
    let has_own_url =
        config.endpoint_url().is_some() || std::env::var_os("AWS_ENDPOINT_URL_S3").is_some();
    let stalls = StalledStreamProtectionConfig::enabled().grace_period(STALLS_AFTER);
    let s3 = aws_sdk_s3::config::Builder::from(config)
        .force_path_style(has_own_url)
        .timeout_config(timeouts(STALLS_AFTER))
        .stalled_stream_protection(stalls.build())
        .request_checksum_calculation(RequestChecksumCalculation::WhenRequired);
    Client::from_conf(s3.build())
}

#[cfg(test)]
pub(crate) mod tests;
