//! The region that a caller signs for, and the resource names (ARNs) made with it.

use hyper::HeaderMap;
use hyper::header::AUTHORIZATION;

/// The account that owns everything on this host.
pub(crate) const ACCOUNT: &str = "000000000000";

/// An AWS region, which on this host is only a word in ARNs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Region(String);

/// What an ARN names.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Kind {
    /// A model.
    Model,
    /// An endpoint configuration.
    EndpointConfig,
    /// An endpoint.
    Endpoint,
}

impl Region {
    /// The region of the SigV4 credential scope, or `us-east-1` where there is none.
    pub(crate) fn of(headers: &HeaderMap) -> Self {
        let signed = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
        Self(signed.and_then(credential_region).unwrap_or("us-east-1").to_owned())
    }

    /// The ARN of a resource of SageMaker.
    pub(crate) fn arn(&self, kind: Kind, name: &str) -> String {
        format!("arn:aws:sagemaker:{}:{ACCOUNT}:{}/{name}", self.0, kind.part())
    }

    /// The ARN of the log that SageMaker would write for an endpoint.
    pub(crate) fn log_arn(&self, endpoint: &str) -> String {
        format!("arn:aws:logs:{}:{ACCOUNT}:log-group:/aws/sagemaker/Endpoints/{endpoint}", self.0)
    }
}

impl Kind {
    /// What an ARN with this part names.
    pub(crate) fn of(part: &str) -> Option<Self> {
        [Self::Model, Self::EndpointConfig, Self::Endpoint]
            .into_iter()
            .find(|kind| kind.part() == part)
    }

    fn part(self) -> &'static str {
        match self {
            Self::Model => "model",
            Self::EndpointConfig => "endpoint-config",
            Self::Endpoint => "endpoint",
        }
    }

    /// What AWS calls it in messages.
    pub(crate) fn words(self) -> &'static str {
        match self {
            Self::Model => "model",
            Self::EndpointConfig => "endpoint configuration",
            Self::Endpoint => "endpoint",
        }
    }
}

/// The third part of `Credential=KEY/DATE/REGION/SERVICE/aws4_request`.
fn credential_region(authorization: &str) -> Option<&str> {
    let scope = authorization.split_once("Credential=")?.1.split(',').next()?;
    let region = scope.split('/').nth(2)?;
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    ((1..=32).contains(&region.len()) && region.bytes().all(plain)).then_some(region)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn region(authorization: &str) -> Region {
        let headers = [(AUTHORIZATION, authorization.parse().unwrap())];
        Region::of(&headers.into_iter().collect())
    }

    #[test]
    fn the_region_is_read_from_the_credential_scope() {
        let signed = "AWS4-HMAC-SHA256 Credential=AKID/20261121/eu-west-1/sagemaker/aws4_request, SignedHeaders=host, Signature=00";
        let arn = region(signed).arn(Kind::EndpointConfig, "spam");
        assert_eq!(arn, "arn:aws:sagemaker:eu-west-1:000000000000:endpoint-config/spam");
    }

    #[test]
    fn a_missing_or_strange_scope_means_us_east_1() {
        assert_eq!(Region::of(&HeaderMap::new()), Region("us-east-1".to_owned()));
        for strange in ["Bearer x", "Credential=a/b", "Credential=a/b/\"x\"/c"] {
            assert_eq!(region(strange), Region("us-east-1".to_owned()), "{strange}");
        }
    }
}
