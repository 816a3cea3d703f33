//! `GET /v1/models/{name}/shadow`: how a model's shadow compares with it.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use super::segment::Segment;
use crate::access::{Caller, Permission};
use crate::app::App;
use crate::policy::name::Name;
use crate::problem::{Kind, Problem};
use crate::shadow::Tally;

/// How a shadow compares with its live model, in this router, since one of them last changed.
#[derive(Serialize, ToSchema)]
pub(super) struct Comparison {
    /// The live model.
    model: Name,
    /// Its shadow.
    shadow: Name,
    /// The share of the contents that the shadow looks at.
    sample: f64,
    /// The share of contents with the same label on top; null before the first.
    agreement: Option<f64>,
    #[serde(flatten)]
    tally: Tally,
}

/// How a model's shadow compares with it; takes `admin`, `models` or `read:*`.
///
/// The shadow of `NAME` is the registration `NAME-shadow` at stage `shadow`.
#[utoipa::path(
    get,
    path = "/v1/models/{name}/shadow",
    tag = "models",
    params(("name" = Name, Path, description = "The live model.")),
    responses((status = 200, description = "The comparison.", body = Comparison)),
    extensions(("x-problems" = json!(["unknown-model"])))
)]
pub(super) async fn shadow(
    State(app): State<Arc<App>>,
    caller: Caller,
    Segment(model): Segment<Name>,
) -> Result<Json<Comparison>, Problem> {
    caller.demand(Permission::Endpoints)?;
    let Some(pair) = app.shadows.of(&model) else {
        let detail = format!(
            "`{model}` has no shadow; register `{model}-shadow` with `\"stage\": \"shadow\"`"
        );
        return Err(Problem::new(Kind::UnknownModel, detail));
    };
    let tally = pair.tally();
    let (shadow, sample, agreement) = (pair.shadow().clone(), pair.share(), tally.agreement());
    Ok(Json(Comparison { model, shadow, sample, agreement, tally }))
}
