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
    /// That of the model, as it was read.
    live: &'a Registration,
    /// That of its shadow, if this is what is deployed.
    shadow: Option<Registration>,
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
            return Ok(Some(Self { router, live, shadow: None }));
        }
        let name = shadow_of(&deployment.name);
        let shadow = router.get(&name).await?;
        check_is_shadow(&name, &shadow)?;
        Ok(Some(Self { router, live, shadow: Some(shadow) }))
    }

    /// What the live route pointed to, if no deployment of its name has made that.
    pub(crate) fn replaced(&self, name: &str) -> Option<Previous> {
        self.live.elsewhere(name).filter(|_| self.shadow.is_none())
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
        let served = Served { version, labels: &[] };
        let new = self.changed(self.old(), site.address(endpoint), served);
        self.router.put_back(self.old(), &new).await
    }

    fn old(&self) -> &Registration {
        self.shadow.as_ref().unwrap_or(self.live)
    }

    fn changed(&self, now: &Registration, address: &str, served: Served<'_>) -> Registration {
        let new = match self.shadow {
            Some(_) => self.live.shadow(address, served.version),
            None => now.pointing_to(address, Some(served.version)),
        };
        new.scoring(served.labels)
    }
}

/// What an endpoint was found to serve.
#[derive(Clone, Copy)]
pub(crate) struct Served<'a> {
    pub(crate) version: &'a str,
    /// None where its answers don't tell.
    pub(crate) labels: &'a [String],
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
