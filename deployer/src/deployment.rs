//! The steps of a deployment, in their order.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use model_container::{Package, Scorer};

use crate::Error;
use crate::host::Host;
use crate::http::Http;
use crate::router::Router;
use crate::upload::upload;

/// What to deploy, under which name, to where.
#[derive(Debug, Clone)]
pub struct Deployment {
    /// The package's folder.
    pub package: PathBuf,
    /// The name of the endpoint, and of the model in the router.
    pub name: String,
    /// The endpoint host's URL.
    pub host: String,
    /// The router's URL, where the model is to be registered.
    pub router: Option<String>,
    /// The folder that the endpoint host reads packages from.
    pub upload: PathBuf,
    /// What the endpoint may use.
    pub limits: Limits,
}

/// What an endpoint may use.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Memory in megabytes, one of SageMaker's six sizes.
    pub memory_mb: u32,
    /// Calls at a time.
    pub max_concurrency: u32,
}

/// A deployment that went through.
#[derive(Debug)]
pub struct Deployed {
    /// The package's version.
    pub version: String,
    /// The package's digest.
    pub digest: String,
}

impl Deployment {
    /// Takes all steps, and tells `report` of each with its time once it is done.
    ///
    /// # Errors
    /// At the first step that fails; what runs already goes on untouched.
    pub async fn run(&self, mut report: impl FnMut(&str, Duration)) -> Result<Deployed, Error> {
        check_name(&self.name)?;
        let http = Http::new();
        let host = Host { http: &http, url: self.host.trim_end_matches('/') };
        let mut started = Instant::now();
        let mut done = |step: &str| {
            report(step, started.elapsed());
            started = Instant::now();
        };

        let package = Package::open(&self.package)?;
        let (version, digest) = (package.version.clone(), package.digest.clone());
        let canaries = package.manifest.canaries.clone();
        let release = format!("{}-{}", self.name, &digest["sha256:".len()..][..12]);
        let files = upload(&package, &self.upload, &release)?;
        Scorer::load(package)?;
        done("package checked and uploaded");

        host.create(&self.name, &release, &files, self.limits).await?;
        host.wait(&self.name, &release).await?;
        done("endpoint in service");

        for canary in &canaries {
            host.try_canary(&self.name, canary).await?;
        }
        done("canaries passed");

        if let Some(router) = &self.router {
            let router = Router { http: &http, url: router.trim_end_matches('/') };
            router.register(&self.name, &version).await?;
            done("route set");
        }
        Ok(Deployed { version, digest })
    }
}

/// A release's name, with its digest, must still be a name for SageMaker.
fn check_name(name: &str) -> Result<(), Error> {
    let is_plain = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    let is_joined = !name.is_empty() && !name.starts_with('-') && !name.ends_with('-');
    if is_plain && is_joined && name.len() <= 50 {
        return Ok(());
    }
    Err(Error::Name { name: name.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_must_leave_room_for_the_digest() {
        assert!(check_name("spam").is_ok() && check_name("spam-de-2").is_ok());
        for name in ["", "-spam", "spam-", "spam/de", "späm", &"x".repeat(51)] {
            assert!(check_name(name).is_err(), "{name}");
        }
    }

    #[tokio::test]
    async fn a_host_that_is_away_is_named() {
        let upload = tempfile::tempdir().unwrap();
        let examples = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/models");
        let deployment = Deployment {
            package: examples.join("alcohol"),
            name: "alcohol".to_owned(),
            host: "http://127.0.0.1:1".to_owned(),
            router: None,
            upload: upload.path().to_owned(),
            limits: Limits { memory_mb: 1024, max_concurrency: 1 },
        };
        let error = deployment.run(|_, _| ()).await.unwrap_err().to_string();
        assert!(error.contains("http://127.0.0.1:1") && error.contains("refused"), "{error}");
    }
}
