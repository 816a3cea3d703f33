//! What DescribeEndpoint tells of an endpoint.

use serde_json::{Value, json};

use crate::record::{DataCaptureConfig, Endpoint, Serving, Status, Variant};
use crate::traffic::Traffic;

/// What lists tell of an endpoint.
pub(super) fn summary(endpoint: &Endpoint) -> Value {
    json!({
        "EndpointName": endpoint.name,
        "EndpointArn": endpoint.arn,
        "EndpointStatus": endpoint.status.word(),
        "CreationTime": endpoint.creation_time,
        "LastModifiedTime": endpoint.last_modified_time,
    })
}

/// All about an endpoint, and what answers its calls.
pub(super) fn full(endpoint: &Endpoint, live: Option<&Traffic>) -> Value {
    let config = &endpoint.serving.config;
    let variant = |variant| variant_summary(endpoint, variant);
    let mut answer = summary(endpoint);
    answer["EndpointConfigName"] = json!(config.endpoint_config_name);
    answer["ProductionVariants"] = config.production_variants.iter().map(variant).collect();
    if !config.shadow_production_variants.is_empty() {
        let shadows = config.shadow_production_variants.iter().map(variant);
        answer["ShadowProductionVariants"] = shadows.collect();
    }
    if let Some(capture) = &config.data_capture_config {
        answer["DataCaptureConfig"] = capture_summary(capture, live);
    }
    if let Some(reason) = &endpoint.failure_reason {
        answer["FailureReason"] = reason.as_str().into();
    }
    if let Some(deployment) = &endpoint.deployment {
        answer["LastDeploymentConfig"] = deployment.clone();
    }
    if let Some(pending) = new_configuration(endpoint) {
        answer["PendingDeploymentSummary"] = pending_summary(pending);
    }
    answer
}

/// What is being brought up, if it is of another configuration than what answers.
fn new_configuration(endpoint: &Endpoint) -> Option<&Serving> {
    match endpoint.status {
        Status::Creating => Some(&endpoint.serving),
        Status::Updating => endpoint.pending.as_ref().filter(|pending| {
            let (new, old) = (&pending.config, &endpoint.serving.config);
            new.endpoint_config_name != old.endpoint_config_name
                || new.creation_time > old.creation_time
        }),
        _ => None,
    }
}

fn variant_summary(endpoint: &Endpoint, variant: &Variant) -> Value {
    let pending = endpoint.pending.as_ref().filter(|_| new_configuration(endpoint).is_none());
    let mut variants = pending.into_iter().flat_map(|pending| pending.config.variants());
    let desired = variants.find(|desired| desired.variant_name == variant.variant_name);
    let desired = desired.unwrap_or(variant);
    let mut summary = json!({
        "VariantName": variant.variant_name,
        "DeployedImages": deployed_images(&endpoint.serving, variant),
        "CurrentWeight": variant.initial_variant_weight,
        "DesiredWeight": desired.initial_variant_weight,
        "CurrentInstanceCount": 0,
        "DesiredInstanceCount": 0,
        "CurrentServerlessConfig": variant.serverless_config,
        "DesiredServerlessConfig": desired.serverless_config,
    });
    let status = match endpoint.status {
        Status::Creating => "Creating",
        Status::Updating | Status::RollingBack => "Updating",
        Status::Deleting => "Deleting",
        Status::InService | Status::Failed => return summary,
    };
    let since = endpoint.last_modified_time;
    summary["VariantStatus"] = json!([{"Status": status, "StartTime": since}]);
    summary
}

fn pending_summary(pending: &Serving) -> Value {
    let variant = |variant| pending_variant(pending, variant);
    let config = &pending.config;
    let mut summary = json!({
        "EndpointConfigName": config.endpoint_config_name,
        "ProductionVariants": config.production_variants.iter().map(variant).collect::<Value>(),
        "StartTime": pending.since,
    });
    if !config.shadow_production_variants.is_empty() {
        let shadows = config.shadow_production_variants.iter().map(variant);
        summary["ShadowProductionVariants"] = shadows.collect();
    }
    summary
}

fn pending_variant(pending: &Serving, variant: &Variant) -> Value {
    json!({
        "VariantName": variant.variant_name,
        "DeployedImages": deployed_images(pending, variant),
        "CurrentWeight": 0.0,
        "DesiredWeight": variant.initial_variant_weight,
        "CurrentInstanceCount": 0,
        "DesiredInstanceCount": 0,
        "DesiredServerlessConfig": variant.serverless_config,
        "VariantStatus": [{"Status": "Creating", "StartTime": pending.since}],
    })
}

fn deployed_images(serving: &Serving, variant: &Variant) -> Value {
    let image = &serving.model(variant).primary_container.image;
    json!([{
        "SpecifiedImage": image,
        "ResolvedImage": image,
        "ResolutionTime": serving.since,
    }])
}

/// Calls are captured only where the destination still can be used.
fn capture_summary(capture: &DataCaptureConfig, live: Option<&Traffic>) -> Value {
    let captures = live.is_some_and(|live| live.capture.is_some());
    json!({
        "EnableCapture": capture.enable_capture,
        "CaptureStatus": if captures { "Started" } else { "Stopped" },
        "CurrentSamplingPercentage": capture.initial_sampling_percentage,
        "DestinationS3Uri": capture.destination_s3_uri,
        "KmsKeyId": "",
    })
}
