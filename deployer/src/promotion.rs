//! Moves the route of a model between its two endpoints: to the shadow, and back.

use crate::event::Reporter;
use crate::router::{Registration, Router};
use crate::sagemaker::{Endpoint, Tags};
use crate::site::{Pair, Site, Tagged};
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
    let router = site.router.as_ref().ok_or(Error::Missing(vec!["--router URL"]))?;
    let pair = site.pair(name).await?;
    let shadow = router.get(&shadow_of(name)).await?;
    let (Some(endpoint), true) = (shadow.endpoint(), shadow.is_shadow()) else {
        let reason = "there is no shadow to promote; `gatehouse deploy --shadow` makes one";
        return Err(Error::Route { model: shadow_of(name), reason: reason.to_owned() });
    };
    let endpoint = in_service(site, name, endpoint).await?;
    let version = shadow.version().unwrap_or_default().to_owned();
    // Told already if an earlier run was interrupted after it had moved the route.
    if endpoint.endpoint.name != pair.live {
        remember(site, name, &pair.live, &endpoint).await?;
        move_route(site, router, &pair, (&endpoint.endpoint, &version)).await?;
        reporter.done("route moved");
    }
    stand_by(site, name, &pair.live, &endpoint.endpoint.name).await?;
    router.delete(&shadow).await?;
    reporter.done("shadow's registration removed");
    Ok(Live { endpoint: endpoint.endpoint.name, version })
}

/// Goes back to what was live before: the route to the other endpoint, or the live endpoint to
/// its previous config.
pub(crate) async fn roll_back(
    site: &Site,
    name: &str,
    reporter: &mut Reporter<'_>,
) -> Result<Live, Error> {
    let pair = site.pair(name).await?;
    let live = in_service(site, name, &pair.live).await?;
    let config = live.tag(tag::PREVIOUS_CONFIG).ok_or_else(|| {
        Error::endpoint(&pair.live, "there is nothing to roll back to: no version was live before")
    })?;
    let tags = site.sagemaker.tags_of_config(config).await?;
    let mut tags = tags.ok_or_else(|| {
        Error::endpoint(&pair.live, format!("the config `{config}`, to roll back to, is gone"))
    })?;
    tags.insert(tag::CONFIG.to_owned(), config.to_owned());
    match previous_endpoint(site, name, &live, config).await? {
        Some(previous) => move_back(site, &pair, &live, &previous, reporter).await,
        None => update_back(site, &pair, &live, &tags, reporter).await,
    }
}

/// The endpoint that was live before, if it still serves what it served then.
async fn previous_endpoint(
    site: &Site,
    name: &str,
    live: &Tagged,
    config: &str,
) -> Result<Option<Tagged>, Error> {
    let Some(previous) = live.tag(tag::PREVIOUS_ENDPOINT) else { return Ok(None) };
    let found = site.tagged(name, previous).await?;
    Ok(found.filter(|found| found.endpoint.is_in_service() && found.endpoint.config == config))
}

async fn move_back(
    site: &Site,
    pair: &Pair,
    live: &Tagged,
    previous: &Tagged,
    reporter: &mut Reporter<'_>,
) -> Result<Live, Error> {
    let router = site.router.as_ref().ok_or(Error::Missing(vec!["--router URL"]))?;
    let version = previous.tag(tag::VERSION).unwrap_or_default();
    site.sagemaker.tag(&previous.endpoint.arn, &tag::of([(tag::STAGE, "live")])).await?;
    move_route(site, router, pair, (&previous.endpoint, version)).await?;
    reporter.done("route moved back");
    let keys = [tag::PREVIOUS_ENDPOINT, tag::PREVIOUS_CONFIG];
    site.sagemaker.untag(&live.endpoint.arn, &keys).await?;
    site.sagemaker.tag(&live.endpoint.arn, &tag::of([(tag::STAGE, "standby")])).await?;
    Ok(Live { endpoint: previous.endpoint.name.clone(), version: version.to_owned() })
}

async fn update_back(
    site: &Site,
    pair: &Pair,
    live: &Tagged,
    tags: &Tags,
    reporter: &mut Reporter<'_>,
) -> Result<Live, Error> {
    let endpoint = &live.endpoint;
    let config = tags.get(tag::CONFIG).map(String::as_str).unwrap_or_default();
    site.rollout(&endpoint.name, config, tags).run(reporter).await?;
    reporter.done("in service");
    let keys = [tag::PREVIOUS_ENDPOINT, tag::PREVIOUS_CONFIG];
    site.sagemaker.untag(&endpoint.arn, &keys).await?;
    site.sagemaker.tag(&endpoint.arn, tags).await?;
    let version = tags.get(tag::VERSION).cloned().unwrap_or_default();
    if let Some(router) = &site.router {
        move_route(site, router, pair, (endpoint, &version)).await?;
        reporter.done("route set");
    }
    Ok(Live { endpoint: endpoint.name.clone(), version })
}

/// An endpoint of `name` that answers.
async fn in_service(site: &Site, name: &str, endpoint: &str) -> Result<Tagged, Error> {
    let found = site.tagged(name, endpoint).await?;
    let found = found.ok_or_else(|| Error::endpoint(endpoint, "it does not exist"))?;
    if found.endpoint.is_in_service() {
        return Ok(found);
    }
    Err(Error::endpoint(endpoint, format!("it is {}, not InService", found.endpoint.status)))
}

/// Has the endpoint to come remember the one that was live, for a rollback.
async fn remember(site: &Site, name: &str, live: &str, next: &Tagged) -> Result<(), Error> {
    let mut tags = tag::of([(tag::STAGE, "live")]);
    if let Some(before) = site.tagged(name, live).await? {
        tags.insert(tag::PREVIOUS_ENDPOINT.to_owned(), live.to_owned());
        tags.insert(tag::PREVIOUS_CONFIG.to_owned(), before.endpoint.config);
    }
    site.sagemaker.tag(&next.endpoint.arn, &tags).await
}

/// Marks the endpoint that was live, where another is now.
async fn stand_by(site: &Site, name: &str, before: &str, now: &str) -> Result<(), Error> {
    if before == now {
        return Ok(());
    }
    let Some(before) = site.tagged(name, before).await? else { return Ok(()) };
    site.sagemaker.tag(&before.endpoint.arn, &tag::of([(tag::STAGE, "standby")])).await
}

async fn move_route(
    site: &Site,
    router: &Router,
    pair: &Pair,
    (endpoint, version): (&Endpoint, &str),
) -> Result<(), Error> {
    let Some(route): Option<&Registration> = pair.route.as_ref() else { return Ok(()) };
    router.put(route, &route.pointing_to(site.address(endpoint), version)).await
}
