//! A proxy on a free port: a test decides what becomes of each call.

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::http::request::Parts;
use hyper::service::service_fn;
use hyper::{Request, Response, Uri};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;

/// The proxy; it ends when dropped.
pub(crate) struct Proxy {
    pub(crate) url: String,
    _runtime: Runtime,
}

/// A call as it came.
pub(crate) struct Call {
    pub(crate) head: Parts,
    pub(crate) body: Bytes,
    client: Client<HttpConnector, Full<Bytes>>,
}

impl Proxy {
    /// Listens; each call is answered by what `answer` makes of it.
    pub(crate) fn start<F, A>(answer: F) -> Self
    where
        F: Fn(Call) -> A + Clone + Send + 'static,
        A: Future<Output = Response<Bytes>> + Send + 'static,
    {
        let runtime = Runtime::new().unwrap();
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        runtime.spawn(serve(listener, answer));
        Self { url, _runtime: runtime }
    }
}

async fn serve<F, A>(listener: TcpListener, answer: F)
where
    F: Fn(Call) -> A + Clone + Send + 'static,
    A: Future<Output = Response<Bytes>> + Send + 'static,
{
    let client = Client::builder(TokioExecutor::new()).build_http();
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        let (client, answer) = (client.clone(), answer.clone());
        let service = service_fn(move |request: Request<Incoming>| {
            let (client, answer) = (client.clone(), answer.clone());
            async move {
                let (head, body) = request.into_parts();
                let body = body.collect().await?.to_bytes();
                Ok::<_, hyper::Error>(answer(Call { head, body, client }).await.map(Full::new))
            }
        });
        let connection = hyper::server::conn::http1::Builder::new();
        // A client that goes away ends its connection.
        tokio::spawn(connection.serve_connection(TokioIo::new(stream), service));
    }
}

impl Call {
    /// The answer of `server`.
    pub(crate) async fn ask(&self, server: &str) -> Response<Bytes> {
        let mut request = Request::new(Full::new(self.body.clone()));
        *request.method_mut() = self.head.method.clone();
        *request.uri_mut() = format!("{server}{}", self.head.uri).parse::<Uri>().unwrap();
        *request.headers_mut() = self.head.headers.clone();
        request.headers_mut().remove("host");
        let (head, body) = self.client.request(request).await.unwrap().into_parts();
        Response::from_parts(head, body.collect().await.unwrap().to_bytes())
    }

    /// Such as `CreateModel`, for a call of the control plane.
    pub(crate) fn operation(&self) -> Option<&str> {
        let target = self.head.headers.get("x-amz-target")?.to_str().ok()?;
        target.strip_prefix("SageMaker.")
    }
}
