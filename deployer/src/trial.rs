//! A release on its endpoint: ordered, asked its canaries, remembered in tags, and taken back if a
//! step fails, unless another deployment has taken the endpoint meanwhile.
//!
//! A step that fails leaves endpoint, tags and route as they were; a server that does not answer
//! while the release comes up is asked again. What a cut leaves (a kill, a lost machine), and what
//! the next runs make of it:
//!
//! | cut after    | serves        | tags name | the same again    | another release that fails  |
//! |--------------|---------------|-----------|-------------------|-----------------------------|
//! | the order    | new, unproved | old       | asks the canaries | goes back to old            |
//! | the canaries | new           | old       | goes on           | to new if marked as proved  |
//! | the tags     | new           | new       | sets the route    | goes back to new            |
//! | the way back | old           | any       | begins anew       | goes back to old            |

use model_container::Package;

use crate::event::Reporter;
use crate::release::{Release, is_of};
use crate::rollout::Rollout;
use crate::sagemaker::{Endpoint, Order, Tags};
use crate::site::Site;
use crate::tag::Previous;
use crate::{Error, canary, tag};

/// A release, and the endpoint that it is for.
pub(crate) struct Trial<'a> {
    pub(crate) site: &'a Site,
    pub(crate) release: &'a Release,
    /// The ARN of the release's config.
    pub(crate) config_arn: &'a str,
    /// The endpoint's name.
    pub(crate) endpoint: &'a str,
    /// What the endpoint is to the name.
    pub(crate) stage: &'static str,
}

/// An endpoint under trial, and what it was before.
#[derive(Debug)]
pub(crate) struct Standing {
    pub(crate) endpoint: Endpoint,
    before: Before,
}

/// What an endpoint was before the release was ordered.
#[derive(Debug)]
struct Before {
    /// Its description; none where there was no endpoint.
    endpoint: Option<Endpoint>,
    tags: Tags,
    /// The last config that it is known to have served well.
    proved: Option<String>,
}

