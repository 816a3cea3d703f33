//! What a deployment makes of a model's route: which one it may set, and what it replaces.

use crate::promotion::shadow_of;
use crate::release::check_version;
use crate::router::{Registration, Router};
use crate::sagemaker::Endpoint;
use crate::site::{Pair, Site, endpoints_of};
use crate::tag::Previous;
use crate::{Deployment, Error};

/// The registration that a deployment sets.
pub(crate) struct Route<'a> {
    router: &'a Router,
    /// That of the model, as it was read last.
    live: Registration,
    /// That of its shadow, if this is what is deployed.
    shadow: Option<Registration>,
    /// The digest that the one to be set had before.
    forgotten: Option<String>,
}

impl<'a> Route<'a> {
    /// The route that a deployment is to set, where there is a router.
    ///
    /// # Errors
    /// Where a model that another command or a user registered would become something else.
    pub(crate) async fn of(
        deployment: &Deployment,
        site: &'a Site,
        pair: &'a Pair,
    ) -> Result<Option<Self>, Error> {
        let (Some(router), Some(live)) = (&site.router, &pair.route) else { return Ok(None) };
        check_is_model(&deployment.name, live)?;
        if !deployment.shadow {
            check_can_be_given_back(&deployment.name, live)?;
            return Ok(Some(Self { router, live: live.clone(), shadow: None, forgotten: None }));
        }
        let name = shadow_of(&deployment.name);
        let shadow = router.get(&name).await?;
        check_is_shadow(&name, &shadow)?;
        Ok(Some(Self { router, live: live.clone(), shadow: Some(shadow), forgotten: None }))
    }

    /// What the live route pointed to, if no deployment of its name has made that.
    pub(crate) fn replaced(&self, name: &str) -> Option<Previous> {
        self.live.elsewhere(name).filter(|_| self.shadow.is_none())
    }

    /// Has the router keep no scores for what the endpoint serves, which is about to become the
    /// package `next`, as long as the route points there.
    pub(crate) async fn forget_digest(&mut self, endpoint: &str, next: &str) -> Result<(), Error> {
        let old = self.old();
        let is_other = old.digest().is_some_and(|digest| digest != next);
        if !is_other || old.endpoint() != Some(endpoint) {
            return Ok(());
        }
        let (now, digest) = (self.router.forget_digest(old).await?, old.digest());
        self.forgotten = digest.map(str::to_owned);
        match &mut self.shadow {
            Some(shadow) => *shadow = now,
            None => self.live = now,
        }
        Ok(())
    }

    /// Has it keep them again, once the endpoint serves what it did.
    pub(crate) async fn recall_digest(&self) -> Result<(), Error> {
        match &self.forgotten {
            Some(digest) => self.router.recall_digest(self.old(), digest).await,
            None => Ok(()),
        }
    }

    /// Registers the endpoint, as the model or as its shadow.
    pub(crate) async fn set(
        &self,
        site: &Site,
        endpoint: &Endpoint,
        served: Served<'_>,
    ) -> Result<(), Error> {
        let address = site.address(endpoint);
        self.router.set(self.old(), |now| self.changed(now, address, served)).await
    }

    /// Makes it again what it was, if it has been set.
    pub(crate) async fn put_back(
        &self,
        site: &Site,
        endpoint: &Endpoint,
        version: &str,
    ) -> Result<(), Error> {
        let served = Served { version: Some(version), ..Served::default() };
        let new = self.changed(self.old(), site.address(endpoint), served);
        self.router.put_back(self.old(), &new).await
    }

    fn old(&self) -> &Registration {
        self.shadow.as_ref().unwrap_or(&self.live)
    }

    fn changed(&self, now: &Registration, address: &str, served: Served<'_>) -> Registration {
        match self.shadow {
            Some(_) => self.live.shadow(address, served),
            None => now.serving(address, served),
        }
    }
}

/// What is known of the package that an endpoint serves.
#[derive(Clone, Copy, Default)]
pub(crate) struct Served<'a> {
    pub(crate) version: Option<&'a str>,
    /// Those that its answers score; none where nobody knows them.
    pub(crate) labels: &'a [String],
    /// By which the router may keep its scores.
    pub(crate) digest: Option<&'a str>,
}

impl Registration {
    /// What it points to, if that is none of the name's two endpoints.
    pub(crate) fn elsewhere(&self, name: &str) -> Option<Previous> {
        let endpoint = self.address()?.to_owned();
        if endpoints_of(name).iter().any(|own| Some(own.as_str()) == self.endpoint()) {
            return None;
        }
        let version = self.version().filter(|version| check_version(version).is_ok());
        Some(Previous::Route { endpoint, version: version.map(str::to_owned) })
    }
}

/// A shadow is no model that could be deployed: it would be heard, and its model lose it.
fn check_is_model(name: &str, registration: &Registration) -> Result<(), Error> {
    if !registration.is_shadow() {
        return Ok(());
    }
    let reason = match name.strip_suffix("-shadow") {
        Some(model) => format!("it is a shadow; `--name {model} --shadow` deploys a new one"),
        None => "it is a shadow; register it as live first".to_owned(),
    };
    Err(Error::Route { model: name.to_owned(), reason })
}

/// What is replaced is noted in a tag, which is too small for a URL of any kind.
fn check_can_be_given_back(name: &str, registration: &Registration) -> Result<(), Error> {
    if !registration.exists() || registration.address().is_some() {
        return Ok(());
    }
    let reason = "it points to no SageMaker endpoint, and a rollback could not give that back; \
                  deploy under another name, or remove the registration";
    Err(Error::Route { model: name.to_owned(), reason: reason.to_owned() })
}

/// A model of the user's own must not become a shadow by its name.
fn check_is_shadow(name: &str, registration: &Registration) -> Result<(), Error> {
    if registration.is_shadow() || !registration.exists() {
        return Ok(());
    }
    let reason = "it is there already, and no shadow; rename one of the two".to_owned();
    Err(Error::Route { model: name.to_owned(), reason })
}
