//! The names that one version of a model gets: equal names mean equal contents.

use model_container::Package;
use sha2::{Digest as _, Sha256};

use crate::{Deployment, Error, Limits, Target};

/// How many hex digits of the digest a name carries.
const DIGITS: usize = 12;
/// How many characters tell images and roles apart.
const MARK: usize = 3;
/// The longest name for which every name made of it is one for SageMaker.
const MAX_NAME: usize = 40;

/// One version of a model with its limits.
#[derive(Debug, Clone)]
pub(crate) struct Release {
    /// The name that the user gave.
    pub(crate) name: String,
    /// The package's version.
    pub(crate) version: String,
    /// The package's digest.
    pub(crate) digest: String,
    /// The uploaded package: `NAME-DIGEST`.
    pub(crate) data: String,
    /// The model: the same, and a mark of what else it is made of, if that is not the usual.
    pub(crate) model: String,
    /// The endpoint config: the model and its limits.
    pub(crate) config: String,
}

impl Release {
    /// Names a release of the package.
    pub(crate) fn new(deployment: &Deployment, package: &Package) -> Result<Self, Error> {
        let Deployment { name, target, limits, .. } = deployment;
        check_name(name)?;
        check_limits(*limits)?;
        check_version(&package.version)?;
        let digits = package.digest.trim_start_matches("sha256:");
        let data = format!("{name}-{digits:.DIGITS$}");
        let model = match target.is_default() {
            true => data.clone(),
            false => format!("{data}-{}", mark(&[&target.image, &target.role_arn])),
        };
        let config = config(&model, *limits);
        let (version, digest) = (package.version.clone(), package.digest.clone());
        Ok(Self { name: name.clone(), version, digest, data, model, config })
    }
}

impl Release {
    /// The same release made from another upload, beside one that was made from the first.
    pub(crate) fn uploaded_to(self, deployment: &Deployment, url: &str) -> Self {
        let Target { image, role_arn, .. } = &deployment.target;
        let model = format!("{}-{}", self.data, mark(&[image, role_arn, url]));
        Self { config: config(&model, deployment.limits), model, ..self }
    }
}

/// The endpoint config of a model with these limits.
fn config(model: &str, limits: Limits) -> String {
    format!("{model}-{}x{}", limits.memory_mb / 1024, limits.max_concurrency)
}

/// Whether a model or a config of this name is one of ours for `name`, and not of a longer name.
pub(crate) fn is_of(name: &str, resource: &str) -> bool {
    let rest = resource.strip_prefix(name).and_then(|rest| rest.strip_prefix('-'));
    let Some(rest) = rest else { return false };
    let mut parts = rest.split('-');
    let is_digest = |part: &str| {
        part.len() == DIGITS && part.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
    };
    let is_mark = |part: &str| part.len() == MARK && !part.contains('x');
    parts.next().is_some_and(is_digest)
        && match (parts.next(), parts.next(), parts.next()) {
            (None, None, None) => true,
            (Some(part), None, None) => is_mark(part) || is_size(part),
            (Some(mark), Some(size), None) => is_mark(mark) && is_size(size),
            _ => false,
        }
}

/// `4x50`: gigabytes and calls at a time.
fn is_size(part: &str) -> bool {
    let numbers = part.split_once('x');
    numbers.is_some_and(|(a, b)| a.parse::<u8>().is_ok() && b.parse::<u8>().is_ok())
}

/// Three characters that stand for these texts; none is an `x`, which stands for limits.
fn mark(texts: &[&str]) -> String {
    const LETTERS: &[u8; 32] = b"0123456789abcdefghijklmnopqrstuv";
    let hash = Sha256::digest(texts.join("\n"));
    hash.iter().take(MARK).map(|byte| char::from(LETTERS[usize::from(byte % 32)])).collect()
}

/// A config's name must still be one for SageMaker.
pub(crate) fn check_name(name: &str) -> Result<(), Error> {
    let is_plain = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    let is_joined = !name.is_empty() && !name.starts_with('-') && !name.ends_with('-');
    if is_plain && is_joined && name.len() <= MAX_NAME {
        return Ok(());
    }
    Err(Error::Name { name: name.to_owned() })
}

