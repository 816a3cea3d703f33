use std::future::pending;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::future::join_all;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::time::{Instant, pause, resume, sleep};

use super::super::pool::{LONGEST_IDLE, LOOK_INTERVAL};
use super::*;

const ANSWER: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}";
const LIMIT: usize = 1 << 20;
const HANGS_UP_AFTER: Duration = Duration::from_secs(2);

/// One of a server's connections.
struct Peer(BufReader<TcpStream>);

impl Peer {
    /// Reads a request to its end; whether there was one.
    async fn request(&mut self) -> bool {
        let (mut line, mut length) = (String::new(), 0);
        while line != "\r\n" {
            line.clear();
            if self.0.read_line(&mut line).await.unwrap_or(0) == 0 {
                return false;
            }
            let told = line.strip_prefix("content-length: ").map(|told| told.trim().parse());
            length = told.map_or(length, Result::unwrap);
        }
        self.0.read_exact(&mut vec![0; length]).await.is_ok()
    }

    async fn answer(&mut self, text: &str) {
        self.0.write_all(text.as_bytes()).await.unwrap();
    }
}

/// A server on this machine.
struct Server {
    url: OutboundUrl,
    /// How many connections it was asked for.
    accepted: Arc<AtomicUsize>,
    /// A message for each connection that the client has closed.
    closed: UnboundedReceiver<()>,
}

impl Server {
    /// A server that treats each of its connections so, and reads what comes then.
    async fn start<F>(serve: impl Fn(Peer) -> F + Send + 'static) -> Self
    where
        F: Future<Output = Peer> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/score?a=b", listener.local_addr().unwrap());
        let (accepted, (tell, closed)) = (Arc::new(AtomicUsize::new(0)), unbounded_channel());
        let counted = Arc::clone(&accepted);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                counted.fetch_add(1, Ordering::Relaxed);
                let (served, tell) = (serve(Peer(BufReader::new(stream))), tell.clone());
                tokio::spawn(async move {
                    let mut rest = Vec::new();
                    let _ = served.await.0.read_to_end(&mut rest).await;
                    let _ = tell.send(());
                });
            }
        });
        Self { url: url.try_into().unwrap(), accepted, closed }
    }

    /// A server that answers whatever it is asked.
    async fn echo() -> Self {
        Self::start(|mut peer| async {
            while peer.request().await {
                peer.answer(ANSWER).await;
            }
            peer
        })
        .await
    }

    /// A server that answers one request on each connection, and hangs up without a warning when
    /// the client has long had its answer.
    async fn that_hangs_up() -> Self {
        Self::start(|mut peer| async {
            peer.request().await;
            peer.answer(ANSWER).await;
            sleep(HANGS_UP_AFTER).await;
            peer.0.shutdown().await.unwrap();
            peer
        })
        .await
    }

    /// A server that answers the first request of each connection with this.
    async fn once(answer: &'static str) -> Self {
        Self::start(move |mut peer| async move {
            peer.request().await;
            peer.answer(answer).await;
            peer
        })
        .await
    }

    async fn call(&self, client: &HttpClient) -> Result<Bytes, Fault> {
        let body = Bytes::from_static(b"{}");
        client.post_json(&self.url, body, LIMIT).await.map(|(_, body)| body)
    }

    fn accepted(&self) -> usize {
        self.accepted.load(Ordering::Relaxed)
    }
}

fn client() -> HttpClient {
    HttpClient::new(Guard::permissive())
}

/// By then this task has been told what happened at its sockets.
async fn look() {
    sleep(Duration::from_millis(5)).await;
}

#[tokio::test]
async fn calls_after_another_share_a_connection() {
    let (server, client) = (Server::echo().await, client());
    for _ in 0..3 {
        assert_eq!(server.call(&client).await.unwrap(), "{}");
    }
    assert_eq!(server.accepted(), 1);
}

