//! Signature Version 4: beyond loopback, only who has an access key's secret may call.
//!
//! A request is signed again with the secret and must come to the same signature:
//! <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv.html>

use std::str::FromStr;
use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4;
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HeaderName};
use hyper::http::request::Parts;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use subtle::ConstantTimeEq as _;

use crate::access_key::AccessKey;
use crate::api_error::ApiError;

/// A signature is good for so long, as on AWS, before and after its time.
const SKEW: Duration = Duration::from_secs(5 * 60);

/// The only algorithm that clients of SageMaker use.
const ALGORITHM: &str = "AWS4-HMAC-SHA256";

/// What clients of both APIs sign for.
const SERVICE: &str = "sagemaker";

/// Follows a request through AWS; no client signs it.
const TRACE_ID: HeaderName = HeaderName::from_static("x-amzn-trace-id");

/// When a request was signed.
const DATE: HeaderName = HeaderName::from_static("x-amz-date");

/// The day that a credential is for, as in `20261122`.
const DATE_CHARS: usize = 8;

/// What the `Authorization` header says.
#[derive(Debug, PartialEq, Eq)]
struct Claim<'a> {
    key_id: &'a str,
    date: &'a str,
    region: &'a str,
    service: &'a str,
    signed_headers: Vec<&'a str>,
    signature: &'a str,
}

/// A signature that may be right: one of the host's keys is said to have made it, just now.
#[derive(Debug)]
pub(crate) struct Claimed<'a> {
    /// What the request says of it.
    claim: Claim<'a>,
    /// The key.
    key: &'a AccessKey,
    /// The time.
    time: SystemTime,
}

/// Refuses a request that, by its head alone, none of the keys can have signed.
pub(crate) fn claimed<'a>(
    keys: &'a [AccessKey],
    head: &'a Parts,
    now: SystemTime,
) -> Result<Claimed<'a>, ApiError> {
    let authorization = head.headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
    let authorization = authorization.ok_or_else(ApiError::unsigned)?;
    let claim = Claim::parse(authorization).ok_or_else(|| {
        ApiError::bad_signature("the Authorization header is not of the form AWS4-HMAC-SHA256 Credential=ID/DATE/REGION/SERVICE/aws4_request, SignedHeaders=…, Signature=…")
    })?;
    let key = keys.iter().find(|key| key.id == claim.key_id).ok_or_else(ApiError::unknown_key)?;
    if claim.service != SERVICE {
        return Err(ApiError::bad_signature("the credential's service is not `sagemaker`"));
    }
    if let Some(header) = head.headers.keys().find(|name| !claim.covers(name)) {
        return Err(ApiError::bad_signature(&format!("the header `{header}` is not signed")));
    }
    let time = signed_at(head, claim.date).ok_or_else(|| {
        ApiError::bad_signature(
            "the x-amz-date header is missing or is not of its credential's day",
        )
    })?;
    if time + SKEW < now || now + SKEW < time {
        return Err(ApiError::bad_signature(
            "the signature's time is more than five minutes off this machine's; set the clocks",
        ));
    }
    Ok(Claimed { claim, key, time })
}

impl Claimed<'_> {
    /// Refuses a request that the key has not signed.
    pub(crate) fn verify(&self, head: &Parts, body: &[u8]) -> Result<(), ApiError> {
        let expected = self.claim.signature_of(self.key, head, body, self.time);
        let expected = expected
            .ok_or_else(|| ApiError::bad_signature("the request's headers can't be signed"))?;
        if bool::from(expected.as_bytes().ct_eq(self.claim.signature.as_bytes())) {
            return Ok(());
        }
        Err(ApiError::bad_signature(
            "the signature does not match; check the secret access key, and that nothing between changes the request",
        ))
    }
}

impl<'a> Claim<'a> {
    fn parse(authorization: &'a str) -> Option<Self> {
        let fields = authorization.strip_prefix(ALGORITHM)?.trim_start();
        let field = |name: &str| {
            let mut fields = fields.split(',').map(str::trim);
            fields.find_map(|field| field.strip_prefix(name)?.strip_prefix('='))
        };
        // A key's id may hold no slash, so the scope is its last four parts.
        let scope: Vec<_> = field("Credential")?.split('/').collect();
        let [key_id, date, region, service, "aws4_request"] = scope[..] else {
            return None;
        };
        let signed_headers: Vec<_> = field("SignedHeaders")?.split(';').collect();
        let covers = |header: &str| signed_headers.contains(&header);
        // What is not signed could be changed on the way.
        let covered = covers("host") && covers("x-amz-date");
        let signature = field("Signature")?;
        covered.then_some(Self { key_id, date, region, service, signed_headers, signature })
    }

