//! The steps of a deployment, in their order.

use std::path::PathBuf;

use clap::Args;
use model_container::Package;
use model_container::package::Runtime;

use crate::event::{Event, Reporter};
use crate::release::Release;
use crate::route::{Route, Served};
use crate::sagemaker::{Endpoint, Order};
use crate::site::Site;
use crate::source::{Source, in_terms_of};
use crate::store::Store;
use crate::target::{Place, Target};
use crate::trial::{Standing, Trial};
use crate::{Error, canary, prune};

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
    /// At the first step that fails; what was live before goes on serving, or serves again.
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

        let site = Site::open(&self.target.place, self.router.as_deref()).await?;
        let store = Store::open(&self.target, &site.config).await?;
        let _lock = store.lock(&self.name, &mut reporter).await?;
        // All that can refuse the deployment is asked before anything is done.
        let pair = site.pair(&self.name).await?;
        let mut route = Route::of(self, &site, &pair).await?;
        let endpoint = if self.shadow { &pair.other } else { &pair.live };
        let before = site.tagged(&self.name, endpoint).await?.map(|found| found.endpoint);

        let url = store.put(&source.package, &release.data).await?;
        reporter.done("package uploaded");
        let release = self.create_model(&site, release, &url).await?;
        reporter.done("model created");
        let config_arn = &site.sagemaker.create_config(&release, self.limits).await?;
        reporter.done("config created");
        let stage = if self.shadow { "shadow" } else { "live" };
        let trial = Trial { site: &site, release: &release, config_arn, endpoint, stage };
        if let Some(route) = &mut route {
            route.forget_digest(endpoint, &release.digest).await?;
        }
        let went = take(&trial, route.as_ref(), &source.package, &mut reporter).await;
        if let Err(error) = went {
            recall_digest(&trial, route.as_ref(), before.as_ref(), &mut reporter).await;
            return Err(error);
        }
        if let Err(error) = prune::prune(&site, &store, &self.name).await {
            reporter.note(format!("versions no longer needed are still there: {error}"));
        }
        let endpoint = endpoint.clone();
        let Release { version, digest, .. } = release;
        Ok(Deployed { endpoint, version, digest })
    }

    /// Whether the package of this digest is what is live now, as far as tags and route know.
    pub(crate) async fn is_live(&self, digest: &str) -> Result<bool, Error> {
        let site = Site::open(&self.target.place, self.router.as_deref()).await?;
        let pair = site.pair(&self.name).await?;
        if pair.route.as_ref().is_some_and(|route| route.endpoint() != Some(&pair.live)) {
            return Ok(false);
        }
        let live = site.tagged(&self.name, &pair.live).await?;
        Ok(live.is_some_and(|live| live.digest() == Some(digest)))
    }

    /// Creates the release's model; one of its name that was uploaded elsewhere stays as it is.
    async fn create_model(
        &self,
        site: &Site,
        release: Release,
        url: &str,
    ) -> Result<Release, Error> {
        if site.sagemaker.create_model(&release, &self.target, url).await? == Order::Taken {
            return Ok(release);
        }
        let release = release.uploaded_to(self, url);
        match site.sagemaker.create_model(&release, &self.target, url).await? {
            Order::Taken => Ok(release),
            Order::Late => Err(Error::Refused {
                action: "CreateModel".to_owned(),
                code: "it exists".to_owned(),
                reason: format!("model `{}` was made from another package", release.model),
            }),
        }
    }

    /// Reads the package on a thread that may wait for the disk.
    async fn source(&self) -> Result<Source, Error> {
        let (path, name) = (self.package.clone(), self.name.clone());
        crate::release::check_name(&name)?;
        let upload = self.target.upload.clone();
        let read = tokio::task::spawn_blocking(move || {
            Source::open_in(crate::scratch::Scratch::of_upload(&upload)?, &path, &name)
        });
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

/// Brings the release to its endpoint, and makes it live.
async fn take(
    trial: &Trial<'_>,
    route: Option<&Route<'_>>,
    package: &Package,
    reporter: &mut Reporter<'_>,
) -> Result<(), Error> {
    let standing = trial.begin(reporter).await?;
    Step { trial, standing: &standing, route }.go_live(package, reporter).await
}

/// Has the router keep scores again where the endpoint serves what it did `before`; where it does
/// not, or nobody knows, none are kept until the next deployment.
async fn recall_digest(
    trial: &Trial<'_>,
    route: Option<&Route<'_>>,
    before: Option<&Endpoint>,
    reporter: &mut Reporter<'_>,
) {
    let before = before.filter(|before| before.config != trial.release.config);
    let (Some(route), Some(before)) = (route, before) else { return };
    let recalled = match trial.site.sagemaker.endpoint(trial.endpoint).await {
        Ok(Some(now)) if now.is_in_service() && now.config == before.config => {
            route.recall_digest().await
        }
        Ok(_) => Ok(()),
        Err(error) => Err(error),
    };
    if let Err(error) = recalled {
        reporter.note(format!("the router keeps no scores until the next deployment: {error}"));
    }
}

/// What makes a release live that its endpoint serves.
struct Step<'a> {
    trial: &'a Trial<'a>,
    standing: &'a Standing,
    route: Option<&'a Route<'a>>,
}

impl Step<'_> {
    /// A step that fails is taken back, and those before it.
    async fn go_live(&self, package: &Package, reporter: &mut Reporter<'_>) -> Result<(), Error> {
        let Self { trial, standing, route } = self;
        let labels = match self.prove(package, reporter).await {
            Ok(labels) => labels,
            Err(error) => return Err(trial.undo(standing, error).await),
        };
        if let Some(route) = route {
            let (version, digest) = (Some(&*trial.release.version), Some(&*package.digest));
            let served = Served { version, labels: &labels, digest };
            let set = route.set(trial.site, &standing.endpoint, served).await;
            if let Err(error) = set {
                return Err(self.take_back(route, error).await);
            }
            reporter.done("route set");
        }
        match trial.check_unchallenged().await {
            Err(overtaken @ Error::Overtaken { .. }) => Err(overtaken),
            // All is done; only a last look was not possible.
            Err(error) => {
                reporter.note(format!("can't tell whether another deployment came after: {error}"));
                Ok(())
            }
            Ok(()) => Ok(()),
        }
    }

    async fn prove(
        &self,
        package: &Package,
        reporter: &mut Reporter<'_>,
    ) -> Result<Vec<String>, Error> {
        let Self { trial, standing, route } = self;
        let labels = trial.prove(package).await?;
        reporter.done("canaries passed");
        let replaced = route.and_then(|route| route.replaced(&trial.release.name));
        if let Some(replaced) = &replaced {
            reporter.note(format!("a rollback will give back the {replaced}"));
        }
        trial.remember(standing, replaced).await?;
        Ok(labels)
    }

    /// Nobody tells whether a route is set whose router gave no answer, so it is put back before
    /// the endpoint: where that fails as well, the endpoint that it may point to stays.
    async fn take_back(&self, route: &Route<'_>, error: Error) -> Error {
        let Self { trial, standing, .. } = self;
        let version = &trial.release.version;
        match route.put_back(trial.site, &standing.endpoint, version).await {
            Ok(()) => trial.undo(standing, error).await,
            Err(failed) => Error::Undone {
                cause: Box::new(error),
                outcome: format!(
                    "the route may be set, and putting it back failed too: {failed}; \
                     the endpoint stays as it is now; deploy again"
                ),
            },
        }
    }
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
