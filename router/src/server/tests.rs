//! What takes a look inside, or shorter times than a router has.

use axum::body::Body;
use axum::http::Request;
use futures_util::FutureExt;
use http_body_util::BodyExt;
use hyper::service::Service;
use hyper_util::service::TowerToHyperService;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::oneshot;
use uuid::Uuid;

use super::*;
use crate::keys::{self, NewKey};
use crate::policy::example::policy;

/// The start of a request whose body is up to the test.
const HEAD: &str = "POST /v1/moderate HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n";

async fn bind() -> (Server, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let config = Config {
        listen: "127.0.0.1:0".parse().unwrap(),
        database: format!("sqlite://{}/a.db", folder.path().display()),
        spool: folder.path().join("spool"),
        spool_limit: 1,
        sagemaker_endpoint_url: Some("http://127.0.0.1:9".parse().unwrap()),
        ..Config::default()
    };
    (Server::bind(config).await.unwrap(), folder)
}

fn start(server: Server) -> (oneshot::Sender<()>, JoinHandle<Result<(), Error>>) {
    let (stop, stopped) = oneshot::channel();
    (stop, tokio::spawn(server.serve(async { stopped.await.unwrap_or_default() })))
}

async fn send(address: SocketAddr, text: &str) -> TcpStream {
    let mut connection = TcpStream::connect(address).await.unwrap();
    connection.write_all(text.as_bytes()).await.unwrap();
    connection
}

/// What comes until the connection is closed.
async fn rest(mut connection: TcpStream) -> String {
    let mut answer = String::new();
    let reading = connection.read_to_string(&mut answer);
    timeout(Duration::from_secs(20), reading).await.unwrap().unwrap();
    answer
}

fn json(body: &str) -> String {
    format!("{HEAD}content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}", body.len())
}

#[tokio::test]
async fn stopping_does_not_wait_for_a_stalled_body() {
    let (mut server, _folder) = bind().await;
    server.drain = Duration::from_millis(100);
    let address = server.address();
    let (stop, served) = start(server);
    let stalled = format!("{HEAD}content-type: application/json\r\ncontent-length: 9\r\n\r\n{{");
    let _stalled = send(address, &stalled).await;
    assert!(rest(send(address, &json("{")).await).await.contains("400 Bad Request"));
    stop.send(()).unwrap();
    timeout(Duration::from_secs(3), served).await.unwrap().unwrap().unwrap();
}

#[tokio::test]
async fn stopping_does_not_wait_for_ever_for_a_promised_verdict() {
    let (mut server, _folder) = bind().await;
    server.drain = Duration::from_millis(100);
    let (app, id) = (Arc::clone(&server.app), Uuid::now_v7());
    app.awaited.promise(id, "a".parse().unwrap(), std::future::pending());
    let (stop, served) = start(server);
    stop.send(()).unwrap();
    timeout(Duration::from_secs(20), served).await.unwrap().unwrap().unwrap();
    assert!(app.awaited.client_of(id).is_none());
}

#[tokio::test]
async fn headers_that_do_not_come_end_the_connection() {
    let (mut server, _folder) = bind().await;
    server.patience.headers = Duration::from_millis(50);
    let address = server.address();
    let (_stop, _served) = start(server);
    assert!(!rest(send(address, HEAD).await).await.contains("200"));
}

#[tokio::test]
async fn one_content_more_than_fits_is_refused_at_once_and_a_line_waits() {
    let (server, _folder) = bind().await;
    let address = server.address();
    let contents = Arc::clone(&server.app.contents);
    let (_stop, _served) = start(server);
    let held = contents.acquire_many(u32::try_from(CONTENTS).unwrap()).await.unwrap();

    // The body need not even come.
    let single = format!("{HEAD}content-type: application/json\r\ncontent-length: 9\r\n\r\n");
    let mut refused = [0; 2000];
    let mut single = send(address, &single).await;
    let length = timeout(Duration::from_secs(5), single.read(&mut refused)).await.unwrap().unwrap();
    let refused = String::from_utf8_lossy(&refused[..length]).into_owned();
    assert!(refused.starts_with("HTTP/1.1 503") && refused.contains("retry-after: 1"), "{refused}");
    assert!(refused.contains("/problems/overloaded"), "{refused}");

    let line = json("{}\n").replace("application/json", "application/x-ndjson");
    let mut waiting = tokio::spawn(rest(send(address, &line).await));
    assert!(timeout(Duration::from_millis(100), &mut waiting).await.is_err());
    drop(held);
    assert!(waiting.await.unwrap().contains(r#""line":1"#));
    assert_eq!(contents.available_permits(), CONTENTS);
}

#[tokio::test]
async fn an_answer_that_nobody_reads_ends_the_connection() {
    let (mut server, _folder) = bind().await;
    server.patience.unread = Duration::from_millis(100);
    let address = server.address();
    let (_stop, _served) = start(server);
    let head =
        format!("{HEAD}content-type: application/x-ndjson\r\ncontent-length: 999999999\r\n\r\n");
    let mut connection = send(address, &head).await;
    let lines = "{}\n".repeat(10_000);
    let writing = async { while connection.write_all(lines.as_bytes()).await.is_ok() {} };
    timeout(Duration::from_secs(30), writing).await.unwrap();
}

#[tokio::test]
async fn lines_in_work_go_on_while_nobody_reads_their_answers() {
    let (server, _folder) = bind().await;
    let policy = policy(&[("scopes/platform", "{}"), ("scopes/client/a", "{}")]).unwrap();
    server.app.install(&server.app.policy.load_full(), policy);
    let line = r#"{"client": "a", "content_id": "r-1", "fields": {"text": ""}}"#;
    let request = Request::post("/v1/moderate")
        .header("host", "localhost")
        .header("content-type", "application/x-ndjson")
        .body(Body::from(line))
        .unwrap();
    let routes = TowerToHyperService::new(api::routes(Arc::clone(&server.app)));
    let mut answers = routes.call(request).await.unwrap().into_body();
    assert!(answers.frame().now_or_never().is_none());
    let contents = &server.app.contents;
    assert_eq!(contents.available_permits(), CONTENTS - 1);
    let returned = contents.acquire_many(u32::try_from(CONTENTS).unwrap());
    drop(timeout(Duration::from_secs(5), returned).await.unwrap().unwrap());
}

#[tokio::test]
async fn known_keys_go_on_working_without_the_database() {
    let (server, folder) = bind().await;
    let url = format!("sqlite://{}/a.db", folder.path().display());
    let (owner, scopes) = ("root".to_owned(), vec!["admin".to_owned()]);
    let new = NewKey { owner, scopes, expires: None, rate_limit_per_minute: None };
    let made = keys::create(&url, new).await.unwrap();
    server.app.keys.catch_up(&server.app.store).await.unwrap();
    server.app.store.close().await;
    let address = server.address();
    let (_stop, _served) = start(server);
    let get = |path: &str, key: &str| {
        format!("GET {path} HTTP/1.1\r\nconnection: close\r\nauthorization: Bearer {key}\r\n\r\n")
    };
    for (path, key, status) in [
        ("/v1/models", made.key.reveal(), 200),
        ("/v1/models", "gh_live_x", 401),
        ("/v1/keys", made.key.reveal(), 503),
    ] {
        let answer = rest(send(address, &get(path, key)).await).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{path}: {answer}");
    }
}
