//! The SDK's clients: one for each region, sharing connections and credentials.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use aws_config::environment::{
    EnvironmentVariableCredentialsProvider, EnvironmentVariableRegionProvider,
};
use aws_config::meta::credentials::CredentialsProviderChain;
use aws_config::meta::region::RegionProviderChain;
use aws_config::profile::{ProfileFileCredentialsProvider, ProfileFileRegionProvider};
use aws_config::retry::RetryConfig;
use aws_config::stalled_stream_protection::StalledStreamProtectionConfig;
use aws_config::{BehaviorVersion, ConfigLoader, Region};
use aws_credential_types::Credentials;
use aws_credential_types::provider::ProvideCredentials;
use aws_sdk_sagemakerruntime::{Client, config};
use axum::http::Uri;
use axum::http::uri::Scheme;

use super::response_limit::ResponseLimit;
use crate::error::Error;
use crate::loopback::is_loopback;

/// The clients made so far.
#[derive(Debug)]
pub(crate) struct Clients {
    /// Calls the router's own region.
    home: Client,
    /// Call the regions that ARNs name.
    elsewhere: Mutex<HashMap<String, Client>>,
}

impl Clients {
    /// Reads the AWS settings of the environment.
    pub(crate) async fn load(endpoint_url: Option<&Uri>) -> Result<Self, Error> {
        let mut loader = aws_config::defaults(BehaviorVersion::v2026_01_12())
            // One dead model would use up the retries of all: the SDK shares them by region.
            .retry_config(RetryConfig::disabled())
            // A model may be silent for as long as its deadline.
            .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
            .region(region(configured_region().await, endpoint_url)?);
        if let Some(url) = endpoint_url {
            loader = loader.endpoint_url(url.to_string());
            if url.host().is_some_and(is_loopback) {
                loader = stay_on_this_machine(loader, url).await;
            }
        }
        let config = config::Builder::from(&loader.load().await).interceptor(ResponseLimit).build();
        Ok(Self { home: Client::from_conf(config), elsewhere: Mutex::default() })
    }

    /// The client of a region, or of the router's own.
    pub(crate) fn of(&self, region: Option<&str>) -> Client {
        let Some(region) = region else { return self.home.clone() };
        let mut elsewhere = self.elsewhere.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(client) = elsewhere.get(region) {
            return client.clone();
        }
        let there = Region::new(region.to_owned());
        let client = Client::from_conf(self.home.config().to_builder().region(there).build());
        elsewhere.insert(region.to_owned(), client.clone());
        client
    }
}

/// What the environment or the profile says; EC2's metadata service is not asked.
async fn configured_region() -> Option<Region> {
    let configured = RegionProviderChain::first_try(EnvironmentVariableRegionProvider::new());
    configured.or_else(ProfileFileRegionProvider::new()).region().await
}

/// AWS is called in the region configured; another runtime only has it in its signatures.
fn region(configured: Option<Region>, endpoint_url: Option<&Uri>) -> Result<Region, Error> {
    let fallback = endpoint_url.map(|_| Region::from_static("us-east-1"));
    configured.or(fallback).ok_or(Error::NoRegion)
}

/// Takes what credentials there are without asking EC2's metadata service, which is not there
/// to answer.
async fn stay_on_this_machine(mut loader: ConfigLoader, url: &Uri) -> ConfigLoader {
    if url.scheme() == Some(&Scheme::HTTP) {
        // Unlike the usual client, this one takes no proxy from the environment.
        loader = loader.http_client(aws_smithy_http_client::Builder::new().build_http());
    }
    let environment = EnvironmentVariableCredentialsProvider::new();
    let configured = CredentialsProviderChain::first_try("Environment", environment)
        .or_else("Profile", ProfileFileCredentialsProvider::builder().build());
    if configured.provide_credentials().await.is_ok() {
        return loader.credentials_provider(configured);
    }
    loader.credentials_provider(Credentials::from_keys("gatehouse", "gatehouse", None))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_region_only_another_runtime_can_be_called() {
        let url = "http://127.0.0.1:8090".parse().unwrap();
        let region = |configured: Option<&'static str>, url| {
            region(configured.map(Region::from_static), url).map_err(|error| error.to_string())
        };
        assert_eq!(region(None, Some(&url)).unwrap().as_ref(), "us-east-1");
        assert_eq!(region(Some("eu-west-1"), Some(&url)).unwrap().as_ref(), "eu-west-1");
        assert_eq!(region(Some("eu-west-1"), None).unwrap().as_ref(), "eu-west-1");
        let fault = region(None, None).unwrap_err();
        assert!(
            fault.contains("AWS_REGION") && fault.contains("--sagemaker-endpoint-url"),
            "{fault}"
        );
    }
}
