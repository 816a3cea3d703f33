//! The HTTP API: which route does what.

mod auth;
mod host;
mod request_body;
mod body;
mod segment;
mod query;
mod precondition;
mod change;
mod documents;
mod history;
pub(crate) mod room;
mod difference;
mod versions;
mod what_if;
mod views;
mod endpoints;
mod shadow;
mod moderate;
mod decisions;
mod lines;
mod stream;
mod keys;
mod audit;
mod openapi;
mod docs;

use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware::{from_fn_with_state, map_request};
use axum::routing::{MethodRouter, get, patch, post};

use crate::app::App;
use crate::problem::{Kind, Problem};

/// All routes over `app`.
pub(crate) fn routes(app: Arc<App>) -> Router {
    let routes = table().into_iter().chain(pages());
    routes
        .fold(Router::new(), |router, (path, methods)| router.route(path, methods))
        .fallback(unknown_route)
        .method_not_allowed_fallback(method_not_allowed)
        // Each body is read by hand, up to a limit that fits it.
        .layer(DefaultBodyLimit::disable())
        .layer(from_fn_with_state(Arc::clone(&app), auth::admit))
        .layer(map_request(request_body::on_terms))
        .with_state(app)
}

type Route = (&'static str, MethodRouter<Arc<App>>);

/// The routes that `/openapi.json` describes, all of them.
fn table() -> Vec<Route> {
    let model = get(documents::get_model).put(documents::put_model).delete(documents::delete_model);
    let scope = get(documents::get_scope).put(documents::put_scope).delete(documents::delete_scope);
    vec![
        ("/v1/moderate", post(moderate::moderate)),
        ("/v1/decisions/{id}", get(decisions::decision)),
        ("/v1/models", get(views::models)),
        ("/v1/models/{name}", model),
        ("/v1/models/{name}/shadow", get(shadow::shadow)),
        ("/v1/scopes", get(views::scopes)),
        ("/v1/scopes/{*path}", scope),
        ("/v1/policy/versions", get(history::list).post(versions::create)),
        ("/v1/policy/versions/{version}", get(history::one)),
        ("/v1/policy/documents", get(history::documents)),
        ("/v1/policy/diff", get(history::diff)),
        ("/v1/policy/revert", post(versions::revert)),
        ("/v1/policy/what-if", post(what_if::what_if)),
        ("/v1/clients/{name}/effective", get(views::effective)),
        ("/v1/keys", get(keys::list).post(keys::create)),
        ("/v1/keys/{key_id}", patch(keys::limit).delete(keys::revoke)),
        ("/v1/audit", get(audit::audit)),
        ("/v1/endpoints", get(endpoints::endpoints)),
        ("/livez", get(views::live)),
        ("/readyz", get(views::ready)),
        ("/metrics", get(views::metrics)),
        ("/openapi.json", get(openapi::document)),
    ]
}

/// The routes for people.
fn pages() -> [Route; 3] {
    [
        ("/docs", get(docs::entrance)),
        ("/docs/", get(docs::page)),
        ("/docs/{file}", get(docs::asset)),
    ]
}

async fn unknown_route() -> Problem {
    Problem::new(Kind::UnknownRoute, "no such route; the API's routes begin with /v1/")
}

async fn method_not_allowed() -> Problem {
    Problem::new(Kind::MethodNotAllowed, "this route does not take this method")
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use super::*;

    /// The methods that a route takes, by the document; GET takes HEAD along.
    fn documented() -> BTreeMap<String, BTreeSet<String>> {
        let document = openapi::written();
        let paths = document["paths"].as_object().unwrap();
        let methods = |(path, item): (&String, &serde_json::Value)| {
            let methods = item.as_object().unwrap().keys().map(|method| method.to_uppercase());
            let path = if path.starts_with("/v1/scopes/") { "/v1/scopes/{*path}" } else { path };
            (path.to_owned(), methods.collect())
        };
        paths.iter().map(methods).collect()
    }

    #[test]
    fn every_route_is_documented_with_its_methods_and_no_other() {
        let routes = table().into_iter().map(|(path, methods)| {
            // All that axum tells of the methods of a route.
            let shown = format!("{methods:?}");
            let allowed = shown.split("allow_header: Bytes(b\"").nth(1).unwrap();
            let allowed = allowed.split('"').next().unwrap().split(',');
            let methods = allowed.filter(|method| *method != "HEAD").map(str::to_owned);
            (path.to_owned(), methods.collect())
        });
        assert_eq!(routes.collect::<BTreeMap<_, _>>(), documented());
    }
}