/// <https://docs.aws.amazon.com/sagemaker/latest/dg/serverless-endpoints.html>
pub(crate) fn check_limits(limits: Limits) -> Result<(), Error> {
    let fault = |flag, reason: &str| Err(Error::Flag { flag, reason: reason.to_owned() });
    if !limits.memory_mb.is_multiple_of(1024) || !(1024..=6144).contains(&limits.memory_mb) {
        return fault("--memory-mb", "must be 1024, 2048, 3072, 4096, 5120 or 6144");
    }
    if !(1..=200).contains(&limits.max_concurrency) {
        return fault("--max-concurrency", "must be from 1 to 200");
    }
    Ok(())
}

/// The version is kept in a tag, which takes these characters only.
pub(crate) fn check_version(version: &str) -> Result<(), Error> {
    let is_plain = |c: char| c.is_alphanumeric() || c == ' ' || "_.:/=+-@".contains(c);
    if version.chars().count() <= 256 && version.chars().all(is_plain) {
        return Ok(());
    }
    let reason = format!("`{version}` has other characters than letters, digits and _.:/=+-@");
    Err(Error::Flag { flag: "`version` in model.toml", reason })
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn release(name: &str, image: &str, max_concurrency: u32) -> Result<Release, Error> {
        let package = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/models/spam");
        let target = Target::host("http://127.0.0.1:1", "");
        let deployment = Deployment {
            package: package.clone(),
            name: name.to_owned(),
            target: Target { image: image.to_owned(), ..target },
            router: None,
            limits: Limits { memory_mb: 6144, max_concurrency },
            shadow: false,
            allow_workers: true,
        };
        Release::new(&deployment, &Package::open(&package).unwrap())
    }

    #[test]
    fn names_carry_digest_and_limits_and_fit_into_sagemakers() {
        let long = release(&"y".repeat(40), "123.dkr.ecr/x:1", 200).unwrap();
        assert!(long.config.ends_with("-6x200") && long.config.len() <= 63, "{}", long.config);
        let short = release("spam", "gatehouse/model-container", 1).unwrap();
        assert_eq!(short.model, format!("spam-{}", &short.digest[7..19]));
        assert_eq!(short.config, format!("{}-6x1", short.model));
    }

    #[test]
    fn another_image_makes_another_model_and_another_config() {
        let [one, two] = ["a:1", "a:2"].map(|image| release("spam", image, 1).unwrap());
        assert!(one.model != two.model && one.config != two.config && one.data == two.data);
        assert!(is_of("spam", &one.model) && is_of("spam", &one.config));
    }

    #[test]
    fn a_longer_names_models_are_not_those_of_its_beginning() {
        for own in ["spam-0123456789ab", "spam-0123456789ab-1x50", "spam-0123456789ab-v0a-6x200"] {
            assert!(is_of("spam", own), "{own}");
        }
        for other in [
            "spam-de-0123456789ab",
            "spam-0123456789ab-fedcba987654",
            "spam-0123456789ab-v0a-fedcba987654",
            "spam-0123456789ab-1x50-fedcba987654",
            "spam",
            "spam2-0123456789ab",
            "spam-0123456789",
        ] {
            assert!(!is_of("spam", other), "{other}");
        }
    }

    #[test]
    fn names_and_limits_must_be_ones_for_an_endpoint() {
        assert!(release("spam-de-2", "a", 1).is_ok());
        for name in ["", "-spam", "spam-", "spam/de", "späm", &"x".repeat(41)] {
            assert!(release(name, "a", 1).is_err(), "{name}");
        }
        assert!(release("spam", "a", 0).is_err() && release("spam", "a", 201).is_err());
    }

    #[test]
    fn a_version_must_fit_into_a_tag() {
        assert!(check_version("1.0 rc+2").is_ok());
        assert!(check_version("1;2").unwrap_err().to_string().contains("`1;2`"));
    }
}
