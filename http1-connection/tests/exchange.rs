//! Exchanges with servers of all manners.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::error::Error as _;

use bytes::Bytes;
use http::uri::PathAndQuery;
use http::{HeaderName, HeaderValue, Method, StatusCode};
use http1_connection::{Connection, Error, Request, Unanswered};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

const MOST: usize = 1 << 20;
const HOST: (HeaderName, HeaderValue) = (http::header::HOST, HeaderValue::from_static("model"));

type Answered = Result<((StatusCode, Option<String>), Bytes), Unanswered>;

/// Both ends of a connection.
async fn pair() -> (Connection<TcpStream>, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (near, far) = tokio::join!(TcpStream::connect(address), listener.accept());
    (Connection::new(near.unwrap()), far.unwrap().0)
}

fn request(method: Method, body: impl Into<Bytes>) -> Request {
    let path = PathAndQuery::from_static("/score");
    Request::new(method, &path, [(&HOST.0, &HOST.1)], body.into())
}

async fn ask(connection: &mut Connection<TcpStream>, request: &Request) -> Answered {
    let read = |head: &http1_connection::Head<'_>| {
        let colour = head.header("x-colour").map(|value| String::from_utf8_lossy(value).into());
        (head.status, colour)
    };
    connection.exchange(request, MOST, read).await
}

/// What an answer is read as that comes in these pieces, and whether another request may follow it.
/// The server hangs up only where nothing else could end the answer.
async fn answered(method: Method, pieces: &[&str]) -> (Answered, bool) {
    let (mut near, mut far) = pair().await;
    far.set_nodelay(true).unwrap();
    let serving = async {
        far.read_u8().await.unwrap();
        for piece in pieces {
            far.write_all(piece.as_bytes()).await.unwrap();
            tokio::task::yield_now().await;
        }
        if pieces.last() == Some(&"") {
            far.shutdown().await.unwrap();
        }
        far
    };
    let request = request(method, "{}");
    let (answered, _far) = tokio::join!(ask(&mut near, &request), serving);
    let is_free = near.check();
    (answered, is_free)
}

#[tokio::test]
async fn what_is_told_of_an_answer_is_its_status_its_headers_and_its_body() {
    let text = "HTTP/1.1 418 Short and stout\r\nX-Colour: red\r\nx-colour: blue\r\n\
        content-length: 4\r\n\r\nbody";
    let (answered, is_free) = answered(Method::POST, &[text]).await;
    let (head, body) = answered.unwrap();
    assert_eq!(head, (StatusCode::IM_A_TEAPOT, Some("red".to_owned())));
    assert_eq!(body, "body");
    assert!(body.is_unique() && is_free);
}

#[tokio::test]
async fn another_request_may_follow_what_was_whole_and_says_nothing_against_it() {
    for (text, body, may_follow) in [
        ("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}", "{}", true),
        ("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}HTTP/1.1 200 OK\r\n", "{}", false),
        ("HTTP/1.1 200 OK\r\ncontent-length: 2, 2\r\ncontent-length: 2\r\n\r\n{}", "{}", true),
        ("HTTP/1.1 200 OK\r\nconnection: x, Close\r\ncontent-length: 0\r\n\r\n", "", false),
        ("HTTP/1.0 200 OK\r\ncontent-length: 2\r\n\r\n{}", "{}", false),
        ("HTTP/1.0 200 OK\r\nconnection: keep-alive\r\ncontent-length: 2\r\n\r\n{}", "{}", true),
        ("HTTP/1.1 204 No Content\r\ncontent-length: 2\r\n\r\n", "", true),
        ("HTTP/1.1 304 Not Modified\r\n\r\n", "", true),
        (
            "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: a\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\nx",
            "x",
            true,
        ),
        (
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2;a=b\r\nab\r\n1 \r\nc\r\n0\r\nsum: 1\r\n\r\n",
            "abc",
            true,
        ),
        (
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ncontent-length: 1\r\n\r\n1\r\na\r\n0\r\n\r\n",
            "a",
            false,
        ),
    ] {
        let (whole, is_free) = answered(Method::POST, &[text]).await;
        assert_eq!((whole.unwrap().1, is_free), (body.into(), may_follow), "{text}");
        let bits: Vec<_> = (0..text.len()).map(|at| &text[at..=at]).collect();
        let (in_bits, is_free) = answered(Method::POST, &bits).await;
        assert_eq!((in_bits.unwrap().1, is_free), (body.into(), may_follow), "{text} in bits");
    }
}

