//! A proxy before a server that fails some of a deployment's calls, or lets others come first.

use std::sync::Arc;

use bytes::Bytes;
use hyper::{Response, StatusCode};
use serde_json::Value;

use crate::proxy::{Call, Proxy};

/// What becomes of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It is passed on.
    Passed,
    /// The server never gets it.
    Failed,
    /// The server gets it, and its answer is lost.
    Unanswered,
}

/// Listens on a free port before `server`; `rule` may take its time.
pub(crate) fn interfere(
    server: &str,
    rule: impl Fn(&str) -> Fate + Send + Sync + 'static,
) -> Proxy {
    let (server, rule) = (server.to_owned(), Arc::new(rule));
    Proxy::start(move |call| pass_on(call, server.clone(), Arc::clone(&rule)))
}

async fn pass_on(
    call: Call,
    server: String,
    rule: Arc<impl Fn(&str) -> Fate + Send + Sync + 'static>,
) -> Response<Bytes> {
    let name = name(&call);
    let fate = tokio::task::spawn_blocking(move || rule(&name)).await.unwrap();
    match fate {
        Fate::Passed => call.ask(&server).await,
        Fate::Failed => failure(),
        Fate::Unanswered => {
            call.ask(&server).await;
            failure()
        }
    }
}

/// `UpdateEndpoint`, `AddTags endpoint` for a call on a resource's ARN, or `PUT /v1/models/spam`.
fn name(call: &Call) -> String {
    match call.operation() {
        Some(operation) => format!("{operation}{}", kind(&call.body)),
        None => format!("{} {}", call.head.method, call.head.uri.path()),
    }
}

/// What kind of resource a call is on, if it names one by its ARN.
fn kind(body: &[u8]) -> String {
    let request: Value = serde_json::from_slice(body).unwrap_or_default();
    let resource = request["ResourceArn"].as_str().and_then(|arn| arn.splitn(6, ':').last());
    let kind = resource.and_then(|resource| resource.split('/').next());
    kind.map(|kind| format!(" {kind}")).unwrap_or_default()
}

fn failure() -> Response<Bytes> {
    let mut response = Response::new(Bytes::from(r#"{"message": "no room"}"#));
    *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
    response
}
