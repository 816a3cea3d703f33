//! The SDK's clients: one for each region, sharing connections and credentials.

use std::collections::HashMap;
use std::net::IpAddr;
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

use super::response_limit::ResponseLimit;

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
    pub(crate) async fn load(endpoint_url: Option<&Uri>) -> Self {
        let mut loader = aws_config::defaults(BehaviorVersion::v2026_01_12())
            // One dead model would use up the retries of all: the SDK shares them by region.
            .retry_config(RetryConfig::disabled())
            // A model may be silent for as long as its deadline.
            .stalled_stream_protection(StalledStreamProtectionConfig::disabled());
        if let Some(url) = endpoint_url {
            loader = loader.endpoint_url(url.to_string());
            if is_loopback(url) {
                loader = stay_on_this_machine(loader).await;
            }
        }
        let config = config::Builder::from(&loader.load().await).interceptor(ResponseLimit).build();
        Self { home: Client::from_conf(config), elsewhere: Mutex::default() }
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

fn is_loopback(url: &Uri) -> bool {
    let host = url.host().unwrap_or_default().trim_matches(['[', ']']);
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// Leaves out what the SDK would ask of EC2's metadata service, which is not there to answer.
async fn stay_on_this_machine(loader: ConfigLoader) -> ConfigLoader {
    let region = RegionProviderChain::first_try(EnvironmentVariableRegionProvider::new())
        .or_else(ProfileFileRegionProvider::new())
        .or_else("us-east-1");
    let environment = EnvironmentVariableCredentialsProvider::new();
    let configured = CredentialsProviderChain::first_try("Environment", environment)
        .or_else("Profile", ProfileFileCredentialsProvider::builder().build());
    let loader = loader.region(region);
    if configured.provide_credentials().await.is_ok() {
        return loader.credentials_provider(configured);
    }
    loader.credentials_provider(Credentials::from_keys("gatehouse", "gatehouse", None))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_this_machine_is_loopback() {
        let loopback = |url: &str| is_loopback(&url.parse().unwrap());
        assert!(loopback("http://127.0.0.1:8090"));
        assert!(loopback("http://[::1]:8090"));
        assert!(loopback("http://localhost:8090"));
        assert!(!loopback("https://runtime.sagemaker.eu-west-1.amazonaws.com"));
        assert!(!loopback("http://127.0.0.1.example.com"));
    }
}