#[tokio::test]
async fn an_answer_without_a_length_ends_with_its_connection() {
    for head in ["HTTP/1.1 200 OK\r\n\r\n", "HTTP/1.1 200 OK\r\ntransfer-encoding: gzip\r\n\r\n"] {
        let (answered, is_free) = answered(Method::POST, &[head, "abc", "def", ""]).await;
        assert_eq!((answered.unwrap().1, is_free), ("abcdef".into(), false), "{head}");
    }
}

#[tokio::test]
async fn the_answer_to_head_has_no_body_whatever_it_says() {
    let text = "HTTP/1.1 200 OK\r\ncontent-length: 2000000\r\n\r\n";
    let (answered, is_free) = answered(Method::HEAD, &[text]).await;
    assert_eq!((answered.unwrap().1, is_free), ("".into(), true));
}

#[tokio::test]
async fn what_is_no_answer_says_why() {
    let long = format!("HTTP/1.1 200 OK\r\nx: {}\r\n\r\n", "x".repeat(70_000));
    let many = format!("HTTP/1.1 200 OK\r\n{}\r\n", "x: y\r\n".repeat(101));
    let chunk = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
    let extension = format!("{chunk}1;{}", "x".repeat(5000));
    let hints = "HTTP/1.1 103 Early Hints\r\n\r\n".repeat(101);
    let named = format!("{chunk}0\r\n{}\r\n", "x: y\r\n".repeat(101));
    let trailers = format!("{chunk}0\r\na: {}", "x".repeat(70_000));
    for (text, reason) in [
        ("garbage\r\n\r\n", "no HTTP/1: invalid HTTP version"),
        ("HTTP/2 200\r\n\r\n", "invalid HTTP version"),
        ("HTTP/1.1 099 x\r\ncontent-length: 0\r\n\r\n", "invalid response status"),
        ("HTTP/1.1 200 OK\r\na b: c\r\n\r\n", "invalid header name"),
        (&long, "too large"),
        (&many, "too large"),
        ("HTTP/1.1 200 OK\r\ncontent-length: 1048577\r\n\r\n", "too large"),
        (&format!("{chunk}100001\r\n"), "too large"),
        (&format!("{chunk}80000\r\n{}\r\n80001\r\n", "x".repeat(0x80000)), "too large"),
        (&trailers, "too large"),
        ("HTTP/1.1 200 OK\r\ncontent-length: +2\r\n\r\n{}", "its length is no number"),
        ("HTTP/1.1 200 OK\r\ncontent-length:\r\n\r\n{}", "its length is no number"),
        ("HTTP/1.1 200 OK\r\ncontent-length: 2, 3\r\n\r\n{}", "two lengths"),
        ("HTTP/1.0 200 OK\r\ntransfer-encoding: chunked\r\n\r\n", "no transfer encodings"),
        ("HTTP/1.1 101 Switching Protocols\r\n\r\n", "nobody asked for an upgrade"),
        (&format!("{chunk}x\r\n"), "does not say its size"),
        (&format!("{chunk}\r\n\r\n"), "does not say its size"),
        (&extension, "does not say its size"),
        (&format!("{extension}\r\na\r\n0\r\n\r\n"), "does not say its size"),
        (&format!("{chunk}1;a\nb\r\na\r\n0\r\n\r\n"), "does not say its size"),
        (&format!("{chunk}0\r\na: b\n\n"), "its trailers are no lines"),
        (&named, "too large"),
        (&hints, "it only announces others"),
        (&format!("{chunk}1\r\nab\r\n"), "longer than it says"),
        (&format!("{chunk}0\r\na b: c\r\n\r\n"), "invalid header name"),
    ] {
        let (answered, is_free) = answered(Method::POST, &[text]).await;
        let Unanswered { was_sent, error } = answered.unwrap_err();
        let cause = error.source().map(ToString::to_string).unwrap_or_default();
        assert!(format!("{error}: {cause}").contains(reason), "{text:.60}: {error:?}");
        assert!(was_sent && !is_free, "{text:.60}");
    }
}

