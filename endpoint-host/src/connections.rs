//! HTTP to one container, over connections that are kept open between calls.

use std::net::SocketAddr;
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, SendRequest};
use hyper::header::{HOST, HeaderValue};
use hyper::http::response::Parts;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};

use crate::body::INVOCATION_BYTES;

/// Connections idle for longer are not used again. Containers close theirs too, gunicorn's after two
/// seconds, and a call that crosses such a close on its way would be lost.
const KEEP_LIMIT: Duration = Duration::from_secs(1);

/// One `/ping` may take two seconds:
/// <https://docs.aws.amazon.com/sagemaker/latest/dg/your-algorithms-inference-code.html>
const PING_LIMIT: Duration = Duration::from_secs(2);

/// The way to one container. Calls that are given up close their connection.
#[derive(Debug)]
pub(crate) struct Connections {
    /// Where the container listens.
    address: SocketAddr,
    /// The same, as a header.
    host: HeaderValue,
    /// Connections that have answered, the latest last; never locked across an await.
    idle: Mutex<Vec<Idle>>,
}

/// A connection between two calls.
#[derive(Debug)]
struct Idle {
    /// Sends the next call.
    sender: Sender,
    /// When the last answer had come.
    since: Instant,
}

pub(crate) type Sender = SendRequest<Full<Bytes>>;

/// An answer that has begun; dropping it gives the call up.
pub(crate) struct Streaming {
    /// Its status and headers.
    pub(crate) head: Parts,
    /// The rest, as it comes.
    pub(crate) body: Incoming,
    /// Its connection, to be kept once the rest has come.
    pub(crate) sender: Sender,
}

/// Why a container's answer is not there.
#[derive(Debug)]
pub(crate) enum Lost {
    /// Nothing was sent, for this cause.
    Unsent(String),
    /// The connection broke, for this cause.
    Broken(String),
    /// The answer is longer than SageMaker passes on.
    TooLong,
}

impl Connections {
    /// No connection yet.
    pub(crate) fn to(address: SocketAddr) -> Self {
        let host = HeaderValue::try_from(address.to_string()).expect("addresses are plain text");
        Self { address, host, idle: Mutex::default() }
    }

    /// Sends a request, whose address is a path, and waits for the whole answer.
    pub(crate) async fn ask(&self, request: Request<Full<Bytes>>) -> Result<Response<Bytes>, Lost> {
        let Streaming { head, body, sender } = self.begin(request).await?;
        match Limited::new(body, INVOCATION_BYTES).collect().await {
            Ok(body) => {
                self.keep(sender);
                Ok(Response::from_parts(head, body.to_bytes()))
            }
            Err(error) if error.is::<LengthLimitError>() => Err(Lost::TooLong),
            Err(error) => Err(Lost::broken(&*error)),
        }
    }

    /// Sends a request, whose address is a path, and waits for the head of the answer.
    pub(crate) async fn begin(&self, mut request: Request<Full<Bytes>>) -> Result<Streaming, Lost> {
        request.headers_mut().insert(HOST, self.host.clone());
        if let Some(mut kept) = self.kept() {
            match kept.send_request(request.clone()).await {
                Ok(answer) => return Ok(Streaming::new(kept, answer)),
                // Closed before the request was sent: a fresh one will tell.
                Err(error) if error.is_canceled() => {}
                // What the container may have taken it must not get twice.
                Err(error) => return Err(Lost::broken(&error)),
            }
        }
        let mut fresh = self.open().await?;
        match fresh.send_request(request).await {
            Ok(answer) => Ok(Streaming::new(fresh, answer)),
            Err(error) if error.is_canceled() => Err(Lost::unsent(&error)),
            Err(error) => Err(Lost::broken(&error)),
        }
    }

    /// Takes back a connection whose answer was read to its end.
    pub(crate) fn keep(&self, sender: Sender) {
        self.lock().push(Idle { sender, since: Instant::now() });
    }

    /// Whether the container answers `/ping` with 200 in time.
    pub(crate) async fn are_healthy(&self) -> bool {
        let request = Request::get("/ping").body(Full::default()).expect("the path is valid");
        let answer = timeout(PING_LIMIT, self.ask(request)).await;
        answer.is_ok_and(|answer| answer.is_ok_and(|answer| answer.status() == StatusCode::OK))
    }

