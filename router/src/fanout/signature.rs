//! Signs calls of SageMaker's runtime as AWS demands, Signature Version 4: with a key that is made
//! once for each day and kept.

use std::fmt::{self, Write};
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwapOption;
use aws_credential_types::Credentials;
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider};
use aws_sigv4::sign::v4::{calculate_signature, generate_signing_key};
use jiff::Timestamp;
use sha2::{Digest, Sha256};
use tokio::sync::Mutex;

/// What the signature calls the runtime.
const SERVICE: &str = "sagemaker";
/// How long credentials are kept that don't say when they expire, as by the SDK.
const KEPT: Duration = Duration::from_secs(15 * 60);
/// They are asked for anew so long before they expire.
const MARGIN: Duration = Duration::from_secs(60);

/// Keeps the key that calls of one region are signed with.
pub(super) struct Signer {
    credentials: SharedCredentialsProvider,
    region: String,
    key: ArcSwapOption<Key>,
    /// Held while credentials are asked for: once for all who need them.
    asking: Mutex<()>,
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Signer").field("region", &self.region).finish_non_exhaustive()
    }
}

impl Signer {
    pub(super) fn new(credentials: SharedCredentialsProvider, region: String) -> Self {
        Self { credentials, region, key: ArcSwapOption::empty(), asking: Mutex::default() }
    }

    /// The key for calls made now.
    pub(super) async fn key(&self, now: Timestamp) -> Result<Arc<Key>, CredentialsError> {
        if let Some(key) = self.known(now) {
            return Ok(key);
        }
        let _asking = self.asking.lock().await;
        if let Some(key) = self.known(now) {
            return Ok(key);
        }
        let credentials = self.credentials.provide_credentials().await?;
        let key = Arc::new(Key::new(&credentials, &self.region, now));
        self.key.store(Some(Arc::clone(&key)));
        Ok(key)
    }

    fn known(&self, now: Timestamp) -> Option<Arc<Key>> {
        self.key.load_full().filter(|key| key.is_good(now))
    }
}

/// Credentials, and what follows from them for one day.
pub(super) struct Key {
    access_key_id: String,
    /// Of temporary credentials.
    pub(super) token: Option<String>,
    /// As `20261122`.
    day: String,
    /// What the signature is good for.
    scope: String,
    secret: Box<[u8]>,
    until: Timestamp,
}

/// What is signed of a call: a POST of JSON that wants JSON.
#[derive(Clone, Copy)]
pub(super) struct Signable<'a> {
    pub(super) host: &'a str,
    /// The URL's path, encoded once more.
    pub(super) path: &'a str,
    pub(super) body: &'a [u8],
    /// When the call is made, as [`date`] writes it.
    pub(super) date: &'a str,
}

impl Key {
    fn new(credentials: &Credentials, region: &str, now: Timestamp) -> Self {
        let day = day(now);
        let secret = credentials.secret_access_key();
        let secret = generate_signing_key(secret, now.into(), region, SERVICE);
        let expiry = credentials.expiry().and_then(|expiry| Timestamp::try_from(expiry).ok());
        Self {
            access_key_id: credentials.access_key_id().to_owned(),
            token: credentials.session_token().map(str::to_owned),
            scope: format!("{day}/{region}/{SERVICE}/aws4_request"),
            day,
            secret: secret.as_ref().into(),
            until: expiry.map_or(now + KEPT, |expiry| expiry - MARGIN),
        }
    }

    fn is_good(&self, now: Timestamp) -> bool {
        now < self.until && day(now) == self.day
    }

    /// The header `authorization` of a call that has these headers besides: `accept`,
    /// `content-type`, `host`, `x-amz-date` and, where there is a token, `x-amz-security-token`.
    pub(super) fn authorize(&self, call: Signable<'_>) -> String {
        let Signable { host, path, body, date } = call;
        let (token, signed) = match &self.token {
            None => (String::new(), "accept;content-type;host;x-amz-date"),
            Some(token) => (
                format!("x-amz-security-token:{token}\n"),
                "accept;content-type;host;x-amz-date;x-amz-security-token",
            ),
        };
        let canonical = format!(
            "POST\n{path}\n\naccept:application/json\ncontent-type:application/json\n\
             host:{host}\nx-amz-date:{date}\n{token}\n{signed}\n{}",
            hash(body)
        );
        let Self { access_key_id, scope, secret, .. } = self;
        let text = format!("AWS4-HMAC-SHA256\n{date}\n{scope}\n{}", hash(canonical.as_bytes()));
        let signature = calculate_signature(secret, text.as_bytes());
        format!(
            "AWS4-HMAC-SHA256 Credential={access_key_id}/{scope}, SignedHeaders={signed}, \
             Signature={signature}"
        )
    }
}

