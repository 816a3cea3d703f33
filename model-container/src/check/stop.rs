//! The rules for a container's end, from one SIGTERM with requests in flight.

use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::time::{Duration, Instant};

use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::client::{Connection, Fault, Request};
use super::process::{self, Process};
use super::report::{Finding, Judge, broken, shown, untested};
use super::site::Site;

/// Their source: your-algorithms-inference-code.html, "The command sends the SIGTERM signal, then
/// it sends the SIGKILL signal thirty seconds later."
pub(crate) const RULES: &[Judge<Stopped>] = &[
    ("sigterm", sigterm),
    ("drain", drain),
    ("drain-unread", drain_unread),
    ("exit-status", exit_status),
    ("children", children),
];

/// How many requests of each kind are in flight.
const REQUESTS: usize = 8;
/// Long enough for a server to have read what was sent.
const PAUSE: Duration = Duration::from_millis(200);

/// What was seen when the container was told to stop.
#[derive(Default)]
pub(crate) struct Stopped {
    limit: Duration,
    /// How it ended before it was told to.
    crashed: Option<String>,
    /// The requests of which the server had read a part.
    begun: Answered,
    /// The requests that were sent in the moment before the signal.
    unread: Answered,
    /// How, and how long after the signal, it ended.
    end: Option<(ExitStatus, Duration)>,
    /// The processes that were left, by name.
    left: Vec<String>,
}

/// How many of the requests were answered 2xx, and what became of the first other.
#[derive(Default)]
struct Answered {
    sent: usize,
    answered: usize,
    fault: Option<String>,
}

impl Stopped {
    /// Sends requests, stops the container, and waits for both.
    pub(crate) async fn observe(site: &Site, process: &mut Process) -> Self {
        let request = site.good().map(Request::from).ok();
        let (head, body) = request.as_ref().map(Request::parts).unwrap_or_default();
        let (first, second) = body.split_at(body.len() / 2);
        let (mut begun, mut unread) = match &request {
            // An empty body leaves nothing to send after the signal.
            Some(request) if second.is_empty() => (Vec::new(), warm(site, request).await),
            Some(request) => {
                (begun(site, &[&head, first].concat()).await, warm(site, request).await)
            }
            None => (Vec::new(), Vec::new()),
        };
        sleep(PAUSE).await;
        let limit = site.limits.stop;
        if let Some(status) = process.ended().await {
            let crashed = Some(format!("{status}: {}", process.last_words()));
            return Self { limit, crashed, ..Self::default() };
        }
        send(&mut unread, &[&head, body].concat()).await;
        process.terminate();
        let signalled = Instant::now();
        let answers = async {
            sleep(PAUSE).await;
            send(&mut begun, second).await;
            tokio::join!(Answered::collect(begun, limit), Answered::collect(unread, limit))
        };
        let ending = async { process.wait(limit).await.map(|end| (end, signalled.elapsed())) };
        let ((begun, unread), end) = tokio::join!(answers, ending);
        // What was told to end with the container may need a moment.
        sleep(PAUSE).await;
        let left = process.members().into_iter().map(process::name).collect();
        Self { limit, begun, unread, end, left, crashed: None }
    }
}

impl Stopped {
    /// Why there were no requests to lose.
    fn why_none(&self) -> &'static str {
        match (&self.crashed, self.begun.sent) {
            (Some(_), _) => "it had ended before SIGTERM",
            (None, 0) => "no request is known that the container answers 2xx",
            (None, _) => "it keeps no connections",
        }
    }
}

/// Connections on which the server has read the first part of a request.
async fn begun(site: &Site, part: &[u8]) -> Vec<Connection> {
    let mut connections = Vec::new();
    for _ in 0..REQUESTS {
        let Ok(mut connection) = site.connect().await else { continue };
        if connection.send(part).await.is_ok() {
            connections.push(connection);
        }
    }
    connections
}