    /// Whether nobody on the way can have added or changed this header, if that would matter.
    fn covers(&self, header: &HeaderName) -> bool {
        let matters = header == CONTENT_TYPE || header.as_str().starts_with("x-amz");
        // Balancers add the last.
        !matters || self.signed_headers.contains(&header.as_str()) || header == TRACE_ID
    }

    /// The signature that the key's owner would have given.
    fn signature_of(
        &self,
        key: &AccessKey,
        head: &Parts,
        body: &[u8],
        time: SystemTime,
    ) -> Option<String> {
        let identity =
            Credentials::new(&key.id, key.secret.as_str(), None, None, "access-key").into();
        let mut settings = SigningSettings::default();
        settings.excluded_headers = None;
        let params = v4::SigningParams::builder()
            .identity(&identity)
            .region(self.region)
            .name(self.service)
            .time(time)
            .settings(settings)
            .build()
            .ok()?;
        let mut headers = Vec::with_capacity(self.signed_headers.len());
        for name in &self.signed_headers {
            for value in head.headers.get_all(HeaderName::from_str(name).ok()?) {
                headers.push((*name, value.to_str().ok()?));
            }
        }
        let host = head.headers.get("host")?.to_str().ok()?;
        let path = head.uri.path_and_query().map_or("/", |path| path.as_str());
        let url = format!("http://{host}{path}");
        let request = SignableRequest::new(
            head.method.as_str(),
            url,
            headers.into_iter(),
            SignableBody::Bytes(body),
        );
        let signed = sign(request.ok()?, &params.into()).ok()?;
        Some(signed.signature().to_owned())
    }
}

/// The time of a signature, whose day must be that of its credential.
fn signed_at(head: &Parts, date: &str) -> Option<SystemTime> {
    let text = head.headers.get(DATE)?.to_str().ok()?;
    let time = DateTime::strptime("%Y%m%dT%H%M%SZ", text).ok()?.to_zoned(TimeZone::UTC).ok()?;
    (date.len() == DATE_CHARS && text.starts_with(date)).then(|| time.timestamp().into())
}

#[cfg(test)]
mod tests {
    use hyper::Request;

    use super::*;

    /// A request as botocore signs it with the secret `correct horse battery` at `SIGNED`.
    const CALL: &str = "AWS4-HMAC-SHA256 Credential=team/20261122/eu-west-1/sagemaker/aws4_request, SignedHeaders=content-type;host;x-amz-date;x-amzn-sagemaker-custom-attributes, Signature=5a8a8750c3fedf99445df61a9960416b97a3d24ff3e95c6e0ee47a851d5080c2";

    const LIST: &str = "AWS4-HMAC-SHA256 Credential=team/20261122/eu-west-1/sagemaker/aws4_request, SignedHeaders=content-type;host;x-amz-date;x-amz-target, Signature=8d425f8008f475e967ace5484baf8336b4c9a829466e9c30ddeb5e937605f3e1";

    fn signed() -> SystemTime {
        "2026-11-22T03:00:00Z".parse::<jiff::Timestamp>().unwrap().into()
    }

    fn keys(secret: &str) -> Vec<AccessKey> {
        vec![AccessKey { id: "team".to_owned(), secret: secret.to_owned() }]
    }

    fn call(authorization: &str) -> Parts {
        let request = Request::post("/endpoints/spam/invocations")
            .header("host", "10.0.0.7:8090")
            .header("content-type", "text/plain")
            .header("x-amzn-sagemaker-custom-attributes", "a  b")
            .header("x-amz-date", "20261122T030000Z")
            .header("user-agent", "is not signed")
            .header(AUTHORIZATION, authorization);
        request.body(()).unwrap().into_parts().0
    }

    fn verify(
        keys: &[AccessKey],
        head: &Parts,
        body: &[u8],
        now: SystemTime,
    ) -> Result<(), ApiError> {
        claimed(keys, head, now)?.verify(head, body)
    }

