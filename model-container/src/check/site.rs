//! A container that listens, and a request that it answers.

use std::time::{Duration, Instant};

use tokio::time::timeout;

use super::Limits;
use super::answer::Answer;
use super::client::{Connection, Fault, Request};
use super::report::{Flaw, untested};

/// A request for `POST /invocations`.
#[derive(Debug, Clone)]
pub struct Example {
    /// Its content type.
    pub content_type: String,
    /// Its body.
    pub body: Vec<u8>,
}

/// A container's address, and how it answered the examples.
pub(crate) struct Site {
    pub(crate) address: String,
    pub(crate) limits: Limits,
    /// Whether the example came from the caller, who knows what the container takes.
    pub(crate) is_given: bool,
    /// Every example up to the first that was answered 2xx.
    pub(crate) tried: Vec<(Example, Result<Answer, Fault>)>,
}

impl Site {
    /// Looks for an example that is answered 2xx.
    pub(crate) async fn open(address: String, given: Option<Example>, limits: &Limits) -> Self {
        let is_given = given.is_some();
        let mut site = Self { address, limits: limits.clone(), is_given, tried: Vec::new() };
        for example in given.map_or_else(usual, |given| vec![given]) {
            let result = site.invoke(&Request::from(&example)).await;
            let is_found = result.as_ref().is_ok_and(Answer::is_good);
            site.tried.push((example, result));
            if is_found {
                break;
            }
        }
        site
    }

    /// The request that is answered 2xx.
    pub(crate) fn good(&self) -> Result<&Example, Flaw> {
        match self.tried.last() {
            Some((example, Ok(answer))) if answer.is_good() => Ok(example),
            _ => untested("no request is known that the container answers 2xx"),
        }
    }

    /// Sends a request on a connection of its own and waits as long as SageMaker does.
    pub(crate) async fn invoke(&self, request: &Request) -> Result<Answer, Fault> {
        self.exchange(&request.bytes(), self.limits.answer).await
    }

    /// Pings on a connection of its own; the time includes the connection.
    pub(crate) async fn ping(&self) -> Result<Answer, Fault> {
        self.exchange(&Request::ping().bytes(), self.limits.ping).await
    }

    pub(crate) async fn exchange(&self, bytes: &[u8], limit: Duration) -> Result<Answer, Fault> {
        exchange(&self.address, bytes, limit).await
    }

    /// A new connection, which must come about within the limit for an answer.
    pub(crate) async fn connect(&self) -> Result<Connection, Fault> {
        let limit = self.limits.answer;
        timeout(limit, Connection::open(&self.address)).await.map_err(|_| Fault::Late(limit))?
    }

    /// How long a new connection takes.
    pub(crate) async fn connected_in(&self) -> Result<Duration, Fault> {
        let started = Instant::now();
        self.connect().await.map(|_| started.elapsed())
    }
}

/// One request on a connection of its own.
pub(crate) async fn exchange(
    address: &str,
    bytes: &[u8],
    limit: Duration,
) -> Result<Answer, Fault> {
    let started = Instant::now();
    let exchange = async { Connection::open(address).await?.exchange(bytes).await };
    let answer = timeout(limit, exchange).await.map_err(|_| Fault::Late(limit))??;
    Ok(Answer { took: started.elapsed(), ..answer })
}

/// What most text models take.
fn usual() -> Vec<Example> {
    const TEXT: &str = "The beer was great and the glass came unbroken";
    let json = format!("{{\"text\": \"{TEXT}\"}}");
    [("application/json", json.as_str()), ("text/plain", TEXT), ("text/csv", TEXT)]
        .map(|(content_type, body)| Example {
            content_type: content_type.to_owned(),
            body: body.into(),
        })
        .into()
}
