//! Where deployments go: SageMaker or its stand-in, and the router; and which of a name's two
//! endpoints is the live one.

use aws_config::SdkConfig;

use crate::rollout::{Pace, Rollout};
use crate::router::{Registration, Router};
use crate::sagemaker::{Endpoint, SageMaker, Tags};
use crate::target::Place;
use crate::{Error, tag};

/// SageMaker or the host, and the router.
#[derive(Debug)]
pub(crate) struct Site {
    pub(crate) sagemaker: SageMaker,
    pub(crate) router: Option<Router>,
    pub(crate) config: SdkConfig,
    place: Place,
}

/// An endpoint with its tags.
#[derive(Debug, Clone)]
pub(crate) struct Tagged {
    pub(crate) endpoint: Endpoint,
    pub(crate) tags: Tags,
}

/// The two endpoints of a name.
#[derive(Debug)]
pub(crate) struct Pair {
    /// The one that verdicts hear; it may not exist yet.
    pub(crate) live: String,
    /// The one for a shadow, or that was live before.
    pub(crate) other: String,
    /// The live model's registration, where there is a router.
    pub(crate) route: Option<Registration>,
}

impl Site {
    /// The place, and the router at this URL.
    pub(crate) async fn open(place: &Place, router: Option<&str>) -> Result<Self, Error> {
        let router = router.map(Router::open).transpose()?;
        let config = place.config().await;
        let sagemaker = SageMaker::new(&config, place.name());
        Ok(Self { sagemaker, router, config, place: place.clone() })
    }

    /// The two endpoints of `name`: the router knows which is live, the tags where there is none.
    pub(crate) async fn pair(&self, name: &str) -> Result<Pair, Error> {
        let [first, second] = endpoints_of(name);
        let route = match &self.router {
            Some(router) => Some(router.get(name).await?),
            None => None,
        };
        let second_is_live = match &route {
            Some(route) => route.endpoint() == Some(second.as_str()),
            None => self.is_live(name, &second).await?,
        };
        let (live, other) = if second_is_live { (second, first) } else { (first, second) };
        Ok(Pair { live, other, route })
    }

    /// Whether an endpoint is the live one of `name`, as far as its tags know.
    async fn is_live(&self, name: &str, endpoint: &str) -> Result<bool, Error> {
        let Some(found) = self.sagemaker.endpoint(endpoint).await? else { return Ok(false) };
        let tags = self.sagemaker.tags(&found.arn).await?;
        let says = |key, value| tags.get(key).is_some_and(|tag| tag == value);
        Ok(says(tag::NAME, name) && says(tag::STAGE, "live"))
    }

    /// An endpoint with its tags, where it exists; it must not be that of another name.
    pub(crate) async fn tagged(&self, name: &str, endpoint: &str) -> Result<Option<Tagged>, Error> {
        let Some(found) = self.sagemaker.endpoint(endpoint).await? else { return Ok(None) };
        let tags = self.tags_of(name, &found).await?;
        Ok(Some(Tagged { endpoint: found, tags }))
    }

    /// The tags of an endpoint, which must not be that of another name.
    pub(crate) async fn tags_of(&self, name: &str, found: &Endpoint) -> Result<Tags, Error> {
        let tags = self.sagemaker.tags(&found.arn).await?;
        let reason = match tags.get(tag::NAME) {
            Some(owner) if owner == name => return Ok(tags),
            None if found.name == name => return Ok(tags),
            Some(owner) => format!("it belongs to `{owner}`, not to `{name}`; use another name"),
            None => format!("`{name}` needs it, but something else has made it"),
        };
        Err(Error::endpoint(&found.name, reason))
    }

    /// Where a registration points: AWS's endpoints by their ARNs, which name the region.
    pub(crate) fn address<'a>(&self, endpoint: &'a Endpoint) -> &'a str {
        match self.place {
            Place::Host(_) => &endpoint.name,
            Place::SageMaker(_) => &endpoint.arn,
        }
    }

    /// The way of an endpoint to a config.
    pub(crate) fn rollout<'a>(
        &'a self,
        endpoint: &'a str,
        config: &'a str,
        tags: &'a Tags,
    ) -> Rollout<'a> {
        let pace = Pace::of(&self.place);
        Rollout { sagemaker: &self.sagemaker, pace, endpoint, config, tags, from: None }
    }

    /// Whether an endpoint has passed its canaries with this config.
    pub(crate) async fn is_proved(&self, config: &str) -> Result<bool, Error> {
        let Some(found) = self.sagemaker.config(config).await? else { return Ok(false) };
        Ok(self.sagemaker.tags(&found.arn).await?.contains_key(tag::PROVED))
    }

    /// Gives an endpoint the tags `now`, and takes from it what it had `before` beside them of
    /// what was live before it.
    pub(crate) async fn retag(&self, arn: &str, now: &Tags, before: &Tags) -> Result<(), Error> {
        self.sagemaker.tag(arn, now).await?;
        let is_stale = |key: &&str| before.contains_key(*key) && !now.contains_key(*key);
        let stale: Vec<&str> = tag::OF_PREVIOUS.into_iter().filter(is_stale).collect();
        self.sagemaker.untag(arn, &stale).await
    }

    /// Gives an endpoint the tags of `before` again, and no others.
    pub(crate) async fn restore_tags(&self, arn: &str, before: &Tags) -> Result<(), Error> {
        let is_ours = |(key, _): &(&String, &String)| tag::OF_ENDPOINTS.contains(&key.as_str());
        let ours = before.iter().filter(is_ours);
        let ours = ours.map(|(key, value)| (key.clone(), value.clone())).collect();
        self.sagemaker.tag(arn, &ours).await?;
        let is_new = |key: &&str| !before.contains_key(*key);
        let new: Vec<&str> = tag::OF_ENDPOINTS.into_iter().filter(is_new).collect();
        self.sagemaker.untag(arn, &new).await
    }
}

/// The two endpoints that a name may have.
pub(crate) fn endpoints_of(name: &str) -> [String; 2] {
    [name.to_owned(), format!("{name}-b")]
}

impl Tagged {
    /// The value of a tag.
    pub(crate) fn tag(&self, key: &str) -> Option<&str> {
        self.tags.get(key).map(String::as_str)
    }

    /// The digest of the package that it serves, unless its tags are those of another config.
    pub(crate) fn digest(&self) -> Option<&str> {
        let is_of_config = self.tag(tag::CONFIG) == Some(&self.endpoint.config);
        self.tag(tag::DIGEST).filter(|_| is_of_config)
    }
}
