//! CreateEndpointConfig, DescribeEndpointConfig, DeleteEndpointConfig and ListEndpointConfigs.

use serde_json::json;

use super::fields::Fields;
use super::{Answer, Request, list};
use crate::api_error::ApiError;
use crate::record::{EndpointConfig, ServerlessConfig, Variant, now};
use crate::region::Kind;

/// The memory sizes of serverless endpoints:
/// <https://docs.aws.amazon.com/sagemaker/latest/dg/serverless-endpoints.html>
const MEMORY_SIZES_MB: [u16; 6] = [1024, 2048, 3072, 4096, 5120, 6144];

/// The highest `MaxConcurrency` of a serverless endpoint.
const LARGEST_CONCURRENCY: u8 = 200;

/// Creates a configuration with one serverless variant of a model that exists.
pub(crate) fn create(mut request: Request<'_>) -> Answer {
    let fields = &mut request.fields;
    let name = fields.name("EndpointConfigName")?;
    let arn = request.region.arn(Kind::EndpointConfig, name.as_str());
    let variants = fields.objects("ProductionVariants")?;
    fields.ignore(&["Tags"]);
    fields.ignore_if("EnableNetworkIsolation", &json!(false));
    let execution_role_arn = fields.string("ExecutionRoleArn")?;
    let missing = fields.missing("ProductionVariants");
    request.fields.finish()?;
    let variant = only_variant(variants.ok_or(missing)?)?;
    let model = variant.model_name.as_str();
    if request.app.registry.models.get(model).is_none() {
        return Err(ApiError::not_found(&request.region, Kind::Model, model));
    }
    let config = EndpointConfig {
        endpoint_config_name: name.clone(),
        endpoint_config_arn: arn.clone(),
        creation_time: now(),
        production_variants: [variant],
        execution_role_arn,
    };
    match request.app.registry.configs.insert(name, config) {
        Ok(()) => Ok(Some(json!({"EndpointConfigArn": arn}))),
        Err(existing) => {
            Err(ApiError::already_exists(Kind::EndpointConfig, &existing.endpoint_config_arn))
        }
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
pub(crate) fn delete(mut request: Request<'_>) -> Answer {
    let name = request.fields.name("EndpointConfigName")?;
    request.fields.finish()?;
    if request.app.registry.configs.remove(name.as_str()) {
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

fn only_variant(variants: Vec<Fields>) -> Result<Variant, ApiError> {
    match <[Fields; 1]>::try_from(variants) {
        Ok([variant]) => parse_variant(variant),
        Err(other) => Err(ApiError::validation(format!(
            "field `ProductionVariants` has {} members: serverless endpoints have exactly one variant",
            other.len()
        ))),
    }
}

fn parse_variant(mut fields: Fields) -> Result<Variant, ApiError> {
    let variant_name = fields.name("VariantName")?;
    let model_name = fields.name("ModelName")?;
    let weight = fields.number("InitialVariantWeight")?.unwrap_or(1.0);
    if weight < 0.0 {
        let rule = "Member must have value greater than or equal to 0";
        return Err(fields.violation("InitialVariantWeight", &weight.to_string(), rule));
    }
    let size = fields.object("ServerlessConfig")?;
    let missing = fields.missing("ServerlessConfig");
    fields.finish()?;
    let serverless_config = parse_size(size.ok_or(missing)?)?;
    Ok(Variant { variant_name, model_name, initial_variant_weight: weight, serverless_config })
}

fn parse_size(mut fields: Fields) -> Result<ServerlessConfig, ApiError> {
    let memory = fields.integer("MemorySizeInMB")?;
    let memory = memory.ok_or_else(|| fields.missing("MemorySizeInMB"))?;
    let known = MEMORY_SIZES_MB.into_iter().find(|size| i64::from(*size) == memory);
    let memory_size_in_mb = known.ok_or_else(|| {
        let rule = format!("Member must be one of {MEMORY_SIZES_MB:?}");
        fields.violation("MemorySizeInMB", &memory.to_string(), &rule)
    })?;
    let concurrency = fields.integer("MaxConcurrency")?;
    let concurrency = concurrency.ok_or_else(|| fields.missing("MaxConcurrency"))?;
    let allowed = u8::try_from(concurrency).ok().filter(|n| (1..=LARGEST_CONCURRENCY).contains(n));
    let max_concurrency = allowed.ok_or_else(|| {
        let rule = format!("Member must have value between 1 and {LARGEST_CONCURRENCY}");
        fields.violation("MaxConcurrency", &concurrency.to_string(), &rule)
    })?;
    fields.finish()?;
    Ok(ServerlessConfig { memory_size_in_mb, max_concurrency })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn size(json: &str) -> Result<ServerlessConfig, ApiError> {
        parse_size(Fields::parse(json.as_bytes()).unwrap())
    }

    #[test]
    fn serverless_sizes_are_those_of_sagemaker() {
        assert!(size(r#"{"MemorySizeInMB": 1024, "MaxConcurrency": 1}"#).is_ok());
        assert!(size(r#"{"MemorySizeInMB": 6144, "MaxConcurrency": 200}"#).is_ok());
        for bad in [
            r#"{"MemorySizeInMB": 1000, "MaxConcurrency": 1}"#,
            r#"{"MemorySizeInMB": 7168, "MaxConcurrency": 1}"#,
            r#"{"MemorySizeInMB": 1024, "MaxConcurrency": 0}"#,
            r#"{"MemorySizeInMB": 1024, "MaxConcurrency": 201}"#,
            r#"{"MemorySizeInMB": 1024}"#,
            r#"{"MaxConcurrency": 1}"#,
            r#"{"MemorySizeInMB": 1024, "MaxConcurrency": 2, "ProvisionedConcurrency": 1}"#,
        ] {
            assert!(size(bad).is_err(), "{bad}");
        }
    }
}