#[tokio::test]
async fn each_call_under_way_has_a_connection_of_its_own_however_many_one_task_makes() {
    let (server, client) = (Server::echo().await, client());
    for _ in 0..2 {
        let answers = join_all((0..200).map(|_| server.call(&client))).await;
        assert!(answers.into_iter().all(|answer| answer.unwrap() == "{}"));
    }
    assert_eq!(server.accepted(), 200);
}

#[tokio::test]
async fn a_connection_that_was_closed_while_idle_is_no_fault() {
    let (server, client) = (Server::that_hangs_up().await, client());
    for made in 1..=3 {
        server.call(&client).await.unwrap();
        assert_eq!(server.accepted(), made);
        pause();
        sleep(HANGS_UP_AFTER * 2).await;
        resume();
    }
}

#[tokio::test]
async fn a_call_finds_its_way_past_any_number_of_closed_connections() {
    const CALLS: usize = 200;
    let (server, client) = (Server::that_hangs_up().await, client());
    let answers = join_all((0..CALLS).map(|_| server.call(&client))).await;
    assert!(answers.iter().all(Result::is_ok));
    // Longer than they are open, and shorter than until they are looked at.
    pause();
    sleep(HANGS_UP_AFTER + Duration::from_millis(100)).await;
    resume();
    look().await;
    server.call(&client).await.unwrap();
    assert_eq!(server.accepted(), CALLS + 1);
}

#[tokio::test]
async fn the_connection_of_a_call_that_was_dropped_is_closed() {
    let mut server = Server::start(|mut peer| async {
        peer.request().await;
        peer
    })
    .await;
    let client = client();
    for made in 1..=2 {
        tokio::select! {
            answer = server.call(&client) => panic!("{answer:?}"),
            () = look() => {}
        }
        server.closed.recv().await.unwrap();
        assert_eq!(server.accepted(), made);
    }
}

#[tokio::test]
async fn a_call_may_go_on_in_another_task() {
    let go = Arc::new(Notify::new());
    let going = Arc::clone(&go);
    let server = Server::start(move |mut peer| {
        let going = Arc::clone(&going);
        async move {
            peer.request().await;
            going.notified().await;
            peer.answer(ANSWER).await;
            peer
        }
    })
    .await;
    let mut call = Box::pin(async move { server.call(&client()).await });
    tokio::select! {
        answer = &mut call => panic!("{answer:?}"),
        () = look() => {}
    }
    let call = tokio::spawn(call);
    look().await;
    go.notify_one();
    assert_eq!(call.await.unwrap().unwrap(), "{}");
}

#[tokio::test]
async fn a_connection_that_its_peer_will_close_is_not_used_again() {
    for answer in [
        "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\n{}",
        "HTTP/1.0 200 OK\r\ncontent-length: 2\r\n\r\n{}",
    ] {
        let (server, client) = (Server::once(answer).await, client());
        for made in 1..=2 {
            assert_eq!(server.call(&client).await.unwrap(), "{}");
            assert_eq!(server.accepted(), made);
        }
    }
}

#[tokio::test]
async fn an_answer_may_come_bit_by_bit_and_be_of_many_chunks() {
    let server = Server::start(|mut peer| async {
        while peer.request().await {
            peer.answer("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n").await;
            for byte in "3\r\nabc\r\n".repeat(30).chars() {
                peer.answer(byte.encode_utf8(&mut [0])).await;
                tokio::task::yield_now().await;
            }
            let rest = format!("{}0\r\n\r\n", "8000\r\n".to_owned() + &"d".repeat(0x8000) + "\r\n");
            peer.answer(&rest).await;
        }
        peer
    })
    .await;
    let client = client();
    for _ in 0..2 {
        let answer = server.call(&client).await.unwrap();
        assert_eq!(answer, "abc".repeat(30) + &"d".repeat(0x8000));
    }
    assert_eq!(server.accepted(), 1);
}

