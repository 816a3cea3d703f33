//! SageMaker's runtimes: one for each region, sharing connections and credentials, with the SDK's
//! settings.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use aws_config::environment::{
    EnvironmentVariableCredentialsProvider, EnvironmentVariableRegionProvider,
};
use aws_config::meta::credentials::CredentialsProviderChain;
use aws_config::meta::region::RegionProviderChain;
use aws_config::profile::{ProfileFileCredentialsProvider, ProfileFileRegionProvider};
use aws_config::{BehaviorVersion, ConfigLoader, Region, SdkConfig};
use aws_credential_types::Credentials;
use aws_credential_types::provider::ProvideCredentials;
use aws_sdk_sagemakerruntime::config::endpoint::{self, ResolveEndpoint};
use aws_smithy_http_client::proxy::ProxyConfig;
use aws_smithy_http_client::{Connector, tls};
use aws_smithy_runtime_api::client::http::{HttpConnectorSettings, SharedHttpConnector};
use aws_types::service_config::ServiceConfigKey;
use axum::http::Uri;
use axum::http::uri::Scheme;

use super::failure::Failure;
use super::runtime::{Address, Runtime};
use super::signature::Signer;
use crate::error::Error;
use crate::loopback::is_loopback;

/// The longest that a connection may take to be made.
const CONNECT_TIMEOUT: Duration = Duration::from_millis(3100);

/// The runtimes called so far.
#[derive(Debug)]
pub(crate) struct Clients {
    settings: SdkConfig,
    connector: SharedHttpConnector,
    /// The router's own region.
    home: Region,
    known: Mutex<HashMap<Region, Arc<Runtime>>>,
}

impl Clients {
    /// Reads the AWS settings of the environment.
    pub(crate) async fn load(endpoint_url: Option<&Uri>) -> Result<Self, Error> {
        let home = region(configured_region().await, endpoint_url)?;
        let mut loader = aws_config::defaults(BehaviorVersion::v2026_01_12()).region(home.clone());
        if let Some(url) = endpoint_url {
            loader = loader.endpoint_url(url.to_string());
            if url.host().is_some_and(is_loopback) {
                loader = stay_on_this_machine(loader, url).await;
            }
        }
        let (settings, connector) = (loader.load().await, connector(endpoint_url));
        let clients = Self { settings, connector, home, known: Mutex::default() };
        // The first call need not wait for this; what is wrong is said by each call.
        drop(clients.of(None).await);
        Ok(clients)
    }

    /// The runtime of a region, or of the router's own.
    pub(super) async fn of(&self, region: Option<&str>) -> Result<Arc<Runtime>, Failure> {
        let region = region.map_or_else(|| self.home.clone(), |name| Region::new(name.to_owned()));
        if let Some(runtime) = self.lock().get(&region) {
            return Ok(Arc::clone(runtime));
        }
        let address = self.address(&region).await.ok_or_else(Failure::unsent)?;
        let credentials = self.settings.credentials_provider().ok_or_else(Failure::unsent)?;
        let signer = Signer::new(credentials, region.to_string());
        let runtime = Arc::new(Runtime::new(address, signer, self.connector.clone()));
        Ok(Arc::clone(self.lock().entry(region).or_insert(runtime)))
    }

    /// Where the SDK would call a region's runtime.
    async fn address(&self, region: &Region) -> Option<Address> {
        let place = endpoint::Params::builder()
            .region(region.to_string())
            .set_use_fips(self.settings.use_fips())
            .set_use_dual_stack(self.settings.use_dual_stack())
            .set_endpoint(configured_url(&self.settings));
        let resolver = endpoint::DefaultResolver::new();
        let found = ResolveEndpoint::resolve_endpoint(&resolver, &place.build().ok()?).await;
        found.ok()?.url().try_into().ok()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Region, Arc<Runtime>>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The SDK's way to connect. On this machine it takes no proxy from the environment.
fn connector(endpoint_url: Option<&Uri>) -> SharedHttpConnector {
    let settings = HttpConnectorSettings::builder().connect_timeout(CONNECT_TIMEOUT).build();
    let connector = Connector::builder().connector_settings(settings);
    if endpoint_url.is_some_and(is_plain_and_here) {
        return SharedHttpConnector::new(connector.build_http());
    }
    let tls = tls::Provider::Rustls(tls::rustls_provider::CryptoMode::AwsLc);
    let connector = connector.proxy_config(ProxyConfig::from_env()).tls_provider(tls);
    SharedHttpConnector::new(connector.build())
}

fn is_plain_and_here(url: &Uri) -> bool {
    url.scheme() == Some(&Scheme::HTTP) && url.host().is_some_and(is_loopback)
}

/// What settings say of the runtime's address: the operator's own, or the service's before that of
/// all services.
fn configured_url(settings: &SdkConfig) -> Option<String> {
    let of_all = settings.endpoint_url().map(str::to_owned);
    if settings.get_origin("endpoint_url").is_client_config() {
        return of_all;
    }
    let key = ServiceConfigKey::builder().service_id("SageMaker Runtime");
    let key = key.env("AWS_ENDPOINT_URL").profile("endpoint_url").build().ok()?;
    settings.service_config().and_then(|service| service.load_config(key)).or(of_all)
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
    if is_plain_and_here(url) {
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
