//! Signs calls of SageMaker's runtime as AWS demands, Signature Version 4: with a key that is made
//! once for each day and kept.

use std::fmt::{self, Write};
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwapOption;
use aws_credential_types::Credentials;
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider};
use aws_sigv4::sign::v4::{calculate_signature, generate_signing_key};
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared};
use jiff::{SignedDuration, Timestamp};
use sha2::{Digest, Sha256};

use crate::error::chain;

/// What the signature calls the runtime.
const SERVICE: &str = "sagemaker";
/// How long credentials are kept that don't say when they expire, as by the SDK.
const KEPT: SignedDuration = SignedDuration::from_mins(15);
/// Others are asked for anew so long before they expire,
const MARGIN: SignedDuration = SignedDuration::from_mins(1);
/// but not sooner than after this, even if the same ones come again.
const LEAST: SignedDuration = SignedDuration::from_secs(5);

/// Keeps the key that calls of one region are signed with.
pub(super) struct Signer {
    credentials: SharedCredentialsProvider,
    region: String,
    key: ArcSwapOption<Key>,
    asking: Mutex<Option<Asking>>,
}

/// Credentials being asked for, once for all who need them.
type Asking = Shared<BoxFuture<'static, Result<Arc<Key>, Arc<str>>>>;

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Signer").field("region", &self.region).finish_non_exhaustive()
    }
}

impl Signer {
    pub(super) fn new(credentials: SharedCredentialsProvider, region: String) -> Arc<Self> {
        let (key, asking) = (ArcSwapOption::empty(), Mutex::default());
        Arc::new(Self { credentials, region, key, asking })
    }

    /// The key for calls made now, or why there are no credentials. While those that there are have
    /// not expired, nobody waits for the next ones.
    pub(super) async fn key(self: &Arc<Self>, now: Timestamp) -> Result<Arc<Key>, Arc<str>> {
        let known = self.key.load_full().filter(|key| !key.has_expired(now));
        let key = match known {
            Some(key) if key.is_fresh(now) => return Ok(key),
            Some(key) => {
                drop(self.ask(now));
                key
            }
            None => self.ask(now).await?,
        };
        // Who has asked may have done so before midnight, or by another clock.
        let is_of_today = key.day == day(now);
        let of_today = || Arc::new(Key::new(key.credentials.clone(), &self.region, now));
        Ok(if is_of_today { key } else { of_today() })
    }

    /// Asks for credentials, unless that is being done: in a task of its own, since the first who
    /// needs them may not wait until they come.
    fn ask(self: &Arc<Self>, now: Timestamp) -> Asking {
        let mut asking = self.asking.lock().unwrap_or_else(PoisonError::into_inner);
        let under_way = asking.clone().filter(|asking| asking.clone().now_or_never().is_none());
        under_way.unwrap_or_else(|| {
            let task = tokio::spawn(Arc::clone(self).renew(now));
            let renewing = async { task.await.unwrap_or_else(|error| Err(chain(&error).into())) };
            asking.insert(renewing.boxed().shared()).clone()
        })
    }

    async fn renew(self: Arc<Self>, now: Timestamp) -> Result<Arc<Key>, Arc<str>> {
        let credentials = self.credentials.provide_credentials().await.map_err(|error| {
            let cause = chain(&error);
            tracing::warn!(cause, "there are no new credentials for SageMaker's runtime");
            Arc::from(cause)
        })?;
        let key = Arc::new(Key::new(credentials, &self.region, now));
        self.key.store(Some(Arc::clone(&key)));
        Ok(key)
    }
}

/// Credentials, and what follows from them for one day.
pub(super) struct Key {
    credentials: Credentials,
    /// As `20261122`.
    day: String,
    /// What the signature is good for.
    scope: String,
    secret: Box<[u8]>,
    made: Timestamp,
    expiry: Option<Timestamp>,
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
    fn new(credentials: Credentials, region: &str, now: Timestamp) -> Self {
        let day = day(now);
        let secret = credentials.secret_access_key();
        let secret = generate_signing_key(secret, now.into(), region, SERVICE);
        let expiry = credentials.expiry().and_then(|expiry| Timestamp::try_from(expiry).ok());
        Self {
            scope: format!("{day}/{region}/{SERVICE}/aws4_request"),
            day,
            secret: secret.as_ref().into(),
            made: now,
            expiry,
            credentials,
        }
    }

    /// Of temporary credentials.
    pub(super) fn token(&self) -> Option<&str> {
        self.credentials.session_token()
    }

    fn has_expired(&self, now: Timestamp) -> bool {
        self.expiry.is_some_and(|expiry| expiry <= now)
    }

    /// Whether it is of this day, and its credentials need not be asked for anew. A clock that was
    /// put back says nothing of how long ago they came.
    fn is_fresh(&self, now: Timestamp) -> bool {
        let age = now.duration_since(self.made);
        let kept = self.expiry.map_or(KEPT, |expiry| expiry.duration_since(self.made) - MARGIN);
        age > -MARGIN && age < kept.max(LEAST) && day(now) == self.day
    }