#[tokio::test]
async fn an_answer_that_breaks_off_is_none() {
    for pieces in [
        &[""][..],
        &["HTTP/1.1 200 OK\r\ncontent-le", ""],
        &["HTTP/1.1 100 Continue\r\n\r\n", ""],
        &["HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\n{}", ""],
        &["HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\n{}\r\n", ""],
        &["HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n", ""],
    ] {
        let (answered, is_free) = answered(Method::POST, pieces).await;
        let unanswered = answered.unwrap_err();
        assert!(matches!(unanswered.error, Error::Closed), "{pieces:?}: {unanswered:?}");
        assert!(unanswered.was_sent && !is_free, "{pieces:?}");
    }
}

#[tokio::test]
async fn a_request_that_a_closed_connection_has_not_begun_to_send_can_be_sent_to_another() {
    let (mut near, far) = pair().await;
    drop(far);
    // Whoever reads it is told.
    while near.check() {
        tokio::task::yield_now().await;
    }
    let unanswered = ask(&mut near, &request(Method::POST, "{}")).await.unwrap_err();
    assert!(!unanswered.was_sent && matches!(unanswered.error, Error::Closed), "{unanswered:?}");
}

#[tokio::test]
async fn a_connection_is_not_used_after_something_unasked() {
    let (mut near, mut far) = pair().await;
    assert!(near.check());
    far.write_all(b"HTTP/1.1 408 Request Timeout\r\n\r\n").await.unwrap();
    while near.check() {
        tokio::task::yield_now().await;
    }
    assert!(!ask(&mut near, &request(Method::POST, "{}")).await.unwrap_err().was_sent);
}

#[tokio::test]
async fn no_request_follows_one_that_says_it_is_the_last() {
    let (mut near, mut far) = pair().await;
    let path = PathAndQuery::from_static("/");
    let close = (http::header::CONNECTION, HeaderValue::from_static("x, Close"));
    let request = Request::new(Method::GET, &path, [(&close.0, &close.1)], Bytes::new());
    let serving = async {
        far.read_u8().await.unwrap();
        far.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").await.unwrap();
    };
    let (answered, ()) = tokio::join!(ask(&mut near, &request), serving);
    assert!(answered.is_ok() && !near.is_idle());
}

#[tokio::test]
async fn an_exchange_that_is_dropped_is_the_last() {
    let (mut near, _far) = pair().await;
    let request = request(Method::POST, "{}");
    tokio::select! {
        biased;
        answered = ask(&mut near, &request) => panic!("{answered:?}"),
        () = tokio::task::yield_now() => {}
    }
    assert!(!near.check());
}

#[tokio::test]
async fn an_answer_may_come_before_its_request_was_read() {
    let text = "HTTP/1.1 413 Content Too Large\r\ncontent-length: 2\r\n\r\n{}";
    let (answered, is_free) = {
        let (mut near, mut far) = pair().await;
        let serving = async {
            far.read_u8().await.unwrap();
            far.write_all(text.as_bytes()).await.unwrap();
            far
        };
        let request = request(Method::POST, vec![b'x'; 32 << 20]);
        let (answered, _far) = tokio::join!(ask(&mut near, &request), serving);
        (answered, near.check())
    };
    assert_eq!(answered.unwrap().0.0, StatusCode::PAYLOAD_TOO_LARGE);
    assert!(!is_free, "the rest of the request would be taken for another");
}

#[tokio::test]
async fn long_requests_and_long_answers_are_whole() {
    let (mut near, far) = pair().await;
    let body = Bytes::from((0..MOST).map(|at| b'a' + (at % 23) as u8).collect::<Vec<_>>());
    let (mut reading, mut writing) = far.into_split();
    let (request, length) = (request(Method::POST, body.clone()), body.len());
    for _ in 0..2 {
        let serving = async {
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                head.push(reading.read_u8().await.unwrap());
            }
            let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n");
            writing.write_all(answer.as_bytes()).await.unwrap();
            let mut taken = (&mut reading).take(length as u64);
            tokio::io::copy(&mut taken, &mut writing).await.unwrap();
        };
        let (answered, ()) = tokio::join!(ask(&mut near, &request), serving);
        assert!(answered.unwrap().1 == body);
    }
    assert!(near.check());
}