#[tokio::test]
async fn an_answer_may_have_others_before_it_or_no_body() {
    for (answer, body) in [
        ("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}", "{}"),
        ("HTTP/1.1 204 No Content\r\n\r\n", ""),
        ("HTTP/1.1 304 Not Modified\r\ncontent-length: 5\r\n\r\n", ""),
        ("HTTP/1.1 200 OK\r\nConTent-LENGTH: 0\r\n\r\n", ""),
    ] {
        let server = Server::start(move |mut peer| async move {
            while peer.request().await {
                peer.answer(answer).await;
            }
            peer
        })
        .await;
        let client = client();
        for _ in 0..2 {
            assert_eq!(server.call(&client).await.unwrap(), body, "{answer}");
        }
        assert_eq!(server.accepted(), 1, "{answer}");
    }
}

#[tokio::test]
async fn an_answer_may_end_with_its_connection() {
    let server = Server::start(|mut peer| async {
        peer.request().await;
        for text in ["HTTP/1.1 200 OK\r\n\r\n", "abc", "def"] {
            peer.answer(text).await;
            tokio::task::yield_now().await;
        }
        peer.0.shutdown().await.unwrap();
        peer
    })
    .await;
    let client = client();
    for made in 1..=2 {
        assert_eq!(server.call(&client).await.unwrap(), "abcdef");
        assert_eq!(server.accepted(), made);
    }
}

#[tokio::test]
async fn an_answer_may_come_before_its_request_was_read_which_closes_the_connection() {
    let server = Server::start(|mut peer| async move {
        peer.0.read_u8().await.unwrap();
        peer.answer(ANSWER).await;
        pending().await
    })
    .await;
    let client = client();
    for made in 1..=2 {
        let body = Bytes::from(vec![b'x'; 32 << 20]);
        let (_, answer) = client.post_json(&server.url, body, LIMIT).await.unwrap();
        assert_eq!(answer, "{}");
        assert_eq!(server.accepted(), made);
    }
}

#[tokio::test]
async fn a_long_request_is_sent_as_far_as_its_peer_reads() {
    let (server, client) = (Server::echo().await, client());
    for _ in 0..2 {
        let body = Bytes::from(vec![b'x'; 8 << 20]);
        client.post_json(&server.url, body, LIMIT).await.unwrap();
    }
    assert_eq!(server.accepted(), 1);
}

#[tokio::test]
async fn an_answer_that_is_too_long_or_breaks_off_closes_the_connection() {
    for (answer, is_too_large) in [
        ("HTTP/1.1 200 OK\r\ncontent-length: 2000000\r\n\r\n{}", true),
        ("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nx\r\n", false),
        ("garbage\r\n\r\n", false),
    ] {
        let (mut server, client) = (Server::once(answer).await, client());
        for made in 1..=2 {
            let fault = server.call(&client).await.unwrap_err();
            let is_expected = match fault {
                Fault::TooLarge => is_too_large,
                Fault::Broken(_) => !is_too_large,
                Fault::Unreached(_) => false,
            };
            assert!(is_expected, "{answer}: {fault:?}");
            assert_eq!(server.accepted(), made);
            server.closed.recv().await.unwrap();
        }
    }
}

#[tokio::test]
async fn a_connection_that_nobody_uses_is_closed_after_a_while() {
    let (mut server, client) = (Server::echo().await, client());
    let begun = Instant::now();
    server.call(&client).await.unwrap();
    pause();
    server.closed.recv().await.unwrap();
    let idle = begun.elapsed();
    assert!(idle >= LONGEST_IDLE && idle < LONGEST_IDLE + 2 * LOOK_INTERVAL, "{idle:?}");
    server.call(&client).await.unwrap();
    assert_eq!(server.accepted(), 2);
}

#[tokio::test]
async fn a_connection_that_its_peer_has_closed_does_not_stay_half_closed() {
    let (mut server, client) = (Server::that_hangs_up().await, client());
    server.call(&client).await.unwrap();
    pause();
    let begun = Instant::now();
    server.closed.recv().await.unwrap();
    assert!(begun.elapsed() < 2 * LOOK_INTERVAL, "{:?}", begun.elapsed());
}
