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
    pub(crate) async fn open(place: &Place, router: Option<&str>) -> Self {
        let config = place.config().await;
        Self {
            sagemaker: SageMaker::new(&config, place.name()),
            router: router.map(Router::new),
            config,
            place: place.clone(),
        }
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
            None => self.tagged(name, &second).await?.is_some_and(|found| found.is_live()),
        };
        let (live, other) = if second_is_live { (second, first) } else { (first, second) };
        Ok(Pair { live, other, route })
    }

    /// An endpoint with its tags, where it exists; it must not be that of another name.
    pub(crate) async fn tagged(&self, name: &str, endpoint: &str) -> Result<Option<Tagged>, Error> {
        let Some(found) = self.sagemaker.endpoint(endpoint).await? else { return Ok(None) };
        let tags = self.sagemaker.tags(&found.arn).await?;
        match tags.get(tag::NAME) {
            Some(owner) if owner == name => {}
            None if endpoint == name => {}
            Some(owner) => {
                let reason = format!("it belongs to `{owner}`, not to `{name}`; use another name");
                return Err(Error::endpoint(endpoint, reason));
            }
            None => {
                let reason = format!("`{name}` needs it, but something else has made it");
                return Err(Error::endpoint(endpoint, reason));
            }
        }
        Ok(Some(Tagged { endpoint: found, tags }))
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
        Rollout { sagemaker: &self.sagemaker, pace, endpoint, config, tags }
    }

    /// Whether uploads that nothing uses any more are removed: buckets have rules of their own.
    pub(crate) fn removes_uploads(&self) -> bool {
        matches!(self.place, Place::Host(_))
    }
}

/// The two endpoints that a name may have.
pub(crate) fn endpoints_of(name: &str) -> [String; 2] {
    [name.to_owned(), format!("{name}-b")]
}

impl Tagged {
    /// Whether verdicts hear it, as far as its tags know.
    pub(crate) fn is_live(&self) -> bool {
        self.tags.get(tag::STAGE).is_some_and(|stage| stage == "live")
    }

    /// The value of a tag.
    pub(crate) fn tag(&self, key: &str) -> Option<&str> {
        self.tags.get(key).map(String::as_str)
    }
}
