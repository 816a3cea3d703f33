//! The steps of a deployment, in their order.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use model_container::{Package, Scorer};

use crate::Error;
use crate::host::Host;
use crate::http::Http;
use crate::release::Release;
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
        let http = Http::new();
        let host = Host { http: &http, url: self.host.trim_end_matches('/') };
        let mut started = Instant::now();
        let mut done = |step: &str| {
            report(step, started.elapsed());
            started = Instant::now();
        };

        let package = Package::open(&self.package)?;
        let release = Release::new(&self.name, &package.digest, self.limits)?;
        Scorer::load(package.clone(), &model_container::Limits::default(), &Arc::default()).await?;
        host.make_room(&self.name, &release.config).await?;
        done("package checked");

        let files = upload(&package, &self.upload, &release.model)?;
        done("package uploaded");

        host.create(&release, &files).await?;
        host.wait(&self.name).await?;
        done("endpoint in service");

        for canary in &package.manifest.canaries {
            host.try_canary(&self.name, canary).await?;
        }
        done("canaries passed");

        if let Some(router) = &self.router {
            let router = Router { http: &http, url: router.trim_end_matches('/') };
            router.register(&self.name, &package.version).await?;
            done("route set");
        }
        Ok(Deployed { version: package.version, digest: package.digest })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