    /// The header `authorization` of a call that has these headers besides: `accept`,
    /// `content-type`, `host`, `x-amz-date` and, where there is a token, `x-amz-security-token`.
    pub(super) fn authorize(&self, call: Signable<'_>) -> String {
        let Signable { host, path, body, date } = call;
        let (token, signed) = match self.token() {
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
        let Self { credentials, scope, secret, .. } = self;
        let access_key_id = credentials.access_key_id();
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

    use aws_credential_types::provider::error::CredentialsError;
    use aws_credential_types::provider::future::ProvideCredentials as Future;
    use tokio::sync::Semaphore;

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
                let key = Key::new(credentials.clone(), "eu-west-1", now);
                let (host, date) = ("localhost:8090", date(now));
                let (path, url) = (&*encoded(path), format!("http://{host}{path}"));
                let ours = key.authorize(Signable { host, path, body: b"{}", date: &date });
                assert_eq!(ours, signed_by_the_sdk(credentials, &url, now), "{url}");
            }
        }
    }

    /// Says how often it was asked, and answers once it may.
    #[derive(Debug)]
    struct Counting {
        count: Arc<AtomicUsize>,
        expiry: Option<&'static str>,
        gate: Arc<Semaphore>,
    }

    impl ProvideCredentials for Counting {
        fn provide_credentials<'a>(&'a self) -> Future<'a>
        where
            Self: 'a,
        {
            self.count.fetch_add(1, Ordering::Relaxed);
            Future::new(async {
                self.gate.acquire().await.map_err(CredentialsError::provider_error)?.forget();
                Ok(credentials(None, self.expiry))
            })
        }
    }

    /// A signer with credentials that expire then, how often it asks, and what it must be let do.
    fn signer(expiry: Option<&'static str>) -> (Arc<Signer>, Arc<AtomicUsize>, Arc<Semaphore>) {
        let (count, gate) = (Arc::default(), Arc::new(Semaphore::new(0)));
        let provider = Counting { count: Arc::clone(&count), expiry, gate: Arc::clone(&gate) };
        let provider = SharedCredentialsProvider::new(provider);
        (Signer::new(provider, "eu-west-1".to_owned()), count, gate)
    }

    /// Lets what was begun beside go as far as it can.
    async fn settle() {
        for _ in 0..10 {
            tokio::task::yield_now().await;
        }
    }

    /// How often credentials are asked for that expire then, by calls at these times.
    async fn asked(expiry: Option<&'static str>, times: &[&str]) -> usize {
        let (signer, count, gate) = signer(expiry);
        gate.add_permits(times.len());
        for time in times {
            let key = signer.key(at(time)).await.unwrap();
            assert!(key.scope.starts_with(&key.day) && key.day == day(at(time)));
            settle().await;
        }
        count.load(Ordering::Relaxed)
    }

    #[tokio::test]
    async fn credentials_are_asked_for_again_before_they_expire_and_each_day() {
        let (first, later) = ("2026-11-22T10:00:00Z", "2026-11-22T10:14:00Z");
        assert_eq!(asked(None, &[first, later]).await, 1);
        assert_eq!(asked(None, &[first, "2026-11-22T10:15:00Z"]).await, 2);
        assert_eq!(asked(None, &[first, "2026-11-22T09:59:30Z"]).await, 1);
        assert_eq!(
            asked(None, &[first, "2026-11-22T09:00:00Z"]).await,
            2,
            "the clock was put back"
        );
        assert_eq!(asked(Some("2026-11-22T10:20:00Z"), &[first, later]).await, 1);
        assert_eq!(asked(Some("2026-11-22T10:14:30Z"), &[first, later]).await, 2);
        let soon = ["2026-11-22T10:14:00Z", "2026-11-22T10:14:04Z"];
        assert_eq!(asked(Some("2026-11-22T10:14:30Z"), &soon).await, 1, "the same may come again");
        let night = ["2026-11-22T23:59:59Z", "2026-11-23T00:00:00Z"];
        assert_eq!(asked(Some("2026-11-24T00:00:00Z"), &night).await, 2);
    }

    #[tokio::test]
    async fn nobody_waits_for_the_next_credentials_while_the_last_are_good() {
        let (signer, count, gate) = signer(Some("2026-11-22T10:20:00Z"));
        gate.add_permits(1);
        signer.key(at("2026-11-22T10:00:00Z")).await.unwrap();
        for second in 10..20 {
            let key = signer.key(at(&format!("2026-11-22T10:19:{second}Z"))).await.unwrap();
            assert_eq!(key.day, "20261122");
            settle().await;
        }
        assert_eq!(count.load(Ordering::Relaxed), 2, "once for all");
        gate.close();
        settle().await;
        assert!(signer.key(at("2026-11-22T10:19:59Z")).await.is_ok());
        let fault = signer.key(at("2026-11-22T10:20:00Z")).await.err().unwrap();
        assert!(fault.contains("semaphore closed"), "{fault}");
    }

    #[tokio::test]
    async fn credentials_come_for_all_who_need_them_though_the_first_has_gone() {
        let (signer, count, gate) = signer(None);
        let now = at("2026-11-22T10:00:00Z");
        assert!(signer.key(now).now_or_never().is_none());
        gate.add_permits(1);
        settle().await;
        assert!(signer.key(now).await.is_ok() && signer.key(now).await.is_ok());
        assert_eq!(count.load(Ordering::Relaxed), 1);
    }
}