    fn refusal(keys: &[AccessKey], head: &Parts, body: &[u8], now: SystemTime) -> String {
        format!("{:?}", verify(keys, head, body, now).unwrap_err())
    }

    #[test]
    fn requests_signed_by_botocore_pass() {
        let keys = keys("correct horse battery");
        verify(&keys, &call(CALL), b"hello", signed() + SKEW).unwrap();
        let list = Request::post("/")
            .header("host", "10.0.0.7:8090")
            .header("content-type", "application/x-amz-json-1.1")
            .header("x-amz-target", "SageMaker.ListModels")
            .header("x-amz-date", "20261122T030000Z")
            .header(AUTHORIZATION, LIST);
        let (head, ()) = list.body(()).unwrap().into_parts();
        verify(&keys, &head, br#"{"MaxResults":1}"#, signed() - SKEW).unwrap();
    }

    #[test]
    fn a_changed_body_header_path_or_secret_is_refused() {
        let right = keys("correct horse battery");
        let mismatch = |keys: &[AccessKey], head: &Parts, body: &[u8]| {
            let refusal = refusal(keys, head, body, signed());
            assert!(refusal.contains("does not match"), "{refusal}");
        };
        mismatch(&right, &call(CALL), b"other");
        mismatch(&keys("another secret of it"), &call(CALL), b"hello");
        let mut head = call(CALL);
        head.headers.insert("content-type", "text/csv".parse().unwrap());
        mismatch(&right, &head, b"hello");
        let mut head = call(CALL);
        head.uri = "/endpoints/ham/invocations".parse().unwrap();
        mismatch(&right, &head, b"hello");
        mismatch(&right, &call(&CALL.replace("5a8a", "5a8b")), b"hello");
    }

    #[test]
    fn headers_that_matter_must_be_signed_for_this_service_on_a_whole_day() {
        let keys = keys("correct horse battery");
        let mut added = call(CALL);
        added.headers.insert("x-amzn-sagemaker-target-variant", "b".parse().unwrap());
        let told = refusal(&keys, &added, b"hello", signed());
        assert!(told.contains("`x-amzn-sagemaker-target-variant` is not signed"), "{told}");
        let untyped = call(&CALL.replace("content-type;", ""));
        let told = refusal(&keys, &untyped, b"hello", signed());
        assert!(told.contains("`content-type` is not signed"), "{told}");
        let other = call(&CALL.replace("/sagemaker/", "/s3/"));
        assert!(refusal(&keys, &other, b"hello", signed()).contains("is not `sagemaker`"));
        for date in ["2", "2026112", "20261122T030000Z"] {
            let other = call(&CALL.replace("/20261122/", &format!("/{date}/")));
            let told = refusal(&keys, &other, b"hello", signed());
            assert!(told.contains("credential's day"), "{date}: {told}");
        }
        let mut traced = call(CALL);
        traced.headers.insert(TRACE_ID, "Root=1".parse().unwrap());
        verify(&keys, &traced, b"hello", signed()).unwrap();
    }

    #[test]
    fn old_early_unknown_and_malformed_signatures_are_refused_by_name() {
        let keys = keys("correct horse battery");
        let late = signed() + SKEW + Duration::from_secs(1);
        assert!(refusal(&keys, &call(CALL), b"hello", late).contains("five minutes"));
        let early = signed() - SKEW - Duration::from_secs(1);
        assert!(refusal(&keys, &call(CALL), b"hello", early).contains("five minutes"));
        let unknown = call(&CALL.replace("team", "other"));
        assert!(refusal(&keys, &unknown, b"hello", signed()).contains("UnrecognizedClient"));
        let another_day = call(&CALL.replace("20261122", "20261121"));
        assert!(refusal(&keys, &another_day, b"hello", signed()).contains("credential's day"));
        for malformed in
            ["", "Bearer x", "AWS4-HMAC-SHA256 Credential=team", &CALL.replace("host;", "")]
        {
            let refusal = refusal(&keys, &call(malformed), b"hello", signed());
            assert!(refusal.contains("InvalidSignature"), "{malformed}: {refusal}");
        }
        let mut unsigned = call(CALL);
        unsigned.headers.remove(AUTHORIZATION);
        assert!(refusal(&keys, &unsigned, b"hello", signed()).contains("MissingAuthentication"));
    }
}
