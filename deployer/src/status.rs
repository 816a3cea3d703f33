//! What is deployed: endpoints, versions, routes.

use std::collections::BTreeSet;

use crate::promotion::shadow_of;
use crate::router::{Registration, Router};
use crate::site::{Site, Tagged, endpoints_of};
use crate::tag::Previous;
use crate::{Error, tag};

/// The columns of the table.
const HEAD: [&str; 9] =
    ["NAME", "ENDPOINT", "STATUS", "STAGE", "VERSION", "DIGEST", "CONFIG", "PREVIOUS", "ROUTE"];

/// A table of the endpoints of `name`, or of all that were deployed.
pub(crate) async fn table(site: &Site, name: Option<&str>) -> Result<String, Error> {
    let names = match name {
        Some(name) => BTreeSet::from([name.to_owned()]),
        None => names(site).await?,
    };
    let mut rows = vec![HEAD.map(str::to_owned)];
    for name in names {
        rows.extend(rows_of(site, &name).await?);
    }
    if let (Some(name), 1) = (name, rows.len()) {
        let reason = "nothing is deployed under this name; without --name all names are shown";
        return Err(Error::endpoint(name, reason));
    }
    Ok(aligned(&rows))
}

/// The names of all endpoints that were deployed.
async fn names(site: &Site) -> Result<BTreeSet<String>, Error> {
    let mut names = BTreeSet::new();
    for endpoint in site.sagemaker.endpoints().await? {
        // An endpoint deleted since it was listed has no tags to tell.
        let arn = endpoint.endpoint_arn.unwrap_or_default();
        let tags = site.sagemaker.tags(&arn).await.unwrap_or_default();
        names.extend(tags.get(tag::NAME).cloned());
    }
    Ok(names)
}

async fn rows_of(site: &Site, name: &str) -> Result<Vec<[String; 9]>, Error> {
    let routes = match &site.router {
        Some(router) => routes(router, name).await?,
        None => Vec::new(),
    };
    let mut rows = Vec::new();
    for endpoint in endpoints_of(name) {
        match site.tagged(name, &endpoint).await {
            Ok(Some(found)) => rows.push(row(name, &found, &routes)),
            // An endpoint of another name is in that name's rows.
            Ok(None) | Err(Error::Endpoint { .. }) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(rows)
}

/// The registrations of the model and of its shadow.
async fn routes(router: &Router, name: &str) -> Result<Vec<(String, Registration)>, Error> {
    let mut routes = Vec::new();
    for model in [name.to_owned(), shadow_of(name)] {
        let registration = router.get(&model).await?;
        routes.push((model, registration));
    }
    Ok(routes)
}

fn row(name: &str, found: &Tagged, routes: &[(String, Registration)]) -> [String; 9] {
    let Tagged { endpoint, .. } = found;
    let tag = |key| found.tag(key).unwrap_or("-").to_owned();
    let digest = found.tag(tag::DIGEST).map(|digest| digest.trim_start_matches("sha256:"));
    let here = |route: &&(String, Registration)| route.1.endpoint() == Some(&endpoint.name);
    let route = routes.iter().find(here).map(|(model, registration)| {
        let stage = if registration.is_shadow() { "shadow" } else { "live" };
        let enabled = if registration.is_enabled() { "" } else { ", disabled" };
        format!("{model} ({stage}{enabled})")
    });
    let previous = Previous::of(&found.tags).map(|previous| previous.to_string());
    [
        name.to_owned(),
        endpoint.name.clone(),
        endpoint.status.to_string(),
        tag(tag::STAGE),
        tag(tag::VERSION),
        digest.map_or("-".to_owned(), |digest| digest.chars().take(12).collect()),
        endpoint.config.clone(),
        previous.unwrap_or_else(|| "-".to_owned()),
        route.unwrap_or_else(|| "-".to_owned()),
    ]
}

fn aligned(rows: &[[String; 9]]) -> String {
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max();
    let widths: Vec<usize> = (0..HEAD.len()).filter_map(width).collect();
    let mut table = String::new();
    for row in rows {
        let cells = row.iter().zip(&widths).map(|(cell, &width)| format!("{cell:<width$}"));
        table += cells.collect::<Vec<_>>().join("  ").trim_end();
        table.push('\n');
    }
    table
}
