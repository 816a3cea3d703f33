//! One connection, which is looked after by the task that calls on it: handing each request to
//! another task and back would take as long as the request itself.

use std::collections::BTreeMap;
use std::error::Error;
use std::fmt;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::{Body, Incoming};
use hyper::client::conn::http1::{self, Connection, SendRequest};
use hyper::header::{CONTENT_ENCODING, CONTENT_TYPE};
use hyper::{HeaderMap, Response};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder, MaybeHttpsStream};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioIo;
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tower_service::Service;

use super::{MAX_ANSWER_BYTES, chain};
use crate::record::{Answer, Reply};
use crate::target::{Origin, Request};

/// How long a connection may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Servers close connections that are idle for some seconds, often two or five. A request that
/// crosses such a close on its way would look like a fault of the target.
const MOST_IDLE: Duration = Duration::from_millis(1500);
/// How often a connection and its request are polled in turns before the task waits for more: an
/// answer comes in two parts, its head and its body. Whatever comes behind them wakes the task again.
const TURNS: usize = 2;
/// How much memory a length that is announced gets before anything of it has come.
const MOST_AT_ONCE: usize = 1 << 20;

/// Makes connections, plain or with TLS.
pub(super) type Connector = HttpsConnector<HttpConnector>;
type Stream = MaybeHttpsStream<TokioIo<TcpStream>>;

/// An open connection.
pub(super) struct Wire {
    sender: SendRequest<Full<Bytes>>,
    connection: Connection<Stream, Full<Bytes>>,
    is_open: bool,
    used: Instant,
}

/// Why a request has no answer.
#[derive(Debug)]
pub(super) struct Unsent {
    /// The request, if nothing of it was sent.
    pub(super) request: Option<Box<Request>>,
    /// What went wrong.
    pub(super) reason: String,
}

/// A connector that trusts whom the system trusts. Reading whom takes a while, so it is done only
/// where TLS is used.
pub(super) fn connector(with_tls: bool) -> Connector {
    let roots = if with_tls { system_roots() } else { RootCertStore::empty() };
    let tls = ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .expect("the provider has TLS 1.2 and 1.3")
        .with_root_certificates(roots)
        .with_no_client_auth();
    let mut http = HttpConnector::new();
    http.enforce_http(false);
    http.set_nodelay(true);
    http.set_connect_timeout(Some(CONNECT_TIMEOUT));
    let builder = HttpsConnectorBuilder::new().with_tls_config(tls).https_or_http();
    builder.enable_http1().wrap_connector(http)
}

/// The certificates that the system trusts, or those of `SSL_CERT_FILE`.
fn system_roots() -> RootCertStore {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    roots
}

impl Wire {
    /// Connects.
    ///
    /// # Errors
    /// Why there is no connection.
    pub(super) async fn connect(connector: &Connector, origin: &Origin) -> Result<Self, String> {
        let stream = connector.clone().call(origin.uri.clone()).await;
        let stream = stream.map_err(|error| chain(error.as_ref()))?;
        let (sender, connection) = http1::handshake(stream).await.map_err(|error| chain(&error))?;
        Ok(Self { sender, connection, is_open: true, used: Instant::now() })
    }

    /// Whether another request may be sent, as far as can be told.
    pub(super) async fn is_ready(&mut self) -> bool {
        if self.used.elapsed() > MOST_IDLE {
            return false;
        }
        poll_fn(|context| {
            self.look_after(context);
            if self.is_open { self.sender.poll_ready(context) } else { Poll::Ready(Ok(())) }
        })
        .await
        .is_ok()
            && self.is_open
    }

    /// Sends a request and reads its whole answer, with those headers that the captured one has.
    ///
    /// # Errors
    /// Why there is none.
    pub(super) async fn exchange(
        &mut self,
        request: Request,
        captured: &Reply,
    ) -> Result<Answer, Unsent> {
        let response = self.sender.try_send_request(request);
        let mut answer = pin!(async {
            let response = response.await.map_err(|mut error| {
                let request = error.take_message().map(Box::new);
                Unsent { request, reason: chain(error.error()) }
            })?;
            read(response, captured).await
        });
        let done = poll_fn(|context| self.poll(context, answer.as_mut())).await;
        self.used = Instant::now();
        done
    }

