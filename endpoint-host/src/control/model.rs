//! CreateModel, DescribeModel, DeleteModel and ListModels.

use std::collections::BTreeMap;

use serde_json::json;

use super::fields::Fields;
use super::{Answer, Request, list, tags};
use crate::api_error::ApiError;
use crate::app::App;
use crate::record::{Model, PrimaryContainer, now};
use crate::region::Kind;
use crate::registry::NotAdded;

/// The most variables that SageMaker passes on.
const ENVIRONMENT_ENTRIES: usize = 100;

/// The longest name or value of one that SageMaker passes on.
const ENVIRONMENT_BYTES: usize = 1024;

/// The longest address of model data.
const URL_CHARS: usize = 1024;

/// What the host itself tells a container by its environment.
const SET_BY_HOST: [&str; 5] =
    ["LIFELINE", "LISTEN", "MODEL_DIR", "SAGEMAKER_BIND_TO_PORT", "SM_MODEL_DIR"];

/// Creates a model whose data the host may read.
pub(crate) async fn create(mut request: Request<'_>) -> Answer {
    let fields = &mut request.fields;
    let name = fields.name("ModelName")?;
    let arn = request.region.arn(Kind::Model, name.as_str());
    let container = fields.object("PrimaryContainer")?;
    let tags = tags::given(fields)?;
    fields.ignore_if("EnableNetworkIsolation", &json!(false));
    let execution_role_arn = fields.string("ExecutionRoleArn")?;
    let missing = fields.missing("PrimaryContainer");
    request.fields.finish()?;
    let model = Model {
        model_name: name,
        model_arn: arn.clone(),
        creation_time: now(),
        primary_container: primary_container(request.app, container.ok_or(missing)?)?,
        execution_role_arn,
        enable_network_isolation: false,
    };
    match request.app.registry.models.insert(model, tags).await {
        Ok(()) => Ok(Some(json!({"ModelArn": arn}))),
        Err(NotAdded::Taken(existing)) => {
            Err(ApiError::already_exists(Kind::Model, &existing.model_arn))
        }
        Err(NotAdded::Store(error)) => Err(ApiError::store(&error)),
    }
}

/// Tells all about a model.
pub(crate) fn describe(mut request: Request<'_>) -> Answer {
    let name = request.fields.name("ModelName")?;
    request.fields.finish()?;
    let Some(model) = request.app.registry.models.get(name.as_str()) else {
        return Err(ApiError::not_found(&request.region, Kind::Model, name.as_str()));
    };
    Ok(Some(json!(*model)))
}

/// Deletes a model. Endpoints that serve it go on, as on AWS.
pub(crate) async fn delete(mut request: Request<'_>) -> Answer {
    let name = request.fields.name("ModelName")?;
    request.fields.finish()?;
    let removed = request.app.registry.models.remove(name.as_str()).await;
    if removed.map_err(|error| ApiError::store(&error))? {
        return Ok(None);
    }
    Err(ApiError::not_found(&request.region, Kind::Model, name.as_str()))
}

/// Lists models.
pub(crate) fn list(request: Request<'_>) -> Answer {
    let models = &request.app.registry.models;
    list::page(request, models, "Models", |model| {
        json!({
            "ModelName": model.model_name,
            "ModelArn": model.model_arn,
            "CreationTime": model.creation_time,
        })
    })
}

fn primary_container(app: &App, mut fields: Fields) -> Result<PrimaryContainer, ApiError> {
    fields.ignore(&["ContainerHostname"]);
    fields.ignore_if("Mode", &json!("SingleModel"));
    let image = fields.required_string("Image")?;
    app.images.find(&image).map_err(ApiError::validation)?;
    let environment = environment(&mut fields)?;
    let model_data_url = model_data_url(app, &mut fields)?;
    fields.finish()?;
    app.roots.resolve(&model_data_url).map_err(ApiError::validation)?;
    let mode = "SingleModel".to_owned();
    Ok(PrimaryContainer { image, mode, model_data_url, environment })
}

fn model_data_url(app: &App, fields: &mut Fields) -> Result<String, ApiError> {
    let missing = fields.missing("ModelDataUrl");
    let url = fields.text_within("ModelDataUrl", URL_CHARS)?.ok_or(missing)?;
    if app.aws_only && !["s3://", "https://"].iter().any(|scheme| url.starts_with(scheme)) {
        return Err(fields.mismatch("ModelDataUrl", &url, "(https|s3)://([^/]+)/?(.*)"));
    }
    Ok(url)
}

fn environment(fields: &mut Fields) -> Result<BTreeMap<String, String>, ApiError> {
    let variables = fields.strings("Environment")?;
    if variables.len() > ENVIRONMENT_ENTRIES {
        let rule = format!("Map must have at most {ENVIRONMENT_ENTRIES} entries");
        return Err(fields.violation("Environment", &variables.len().to_string(), &rule));
    }
    for (name, value) in &variables {
        if let Some(rule) = broken_rule(name, value) {
            return Err(fields.violation("Environment", name, rule));
        }
    }
    Ok(variables.into_iter().collect())
}

/// What is wrong with a variable, if anything.
fn broken_rule(name: &str, value: &str) -> Option<&'static str> {
    let word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    if name.is_empty() || name.starts_with(|c: char| c.is_ascii_digit()) || !name.bytes().all(word)
    {
        return Some("Map keys must satisfy regular expression pattern: [a-zA-Z_][a-zA-Z0-9_]*");
    }
    if name.len() > ENVIRONMENT_BYTES || value.len() > ENVIRONMENT_BYTES || value.contains('\0') {
        return Some("Map keys and values must have at most 1024 bytes, none of them zero");
    }
    if SET_BY_HOST.contains(&name) {
        return Some("the endpoint host sets this variable itself, for every container");
    }
    (changes_the_loader(name) || changes_the_shell(name)).then_some(
        "variables that make the system's loader or shell run other code are not passed to \
         containers; give it another name",
    )
}

fn changes_the_loader(name: &str) -> bool {
    let name = name.to_ascii_uppercase();
    let named = ["GLIBC_TUNABLES", "GCONV_PATH", "LOCPATH", "NLSPATH", "ORT_DYLIB_PATH"]
        .contains(&name.as_str());
    named || name.starts_with("LD_") || name.starts_with("DYLD_")
}

/// A shell tethers containers to the host; these are what shells read before they run anything.
fn changes_the_shell(name: &str) -> bool {
    ["ENV", "PS4", "SHELLOPTS"].contains(&name) || name.starts_with("BASH")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loader_and_shell_variables_and_malformed_names_are_refused() {
        for good in ["THRESHOLD", "ENVIRONMENT", "PS"] {
            assert_eq!(broken_rule(good, "0.5"), None);
        }
        for bad in [
            "LD_PRELOAD",
            "ld_audit",
            "LD_LIBRARY_PATH",
            "ORT_DYLIB_PATH",
            "DYLD_X",
            "GCONV_PATH",
            "SHELLOPTS",
            "PS4",
            "ENV",
            "BASH_ENV",
            "BASHOPTS",
            "",
            "1A",
            "A=B",
            "LIFELINE",
            "LISTEN",
            "MODEL_DIR",
            "SM_MODEL_DIR",
            "SAGEMAKER_BIND_TO_PORT",
        ] {
            assert!(broken_rule(bad, "x").is_some(), "{bad}");
        }
        assert!(broken_rule("A", "\0").is_some());
        assert!(broken_rule("A", &"x".repeat(1025)).is_some());
    }
}
