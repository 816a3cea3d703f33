//! The names that one version of a model gets at the endpoint host.

use crate::{Error, Limits};

/// One version of a model with its limits: equal names mean equal contents.
pub(crate) struct Release {
    /// The endpoint, which outlives its versions.
    pub(crate) endpoint: String,
    /// The model, which carries the digest.
    pub(crate) model: String,
    /// The endpoint config, which carries the limits as well.
    pub(crate) config: String,
    pub(crate) limits: Limits,
}

impl Release {
    /// Names a release of `endpoint` from the package's digest.
    pub(crate) fn new(endpoint: &str, digest: &str, limits: Limits) -> Result<Self, Error> {
        check_name(endpoint)?;
        let digest = digest.strip_prefix("sha256:").unwrap_or(digest);
        let model = format!("{endpoint}-{digest:.12}");
        let config = format!("{model}-{}-{}", limits.memory_mb, limits.max_concurrency);
        Ok(Self { endpoint: endpoint.to_owned(), model, config, limits })
    }
}

/// A config's name, with digest and limits, must still be a name for SageMaker.
fn check_name(name: &str) -> Result<(), Error> {
    let is_plain = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    let is_joined = !name.is_empty() && !name.starts_with('-') && !name.ends_with('-');
    if is_plain && is_joined && name.len() <= 40 {
        return Ok(());
    }
    Err(Error::Name { name: name.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn release(name: &str, max_concurrency: u32) -> Result<Release, Error> {
        Release::new(
            name,
            &format!("sha256:{}", "ab".repeat(32)),
            Limits { memory_mb: 6144, max_concurrency },
        )
    }

    #[test]
    fn names_carry_the_digest_and_the_limits_and_fit_into_sagemakers() {
        let release = release(&"x".repeat(40), 200).unwrap();
        assert!(release.model.ends_with("-abababababab"));
        assert!(release.config.ends_with("-6144-200") && release.config.len() <= 63);
    }

    #[test]
    fn a_name_must_be_one_for_an_endpoint() {
        assert!(release("spam", 1).is_ok() && release("spam-de-2", 1).is_ok());
        for name in ["", "-spam", "spam-", "spam/de", "späm", &"x".repeat(41)] {
            assert!(release(name, 1).is_err(), "{name}");
        }
    }
}