    /// In turns: the request goes to the connection, and what comes back to the answer.
    fn poll<T>(&mut self, context: &mut Context<'_>, mut answer: Pin<&mut T>) -> Poll<T::Output>
    where
        T: Future,
    {
        for _ in 0..TURNS {
            self.look_after(context);
            if let Poll::Ready(done) = answer.as_mut().poll(context) {
                return Poll::Ready(done);
            }
        }
        Poll::Pending
    }

    /// Reads and writes what can be. An error is told to the request that it is about.
    fn look_after(&mut self, context: &mut Context<'_>) {
        if self.is_open && Pin::new(&mut self.connection).poll(context).is_ready() {
            self.is_open = false;
        }
    }
}

async fn read(response: Response<Incoming>, captured: &Reply) -> Result<Answer, Unsent> {
    let (head, body) = response.into_parts();
    let body = whole(Limited::new(body, MAX_ANSWER_BYTES)).await;
    let body = body.map_err(|error| Unsent { request: None, reason: chain(error.as_ref()) })?;
    Ok(Answer {
        status: head.status.as_u16(),
        content_type: head.headers.get(CONTENT_TYPE).map(text),
        headers: captured_headers(&head.headers, captured),
        body,
    })
}

/// Copied, as the buffer of the connection is larger than many answers: it is free for the next one,
/// where the connection would else take another for each.
async fn whole(mut body: Limited<Incoming>) -> Result<Bytes, Box<dyn Error + Send + Sync>> {
    let announced = usize::try_from(body.size_hint().lower()).unwrap_or(MOST_AT_ONCE);
    let mut whole = Vec::with_capacity(announced.min(MOST_AT_ONCE));
    while let Some(frame) = body.frame().await {
        whole.extend_from_slice(frame?.data_ref().map_or(&[], |data| data));
    }
    Ok(whole.into_boxed_slice().into())
}

/// Others can't be compared with anything.
fn captured_headers(headers: &HeaderMap, captured: &Reply) -> BTreeMap<String, String> {
    let names = captured.answer.iter().flat_map(|answer| answer.headers.keys().map(String::as_str));
    // Without this one, nobody could tell what the bytes of a body are.
    let names = names.chain([CONTENT_ENCODING.as_str()]);
    names.filter_map(|name| Some((name.to_owned(), text(headers.get(name)?)))).collect()
}

fn text(value: &hyper::header::HeaderValue) -> String {
    String::from_utf8_lossy(value.as_bytes()).into_owned()
}

impl fmt::Debug for Wire {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Wire").field("is_open", &self.is_open).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;
    use crate::tally::tests::record;
    use crate::target::{FixedHeaders, Prepared, Target};

    /// What a server's answer is read as, and the connection, which stays open.
    async fn answered(head_and_body: &'static str) -> (Answer, Wire) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (target, record) =
            (Target::parse(&url, FixedHeaders::default()), record("1", "", "", ""));
        let Ok(Prepared::Http(origin, request)) = target.unwrap().prepare(&record) else {
            panic!("`{url}` is a URL")
        };
        let serving = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            stream.read_u8().await.unwrap();
            stream.write_all(head_and_body.as_bytes()).await.unwrap();
            stream
        };
        let asking = async {
            let mut wire = Wire::connect(&connector(false), &origin).await.unwrap();
            (wire.exchange(request, &record.reply).await.unwrap(), wire)
        };
        let (_stream, answered) = tokio::join!(serving, asking);
        answered
    }

    #[tokio::test]
    async fn an_answer_holds_on_to_no_buffer_of_its_connection() {
        for head_and_body in [
            "HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nbody",
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\nb\r\n3\r\nody\r\n0\r\n\r\n",
        ] {
            let (Answer { body, .. }, _wire) = answered(head_and_body).await;
            assert_eq!(body, "body");
            assert!(body.is_unique(), "{head_and_body}");
        }
    }
}
