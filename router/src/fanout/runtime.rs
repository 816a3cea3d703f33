//! Calls endpoints of SageMaker's runtime in one region.
//!
//! Settings, credentials, addresses, connections and errors are the SDK's. Its own way to make a
//! call takes longer than the call itself: for retries, timeouts and statistics, all of which the
//! router has of its own. So the request is put together here.

use std::sync::Arc;

use aws_sdk_sagemakerruntime::operation::invoke_endpoint::{InvokeEndpoint, InvokeEndpointError};
use aws_smithy_runtime_api::client::http::{HttpConnector, SharedHttpConnector};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::runtime_plugin::RuntimePlugin;
use aws_smithy_runtime_api::client::ser_de::{DeserializeResponse, SharedResponseDeserializer};
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::config_bag::{ConfigBag, FrozenLayer};
use axum::http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HOST};
use axum::http::uri::{Authority, InvalidUri, Scheme};
use axum::http::{Request, Uri};
use bytes::Bytes;
use http_body_util::{BodyExt, Limited};
use jiff::Timestamp;

use super::clock::Clock;
use super::failure::Failure;
use super::reader::MAX_ANSWER_BYTES;
use super::signature::{Signable, Signer, date, encoded};

const JSON: &str = "application/json";

/// The runtime of one region.
#[derive(Debug)]
pub(super) struct Runtime {
    address: Address,
    signer: Arc<Signer>,
    clock: Clock,
    connector: SharedHttpConnector,
    /// What the SDK knows of the operation, its errors above all.
    operation: FrozenLayer,
}

/// Where the runtime is.
#[derive(Debug)]
pub(super) struct Address {
    scheme: Scheme,
    host: Authority,
    /// What stands before the operation's own path; mostly nothing.
    prefix: String,
}

impl Runtime {
    pub(super) fn new(
        address: Address,
        signer: Arc<Signer>,
        connector: SharedHttpConnector,
    ) -> Self {
        let operation = InvokeEndpoint::new().config().expect("an operation has a deserializer");
        Self { address, signer, clock: Clock::default(), connector, operation }
    }

    /// What the endpoint answers.
    pub(super) async fn invoke(&self, endpoint: &str, payload: Bytes) -> Result<Bytes, Failure> {
        let signed = self.clock.now();
        let answer = self.send(endpoint, payload.clone(), signed).await?;
        if self.clock.has_misled(signed, &answer) {
            let answer = self.send(endpoint, payload, self.clock.now()).await?;
            return self.read(answer).await;
        }
        self.read(answer).await
    }

    async fn send(
        &self,
        endpoint: &str,
        payload: Bytes,
        now: Timestamp,
    ) -> Result<HttpResponse, Failure> {
        let request = self.request(endpoint, payload, now).await?;
        self.connector.call(request).await.map_err(|error| Failure::of_connection(&error))
    }

    async fn read(&self, mut answer: HttpResponse) -> Result<Bytes, Failure> {
        let body = Limited::new(answer.take_body(), MAX_ANSWER_BYTES).collect().await;
        let body = body.map_err(|error| Failure::of_body(&*error))?.to_bytes();
        if answer.status().is_success() {
            return Ok(body);
        }
        *answer.body_mut() = SdkBody::from(body);
        Err(self.refusal(&answer))
    }

    async fn request(
        &self,
        endpoint: &str,
        payload: Bytes,
        now: Timestamp,
    ) -> Result<HttpRequest, Failure> {
        let key = self.signer.key(now).await.map_err(Failure::unsigned)?;
        let Address { scheme, host, prefix } = &self.address;
        let path = format!("{prefix}/endpoints/{endpoint}/invocations");
        let (date, host_text) = (date(now), host.as_str());
        let signed = if prefix.is_empty() { path.clone() } else { encoded(&path) };
        let call = Signable { host: host_text, path: &signed, body: &payload, date: &date };
        let url = Uri::builder().scheme(scheme.clone()).authority(host.clone());
        let mut request = Request::post(url.path_and_query(path).build().map_err(unsent)?)
            .header(ACCEPT, JSON)
            .header(CONTENT_TYPE, JSON)
            .header(HOST, host_text)
            .header(AUTHORIZATION, key.authorize(call))
            .header("x-amz-date", date);
        if let Some(token) = key.token() {
            request = request.header("x-amz-security-token", token);
        }
        request.body(SdkBody::from(payload)).map_err(unsent)?.try_into().map_err(unsent)
    }

    /// What kind of failure the runtime tells of.
    fn refusal(&self, answer: &HttpResponse) -> Failure {
        let unreadable = || Failure::endpoint("the answer can't be read");
        let Some(reader) = self.operation.load::<SharedResponseDeserializer>() else {
            return unreadable();
        };
        let read = reader.deserialize_nonstreaming_with_config(answer, &ConfigBag::base());
        let error = read.err().and_then(|error| {
            let error = error.as_operation_error()?.downcast_ref::<InvokeEndpointError>()?;
            Some(Failure::of_service(error, answer.status().as_u16()))
        });
        error.unwrap_or_else(unreadable)
    }
}

