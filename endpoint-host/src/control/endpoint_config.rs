//! CreateEndpointConfig, DescribeEndpointConfig, DeleteEndpointConfig and ListEndpointConfigs.

use serde_json::json;

use super::{Answer, Request, capture, list, tags, variant};
use crate::api_error::ApiError;
use crate::record::{EndpointConfig, now};
use crate::region::Kind;
use crate::registry::NotAdded;

/// Creates a configuration with serverless variants of models that exist.
pub(crate) async fn create(mut request: Request<'_>) -> Answer {
    let (app, fields) = (request.app, &mut request.fields);
    let name = fields.name("EndpointConfigName")?;
    let arn = request.region.arn(Kind::EndpointConfig, name.as_str());
    let variants = variant::take(fields, app.beyond_aws)?;
    let data_capture_config = capture::take(fields, app)?;
    let tags = tags::given(fields)?;
    fields.ignore_if("EnableNetworkIsolation", &json!(false));
    let execution_role_arn = fields.string("ExecutionRoleArn")?;
    request.fields.finish()?;
    let config = EndpointConfig {
        endpoint_config_name: name,
        endpoint_config_arn: arn.clone(),
        creation_time: now(),
        production_variants: variants.production,
        shadow_production_variants: variants.shadows,
        data_capture_config,
        execution_role_arn,
    };
    for variant in config.variants() {
        let model = variant.model_name.as_str();
        if app.registry.models.get(model).is_none() {
            return Err(ApiError::not_found(&request.region, Kind::Model, model));
        }
    }
    match app.registry.configs.insert(config, tags).await {
        Ok(()) => Ok(Some(json!({"EndpointConfigArn": arn}))),
        Err(NotAdded::Taken(existing)) => {
            Err(ApiError::already_exists(Kind::EndpointConfig, &existing.endpoint_config_arn))
        }
        Err(NotAdded::Store(error)) => Err(ApiError::store(&error)),
    }
}

/// Tells all about a configuration.
pub(crate) fn describe(mut request: Request<'_>) -> Answer {
    let name = request.fields.name("EndpointConfigName")?;
    request.fields.finish()?;
    let Some(config) = request.app.registry.configs.get(name.as_str()) else {
        return Err(ApiError::not_found(&request.region, Kind::EndpointConfig, name.as_str()));
    };
    Ok(Some(json!(*config)))
}

/// Deletes a configuration. Endpoints made from it go on, as on AWS, whose own Python SDK
/// deletes the configuration before the endpoint.
pub(crate) async fn delete(mut request: Request<'_>) -> Answer {
    let name = request.fields.name("EndpointConfigName")?;
    request.fields.finish()?;
    let removed = request.app.registry.configs.remove(name.as_str()).await;
    if removed.map_err(|error| ApiError::store(&error))? {
        return Ok(None);
    }
    Err(ApiError::not_found(&request.region, Kind::EndpointConfig, name.as_str()))
}

/// Lists configurations.
pub(crate) fn list(request: Request<'_>) -> Answer {
    let configs = &request.app.registry.configs;
    list::page(request, configs, "EndpointConfigs", |config| {
        json!({
            "EndpointConfigName": config.endpoint_config_name,
            "EndpointConfigArn": config.endpoint_config_arn,
            "CreationTime": config.creation_time,
        })
    })
}
