//! Moves the route of a model between its two endpoints: to the shadow, and back.
//!
//! What is needed for the way back is noted before the route moves, and what each endpoint is now
//! after it has: a promotion or a rollback that is cut in between is ended by running it again.

use crate::event::Reporter;
use crate::route::Served;
use crate::router::{Registration, Router};
use crate::sagemaker::Tags;
use crate::site::{Pair, Site, Tagged};
use crate::tag::Previous;
use crate::{Error, tag};

/// What is live after a promotion or a rollback.
#[derive(Debug)]
pub(crate) struct Live {
    pub(crate) endpoint: String,
    pub(crate) version: String,
}

/// The router's name of a shadow.
pub(crate) fn shadow_of(name: &str) -> String {
    format!("{name}-shadow")
}

/// Points the model `name` to the endpoint of its shadow.
pub(crate) async fn promote(
    site: &Site,
    name: &str,
    reporter: &mut Reporter<'_>,
) -> Result<Live, Error> {
    let router = router(site)?;
    let pair = site.pair(name).await?;
    let shadow = router.get(&shadow_of(name)).await?;
    let (Some(endpoint), true) = (shadow.endpoint(), shadow.is_shadow()) else {
        let reason = "there is no shadow to promote; `gatehouse deploy --shadow` makes one";
        return Err(Error::Route { model: shadow_of(name), reason: reason.to_owned() });
    };
    let next = in_service(site, name, endpoint).await?;
    let version = shadow.version();
    // It is there already if an earlier run was cut after it had moved the route.
    if next.endpoint.name != pair.live {
        note_previous(site, name, &pair, &next).await?;
        let labels = shadow.labels();
        let served = Served { version, labels: &labels, digest: shadow.digest() };
        move_route(site, &pair, &next, served).await?;
        reporter.done("route moved");
    }
    set_stage(site, &next, "live").await?;
    let other = if next.endpoint.name == pair.live { &pair.other } else { &pair.live };
    stand_by(site, name, other).await?;
    router.delete(&shadow).await?;
    reporter.done("shadow's registration removed");
    let version = version.unwrap_or_default().to_owned();
    Ok(Live { endpoint: next.endpoint.name, version })
}

/// Goes back to what was live before: the route to where it pointed, or the live endpoint to its
/// previous config.
pub(crate) async fn roll_back(
    site: &Site,
    name: &str,
    reporter: &mut Reporter<'_>,
) -> Result<Live, Error> {
    let pair = site.pair(name).await?;
    if let Some(elsewhere) = pair.route.as_ref().and_then(|route| route.elsewhere(name)) {
        let reason = format!("nothing that was deployed is live, but the {elsewhere}");
        return Err(Error::Route { model: name.to_owned(), reason });
    }
    if pair.route.as_ref().is_some_and(|route| !route.exists()) {
        let reason = "it is not registered, so there is no route to move back; deploy it again";
        return Err(Error::Route { model: name.to_owned(), reason: reason.to_owned() });
    }
    let live = site.tagged(name, &pair.live).await?;
    let live = live.ok_or_else(|| Error::endpoint(&pair.live, "it does not exist"))?;
    if was_cut(site, name, &pair, &live).await? {
        reporter.note("an earlier rollback was cut after it had moved the route: it is ended now");
        return moved_back(site, name, &pair.other, live).await;
    }
    let previous = Previous::of(&live.tags).ok_or_else(|| {
        Error::endpoint(&pair.live, "there is nothing to roll back to: no version was live before")
    })?;
    match previous {
        Previous::Route { endpoint, version } => {
            give_back(site, &pair, &live, (endpoint, version), reporter).await
        }
        Previous::Endpoint { name: other, config } => {
            match serving(site, name, &other, &config).await? {
                Some(other) => move_back(site, name, &pair, other, reporter).await,
                None => update_back(site, &pair, &live, &config, reporter).await,
            }
        }
        Previous::Config(config) => update_back(site, &pair, &live, &config, reporter).await,
    }
}

/// Whether an earlier rollback has moved the route, and noted no more than that.
async fn was_cut(site: &Site, name: &str, pair: &Pair, live: &Tagged) -> Result<bool, Error> {
    if pair.route.is_none() || live.tag(tag::STAGE) != Some("standby") {
        return Ok(false);
    }
    let other = site.tagged(name, &pair.other).await?;
    let before = other.and_then(|other| Previous::of(&other.tags));
    Ok(matches!(before, Some(Previous::Endpoint { name, .. }) if name == pair.live))
}

/// Points the route to where it pointed before the first deployment.
async fn give_back(
    site: &Site,
    pair: &Pair,
    live: &Tagged,
    (endpoint, version): (String, Option<String>),
    reporter: &mut Reporter<'_>,
) -> Result<Live, Error> {
    let (router, route) = (router(site)?, pair.route.as_ref().ok_or_else(no_router)?);
    router.set(route, |route| route.pointing_to(&endpoint, version.as_deref())).await?;
    reporter.done("route moved back");
    set_stage(site, live, "standby").await?;
    forget_previous(site, live).await?;
    Ok(Live { endpoint, version: version.unwrap_or_default() })
}

