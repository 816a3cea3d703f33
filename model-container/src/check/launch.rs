//! Starting a container, and the rules for its start.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::process::ExitStatus;
use std::time::{Duration, Instant};

use tokio::time::sleep;
use uuid::Uuid;

use super::client::Request;
use super::process::{Process, Start};
use super::report::{Finding, Judge, broken, shown, untested};
use super::site::exchange;
use super::{Limits, listeners};

pub(crate) const RULES: &[Judge<Launch>] = &[
    ("serve", serve),
    ("start-time", start_time),
    ("bind-to-port", bind_to_port),
    ("all-interfaces", all_interfaces),
];

/// The port of every container that is not told another.
pub(crate) const DEFAULT_PORT: u16 = 8080;
/// How often a starting container is looked at.
const POLL: Duration = Duration::from_millis(10);

/// A container that was started as SageMaker starts it.
pub(crate) struct Launch {
    up: Up,
    /// The port that it was told to bind.
    asked: u16,
    /// How the first try ended, when it took another one without `serve`.
    refused_serve: Option<String>,
}

/// What became of a start.
pub(crate) struct Up {
    pub(crate) process: Process,
    /// Where its own processes listen; another's listener says nothing about it.
    pub(crate) listeners: Vec<SocketAddr>,
    /// The time to the first ping with 200, or what was seen instead.
    pub(crate) ready: Result<Duration, String>,
    pub(crate) ended: Option<ExitStatus>,
}

impl Launch {
    /// Starts the command with `serve`, and without where it ends at once.
    ///
    /// # Errors
    /// When the command can't be run at all.
    pub(crate) async fn of(command: &[String], limits: &Limits) -> io::Result<Self> {
        let asked = free_port();
        let with_serve = Start { command, serve: true, port: Some(asked), ..Start::default() };
        let up = Up::start(with_serve, limits).await?;
        if up.ended.is_none() {
            return Ok(Self { up, asked, refused_serve: None });
        }
        let again = Up::start(Start { serve: false, ..with_serve }, limits).await?;
        if again.listeners.is_empty() {
            return Ok(Self { up, asked, refused_serve: None });
        }
        Ok(Self { refused_serve: up.ready.err(), up: again, asked })
    }

    /// Where the container is called.
    pub(crate) fn address(&self) -> Option<SocketAddr> {
        self.up.address()
    }

    /// Whether a ping was answered 200 in time.
    pub(crate) fn is_ready(&self) -> bool {
        self.up.ready.is_ok()
    }

    /// Whether it says that its port is in use, and another program has the default one.
    fn is_crowded_out(&self) -> bool {
        let words = self.up.process.last_words().to_lowercase();
        let is_idle = self.up.ready.is_err() && self.up.listeners.is_empty();
        is_idle && words.contains("already in use") && !listeners::is_free(DEFAULT_PORT)
    }

    pub(crate) fn process(&mut self) -> &mut Process {
        &mut self.up.process
    }

    /// Whether it starts with the argument `serve`.
    pub(crate) fn takes_serve(&self) -> bool {
        self.refused_serve.is_none()
    }
}

impl Up {
    /// Starts a container and waits for its first ping with 200.
    pub(crate) async fn start(start: Start<'_>, limits: &Limits) -> io::Result<Self> {
        let started = Instant::now();
        let process = Process::start(start)?;
        let nothing = Err("nothing listens".to_owned());
        let mut up = Self { process, listeners: Vec::new(), ready: nothing, ended: None };
        while started.elapsed() < limits.start {
            up.ended = up.process.ended().await;
            if let Some(status) = up.ended {
                up.listeners.clear();
                up.ready = Err(format!("it ended with {status}: {}", up.process.last_words()));
                break;
            }
            up.look(start.port.unwrap_or(DEFAULT_PORT));
            match up.ping(limits).await {
                Some(Ok(())) => {
                    up.ready = Ok(started.elapsed());
                    break;
                }
                Some(Err(seen)) => up.ready = Err(seen),
                None => {}
            }
            sleep(POLL).await;
        }
        Ok(up)
    }

