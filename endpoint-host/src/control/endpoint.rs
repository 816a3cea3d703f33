//! CreateEndpoint, DescribeEndpoint, DeleteEndpoint and ListEndpoints.

use serde_json::{Value, json};

use super::{Answer, Request, list};
use crate::api_error::ApiError;
use crate::deployment;
use crate::record::{Endpoint, Status, now};
use crate::region::Kind;

/// Creates an endpoint and answers at once; it is in service when its container was tried.
pub(crate) fn create(mut request: Request<'_>) -> Answer {
    let name = request.fields.name("EndpointName")?;
    let config_name = request.fields.name("EndpointConfigName")?;
    request.fields.ignore(&["Tags"]);
    request.fields.finish()?;
    let Request { app, region, .. } = request;
    let not_found = |kind, name: &str| ApiError::not_found(&region, kind, name);
    let config = app.registry.configs.get(config_name.as_str());
    let config = config.ok_or_else(|| not_found(Kind::EndpointConfig, config_name.as_str()))?;
    let [variant] = config.production_variants.clone();
    let model = app.registry.models.get(variant.model_name.as_str());
    let model = model.ok_or_else(|| not_found(Kind::Model, variant.model_name.as_str()))?;
    let arn = region.arn(Kind::Endpoint, name.as_str());
    let created = now();
    let endpoint = Endpoint {
        name,
        arn: arn.clone(),
        config_name,
        variant,
        model,
        status: Status::Creating,
        creation_time: created,
        last_modified_time: created,
    };
    match deployment::begin(app, endpoint) {
        Ok(()) => Ok(Some(json!({"EndpointArn": arn}))),
        Err(existing) => Err(ApiError::already_exists(Kind::Endpoint, &existing.arn)),
    }
}

/// Tells all about an endpoint.
pub(crate) fn describe(mut request: Request<'_>) -> Answer {
    let name = request.fields.name("EndpointName")?;
    request.fields.finish()?;
    let Some(endpoint) = request.app.registry.endpoints.get(name.as_str()) else {
        return Err(ApiError::not_found(&request.region, Kind::Endpoint, name.as_str()));
    };
    let mut answer = summary(&endpoint);
    answer["EndpointConfigName"] = json!(endpoint.config_name);
    answer["ProductionVariants"] = json!([variant_summary(&endpoint)]);
    if let Some(reason) = endpoint.status.failure() {
        answer["FailureReason"] = reason.into();
    }
    Ok(Some(answer))
}

/// Begins to delete an endpoint; it is gone when its processes are.
pub(crate) fn delete(mut request: Request<'_>) -> Answer {
    let name = request.fields.name("EndpointName")?;
    request.fields.finish()?;
    if deployment::delete(request.app, name.as_str()) {
        return Ok(None);
    }
    Err(ApiError::not_found(&request.region, Kind::Endpoint, name.as_str()))
}

/// Lists endpoints.
pub(crate) fn list(request: Request<'_>) -> Answer {
    let endpoints = &request.app.registry.endpoints;
    list::page(request, endpoints, "Endpoints", summary)
}

fn summary(endpoint: &Endpoint) -> Value {
    json!({
        "EndpointName": endpoint.name,
        "EndpointArn": endpoint.arn,
        "EndpointStatus": endpoint.status.word(),
        "CreationTime": endpoint.creation_time,
        "LastModifiedTime": endpoint.last_modified_time,
    })
}

fn variant_summary(endpoint: &Endpoint) -> Value {
    let variant = &endpoint.variant;
    let image = &endpoint.model.primary_container.image;
    json!({
        "VariantName": variant.variant_name,
        "DeployedImages": [{
            "SpecifiedImage": image,
            "ResolvedImage": image,
            "ResolutionTime": endpoint.creation_time,
        }],
        "CurrentWeight": variant.initial_variant_weight,
        "DesiredWeight": variant.initial_variant_weight,
        "CurrentInstanceCount": 0,
        "DesiredInstanceCount": 0,
        "CurrentServerlessConfig": variant.serverless_config,
        "DesiredServerlessConfig": variant.serverless_config,
    })
}
