//! Who may call: this machine alone, or whoever signs with one of the host's keys. What can be
//! refused by its head is, before anything of its body is kept.

use std::sync::Arc;
use std::time::SystemTime;

use axum::body::Body;
use axum::extract::{Request, State};
use hyper::http::request::Parts;

use crate::access_key::AccessKey;
use crate::api_error::ApiError;
use crate::body::{self, BodyError, INVOCATION_BYTES, Room};
use crate::signature::{self, Claimed};
use crate::{control, host_header, invoke};

/// Memory for the bodies of the control plane's requests; calls can't take it away.
const OPERATIONS_BYTES: usize = 32 * 1024 * 1024;

/// What every request passes.
#[derive(Debug)]
pub(crate) struct Access {
    /// The keys that requests may be signed with; without any, only this machine's names are
    /// served.
    keys: Vec<AccessKey>,
    /// Memory for the bodies of calls.
    calls: Room,
    /// Memory for the bodies of the control plane's requests.
    operations: Room,
}

impl Access {
    /// Access by these keys, and so much memory for the bodies of calls.
    pub(crate) fn by(keys: Vec<AccessKey>, call_bytes: usize) -> Self {
        // Calls that one endpoint holds must not keep out those of all others.
        let calls = Room::new(INVOCATION_BYTES, call_bytes).in_shares();
        Self { keys, calls, operations: Room::new(control::BODY_BYTES, OPERATIONS_BYTES) }
    }

    /// Refuses what its head alone says must not pass; what claims to be signed is yet to be
    /// verified.
    fn claimed<'a>(&'a self, head: &'a Parts) -> Result<Option<Claimed<'a>>, ApiError> {
        if self.keys.is_empty() {
            return host_header::only_loopback(head).map(|()| None);
        }
        signature::claimed(&self.keys, head, SystemTime::now()).map(Some)
    }

    /// The room of a path, and how its API words why there is no body.
    fn room(&self, path: &str) -> (&Room, fn(BodyError) -> ApiError) {
        match path {
            "/" => (&self.operations, control::body_refusal),
            _ => (&self.calls, invoke::body_refusal),
        }
    }
}

/// Lets a request pass with its whole body, or refuses it before anything of it is believed.
pub(crate) async fn check(
    State(access): State<Arc<Access>>,
    request: Request,
) -> Result<Request, ApiError> {
    let (head, body) = request.into_parts();
    let claimed = match access.claimed(&head) {
        Ok(claimed) => claimed,
        Err(refusal) => {
            body::discard(body).await;
            return Err(refusal);
        }
    };
    let (room, refusal) = access.room(head.uri.path());
    let body = room.read(endpoint(head.uri.path()), body).await.map_err(refusal)?;
    if let Some(claimed) = claimed {
        claimed.verify(&head, &body)?;
    }
    Ok(Request::from_parts(head, Body::from(body)))
}

/// The endpoint that a path calls; nothing for others.
fn endpoint(path: &str) -> &str {
    let called = path.strip_prefix("/endpoints/").and_then(|called| called.split('/').next());
    called.unwrap_or_default()
}