/// Connections that the server keeps after a first answer.
async fn warm(site: &Site, request: &Request) -> Vec<Connection> {
    let mut connections = Vec::new();
    for _ in 0..REQUESTS {
        let Ok(mut connection) = site.connect().await else { continue };
        let answer = timeout(site.limits.answer, connection.exchange(&request.bytes())).await;
        if answer.is_ok_and(|answer| answer.is_ok_and(|answer| !answer.closes)) {
            connections.push(connection);
        }
    }
    connections
}

async fn send(connections: &mut [Connection], bytes: &[u8]) {
    for connection in connections {
        // Where this fails, so does the reading of the answer, which says more.
        let _ = connection.send(bytes).await;
    }
}

impl Answered {
    async fn collect(connections: Vec<Connection>, limit: Duration) -> Self {
        let mut answered = Self { sent: connections.len(), ..Self::default() };
        let mut answers = JoinSet::new();
        for mut connection in connections {
            answers.spawn(async move {
                timeout(limit, connection.answer()).await.unwrap_or(Err(Fault::Late(limit)))
            });
        }
        for answer in answers.join_all().await {
            match answer {
                Ok(answer) if answer.is_good() => answered.answered += 1,
                Ok(answer) => answered.fault = Some(answer.summary()),
                Err(fault) => answered.fault = Some(fault.to_string()),
            }
        }
        answered
    }

    fn judge(&self, why_none: &str, advice: &str) -> Finding {
        let Self { sent, answered, fault } = self;
        match fault {
            None if *sent == 0 => untested(why_none),
            None if *sent < REQUESTS => {
                Ok(format!("all {sent} were answered; {} had no connection", REQUESTS - sent))
            }
            None => Ok(format!("all {sent} were answered")),
            Some(fault) => broken(format!("{answered} of {sent} were answered: {fault}"), advice),
        }
    }
}

/// It has 30 seconds.
fn sigterm(stopped: &Stopped) -> Finding {
    match &stopped.end {
        _ if let Some(seen) = &stopped.crashed => {
            broken(format!("it had ended before SIGTERM, with {seen}"), "keep serving until then")
        }
        Some((_, time)) => Ok(format!("ended {} after SIGTERM", shown(*time))),
        None => broken(
            format!("still ran {} after SIGTERM", shown(stopped.limit)),
            "start the server with the exec form of ENTRYPOINT, or `exec`, and end at SIGTERM",
        ),
    }
}

/// What was begun before is finished within the 30 seconds.
fn drain(stopped: &Stopped) -> Finding {
    let advice = "finish the requests in flight before you exit";
    let why = match stopped.unread.sent {
        0 => stopped.why_none(),
        _ => "no request was only half sent: its body is empty, or no connection was had",
    };
    stopped.begun.judge(why, advice)
}

/// As `drain`, for requests that were sent in time but not yet read.
fn drain_unread(stopped: &Stopped) -> Finding {
    let advice = "read what has arrived on open connections before you close them";
    stopped.unread.judge(stopped.why_none(), advice)
}

/// No rule of AWS asks for a status; one that looks like a crash is noted.
fn exit_status(stopped: &Stopped) -> Finding {
    const BY_SIGTERM: i32 = 15;
    let Some((status, _)) = stopped.end else { return untested("it did not end at SIGTERM") };
    match (status.code(), status.signal()) {
        (Some(0), _) | (_, Some(BY_SIGTERM)) => Ok(status.to_string()),
        (Some(code), _) if code == 128 + BY_SIGTERM => Ok(format!("{status}, by SIGTERM")),
        _ => Ok(format!("{status}; AWS asks for none, but it looks like a crash")),
    }
}

/// Processes that outlive the first one are killed at once, whatever they do.
fn children(stopped: &Stopped) -> Finding {
    match (&stopped.end, stopped.left.as_slice()) {
        (None, _) => untested("it did not end at SIGTERM"),
        (Some(_), []) => Ok("no process is left".to_owned()),
        (Some(_), left) => broken(
            format!("left running: {}", left.join(", ")),
            "end every process that you started, and wait for it",
        ),
    }
}
