//! A round of calls through hyper's client and nothing else: what a router's calls cost by themselves.
//!
//! `bare_fanout SIDE_BY_SIDE URL...` reads lines: a body is sent to all URLs at once, answered by how
//! many answered; a number of seconds starts a loop of such rounds with that body, SIDE_BY_SIDE of them
//! under way at a time, answered by how many were made. An answer but a 200 ends it.

use std::env::args;
use std::io::{BufRead, Write, stdin, stdout};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use bytes::Bytes;
use futures_util::future::try_join_all;
use http_body_util::{BodyExt, Full};
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::{Request, Uri};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;

fn main() -> anyhow::Result<()> {
    let usage = "usage: bare_fanout SIDE_BY_SIDE URL...";
    let side_by_side = args().nth(1).context(usage)?.parse().context(usage)?;
    let urls = args().skip(2).map(|url| url.parse()).collect::<Result<Vec<Uri>, _>>()?;
    ensure!(!urls.is_empty(), usage);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let fanout = Fanout { client: client(), urls };
    let mut body = Bytes::new();
    for line in stdin().lock().lines() {
        let line = line?;
        let count = match line.parse() {
            Ok(seconds) => {
                let end = Instant::now() + Duration::from_secs_f64(seconds);
                let rounds = (0..side_by_side).map(|_| fanout.repeat(&body, end));
                runtime.block_on(try_join_all(rounds))?.into_iter().sum()
            }
            Err(_) => {
                body = Bytes::from(line);
                runtime.block_on(fanout.round(&body))?
            }
        };
        writeln!(stdout(), "{count}")?;
    }
    Ok(())
}

fn client() -> Client<HttpConnector, Full<Bytes>> {
    let mut connector = HttpConnector::new();
    connector.set_nodelay(true);
    Client::builder(TokioExecutor::new()).build(connector)
}

struct Fanout {
    client: Client<HttpConnector, Full<Bytes>>,
    urls: Vec<Uri>,
}

impl Fanout {
    async fn repeat(&self, body: &Bytes, end: Instant) -> anyhow::Result<usize> {
        let mut rounds = 0;
        while Instant::now() < end {
            self.round(body).await?;
            rounds += 1;
        }
        Ok(rounds)
    }

    /// Sends the body to all, and reads every answer to its end.
    async fn round(&self, body: &Bytes) -> anyhow::Result<usize> {
        let answers =
            try_join_all(self.urls.iter().map(|url| self.call(url, body.clone()))).await?;
        Ok(answers.len())
    }

    async fn call(&self, url: &Uri, body: Bytes) -> anyhow::Result<Bytes> {
        let mut request = Request::post(url).body(Full::new(body))?;
        let json = HeaderValue::from_static("application/json");
        request.headers_mut().insert(CONTENT_TYPE, json);
        let response = self.client.request(request).await?;
        ensure!(response.status() == 200, "{url} answered with status {}", response.status());
        Ok(response.into_body().collect().await?.to_bytes())
    }
}