fn unsent<E>(_: E) -> Failure {
    Failure::unsent()
}

impl TryFrom<&str> for Address {
    type Error = InvalidUri;

    fn try_from(url: &str) -> Result<Self, InvalidUri> {
        let url: Uri = url.parse()?;
        let prefix = url.path().trim_end_matches('/').to_owned();
        let authority = url.authority().map_or("", Authority::as_str);
        let host = authority.rsplit('@').next().unwrap_or(authority).parse()?;
        let scheme = url.scheme().cloned().unwrap_or(Scheme::HTTPS);
        Ok(Self { scheme, host, prefix })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use aws_credential_types::Credentials;
    use aws_credential_types::provider::SharedCredentialsProvider;
    use aws_smithy_http_client::Connector;
    use axum::Router;
    use axum::http::{HeaderMap, StatusCode};
    use jiff::SignedDuration;
    use jiff::fmt::rfc2822::DateTimePrinter;
    use tokio::net::TcpListener;

    use super::super::signature::example::signed_by_the_sdk;
    use super::*;

    fn runtime(url: &str, credentials: Credentials) -> Runtime {
        let provider = SharedCredentialsProvider::new(credentials);
        let signer = Signer::new(provider, "eu-west-1".to_owned());
        let connector = SharedHttpConnector::new(Connector::builder().build_http());
        Runtime::new(url.try_into().unwrap(), signer, connector)
    }

    async fn request(url: &str, credentials: Credentials) -> HttpRequest {
        let runtime = runtime(url, credentials);
        runtime.request("spam", Bytes::from_static(b"{}"), Timestamp::now()).await.unwrap()
    }

    #[tokio::test]
    async fn what_is_sent_is_what_was_signed() {
        for (address, url, host) in [
            ("http://localhost:8090", "http://localhost:8090", "localhost:8090"),
            ("http://me@[::1]:8090/a%20b/", "http://[::1]:8090/a%20b", "[::1]:8090"),
            ("https://runtime.example", "https://runtime.example", "runtime.example"),
        ] {
            let token = Some("token".to_owned());
            let credentials = Credentials::new("an-id", "a-secret", token, None, "test");
            let request = request(address, credentials.clone()).await;
            let url = format!("{url}/endpoints/spam/invocations");
            assert_eq!((request.method(), request.uri()), ("POST", &*url));
            let header = |name| request.headers().get(name).unwrap();
            assert_eq!((header("host"), header("x-amz-security-token")), (host, "token"));
            assert_eq!((header("accept"), header("content-type")), (JSON, JSON));
            let date = header("x-amz-date").replace('Z', "+0000");
            let date = jiff::fmt::strtime::parse("%Y%m%dT%H%M%S%z", date).unwrap();
            let signed = signed_by_the_sdk(credentials, &url, date.to_timestamp().unwrap());
            assert_eq!(header("authorization"), signed, "{url}");
        }
    }

    /// A runtime whose clock is two hours behind, and which answers no call that is signed with
    /// another time; how many those were.
    async fn two_hours_behind() -> (String, Arc<AtomicUsize>) {
        let refused: Arc<AtomicUsize> = Arc::default();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let counted = Arc::clone(&refused);
        let answer = move |headers: HeaderMap| async move {
            let now = Timestamp::now() - SignedDuration::from_hours(2);
            let date = DateTimePrinter::new().timestamp_to_rfc9110_string(&now).unwrap();
            let told = |ago: i64| super::date(now - SignedDuration::from_secs(ago));
            let signed = headers["x-amz-date"].to_str().unwrap();
            if (told(60).as_str()..=&*told(-60)).contains(&signed) {
                return (StatusCode::OK, [("date", date)], "{}");
            }
            counted.fetch_add(1, Ordering::Relaxed);
            (StatusCode::FORBIDDEN, [("date", date)], r#"{"message": "Signature not yet current"}"#)
        };
        let routes = Router::new().fallback(answer);
        tokio::spawn(async { axum::serve(listener, routes).await.unwrap() });
        (url, refused)
    }

    #[tokio::test]
    async fn a_call_refused_for_its_time_is_made_again_and_the_next_ones_are_not_refused() {
        let (url, refused) = two_hours_behind().await;
        let runtime = runtime(&url, Credentials::new("an-id", "a-secret", None, None, "test"));
        for _ in 0..3 {
            let answer = runtime.invoke("spam", Bytes::from_static(b"{}")).await.unwrap();
            assert_eq!(answer, "{}");
        }
        assert_eq!(refused.load(Ordering::Relaxed), 1);
    }
}