/// As in `x-amz-date`: `20261122T104500Z`.
pub(super) fn date(now: Timestamp) -> String {
    now.strftime("%Y%m%dT%H%M%SZ").to_string()
}

fn day(now: Timestamp) -> String {
    now.strftime("%Y%m%d").to_string()
}

/// A URL's path as it is signed: what is encoded in it is encoded again.
pub(super) fn encoded(path: &str) -> String {
    path.bytes().fold(String::with_capacity(path.len()), |mut encoded, byte| {
        match byte {
            b'/' | b'-' | b'.' | b'_' | b'~' => encoded.push(byte.into()),
            _ if byte.is_ascii_alphanumeric() => encoded.push(byte.into()),
            _ => write!(encoded, "%{byte:02X}").expect("a string takes everything"),
        }
        encoded
    })
}

fn hash(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digits = |byte: u8| [DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]];
    Sha256::digest(bytes).into_iter().flat_map(digits).map(char::from).collect()
}

#[cfg(test)]
pub(super) mod example {
    //! The signature that a call should have, for the tests here and around.

    use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
    use aws_sigv4::sign::v4;

    use super::*;

    const HEADERS: [(&str, &str); 2] =
        [("accept", "application/json"), ("content-type", "application/json")];

    /// What the SDK's own signer says of the body `{}`, in Ireland.
    pub(in crate::fanout) fn signed_by_the_sdk(
        credentials: Credentials,
        url: &str,
        now: Timestamp,
    ) -> String {
        let identity = credentials.into();
        let params = v4::SigningParams::builder()
            .identity(&identity)
            .region("eu-west-1")
            .name(SERVICE)
            .time(now.into())
            .settings(SigningSettings::default());
        let body = SignableBody::Bytes(b"{}");
        let request = SignableRequest::new("POST", url, HEADERS.into_iter(), body).unwrap();
        let (signed, _) = sign(request, &params.build().unwrap().into()).unwrap().into_parts();
        let header = signed.headers().find(|(name, _)| *name == "authorization").unwrap();
        header.1.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use aws_credential_types::provider::future::ProvideCredentials as Future;

    use super::example::signed_by_the_sdk;
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn credentials(token: Option<&str>, expiry: Option<&str>) -> Credentials {
        let (token, expiry) = (token.map(str::to_owned), expiry.map(|text| at(text).into()));
        Credentials::new("an-id", "a-secret", token, expiry, "test")
    }

    #[test]
    fn a_call_is_signed_as_by_the_sdk() {
        let now = at("2026-11-22T10:45:00.9Z");
        for token in [None, Some("a/token+=")] {
            for path in ["/endpoints/spam/invocations", "/a%20b/c:d~/endpoints/a-B9/invocations"] {
                let credentials = credentials(token, None);
                let key = Key::new(&credentials, "eu-west-1", now);
                let (host, date) = ("localhost:8090", date(now));
                let (path, url) = (&*encoded(path), format!("http://{host}{path}"));
                let ours = key.authorize(Signable { host, path, body: b"{}", date: &date });
                assert_eq!(ours, signed_by_the_sdk(credentials, &url, now), "{url}");
            }
        }
    }

    /// Says how often it was asked.
    #[derive(Debug, Default)]
    struct Counting(Arc<AtomicUsize>, Option<&'static str>);

    impl ProvideCredentials for Counting {
        fn provide_credentials<'a>(&'a self) -> Future<'a>
        where
            Self: 'a,
        {
            self.0.fetch_add(1, Ordering::Relaxed);
            Future::ready(Ok(credentials(None, self.1)))
        }
    }

    /// How often credentials are asked for that expire then, by calls at these times.
    async fn asked(expiry: Option<&'static str>, times: &[&str]) -> usize {
        let count = Arc::default();
        let provider = SharedCredentialsProvider::new(Counting(Arc::clone(&count), expiry));
        let signer = Signer::new(provider, "eu-west-1".to_owned());
        for time in times {
            let key = signer.key(at(time)).await.unwrap();
            assert!(key.scope.starts_with(&key.day) && key.day == day(at(time)));
        }
        count.load(Ordering::Relaxed)
    }

    #[tokio::test]
    async fn credentials_are_asked_for_again_before_they_expire_and_each_day() {
        let (first, later) = ("2026-11-22T10:00:00Z", "2026-11-22T10:14:00Z");
        assert_eq!(asked(None, &[first, later]).await, 1);
        assert_eq!(asked(None, &[first, "2026-11-22T10:15:00Z"]).await, 2);
        assert_eq!(asked(Some("2026-11-22T10:20:00Z"), &[first, later]).await, 1);
        assert_eq!(asked(Some("2026-11-22T10:14:30Z"), &[first, later]).await, 2);
        let night = ["2026-11-22T23:59:59Z", "2026-11-23T00:00:00Z"];
        assert_eq!(asked(Some("2026-11-24T00:00:00Z"), &night).await, 2);
    }
}
