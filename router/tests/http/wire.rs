//! The wire between a router and its database, which may be long, and can be cut, with a word or
//! without.

use std::net::SocketAddr;
use std::sync::Arc;

use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, sleep_until};

/// What becomes of the connections that are open, when its number goes up.
#[derive(Clone, Copy, Default)]
struct Fate {
    cuts: usize,
    silently: bool,
}

/// Passes connections on to a server.
pub(crate) struct Wire {
    pub(crate) address: SocketAddr,
    fate: Arc<watch::Sender<Fate>>,
    passing: JoinHandle<()>,
}

impl Wire {
    pub(crate) async fn to(server: SocketAddr) -> Self {
        Self::far(server, Duration::ZERO).await
    }

    /// One on which an answer takes this long, and a new connection five times that: what TCP, TLS
    /// and a password take, none of which the tests' server asks for.
    pub(crate) async fn far(server: SocketAddr, round_trip: Duration) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let fate = Arc::new(watch::Sender::default());
        let passing = tokio::spawn(pass_all(listener, server, round_trip, Arc::clone(&fate)));
        Self { address, fate, passing }
    }

    /// Closes the connections that are open.
    pub(crate) fn cut(&self) {
        self.fate.send_modify(|fate| *fate = Fate { cuts: fate.cuts + 1, silently: false });
    }

    /// Passes nothing on any more over the connections that are open, and leaves them so.
    pub(crate) fn cut_silently(&self) {
        self.fate.send_modify(|fate| *fate = Fate { cuts: fate.cuts + 1, silently: true });
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.passing.abort();
    }
}

async fn pass_all(
    listener: TcpListener,
    server: SocketAddr,
    round_trip: Duration,
    fate: Arc<watch::Sender<Fate>>,
) {
    loop {
        let (client, _) = listener.accept().await.unwrap();
        let mut fate = fate.subscribe();
        tokio::spawn(async move {
            sleep(5 * round_trip).await;
            let server = TcpStream::connect(server).await.unwrap();
            [&client, &server].iter().for_each(|end| end.set_nodelay(true).unwrap());
            let (from_client, to_client) = client.into_split();
            let (from_server, to_server) = server.into_split();
            let there = pass(from_client, to_server, round_trip / 2);
            let back = pass(from_server, to_client, round_trip / 2);
            tokio::pin!(there, back);
            tokio::select! {
                _ = async { tokio::join!(&mut there, &mut back) } => return,
                changed = fate.changed() => if changed.is_err() { return },
            }
            let silently = fate.borrow().silently;
            if silently {
                // Until the test is over.
                while fate.changed().await.is_ok() {}
            }
        });
    }
}

/// Passes on all that comes, each piece so much later.
async fn pass(mut from: impl AsyncRead + Unpin, mut to: impl AsyncWrite + Unpin, delay: Duration) {
    let (sender, mut pieces) = mpsc::unbounded_channel();
    let reading = async move {
        let mut piece = vec![0; 65536];
        while let Ok(length @ 1..) = from.read(&mut piece).await {
            let piece = piece[..length].to_vec();
            if sender.send((Instant::now() + delay, piece)).is_err() {
                break;
            }
        }
    };
    let writing = async move {
        while let Some((due, piece)) = pieces.recv().await {
            sleep_until(due).await;
            if to.write_all(&piece).await.is_err() {
                break;
            }
        }
        to.shutdown().await
    };
    drop(tokio::join!(reading, writing));
}