impl Trial<'_> {
    /// Brings the endpoint to the release; what it was is known before anything is ordered.
    pub(crate) async fn begin(&self, reporter: &mut Reporter<'_>) -> Result<Standing, Error> {
        let tags = self.release.tags();
        let rollout = self.site.rollout(self.endpoint, &self.release.config, &tags);
        let found = rollout.ready(reporter).await?;
        let mut before = self.before(found).await?;
        match self.arrive(&rollout, &mut before, reporter).await {
            Ok(endpoint) => {
                reporter.done("in service");
                Ok(Standing { endpoint, before })
            }
            Err(error) => Err(self.take_back(&before, None, error).await),
        }
    }

    async fn arrive(
        &self,
        rollout: &Rollout<'_>,
        before: &mut Before,
        reporter: &mut Reporter<'_>,
    ) -> Result<Endpoint, Error> {
        let (mut found, mut wait) = (before.endpoint.clone(), rollout.begin_wait());
        while rollout.order(found.as_ref()).await? == Order::Late {
            rollout.wait(&mut wait).await?;
            found = rollout.ready(reporter).await?;
            let has_arrived = found.as_ref().is_some_and(|now| now.config == self.release.config);
            // It may be here by an order whose answer was lost, and was then what it was before.
            if !has_arrived || before.endpoint.is_none() {
                *before = self.before(found.clone()).await?;
            }
        }
        let endpoint = rollout.arrival(found.as_ref(), reporter).await?;
        self.check_holds(&endpoint).map(|()| endpoint)
    }

    async fn before(&self, found: Option<Endpoint>) -> Result<Before, Error> {
        let Some(found) = found else {
            return Ok(Before { endpoint: None, tags: Tags::new(), proved: None });
        };
        let tags = self.site.tags_of(&self.release.name, &found).await?;
        let proved = self.proved(&found.config, &tags).await?;
        Ok(Before { endpoint: Some(found), tags, proved })
    }

    /// What the endpoint is known to have served well: what its tags say, unless it serves what
    /// somebody has given it by hand.
    async fn proved(&self, served: &String, tags: &Tags) -> Result<Option<String>, Error> {
        let noted = tags.get(tag::CONFIG);
        if *served == self.release.config && noted.is_some() {
            return Ok(noted.cloned());
        }
        let is_by_hand = !tags.contains_key(tag::NAME) || !is_of(&self.release.name, served);
        if noted == Some(served) || is_by_hand || self.site.is_proved(served).await? {
            return Ok(Some(served.clone()));
        }
        Ok(noted.cloned())
    }

    /// Asks the endpoint the package's canaries, and tells the labels that its answers score.
    pub(crate) async fn prove(&self, package: &Package) -> Result<Vec<String>, Error> {
        let labels = canary::ask(&self.site.sagemaker, self.endpoint, package).await?;
        let mark = tag::of([(tag::PROVED, "yes")]);
        self.site.sagemaker.tag(self.config_arn, &mark).await?;
        Ok(labels)
    }

    /// Notes on the endpoint what it serves now and what was live before: `replaced`, if not what
    /// it served itself.
    pub(crate) async fn remember(
        &self,
        standing: &Standing,
        replaced: Option<Previous>,
    ) -> Result<(), Error> {
        self.check_unchallenged().await?;
        let mut tags = self.release.tags();
        tags.insert(tag::CONFIG.to_owned(), self.release.config.clone());
        tags.insert(tag::STAGE.to_owned(), self.stage.to_owned());
        let before = &standing.before;
        let proved = before.proved.as_ref().filter(|config| **config != self.release.config);
        let previous = replaced.or_else(|| proved.cloned().map(Previous::Config));
        let previous = previous.or_else(|| Previous::of(&before.tags));
        tags.extend(previous.iter().flat_map(Previous::tags));
        self.site.retag(&standing.endpoint.arn, &tags, &before.tags).await
    }

    /// Whether the endpoint still serves the release, and nobody is about to change that.
    pub(crate) async fn check_unchallenged(&self) -> Result<(), Error> {
        let found = self.site.sagemaker.endpoint(self.endpoint).await?;
        self.check_holds(&found.ok_or_else(|| self.deleted())?)
    }

    fn check_holds(&self, found: &Endpoint) -> Result<(), Error> {
        let next = found.pending.as_ref().unwrap_or(&found.config);
        match [next, &found.config].into_iter().find(|config| **config != self.release.config) {
            Some(other) => Err(Error::overtaken(self.endpoint, other)),
            None => Ok(()),
        }
    }

    /// Takes the endpoint back to what it served, and adds to the error how that went.
    pub(crate) async fn undo(&self, standing: &Standing, error: Error) -> Error {
        self.take_back(&standing.before, Some(&standing.endpoint), error).await
    }

    /// The same for an endpoint that has arrived as `seen`, or may not have.
    async fn take_back(&self, before: &Before, seen: Option<&Endpoint>, error: Error) -> Error {
        let outcome = match self.go_back(before, seen).await {
            Ok(Some(outcome)) => outcome,
            Ok(None) => return error,
            // Whatever went wrong, it may have gone wrong with the other's release.
            Err(overtaken @ Error::Overtaken { .. }) => return overtaken,
            Err(failed) => format!("going back failed too: {failed}"),
        };
        Error::Undone { cause: Box::new(error), outcome }
    }

    /// Tells what was done, if anything was to be.
    async fn go_back(
        &self,
        before: &Before,
        seen: Option<&Endpoint>,
    ) -> Result<Option<String>, Error> {
        let (own, none) = (&self.release.config, Tags::new());
        let config = before.proved.as_ref().unwrap_or(own);
        let mut back = self.site.rollout(self.endpoint, config, &none);
        back.from = Some(own);
        let Some(found) = back.found().await? else {
            return Ok(seen.map(|_| "the endpoint was deleted meanwhile".to_owned()));
        };
        let had_served = before.endpoint.as_ref().map(|before| &before.config);
        if seen.is_none() && found.config != *own && had_served == Some(&found.config) {
            return Ok(None);
        }
        self.check_holds(&found)?;
        if before.proved.is_none() {
            return match back.remove(seen.unwrap_or(&found)).await? {
                Some(other) => Err(Error::overtaken(self.endpoint, &other.config)),
                None => Ok(Some("the new endpoint was deleted".to_owned())),
            };
        }
        if config != own {
            back.run(&mut Reporter::new(&mut |_| ())).await?;
        }
        self.site.restore_tags(&found.arn, &before.tags).await?;
        Ok(Some(match config == own {
            true => "the endpoint served this version before, and goes on".to_owned(),
            false => format!("`{config}` serves again"),
        }))
    }

    fn deleted(&self) -> Error {
        Error::endpoint(self.endpoint, "it was deleted meanwhile; deploy again")
    }
}
