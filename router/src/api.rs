//! The HTTP API: which route does what.

mod host;
mod request_body;
mod body;
mod segment;
mod documents;
mod precondition;
mod views;
mod moderate;
mod lines;
mod stream;

use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware::map_request;
use axum::routing::{get, post};

use crate::app::App;
use crate::problem::{Kind, Problem};

/// All routes over `app`.
pub(crate) fn routes(app: Arc<App>) -> Router {
    let model = get(documents::get_model).put(documents::put_model).delete(documents::delete_model);
    let scope = get(documents::get_scope).put(documents::put_scope).delete(documents::delete_scope);
    Router::new()
        .route("/v1/moderate", post(moderate::moderate))
        .route("/v1/decisions/{id}", get(views::decision))
        .route("/v1/models", get(views::models))
        .route("/v1/models/{name}", model)
        .route("/v1/scopes", get(views::scopes))
        .route("/v1/scopes/{*path}", scope)
        .route("/v1/clients/{name}/effective", get(views::effective))
        .route("/livez", get(views::live))
        .route("/readyz", get(views::ready))
        .fallback(unknown_route)
        .method_not_allowed_fallback(method_not_allowed)
        // Each body is read by hand, up to a limit that fits it.
        .layer(DefaultBodyLimit::disable())
        .layer(map_request(host::only_loopback))
        .layer(map_request(request_body::on_terms))
        .with_state(app)
}

async fn unknown_route() -> Problem {
    Problem::new(Kind::UnknownRoute, "no such route; the API's routes begin with /v1/")
}

async fn method_not_allowed() -> Problem {
    Problem::new(Kind::MethodNotAllowed, "this route does not take this method")
}