/// The endpoint once it answers, if it still serves what it served when it was live.
async fn serving(
    site: &Site,
    name: &str,
    endpoint: &str,
    config: &str,
) -> Result<Option<Tagged>, Error> {
    let found = in_service(site, name, endpoint).await.ok();
    Ok(found.filter(|found| found.endpoint.config == config))
}

async fn move_back(
    site: &Site,
    name: &str,
    pair: &Pair,
    previous: Tagged,
    reporter: &mut Reporter<'_>,
) -> Result<Live, Error> {
    router(site)?;
    let (version, digest) = (previous.tag(tag::VERSION), previous.digest());
    move_route(site, pair, &previous, Served { version, labels: &[], digest }).await?;
    reporter.done("route moved back");
    moved_back(site, name, &pair.live, previous).await
}

/// Notes what the endpoints are after the route has moved from the one that was live.
async fn moved_back(site: &Site, name: &str, from: &str, live: Tagged) -> Result<Live, Error> {
    let from = site.tagged(name, from).await?;
    if let Some(from) = &from {
        set_stage(site, from, "standby").await?;
    }
    set_stage(site, &live, "live").await?;
    // The last: it tells a rollback that was cut from one that was never begun.
    if let Some(from) = &from {
        forget_previous(site, from).await?;
    }
    let version = live.tag(tag::VERSION).unwrap_or_default().to_owned();
    Ok(Live { endpoint: live.endpoint.name, version })
}

async fn update_back(
    site: &Site,
    pair: &Pair,
    live: &Tagged,
    config: &str,
    reporter: &mut Reporter<'_>,
) -> Result<Live, Error> {
    let name = &live.endpoint.name;
    let tags = site.sagemaker.tags_of_config(config).await?;
    let mut tags = tags.ok_or_else(|| {
        Error::endpoint(name, format!("the config `{config}`, to roll back to, is gone"))
    })?;
    tags.extend(tag::of([(tag::CONFIG, config), (tag::STAGE, "live")]));
    if let Some(route) = &pair.route {
        router(site)?.forget_digest(route).await?;
    }
    site.rollout(name, config, &tags).run(reporter).await?;
    reporter.done("in service");
    let version = tags.get(tag::VERSION).cloned().unwrap_or_default();
    if pair.route.is_some() {
        // Not before: scores that the router keeps by it must not answer for what was there.
        let digest = tags.get(tag::DIGEST).map(String::as_str);
        let served = Served { version: Some(&version), labels: &[], digest };
        move_route(site, pair, live, served).await?;
        reporter.done("route set");
    }
    // The last: until then, running it again does the same.
    site.retag(&live.endpoint.arn, &tags, &live.tags).await?;
    Ok(Live { endpoint: name.clone(), version })
}

/// An endpoint of `name`, once it answers.
async fn in_service(site: &Site, name: &str, endpoint: &str) -> Result<Tagged, Error> {
    site.rollout(endpoint, "", &Tags::new()).found().await?;
    let found = site.tagged(name, endpoint).await?;
    let found = found.ok_or_else(|| Error::endpoint(endpoint, "it does not exist"))?;
    if found.endpoint.is_in_service() {
        return Ok(found);
    }
    Err(Error::endpoint(endpoint, format!("it is {}, not InService", found.endpoint.status)))
}

/// Has the endpoint to come remember what is live, for a rollback.
async fn note_previous(site: &Site, name: &str, pair: &Pair, next: &Tagged) -> Result<(), Error> {
    let elsewhere = pair.route.as_ref().and_then(|route| route.elsewhere(name));
    let previous = match elsewhere {
        Some(elsewhere) => Some(elsewhere),
        None => site.tagged(name, &pair.live).await?.map(|live| Previous::Endpoint {
            name: live.endpoint.name,
            config: live.endpoint.config,
        }),
    };
    let tags = previous.as_ref().map(Previous::tags).unwrap_or_default();
    site.retag(&next.endpoint.arn, &tags, &next.tags).await
}

/// Marks the endpoint that was live, where another is now.
async fn stand_by(site: &Site, name: &str, endpoint: &str) -> Result<(), Error> {
    match site.tagged(name, endpoint).await? {
        Some(found) => set_stage(site, &found, "standby").await,
        None => Ok(()),
    }
}

/// The route has moved back from an endpoint: nothing was live before it any more.
async fn forget_previous(site: &Site, from: &Tagged) -> Result<(), Error> {
    site.sagemaker.untag(&from.endpoint.arn, &tag::OF_PREVIOUS).await
}

async fn set_stage(site: &Site, endpoint: &Tagged, stage: &str) -> Result<(), Error> {
    site.sagemaker.tag(&endpoint.endpoint.arn, &tag::of([(tag::STAGE, stage)])).await
}

/// Points the route to an endpoint, in one step with what is known of the package there.
async fn move_route(
    site: &Site,
    pair: &Pair,
    endpoint: &Tagged,
    served: Served<'_>,
) -> Result<(), Error> {
    let route: &Registration = pair.route.as_ref().ok_or_else(no_router)?;
    let address = site.address(&endpoint.endpoint);
    router(site)?.set(route, |route| route.serving(address, served)).await
}

fn router(site: &Site) -> Result<&Router, Error> {
    site.router.as_ref().ok_or_else(no_router)
}

fn no_router() -> Error {
    Error::Missing(vec!["--router URL"])
}
