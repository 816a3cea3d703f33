//! A proxy before the endpoint host that sends every call of the control plane to moto as well.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::header::HeaderMap;
use hyper::service::service_fn;
use hyper::{Request, Response, Uri};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;

/// The proxy; it ends when dropped.
pub(crate) struct Recording {
    pub(crate) url: String,
    exchanges: Arc<Mutex<Vec<Exchange>>>,
    _runtime: Runtime,
}

/// A call of the control plane, and what both made of it.
#[derive(Debug, Clone)]
pub(crate) struct Exchange {
    /// Such as `CreateModel`.
    pub(crate) operation: String,
    pub(crate) request: Value,
    pub(crate) host: Answer,
    pub(crate) moto: Answer,
}

/// A status, and a body of JSON.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: Value,
}

impl Recording {
    /// Listens on a free port.
    pub(crate) fn start(host: &str, moto: &str) -> Self {
        let runtime = Runtime::new().unwrap();
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let exchanges = Arc::default();
        let proxy = Proxy {
            host: host.to_owned(),
            moto: moto.to_owned(),
            client: Client::builder(TokioExecutor::new()).build_http(),
            exchanges: Arc::clone(&exchanges),
        };
        runtime.spawn(proxy.serve(listener));
        Self { url, exchanges, _runtime: runtime }
    }

    /// What was recorded until now.
    pub(crate) fn exchanges(&self) -> Vec<Exchange> {
        self.exchanges.lock().unwrap().clone()
    }
}

impl Answer {
    pub(crate) fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// The names of the answer's members.
    pub(crate) fn keys(&self) -> BTreeSet<&str> {
        self.body.as_object().into_iter().flatten().map(|(key, _)| key.as_str()).collect()
    }
}

#[derive(Clone)]
struct Proxy {
    host: String,
    moto: String,
    client: Client<HttpConnector, Full<Bytes>>,
    exchanges: Arc<Mutex<Vec<Exchange>>>,
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

    /// Gets the host's answer; for a call of the control plane, moto is asked afterwards.
    async fn pass_on(self, request: Request<Incoming>) -> hyper::Result<Response<Full<Bytes>>> {
        let (head, body) = request.into_parts();
        let body = body.collect().await?.to_bytes();
        let request = |server: &str| {
            let mut request = Request::new(Full::new(body.clone()));
            *request.method_mut() = head.method.clone();
            *request.uri_mut() = format!("{server}{}", head.uri).parse::<Uri>().unwrap();
            *request.headers_mut() = head.headers.clone();
            request.headers_mut().remove("host");
            request
        };
        let answer = self.client.request(request(&self.host)).await.unwrap();
        let (answer, answered) = answer.into_parts();
        let answered = answered.collect().await?.to_bytes();
        if let Some(operation) = operation(&head.headers) {
            let moto = self.client.request(request(&self.moto)).await.unwrap();
            let (status, moto) = (moto.status().as_u16(), moto.collect().await?.to_bytes());
            let exchange = Exchange {
                operation,
                request: json(&body),
                host: Answer { status: answer.status.as_u16(), body: json(&answered) },
                moto: Answer { status, body: json(&moto) },
            };
            self.exchanges.lock().unwrap().push(exchange);
        }
        Ok(Response::from_parts(answer, Full::new(answered)))
    }
}

fn operation(headers: &HeaderMap) -> Option<String> {
    let target = headers.get("x-amz-target")?.to_str().ok()?;
    target.strip_prefix("SageMaker.").map(str::to_owned)
}

fn json(body: &[u8]) -> Value {
    serde_json::from_slice(body).unwrap_or(Value::Null)
}