    /// The address on this machine of the likeliest listener.
    pub(crate) fn address(&self) -> Option<SocketAddr> {
        let mut address = *self.listeners.first()?;
        if address.ip().is_unspecified() {
            address.set_ip(Ipv4Addr::LOCALHOST.into());
        }
        Some(address)
    }

    /// Looks for the listeners of its processes, those on the port that was asked for first.
    fn look(&mut self, asked: u16) {
        self.listeners = listeners::of(&self.process.members());
        self.listeners.sort_by_key(|listener| match listener.port() {
            port if port == asked => 0,
            DEFAULT_PORT => 1,
            _ => 2,
        });
    }

    async fn ping(&self, limits: &Limits) -> Option<Result<(), String>> {
        let address = self.address()?;
        let (host, ping) = (address.to_string(), Request::ping().bytes());
        Some(match exchange(&host, &ping, limits.ping).await {
            Ok(answer) if answer.status == 200 => Ok(()),
            Ok(answer) => Err(format!("/ping on {address} answered {}", answer.summary())),
            Err(fault) => Err(format!("/ping on {address}: {fault}")),
        })
    }

    /// The listeners, as a person reads them.
    pub(crate) fn places(&self) -> String {
        let places: Vec<_> = self.listeners.iter().map(SocketAddr::to_string).collect();
        places.join(" and ")
    }
}

/// "docker run image serve" (your-algorithms-inference-code.html).
fn serve(launch: &Launch) -> Finding {
    match (&launch.refused_serve, launch.address()) {
        (Some(seen), _) => broken(
            format!("with the argument {seen}; without it, it starts"),
            "take `serve` as the argument that starts the server",
        ),
        (None, Some(_)) => Ok("starts with the argument `serve`".to_owned()),
        (None, None) if launch.up.ended.is_some() => {
            untested("it ends at once with the argument `serve`, and without it too")
        }
        (None, None) => untested("it never listened"),
    }
}

/// "within 3 minutes" (serverless-endpoints-invoke.html); the other endpoints give longer.
fn start_time(launch: &Launch) -> Finding {
    let advice = "answer /ping with 200 within 3 minutes of the start";
    if launch.is_crowded_out() {
        return untested(format!("another program of this machine has port {DEFAULT_PORT}"));
    }
    match (&launch.up.ready, launch.up.ended) {
        (Ok(time), _) => Ok(format!("the first ping with 200 came after {}", shown(*time))),
        (Err(seen), Some(_)) => broken(seen, "stay in the foreground and serve"),
        (Err(seen), None) => {
            let words = launch.up.process.last_words();
            let words = if words.is_empty() { words } else { format!(" (it wrote: {words})") };
            broken(format!("no 200 so far: {seen}{words}"), advice)
        }
    }
}

/// "SAGEMAKER_BIND_TO_PORT" (inference-pipeline-real-time.html): the port of a container that
/// shares its machine with others.
fn bind_to_port(launch: &Launch) -> Finding {
    let (asked, places) = (launch.asked, launch.up.places());
    if launch.address().is_none() {
        return untested("it never listened");
    }
    if launch.up.listeners.iter().any(|listener| listener.port() == asked) {
        return Ok(format!("listens on port {asked}, as SAGEMAKER_BIND_TO_PORT says"));
    }
    broken(
        format!("SAGEMAKER_BIND_TO_PORT is {asked}, but it listens on {places}"),
        "bind that port; it matters only for images with the label accept-bind-to-port",
    )
}

/// "a web server listening on port 8080": calls come from outside of the container.
fn all_interfaces(launch: &Launch) -> Finding {
    let Some(listener) = launch.up.listeners.first() else {
        return untested("it never listened");
    };
    match listener.ip().is_unspecified() {
        true => Ok(format!("listens on {listener}")),
        false => broken(format!("listens on {listener} alone"), "listen on 0.0.0.0"),
    }
}

/// A port on which nobody listens, below those that the system gives to anybody who asks for any.
pub(crate) fn free_port() -> u16 {
    const PORTS: std::ops::Range<u128> = 20_000..30_000;
    loop {
        let offset = Uuid::new_v4().as_u128() % (PORTS.end - PORTS.start);
        let port = u16::try_from(PORTS.start + offset).expect("the ports end below 65536");
        if listeners::is_free(port) {
            return port;
        }
    }
}
