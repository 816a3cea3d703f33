//! The place in front of the legacy system: its options, its addresses, and how it is left. It is the
//! same for every command that stands there.

use std::io::{self, Write};
use std::sync::Arc;
use std::time::Duration;

use prometheus_client::registry::Registry;
use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::metrics::Metrics;
use super::proxy::Proxy;
use super::record::{Destination, Writer};
use super::recorder::Recorder;
use super::redact::Policy;
use super::sample::Sample;
use super::scope::Scope;
use super::upstream::Upstream;
use super::{server, size};
use crate::error::Error;
use crate::header;
use crate::naming::Naming;

/// How long calls may take to their end once the proxy is told to stop.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// Which system to stand in front of, and what of its calls is kept.
#[derive(Debug, clap::Args)]
pub struct FrontArgs {
    /// The system that calls are passed on to: `http://…` or `https://…`, without a path.
    #[arg(long, value_name = "URL")]
    upstream: Upstream,
    /// Where callers find it from now on; port 0 takes any.
    #[arg(long, value_name = "ADDR")]
    listen: String,
    /// What names the model: `path:/score/{}`, `header:NAME`, `json:/pointer`, or `name:MODEL` for all.
    #[arg(long, value_name = "FROM")]
    model: Naming,
    /// What names the client, in the same ways.
    #[arg(long, value_name = "FROM")]
    client: Option<Naming>,
    /// A header to be kept, of requests and answers; `Authorization` and cookies never are.
    #[arg(long = "header", value_name = "NAME", value_parser = header::recordable)]
    headers: Vec<hyper::header::HeaderName>,
    /// Keeps only calls of these paths; `*` stands for anything.
    #[arg(long, value_name = "GLOB")]
    include: Vec<String>,
    /// The largest body that is kept; of a larger one it is only known that it was.
    #[arg(long, value_name = "SIZE", default_value = "1MiB", value_parser = size::bytes)]
    max_body: usize,
    /// Where Prometheus finds the command's own counts, at `/metrics`.
    #[arg(long, value_name = "ADDR")]
    metrics: Option<String>,
}

impl FrontArgs {
    /// The system that calls are passed on to.
    pub(crate) fn upstream(&self) -> String {
        self.upstream.to_string()
    }

    /// What is kept.
    ///
    /// # Errors
    /// When a glob is longer than can be matched.
    pub(crate) fn scope(&self, sample: Sample) -> Result<Scope, Error> {
        let (model, client) = (self.model.clone(), self.client.clone());
        Scope::new(model, client, self.headers.clone(), &self.include, sample)
    }

    /// Those who pass calls on and bring their records to the destination.
    pub(crate) fn tap(
        self,
        scope: Scope,
        policy: Option<Policy>,
        destination: Destination,
        metrics: &Arc<Metrics>,
    ) -> (Recorder, Arc<Proxy>) {
        let scope = Arc::new(scope);
        let writer = Writer::new(Arc::clone(&scope), policy, self.max_body, destination);
        let recorder = Recorder::start(writer, self.max_body, Arc::clone(metrics));
        let proxy = Proxy::new(self.upstream, scope, recorder.desk());
        (recorder, Arc::new(proxy))
    }
}

/// Addresses that are taken, before anything is served there.
pub(crate) struct Front {
    signals: Signals,
    listener: TcpListener,
    admin: Option<TcpListener>,
}

/// The proxy at work.
pub(crate) struct Serving {
    signals: Signals,
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl Front {
    /// Takes the addresses. From now on signals to stop are waited for.
    ///
    /// # Errors
    /// When an address can't be had.
    pub(crate) async fn bind(args: &FrontArgs) -> Result<Self, Error> {
        let signals = Signals::watch().map_err(|error| Error::Usage(error.to_string()))?;
        let listener = bind(&args.listen).await?;
        let admin = match &args.metrics {
            Some(address) => Some(bind(address).await?),
            None => None,
        };
        Ok(Self { signals, listener, admin })
    }

    /// Passes calls on from now on, and says where.
    pub(crate) fn serve(self, command: &str, proxy: Arc<Proxy>, counts: Registry) -> Serving {
        say(&format!("{command} listening on {}", url(&self.listener)));
        let (stop, stopped) = watch::channel(false);
        if let Some(admin) = self.admin {
            say(&format!("{command} metrics on {}/metrics", url(&admin)));
            tokio::spawn(server::serve_metrics(admin, Arc::new(counts), stopped.clone()));
        }
        let task = tokio::spawn(server::serve_proxy(self.listener, proxy, stopped, PATIENCE));
        Serving { signals: self.signals, stop, task }
    }
}

impl Serving {
    /// Waits for a signal to stop.
    pub(crate) async fn told_to_stop(&mut self) {
        tokio::select! {
            _ = self.signals.terminate.recv() => {}
            _ = self.signals.interrupt.recv() => {}
        }
    }

    /// Takes no more calls, and waits until those under way have ended, within the patience.
    pub(crate) async fn end(self) {
        // Nobody is left to tell only if serving has panicked.
        let _ = self.stop.send(true);
        let _ = self.task.await;
    }
}

async fn bind(address: &str) -> Result<TcpListener, Error> {
    let listener = TcpListener::bind(address).await;
    listener.map_err(|error| {
        Error::Usage(format!("can't listen on `{address}`: {error}; name another ADDR:PORT"))
    })
}

fn url(listener: &TcpListener) -> String {
    match listener.local_addr() {
        Ok(address) => format!("http://{address}"),
        Err(_) => "an address that the system doesn't tell".to_owned(),
    }
}

/// Prints a line for whoever started the command.
pub(super) fn say(line: &str) {
    // A closed standard output leaves nobody to tell, and the calls go on.
    let _ = writeln!(io::stdout(), "{line}");
    let _ = io::stdout().flush();
}

/// The signals to stop, from the moment that they are watched for.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn watch() -> io::Result<Self> {
        let terminate = signal(SignalKind::terminate())?;
        Ok(Self { terminate, interrupt: signal(SignalKind::interrupt())? })
    }
}
