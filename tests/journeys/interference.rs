//! A proxy before a server that fails some of a deployment's calls, or lets others come first.

use std::sync::Arc;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode, Uri};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;

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

/// Decides on a call by its name: `UpdateEndpoint`, `AddTags endpoint` for a call on a resource's
/// ARN, or `PUT /v1/models/spam`.
type Rule = dyn Fn(&str) -> Fate + Send + Sync;

/// The proxy; it ends when dropped.
pub(crate) struct Interference {
    pub(crate) url: String,
    _runtime: Runtime,
}

impl Interference {
    /// Listens on a free port; `rule` may take its time.
    pub(crate) fn start(server: &str, rule: impl Fn(&str) -> Fate + Send + Sync + 'static) -> Self {
        let runtime = Runtime::new().unwrap();
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let client = Client::builder(TokioExecutor::new()).build_http();
        let proxy = Proxy { server: server.to_owned(), client, rule: Arc::new(rule) };
        runtime.spawn(proxy.serve(listener));
        Self { url, _runtime: runtime }
    }
}

#[derive(Clone)]
struct Proxy {
    server: String,
    client: Client<HttpConnector, Full<Bytes>>,
    rule: Arc<Rule>,
}

impl Proxy {
    async fn serve(self, listener: TcpListener) {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let proxy = self.clone();
            let service = service_fn(move |request| proxy.clone().pass_on(request));
            let connection = hyper::server::conn::http1::Builder::new();
            // A client that goes away ends its connection.
            tokio::spawn(connection.serve_connection(TokioIo::new(stream), service));
        }
    }

    async fn pass_on(self, request: Request<Incoming>) -> hyper::Result<Response<Full<Bytes>>> {
        let (mut head, body) = request.into_parts();
        let body = body.collect().await?.to_bytes();
        let target = head.headers.get("x-amz-target").and_then(|target| target.to_str().ok());
        let operation = target.and_then(|target| target.strip_prefix("SageMaker."));
        let plain = format!("{} {}", head.method, head.uri.path());
        let name = operation.map_or(plain, |operation| format!("{operation}{}", kind(&body)));
        let rule = Arc::clone(&self.rule);
        let fate = tokio::task::spawn_blocking(move || rule(&name)).await.unwrap();
        if fate == Fate::Failed {
            return Ok(failure());
        }
        head.uri = format!("{}{}", self.server, head.uri).parse::<Uri>().unwrap();
        head.headers.remove("host");
        let answer = self.client.request(Request::from_parts(head, Full::new(body))).await.unwrap();
        let (answer, body) = answer.into_parts();
        let body = body.collect().await?.to_bytes();
        Ok(match fate {
            Fate::Unanswered => failure(),
            _ => Response::from_parts(answer, Full::new(body)),
        })
    }
}

/// What kind of resource a call is on, if it names one by its ARN.
fn kind(body: &[u8]) -> String {
    let request: Value = serde_json::from_slice(body).unwrap_or_default();
    let resource = request["ResourceArn"].as_str().and_then(|arn| arn.splitn(6, ':').last());
    let kind = resource.and_then(|resource| resource.split('/').next());
    kind.map(|kind| format!(" {kind}")).unwrap_or_default()
}

fn failure() -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::from(r#"{"message": "no room"}"#));
    *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
    response
}