    fn kept(&self) -> Option<Sender> {
        let mut idle = self.lock();
        idle.retain(|kept| kept.since.elapsed() < KEEP_LIMIT && !kept.sender.is_closed());
        let latest = idle.iter().rposition(|kept| kept.sender.is_ready())?;
        Some(idle.remove(latest).sender)
    }

    async fn open(&self) -> Result<Sender, Lost> {
        let stream =
            TcpStream::connect(self.address).await.map_err(|error| Lost::unsent(&error))?;
        stream.set_nodelay(true).ok();
        let opened = http1::handshake(TokioIo::new(stream)).await;
        let (sender, connection) = opened.map_err(|error| Lost::unsent(&error))?;
        tokio::spawn(connection);
        Ok(sender)
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Idle>> {
        self.idle.lock().expect("keeping a connection does not panic")
    }
}

impl Streaming {
    fn new(sender: Sender, answer: Response<Incoming>) -> Self {
        let (head, body) = answer.into_parts();
        Self { head, body, sender }
    }
}

impl Lost {
    /// The connection broke, for this cause.
    pub(crate) fn broken(error: &dyn std::error::Error) -> Self {
        Self::Broken(with_causes(error))
    }

    fn unsent(error: &dyn std::error::Error) -> Self {
        Self::Unsent(with_causes(error))
    }
}

fn with_causes(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    use super::*;

    /// A server that answers so many requests on each of its connections and closes it, `At` some
    /// point. It numbers its connections in its answers.
    async fn server(answers: &'static [(usize, At)]) -> Connections {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let connections = Connections::to(listener.local_addr().unwrap());
        tokio::spawn(async move {
            for (number, (answers, at)) in answers.iter().enumerate() {
                let (stream, _) = listener.accept().await.unwrap();
                tokio::spawn(serve(stream, number, *answers, *at));
            }
        });
        connections
    }

    /// When a connection is closed: after its last answer, or once the next request has come.
    #[derive(Clone, Copy, PartialEq)]
    enum At {
        LastAnswer,
        NextRequest,
    }

    async fn serve(mut stream: TcpStream, number: usize, answers: usize, at: At) {
        let mut request = [0; 1024];
        for _ in 0..answers {
            assert_ne!(stream.read(&mut request).await.unwrap(), 0);
            let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\n{number}");
            stream.write_all(answer.as_bytes()).await.unwrap();
        }
        if at == At::NextRequest {
            let _closing = stream.read(&mut request).await;
        }
    }

    async fn ask(connections: &Connections) -> Result<Bytes, Lost> {
        let request = Request::post("/invocations").body(Full::from("x")).unwrap();
        let answer = connections.ask(request).await;
        // Lets the connection's task see that the answer was taken, or that there is no other.
        tokio::time::sleep(Duration::from_millis(20)).await;
        answer.map(Response::into_body)
    }

    #[tokio::test]
    async fn a_kept_connection_that_has_closed_costs_a_fresh_one_and_no_answer() {
        let connections = server(&[(2, At::LastAnswer), (1, At::NextRequest)]).await;
        for number in ["0", "0", "1"] {
            assert_eq!(ask(&connections).await.unwrap(), number);
        }
    }

    #[tokio::test]
    async fn a_call_that_the_container_has_taken_is_not_sent_again() {
        let connections = server(&[(1, At::NextRequest), (1, At::NextRequest)]).await;
        assert_eq!(ask(&connections).await.unwrap(), "0");
        assert!(matches!(ask(&connections).await, Err(Lost::Broken(_))));
        assert_eq!(ask(&connections).await.unwrap(), "1");
    }

    #[tokio::test]
    async fn a_connection_is_not_kept_for_longer_than_containers_keep_theirs() {
        let connections = server(&[(9, At::NextRequest), (9, At::NextRequest)]).await;
        assert_eq!(ask(&connections).await.unwrap(), "0");
        tokio::time::pause();
        tokio::time::advance(Duration::from_millis(1500)).await;
        assert_eq!(ask(&connections).await.unwrap(), "1", "gunicorn is about to close the first");
    }
}
