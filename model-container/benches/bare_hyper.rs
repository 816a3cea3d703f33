//! A hyper server that reads each body and answers a constant: what serving costs without a model.
//!
//! `bare_hyper ADDRESS FILE` answers every request with the file's bytes, on connections set up as ours.

use std::convert::Infallible;
use std::env::args;
use std::time::Duration;

use anyhow::Context;
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1::Builder;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};

const HEADER_TIMEOUT: Duration = Duration::from_secs(30);

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let address = args().nth(1).context("usage: bare_hyper ADDRESS FILE")?;
    let file = args().nth(2).context("usage: bare_hyper ADDRESS FILE")?;
    let answer = Bytes::from(std::fs::read(&file).with_context(|| format!("can't read {file}"))?);
    let listener = TcpListener::bind(&address).await.context(address)?;
    loop {
        let (stream, _) = listener.accept().await?;
        tokio::spawn(connection(stream, answer.clone()));
    }
}

async fn connection(stream: TcpStream, answer: Bytes) {
    let _ = stream.set_nodelay(true);
    let service = service_fn(move |request| respond(request, answer.clone()));
    let _ = Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIMEOUT)
        .serve_connection(TokioIo::new(stream), service)
        .await;
}

async fn respond(
    request: Request<Incoming>,
    answer: Bytes,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let _ = request.into_body().collect().await;
    let mut response = Response::new(Full::new(answer));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    Ok(response)
}
