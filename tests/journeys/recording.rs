//! A proxy before the endpoint host that sends every call of the control plane to moto as well.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use hyper::Response;
use serde_json::Value;

use crate::proxy::{Call, Proxy};

/// The proxy; it ends when dropped.
pub(crate) struct Recording {
    proxy: Proxy,
    exchanges: Arc<Mutex<Vec<Exchange>>>,
}

/// A call of the control plane, and what both made of it.
#[derive(Debug, Clone)]
pub(crate) struct Exchange {
    /// Such as `CreateModel`.
    pub(crate) operation: String,
    pub(crate) request: Value,
    pub(crate) host: Answer,
    pub(crate) moto: Answer,
}

/// A status, and a body of JSON.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: Value,
}

impl Recording {
    /// Listens on a free port before `host`.
    pub(crate) fn start(host: &str, moto: &str) -> Self {
        let exchanges = Arc::<Mutex<Vec<Exchange>>>::default();
        let (recorded, host, moto) = (Arc::clone(&exchanges), host.to_owned(), moto.to_owned());
        let proxy = Proxy::start(move |call| {
            record(call, host.clone(), moto.clone(), Arc::clone(&recorded))
        });
        Self { proxy, exchanges }
    }

    pub(crate) fn url(&self) -> &str {
        &self.proxy.url
    }

    /// What was recorded until now.
    pub(crate) fn exchanges(&self) -> Vec<Exchange> {
        self.exchanges.lock().unwrap().clone()
    }
}

impl Answer {
    fn of(answer: &Response<Bytes>) -> Self {
        Self { status: answer.status().as_u16(), body: json(answer.body()) }
    }

    pub(crate) fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// The names of the answer's members.
    pub(crate) fn keys(&self) -> BTreeSet<&str> {
        self.body.as_object().into_iter().flatten().map(|(key, _)| key.as_str()).collect()
    }
}

/// Gets the host's answer; for a call of the control plane, moto is asked afterwards.
async fn record(
    call: Call,
    host: String,
    moto: String,
    exchanges: Arc<Mutex<Vec<Exchange>>>,
) -> Response<Bytes> {
    let answer = call.ask(&host).await;
    if let Some(operation) = call.operation() {
        let exchange = Exchange {
            operation: operation.to_owned(),
            request: json(&call.body),
            host: Answer::of(&answer),
            moto: Answer::of(&call.ask(&moto).await),
        };
        exchanges.lock().unwrap().push(exchange);
    }
    answer
}

fn json(body: &[u8]) -> Value {
    serde_json::from_slice(body).unwrap_or(Value::Null)
}
