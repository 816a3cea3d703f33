//! Bytes as what a server answers to a request.

use bytes::Bytes;
use http::uri::PathAndQuery;
use http::{Method, StatusCode};
use http1_connection::{Connection, Request};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::runtime::Builder;

/// The longest body that is read.
const MOST: usize = 1 << 12;

/// Answers a request with the bytes, at once and one at a time.
///
/// # Panics
/// When the two are not read as the same, or a body is longer than was asked for.
pub(crate) fn http_answer(bytes: &[u8]) {
    let at_once = answered(bytes, bytes.len().max(1));
    assert_eq!(at_once, answered(bytes, 1));
    assert!(at_once.is_none_or(|(_, body)| body.len() <= MOST));
}

fn answered(bytes: &[u8], piece: usize) -> Option<(StatusCode, Bytes)> {
    let (near, far) = duplex(1 << 20);
    let request = Request::new(Method::GET, &PathAndQuery::from_static("/"), [], Bytes::new());
    let mut connection = Connection::new(near);
    let asking = async {
        let answer = connection.exchange(&request, MOST, |head| head.status).await.ok();
        drop(connection);
        answer
    };
    let runtime = Builder::new_current_thread().build().ok()?;
    runtime.block_on(async { tokio::join!(asking, serve(far, bytes, piece)).0 })
}

/// Answers what is asked, in pieces of this length, and hangs up.
async fn serve(mut stream: DuplexStream, bytes: &[u8], piece: usize) {
    let mut asked = Vec::new();
    while !asked.ends_with(b"\r\n\r\n") {
        let Ok(byte) = stream.read_u8().await else { return };
        asked.push(byte);
    }
    for piece in bytes.chunks(piece) {
        // Who has seen enough has gone.
        if stream.write_all(piece).await.is_err() {
            return;
        }
    }
}
