//! The steps of a deployment, in their order.

use std::path::PathBuf;

use clap::Args;
use model_container::Package;
use model_container::package::Runtime;

use crate::event::{Event, Reporter};
use crate::promotion::shadow_of;
use crate::release::Release;
use crate::rollout::Change;
use crate::router::Registration;
use crate::site::{Pair, Site, Tagged};
use crate::source::{Source, in_terms_of};
use crate::store::Store;
use crate::target::{Place, Target};
use crate::{Error, canary, prune, tag};

/// What to deploy, under which name, to where.
#[derive(Debug, Clone)]
pub struct Deployment {
    /// A package's folder or `.tar.gz`, or a bare `.model` or `.onnx` file.
    pub package: PathBuf,
    /// The name of the endpoint, and of the model in the router.
    pub name: String,
    /// Where endpoints live, and what new ones are made of.
    pub target: Target,
    /// The router's URL, where the model is to be registered.
    pub router: Option<String>,
    /// What the endpoint may use.
    pub limits: Limits,
    /// Whether it gets an endpoint of its own, which no verdict hears, instead of the route.
    pub shadow: bool,
    /// Whether the package may be a program of any kind.
    pub allow_workers: bool,
}

/// What an endpoint may use.
#[derive(Debug, Clone, Copy, Args)]
pub struct Limits {
    /// Memory of the endpoint's containers in megabytes: 1024, 2048 and so on up to 6144
    #[arg(long, value_name = "MB", default_value_t = 1024)]
    pub memory_mb: u32,
    /// Calls that the endpoint takes at a time, up to 200
    #[arg(long, value_name = "N", default_value_t = 50)]
    pub max_concurrency: u32,
}

/// A deployment that went through.
#[derive(Debug)]
pub struct Deployed {
    /// The endpoint that serves it.
    pub endpoint: String,
    /// The package's version.
    pub version: String,
    /// The package's digest.
    pub digest: String,
}

impl Deployment {
    /// Takes all steps, and tells `report` of each with its time once it is done.
    ///
    /// Every step finds what an earlier run has done, so an interrupted deployment is continued
    /// by running it again.
    ///
    /// # Errors
    /// At the first step that fails; what was live before goes on serving.
    pub async fn run(&self, mut report: impl FnMut(Event) + Send) -> Result<Deployed, Error> {
        let mut reporter = Reporter::new(&mut report);
        if self.shadow && self.router.is_none() {
            return Err(Error::Missing(vec!["--router URL, which knows the live endpoint"]));
        }
        let source = self.source().await?;
        if source.package.manifest.runtime == Runtime::Worker && !self.allow_workers {
            return Err(Error::Worker { name: self.name.clone() });
        }
        let release = Release::new(self, &source.package)?;
        self.check(&source.package, &mut reporter).await?;

        let site = Site::open(&self.target.place, self.router.as_deref()).await;
        let store = Store::open(&self.target, &site.config).await?;
        let _lock = store.lock(&self.name, &mut reporter).await?;
        let step = Step { deployment: self, site: &site, release: &release };
        // Read before anything is done: a router that is away is to stop it now.
        let pair = site.pair(&self.name).await?;

        let url = store.put(&source.package, &release.data).await?;
        reporter.done("package uploaded");
        site.sagemaker.create_model(&release, &self.target, &url).await?;
        reporter.done("model created");
        site.sagemaker.create_config(&release, self.limits).await?;
        reporter.done("config created");
        let endpoint = step.serve(&pair, &source.package, &mut reporter).await?;
        step.route(&pair, &endpoint, &mut reporter).await?;
        if let Err(error) = prune::prune(&site, &store, &self.name).await {
            reporter.note(format!("versions no longer needed are still there: {error}"));
        }
        let Release { version, digest, .. } = release;
        Ok(Deployed { endpoint: endpoint.endpoint.name, version, digest })
    }

    /// Reads the package on a thread that may wait for the disk.
    async fn source(&self) -> Result<Source, Error> {
        let (path, name) = (self.package.clone(), self.name.clone());
        crate::release::check_name(&name)?;
        let read = tokio::task::spawn_blocking(move || Source::open(&path, &name));
        read.await.expect("reading a package does not panic")
    }

    /// Tries the package here; what this machine lacks, the endpoint's own may have.
    async fn check(&self, package: &Package, reporter: &mut Reporter<'_>) -> Result<(), Error> {
        match (canary::missing_here(package), &self.target.place) {
            (Some(reason), Place::SageMaker(_)) => {
                reporter.note(format!("not tried on this machine: {reason}"));
            }
            (Some(reason), Place::Host(_)) if package.manifest.runtime == Runtime::Onnx => {
                return Err(Error::Machine { reason });
            }
            _ => {
                let tried = canary::try_here(package).await;
                tried.map_err(|error| in_terms_of(&self.package, error))?;
            }
        }
        reporter.done("package checked");
        Ok(())
    }
}

/// What the later steps of a deployment work with.
struct Step<'a> {
    deployment: &'a Deployment,
    site: &'a Site,
    release: &'a Release,
}

