//! Whatever a server answers is read as hyper's client reads it, but for trailers with bare line feeds,
//! which are refused.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use bytes::Bytes;
use http::uri::PathAndQuery;
use http::{Method, StatusCode};
use http_body_util::{BodyExt, Empty};
use http1_connection::{Connection, Request};
use hyper::client::conn::http1::handshake;
use hyper_util::rt::TokioIo;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::runtime::Builder;

/// Longer than any answer here, and shorter than some lengths that are told.
const MOST: usize = 1 << 16;

#[derive(Debug, PartialEq)]
struct Answer {
    status: StatusCode,
    headers: Vec<(String, Vec<u8>)>,
    body: Bytes,
}

/// Answers what is asked, in pieces of this length, and hangs up.
async fn serve(mut stream: DuplexStream, answer: &[u8], piece: usize) {
    let mut asked = Vec::new();
    while !asked.ends_with(b"\r\n\r\n") {
        asked.push(stream.read_u8().await.unwrap());
    }
    for piece in answer.chunks(piece) {
        // Who has seen enough may have gone.
        let _ = stream.write_all(piece).await;
        tokio::task::yield_now().await;
    }
}

async fn ours(stream: DuplexStream, method: Method) -> Option<Answer> {
    let request = Request::new(method, &PathAndQuery::from_static("/"), [], Bytes::new());
    let read = |head: &http1_connection::Head<'_>| {
        let headers = head.headers().map(|(name, value)| (name.to_lowercase(), value.to_vec()));
        (head.status, headers.collect::<Vec<_>>())
    };
    let answered = Connection::new(stream).exchange(&request, MOST, read).await;
    let ((status, mut headers), body) = answered.ok()?;
    headers.sort();
    Some(Answer { status, headers, body })
}

async fn hypers(stream: DuplexStream, method: Method) -> Option<Answer> {
    let (mut sender, connection) = handshake(TokioIo::new(stream)).await.ok()?;
    let request = hyper::Request::builder().method(method).uri("/");
    let asking = async {
        let response =
            sender.send_request(request.body(Empty::<Bytes>::new()).unwrap()).await.ok()?;
        let (head, body) = response.into_parts();
        let body = body.collect().await.ok()?.to_bytes();
        let headers = head.headers.iter();
        let headers = headers.map(|(name, value)| (name.to_string(), value.as_bytes().to_vec()));
        let mut headers: Vec<_> = headers.collect();
        headers.sort();
        (body.len() <= MOST).then_some(Answer { status: head.status, headers, body })
    };
    let (answer, _) = tokio::join!(asking, connection);
    answer
}

/// How both read it.
fn read(answer: &[u8], piece: usize, method: &Method) -> [Option<Answer>; 2] {
    let runtime = Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        let ((near, far), (other_near, other_far)) = (duplex(1 << 10), duplex(1 << 10));
        let (ours, (), hypers, ()) = tokio::join!(
            ours(near, method.clone()),
            serve(far, answer, piece),
            hypers(other_near, method.clone()),
            serve(other_far, answer, piece),
        );
        [ours, hypers]
    })
}

fn head() -> impl Strategy<Value = String> {
    let status = select(vec![
        "HTTP/1.1 200 OK",
        "HTTP/1.1 200 OK",
        "HTTP/1.1 500 No",
        "HTTP/1.0 200 OK",
        "HTTP/1.1 204 None",
        "HTTP/1.1 304 Same",
        "HTTP/1.1 100 Continue",
        "HTTP/1.1 103 Hints",
        "HTTP/1.1 200",
        "HTTP/1.1 999 ",
        "HTTP/1.1 20",
        "HTTP/2.0 200 OK",
        "http/1.1 200 OK",
        "",
    ]);
    let header = select(vec![
        "content-length: 5",
        "Content-Length: 5",
        "content-length: 0",
        "content-length: 5, 5",
        "content-length: 7",
        "content-length: -1",
        "content-length: ",
        "content-length: 99999999999999999999",
        "transfer-encoding: chunked",
        "transfer-encoding: chunked",
        "Transfer-Encoding: gzip, Chunked",
        "transfer-encoding: chunked, gzip",
        "transfer-encoding: gzip",
        "connection: close",
        "x-a: \u{e4} b",
        "x-a:c",
        "x-a: ",
        "x b: c",
        ": d",
        "no colon",
        " folded",
        "x-tab:\tv\t",
    ]);
    (status, vec(header, 0..4))
        .prop_map(|(status, headers)| [vec![status], headers, vec!["", ""]].concat().join("\r\n"))
}

fn part() -> impl Strategy<Value = String> {
    let fixed = select(vec![
        "hello",
        "5\r\nhello\r\n",
        "5;a=b\r\nhello\r\n",
        "3\r\nabc\r\n",
        "0\r\n\r\n",
        "0\r\n\r\n",
        "0\r\nx: y\r\n\r\n",
        "\r\n",
        "5\r\nhel",
        "g\r\n",
        "ffffffffffffffff\r\n",
        "A\r\n0123456789\r\n",
        "5;a\nb\r\nhello\r\n",
        "5\nhello\r\n",
        "5;a\rb\r\nhello\r\n",
        "0\n\n",
        "00\r\n\r\n",
    ]);
    prop_oneof![6 => fixed.prop_map(str::to_owned), 1 => head(), 1 => "[a-z\r\n ]{0,8}"]
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 2000,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn an_answer_is_read_as_hyper_reads_it(
        heads in vec(head(), 1..3),
        parts in vec(part(), 0..5),
        piece in select(vec![1, 2, 7, 1000]),
        method in select(vec![Method::GET, Method::POST, Method::HEAD]),
    ) {
        let answer = [heads, parts].concat().concat();
        let [ours, hypers] = read(answer.as_bytes(), piece, &method);
        prop_assert_eq!(ours, hypers, "{:?}", answer);
    }
}
