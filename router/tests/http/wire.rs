//! The wire between a router and its database, which can be cut, with a word or without.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

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
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let fate = Arc::new(watch::Sender::default());
        let passing = tokio::spawn(pass_all(listener, server, Arc::clone(&fate)));
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

async fn pass_all(listener: TcpListener, server: SocketAddr, fate: Arc<watch::Sender<Fate>>) {
    loop {
        let (mut client, _) = listener.accept().await.unwrap();
        let mut fate = fate.subscribe();
        tokio::spawn(async move {
            let mut server = TcpStream::connect(server).await.unwrap();
            tokio::select! {
                _ = copy_bidirectional(&mut client, &mut server) => return,
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
