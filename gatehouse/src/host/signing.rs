//! Signs a question to a host that demands signatures, with the environment's credentials.

use std::time::SystemTime;

use anyhow::Context;
use aws_credential_types::Credentials;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4;

/// The host checks the signature, but any region will do.
const REGION: &str = "us-east-1";

/// One of the host's access keys, as the AWS clients find theirs.
pub(super) fn credentials() -> Option<Credentials> {
    let variable = |name| std::env::var(name).ok().filter(|value| !value.is_empty());
    let (id, secret) = (variable("AWS_ACCESS_KEY_ID")?, variable("AWS_SECRET_ACCESS_KEY")?);
    Some(Credentials::new(id, secret, None, None, "environment"))
}

/// The headers that sign a GET of `url`.
pub(super) fn headers(url: &str, key: &Credentials) -> anyhow::Result<Vec<(String, String)>> {
    let identity = key.clone().into();
    let params = v4::SigningParams::builder()
        .identity(&identity)
        .region(REGION)
        .name("sagemaker")
        .time(SystemTime::now())
        .settings(SigningSettings::default())
        .build()?;
    let request = SignableRequest::new("GET", url, std::iter::empty(), SignableBody::Bytes(b""));
    let request = request.with_context(|| format!("`{url}` is no URL of a host"))?;
    let (signed, _) = sign(request, &params.into())?.into_parts();
    Ok(signed.headers().map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
}
