//! The rules that need a container started anew, in other circumstances.

use std::net::SocketAddr;
use std::pin::Pin;

use super::Limits;
use super::launch::{DEFAULT_PORT, Up, free_port};
use super::listeners::is_free;
use super::process::{Guise, Start};
use super::report::{Finding, broken, shown, untested};

type Rule =
    for<'a> fn(&'a Start<'a>, &'a Limits) -> Pin<Box<dyn Future<Output = Finding> + Send + 'a>>;

pub(crate) const RULES: &[(&str, Rule)] = &[
    ("default-port", |plain, limits| Box::pin(default_port(plain, limits))),
    ("other-user", |plain, limits| Box::pin(other_user(plain, limits))),
    ("read-only-root", |plain, limits| Box::pin(read_only_root(plain, limits))),
];

/// The status with which a restriction that can't be had ends the start.
const NO_GUISE: i32 = 125;

/// "a web server listening on port 8080" (your-algorithms-inference-code.html).
async fn default_port(plain: &Start<'_>, limits: &Limits) -> Finding {
    let advice = "listen on 8080 where SAGEMAKER_BIND_TO_PORT is not set";
    if !is_free(DEFAULT_PORT) {
        return untested(format!("port {DEFAULT_PORT} of this machine is taken"));
    }
    let up = match Up::start(*plain, limits).await {
        Ok(up) => up,
        Err(error) => return untested(error),
    };
    if up.listeners.iter().map(SocketAddr::port).any(|port| port == DEFAULT_PORT) {
        return Ok(format!("listens on port {DEFAULT_PORT} when it is not told another"));
    }
    if !is_free(DEFAULT_PORT) {
        return untested(format!("port {DEFAULT_PORT} of this machine was taken meanwhile"));
    }
    match up.listeners.is_empty() {
        true => broken(up.ready.err().unwrap_or_default(), advice),
        false => broken(format!("listens on {}", up.places()), advice),
    }
}

/// Files that only one user may use make a serverless endpoint fail, and the advice there is
/// `chmod o+rwX` (serverless-endpoints.html).
async fn other_user(plain: &Start<'_>, limits: &Limits) -> Finding {
    let advice = "let every user read the image's files (chmod -R o+rX) and write to /tmp alone";
    ready_as(Guise::Nobody, "as user and group 65534", advice, plain, limits).await
}

/// What the image's file system holds does not outlive the container.
async fn read_only_root(plain: &Start<'_>, limits: &Limits) -> Finding {
    let advice = "write to /tmp alone";
    ready_as(Guise::ReadOnly, "with a read-only root", advice, plain, limits).await
}

async fn ready_as(
    guise: Guise,
    how: &str,
    advice: &str,
    plain: &Start<'_>,
    limits: &Limits,
) -> Finding {
    if !rustix::process::geteuid().is_root() {
        return untested(format!("only root can start it {how}"));
    }
    let start = Start { guise, port: Some(free_port()), ..*plain };
    let up = match Up::start(start, limits).await {
        Ok(up) => up,
        // The files of this machine are not those of an image.
        Err(error) => return untested(format!("{how}, this machine {error}")),
    };
    match up.ready {
        Ok(time) => Ok(format!("ready {how} after {}", shown(time))),
        Err(_) if up.ended.and_then(|status| status.code()) == Some(NO_GUISE) => {
            untested(format!("this machine doesn't let it be started {how}"))
        }
        Err(seen) => broken(format!("{how}: {seen}"), advice),
    }
}
