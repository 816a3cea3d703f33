//! The rules for a container under several callers at once, from one spell of load.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::Limits;
use super::answer::Answer;
use super::client::{Connection, Fault, Request};
use super::report::{Finding, Judge, broken, shown, untested};
use super::site::{Site, exchange};

/// Sources as in `rules`: the limits of SageMaker hold for a busy container too.
pub(crate) const RULES: &[Judge<Load>] =
    &[("ping-busy", ping_busy), ("accept-busy", accept_busy), ("concurrent", concurrent)];

/// How many callers there are at a time.
const CALLERS: usize = 8;
/// How often the container is pinged meanwhile.
const PINGS: u32 = 20;
/// The pause between two pings, and of a caller that was told to come later.
const PAUSE: Duration = Duration::from_millis(50);

/// What was seen while the callers called.
pub(crate) struct Load {
    limits: Limits,
    calls: Calls,
    /// The slowest ping, or the first that failed.
    ping: Result<Duration, String>,
    /// The slowest connection, or the first that failed.
    connect: Result<Duration, String>,
}

/// What became of the requests.
#[derive(Default)]
struct Calls {
    answered: usize,
    /// Told to come later, with 429 or 503.
    deferred: usize,
    slowest: Duration,
    /// The first that was lost or failed.
    fault: Option<String>,
}

impl Load {
    /// Calls and pings for a second or so.
    ///
    /// # Errors
    /// Why there can be no load.
    pub(crate) async fn observe(site: &Site) -> Result<Self, String> {
        let Ok(example) = site.good() else {
            return Err("no request is known that the container answers 2xx".to_owned());
        };
        let bytes: Arc<[u8]> = Request::from(example).bytes().into();
        let stop = Arc::new(AtomicBool::new(false));
        let mut callers = JoinSet::new();
        for _ in 0..CALLERS {
            let (address, bytes) = (site.address.clone(), Arc::clone(&bytes));
            let (stop, limit) = (Arc::clone(&stop), site.limits.answer);
            callers.spawn(async move { Calls::make(&address, &bytes, limit, &stop).await });
        }
        let (mut ping, mut connect) = (Ok(Duration::ZERO), Ok(Duration::ZERO));
        for _ in 0..PINGS {
            sleep(PAUSE).await;
            keep_slowest(
                &mut connect,
                site.connected_in().await.map_err(|fault| fault.to_string()),
            );
            keep_slowest(&mut ping, pinged(site).await);
        }
        stop.store(true, Ordering::Relaxed);
        let calls = callers.join_all().await.into_iter().fold(Calls::default(), Calls::and);
        Ok(Self { limits: site.limits.clone(), calls, ping, connect })
    }
}

impl Calls {
    async fn make(address: &str, bytes: &[u8], limit: Duration, stop: &AtomicBool) -> Self {
        let mut calls = Self::default();
        let mut kept: Option<Connection> = None;
        while !stop.load(Ordering::Relaxed) && calls.fault.is_none() {
            let call = timeout(limit, call(address, bytes, &mut kept));
            match call.await.unwrap_or(Err(Fault::Late(limit))) {
                Ok(answer) if answer.is_good() => {
                    calls.answered += 1;
                    calls.slowest = calls.slowest.max(answer.took);
                }
                Ok(answer) if matches!(answer.status, 429 | 503) => {
                    calls.deferred += 1;
                    sleep(PAUSE).await;
                }
                Ok(answer) => calls.fault = Some(answer.summary()),
                Err(fault) => calls.fault = Some(fault.to_string()),
            }
        }
        calls
    }

    fn and(self, other: Self) -> Self {
        Self {
            answered: self.answered + other.answered,
            deferred: self.deferred + other.deferred,
            slowest: self.slowest.max(other.slowest),
            fault: self.fault.or(other.fault),
        }
    }
}

/// Calls on the connection that was kept, or on a new one.
async fn call(address: &str, bytes: &[u8], kept: &mut Option<Connection>) -> Result<Answer, Fault> {
    let mut connection = match kept.take() {
        Some(connection) => connection,
        None => Connection::open(address).await?,
    };
    let answer = connection.exchange(bytes).await?;
    if !answer.closes {
        *kept = Some(connection);
    }
    Ok(answer)
}

async fn pinged(site: &Site) -> Result<Duration, String> {
    // Longer than the rule allows, so that the line can say by how much it was missed.
    let answer = exchange(&site.address, &Request::ping().bytes(), site.limits.ping * 5).await;
    match answer {
        Ok(answer) if answer.status == 200 => Ok(answer.took),
        Ok(answer) => Err(format!("answered {}", answer.summary())),
        Err(fault) => Err(fault.to_string()),
    }
}

fn keep_slowest(slowest: &mut Result<Duration, String>, next: Result<Duration, String>) {
    match (&mut *slowest, next) {
        (Ok(slowest), Ok(next)) => *slowest = next.max(*slowest),
        (Ok(_), Err(fault)) => *slowest = Err(fault),
        (Err(_), _) => {}
    }
}

/// A ping within 2 seconds, whatever the model is doing.
fn ping_busy(load: &Load) -> Finding {
    let advice = "answer /ping from a thread that never scores; busy is not ill";
    within(&load.ping, load.limits.ping, load, "ping", advice)
}

/// A connection within 250 ms, whatever the model is doing.
fn accept_busy(load: &Load) -> Finding {
    let advice = "accept on a thread that never scores, with a longer backlog";
    within(&load.connect, load.limits.accept, load, "connection", advice)
}

/// Several requests at once, each answered or told to come later.
fn concurrent(load: &Load) -> Finding {
    let Calls { answered, deferred, slowest, fault } = &load.calls;
    if let Some(fault) = fault {
        let advice = "answer each, or 503 at once when full";
        return broken(format!("with {CALLERS} callers: {fault}"), advice);
    }
    if *answered == 0 {
        return untested(format!("all {deferred} requests of {CALLERS} callers were put off"));
    }
    let deferred = if *deferred > 0 { format!(", {deferred} put off") } else { String::new() };
    Ok(format!("{CALLERS} callers, {answered} answered{deferred}, slowest {}", shown(*slowest)))
}

fn within(
    slowest: &Result<Duration, String>,
    limit: Duration,
    load: &Load,
    what: &str,
    advice: &str,
) -> Finding {
    match slowest {
        _ if load.calls.answered == 0 => untested("no request was answered meanwhile"),
        Ok(slowest) if *slowest <= limit => {
            Ok(format!("the slowest {what} of {PINGS} took {}", shown(*slowest)))
        }
        Ok(slowest) => broken(format!("a {what} took {}", shown(*slowest)), advice),
        Err(fault) => broken(format!("a {what}: {fault}"), advice),
    }
}
