//! The endpoint host's control plane and runtime, as far as a deployment needs them.

use std::path::Path;
use std::time::{Duration, Instant};

use hyper::Method;
use model_container::package::Canary;
use serde_json::{Value, json};

use crate::Error;
use crate::http::{Answer, Call, Http};
use crate::release::Release;

/// How often a coming endpoint is asked for its status.
const POLL: Duration = Duration::from_millis(20);
/// SageMaker lets a serverless container take three minutes to come up.
const COMES_UP_WITHIN: Duration = Duration::from_secs(190);
/// The built-in container.
const IMAGE: &str = "gatehouse/model-container";

/// An endpoint host at a URL.
pub(crate) struct Host<'a> {
    pub(crate) http: &'a Http,
    pub(crate) url: &'a str,
}

impl Host<'_> {
    /// Refuses a name that serves something else already: updating is not built yet.
    ///
    /// An endpoint that failed to come up serves nothing and makes room.
    pub(crate) async fn make_room(&self, name: &str, config: &str) -> Result<(), Error> {
        let Some(endpoint) = self.describe(name).await? else { return Ok(()) };
        if endpoint["EndpointStatus"] == "Failed" {
            return self.delete(name).await;
        }
        if endpoint["EndpointConfigName"] == config {
            return Ok(());
        }
        let reason = "it serves another version or with other limits; updating is not built yet, delete it first";
        Err(fault(name, reason))
    }

    /// Creates model, endpoint config and endpoint, where they are missing.
    pub(crate) async fn create(&self, release: &Release, files: &Path) -> Result<(), Error> {
        let Release { endpoint, model, config, limits } = release;
        let request = json!({"ModelName": model, "ExecutionRoleArn": ROLE,
            "PrimaryContainer": {"Image": IMAGE, "ModelDataUrl": file_url(files)}});
        self.create_once("CreateModel", &request).await?;
        let serverless =
            json!({"MemorySizeInMB": limits.memory_mb, "MaxConcurrency": limits.max_concurrency});
        let request = json!({"EndpointConfigName": config, "ProductionVariants": [
            {"VariantName": "AllTraffic", "ModelName": model, "ServerlessConfig": serverless}]});
        self.create_once("CreateEndpointConfig", &request).await?;
        let request = json!({"EndpointName": endpoint, "EndpointConfigName": config});
        self.create_once("CreateEndpoint", &request).await
    }

    /// Waits until the endpoint is in service.
    pub(crate) async fn wait(&self, name: &str) -> Result<(), Error> {
        let started = Instant::now();
        while started.elapsed() < COMES_UP_WITHIN {
            let Some(endpoint) = self.describe(name).await? else {
                return Err(fault(name, "it was deleted while it came up"));
            };
            match endpoint["EndpointStatus"].as_str() {
                Some("InService") => return Ok(()),
                Some("Failed") => return Err(fault(name, &endpoint["FailureReason"].to_string())),
                _ => tokio::time::sleep(POLL).await,
            }
        }
        Err(fault(name, "it did not come into service in time"))
    }

    async fn delete(&self, name: &str) -> Result<(), Error> {
        let answer = self.control("DeleteEndpoint", &json!({"EndpointName": name})).await?;
        answer.success("DeleteEndpoint")?;
        while self.describe(name).await?.is_some() {
            tokio::time::sleep(POLL).await;
        }
        Ok(())
    }

    /// The endpoint's description, where it exists.
    async fn describe(&self, name: &str) -> Result<Option<Value>, Error> {
        let answer = self.control("DescribeEndpoint", &json!({"EndpointName": name})).await?;
        if answer.status.is_client_error() && answer.reason().contains("Could not find") {
            return Ok(None);
        }
        answer.success("DescribeEndpoint").map(Some)
    }

    /// Asks the endpoint a canary of the package.
    pub(crate) async fn try_canary(&self, name: &str, canary: &Canary) -> Result<(), Error> {
        let answer = self
            .http
            .send(Call {
                method: Method::POST,
                url: format!("{}/endpoints/{name}/invocations", self.url),
                headers: &[("content-type", "application/json")],
                body: Some(&json!(canary.input)),
            })
            .await?;
        let prediction = answer.success("a canary")?;
        match (&canary.label, &prediction["label"]) {
            (Some(expected), got) if got != expected.as_str() => {
                Err(fault(name, &format!("a canary expects label `{expected}` and got {got}")))
            }
            _ => Ok(()),
        }
    }

    /// Creates something, or finds that an earlier run has.
    async fn create_once(&self, operation: &str, request: &Value) -> Result<(), Error> {
        let answer = self.control(operation, request).await?;
        if answer.status.is_client_error() && answer.reason().contains("already existing") {
            return Ok(());
        }
        answer.success(operation).map(|_| ())
    }

    async fn control(&self, operation: &str, request: &Value) -> Result<Answer, Error> {
        let target = format!("SageMaker.{operation}");
        let headers = [("content-type", "application/x-amz-json-1.1"), ("x-amz-target", &target)];
        let url = format!("{}/", self.url);
        self.http
            .send(Call { method: Method::POST, url, headers: &headers, body: Some(request) })
            .await
    }
}

/// SageMaker demands a role; the host needs none.
const ROLE: &str = "arn:aws:iam::000000000000:role/gatehouse";

/// A `file://` URL; what is not plain in a path is percent-encoded.
fn file_url(path: &Path) -> String {
    let mut url = "file://".to_owned();
    for byte in path.as_os_str().as_encoded_bytes() {
        match byte {
            b'/' | b'-' | b'_' | b'.' | b'~' | b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' => {
                url.push(char::from(*byte));
            }
            _ => url.push_str(&format!("%{byte:02X}")),
        }
    }
    url
}

fn fault(endpoint: &str, reason: &str) -> Error {
    Error::Endpoint { endpoint: endpoint.to_owned(), reason: reason.to_owned() }
}
