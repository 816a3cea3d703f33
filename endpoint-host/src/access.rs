//! Who may call: this machine alone, or whoever signs with one of the host's keys.

use std::sync::Arc;
use std::time::SystemTime;

use axum::body::Body;
use axum::extract::{Request, State};

use crate::access_key::AccessKey;
use crate::api_error::ApiError;
use crate::body::{self, INVOCATION_BYTES};
use crate::{host_header, signature};

/// The keys that requests may be signed with; without any, only this machine's names are served.
#[derive(Clone, Debug)]
pub(crate) struct Access(Arc<[AccessKey]>);

impl Access {
    /// Access by these keys.
    pub(crate) fn by(keys: Vec<AccessKey>) -> Self {
        Self(keys.into())
    }
}

/// Lets a request pass, or refuses it before anything of it is believed.
pub(crate) async fn check(
    State(access): State<Access>,
    request: Request,
) -> Result<Request, ApiError> {
    if access.0.is_empty() {
        return host_header::only_loopback(request);
    }
    let (head, body) = request.into_parts();
    let body = body::read(body, INVOCATION_BYTES).await;
    let body = body.map_err(|_| ApiError::bad_signature("the body is too long or broke off"))?;
    signature::verify(&access.0, &head, &body, SystemTime::now())?;
    Ok(Request::from_parts(head, Body::from(body)))
}
