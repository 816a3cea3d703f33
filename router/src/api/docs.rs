//! `/docs`: the API as a page to read and to try, with nothing fetched from elsewhere.

use std::sync::{Arc, LazyLock};

use axum::extract::Path;
use axum::extract::rejection::PathRejection;
use axum::http::header::{
    CACHE_CONTROL, CONTENT_ENCODING, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY,
    X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderName, HeaderValue};
use axum::response::{IntoResponse, Redirect, Response};
use utoipa_swagger_ui::{Config, serve};

use crate::problem::{Kind, Problem};

/// Where the page finds the document, whatever stands before the router.
const DOCUMENT: &str = "../openapi.json";
/// The page calls this router and nothing else. Swagger UI sets styles from its script, and shows
/// images that are part of it.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; \
                      img-src 'self' data:; connect-src 'self'; base-uri 'none'; \
                      form-action 'none'; frame-ancestors 'none'";

static CONFIG: LazyLock<Arc<Config<'static>>> = LazyLock::new(|| {
    let config = Config::from(DOCUMENT).use_base_layout().validator_url("none");
    Arc::new(config.query_config_enabled(false).deep_linking(true).display_request_duration(true))
});

/// The page's own address ends with a slash, as what it loads stands beside it.
pub(super) async fn entrance() -> Redirect {
    Redirect::permanent("/docs/")
}

/// The page.
pub(super) async fn page() -> Result<Response, Problem> {
    file("index.html")
}

/// What the page loads.
pub(super) async fn asset(name: Result<Path<String>, PathRejection>) -> Result<Response, Problem> {
    let Path(name) = name.map_err(|_| unknown())?;
    file(&name)
}

fn unknown() -> Problem {
    Problem::new(Kind::UnknownRoute, "the page /docs/ has no such part")
}

fn file(name: &str) -> Result<Response, Problem> {
    let found = serve(name, Arc::clone(&CONFIG)).ok().flatten().ok_or_else(unknown)?;
    let mut response = found.bytes.into_response();
    let headers = response.headers_mut();
    let mut header = |name: HeaderName, value: &str| {
        let value = HeaderValue::from_str(value).expect("media types and constants are printable");
        headers.insert(name, value);
    };
    header(CONTENT_TYPE, &found.content_type);
    if found.gzpipped {
        header(CONTENT_ENCODING, "gzip");
    }
    header(CONTENT_SECURITY_POLICY, POLICY);
    header(REFERRER_POLICY, "no-referrer");
    header(X_CONTENT_TYPE_OPTIONS, "nosniff");
    header(CACHE_CONTROL, "no-cache");
    Ok(response)
}