impl Step<'_> {
    /// Brings the endpoint to the release and asks it the canaries; what it served before that
    /// is served again if they fail.
    async fn serve(
        &self,
        pair: &Pair,
        package: &Package,
        reporter: &mut Reporter<'_>,
    ) -> Result<Tagged, Error> {
        let name = &self.deployment.name;
        let endpoint = if self.deployment.shadow { &pair.other } else { &pair.live };
        let before = self.site.tagged(name, endpoint).await?;
        let proved = before.as_ref().and_then(proved).map(str::to_owned);
        let tags = self.release.tags();
        let rollout = self.site.rollout(endpoint, &self.release.config, &tags);
        let change = rollout.run(reporter).await?;
        reporter.done("in service");
        if let Err(error) = canary::ask(&self.site.sagemaker, endpoint, package).await {
            return Err(self.undo(endpoint, change, proved.as_deref(), error).await);
        }
        reporter.done("canaries passed");
        self.remember(endpoint, proved.as_deref()).await
    }

    /// Takes the endpoint back to what it served, and adds to the error how that went.
    async fn undo(
        &self,
        endpoint: &str,
        change: Change,
        proved: Option<&str>,
        error: Error,
    ) -> Error {
        let none = crate::sagemaker::Tags::new();
        let mut silent = |_| ();
        let mut reporter = Reporter::new(&mut silent);
        let config = proved.filter(|config| *config != self.release.config);
        let outcome = match (config, change) {
            (Some(config), _) => {
                let back = self.site.rollout(endpoint, config, &none).run(&mut reporter).await;
                back.map(|_| format!("`{config}` serves again"))
            }
            (None, Change::Created) => {
                let rollout = self.site.rollout(endpoint, &self.release.config, &none);
                rollout.remove().await.map(|()| "the new endpoint was deleted".to_owned())
            }
            (None, _) => Ok("nothing else was live before".to_owned()),
        };
        let outcome = outcome.unwrap_or_else(|failed| format!("going back failed too: {failed}"));
        Error::Undone { cause: Box::new(error), outcome }
    }

    /// Notes on the endpoint what it serves now and what it served before.
    async fn remember(&self, endpoint: &str, proved: Option<&str>) -> Result<Tagged, Error> {
        let sagemaker = &self.site.sagemaker;
        let Some(found) = sagemaker.endpoint(endpoint).await? else {
            return Err(Error::endpoint(endpoint, "it was deleted meanwhile; deploy again"));
        };
        let mut tags = self.release.tags();
        tags.insert(tag::CONFIG.to_owned(), self.release.config.clone());
        let stage = if self.deployment.shadow { "shadow" } else { "live" };
        tags.insert(tag::STAGE.to_owned(), stage.to_owned());
        if let Some(previous) = proved.filter(|config| *config != self.release.config) {
            tags.insert(tag::PREVIOUS_CONFIG.to_owned(), previous.to_owned());
            sagemaker.untag(&found.arn, &[tag::PREVIOUS_ENDPOINT]).await?;
        }
        sagemaker.tag(&found.arn, &tags).await?;
        Ok(Tagged { endpoint: found, tags })
    }

    /// Registers the endpoint in the router, as the model or as its shadow.
    async fn route(
        &self,
        pair: &Pair,
        endpoint: &Tagged,
        reporter: &mut Reporter<'_>,
    ) -> Result<(), Error> {
        let (Some(router), Some(live)) = (&self.site.router, &pair.route) else { return Ok(()) };
        let address = self.site.address(&endpoint.endpoint);
        let version = &self.release.version;
        if self.deployment.shadow {
            let name = shadow_of(&self.deployment.name);
            let old = router.get(&name).await?;
            check_is_shadow(&name, &old)?;
            router.put(&old, &live.shadow(address, version)).await?;
        } else {
            router.put(live, &live.pointing_to(address, version)).await?;
        }
        reporter.done("route set");
        Ok(())
    }
}

/// The config that an endpoint is known to serve well: its last one that passed its canaries.
fn proved(endpoint: &Tagged) -> Option<&str> {
    let served =
        Some(endpoint.endpoint.config.as_str()).filter(|_| endpoint.endpoint.is_in_service());
    endpoint.tag(tag::CONFIG).or(served)
}

/// A model of the user's own must not become a shadow by its name.
fn check_is_shadow(name: &str, registration: &Registration) -> Result<(), Error> {
    if registration.is_shadow() || !registration.exists() {
        return Ok(());
    }
    let reason = "it is there already, and no shadow; rename one of the two".to_owned();
    Err(Error::Route { model: name.to_owned(), reason })
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[tokio::test]
    async fn a_host_that_is_away_is_named() {
        let upload = tempfile::tempdir().unwrap();
        let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/models");
        let deployment = Deployment {
            package: examples.join("alcohol"),
            name: "alcohol".to_owned(),
            target: Target::host("http://127.0.0.1:1", upload.path().to_str().unwrap()),
            router: None,
            limits: Limits { memory_mb: 1024, max_concurrency: 1 },
            shadow: false,
            allow_workers: true,
        };
        let error = deployment.run(|_| ()).await.unwrap_err().to_string();
        assert!(error.contains("http://127.0.0.1:1") && error.contains("refused"), "{error}");
    }
}
