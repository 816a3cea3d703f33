//! UpdateEndpointWeightsAndCapacities: other shares of the calls, or other sizes.

use serde_json::json;

use super::fields::Fields;
use super::{Answer, Request, endpoint, variant};
use crate::api_error::ApiError;
use crate::lifecycle::{self, Renewal};
use crate::record::{Endpoint, EndpointConfig, Serving, Variant};
use crate::resource_name::ResourceName;

/// What one variant shall have from now on.
struct Desired {
    /// Its name.
    variant: ResourceName,
    /// Its weight, if another.
    weight: Option<f64>,
    /// Its size, if another.
    size: Option<Size>,
}

/// The part of a variant's size that can be changed.
struct Size {
    max_concurrency: Option<u8>,
    provisioned_concurrency: Option<u8>,
}

/// Changes weights in place; other sizes are brought up beside what answers, as an update is.
pub(super) async fn update(mut request: Request<'_>) -> Answer {
    let name = request.fields.name("EndpointName")?;
    let missing = request.fields.missing("DesiredWeightsAndCapacities");
    let desired = request.fields.objects("DesiredWeightsAndCapacities")?.ok_or(missing)?;
    if desired.is_empty() {
        return Err(request.fields.too_short("DesiredWeightsAndCapacities", "[]", 1));
    }
    request.fields.finish()?;
    let desired = desired.into_iter().map(parse).collect::<Result<Vec<_>, _>>()?;
    let Request { app, region, .. } = request;
    let updated = if desired.iter().all(|desired| desired.size.is_none()) {
        let plan = |endpoint: &Endpoint| {
            let config = with(endpoint, &desired)?;
            Ok(Serving { config, ..endpoint.serving.clone() })
        };
        lifecycle::reweigh(app, name.as_str(), plan).await
    } else {
        let plan = |endpoint: &Endpoint| {
            let serving = Serving::new(with(endpoint, &desired)?, endpoint.serving.models.clone());
            Ok(Renewal { serving, deployment: endpoint.deployment.clone() })
        };
        lifecycle::update(app, name.as_str(), plan).await
    };
    let updated = updated.map_err(|error| endpoint::not_updated(error, &region, &name))?;
    Ok(Some(json!({"EndpointArn": updated.arn})))
}

fn parse(mut fields: Fields) -> Result<Desired, ApiError> {
    let variant = fields.name("VariantName")?;
    let weight = fields.weight("DesiredWeight")?;
    let size = fields.object("ServerlessUpdateConfig")?;
    fields.finish()?;
    Ok(Desired { variant, weight, size: size.map(parse_size).transpose()? })
}

fn parse_size(mut fields: Fields) -> Result<Size, ApiError> {
    let max_concurrency = variant::concurrency(&mut fields, "MaxConcurrency")?;
    let provisioned_concurrency = variant::concurrency(&mut fields, "ProvisionedConcurrency")?;
    fields.finish()?;
    Ok(Size { max_concurrency, provisioned_concurrency })
}

/// The endpoint's configuration with what is desired.
fn with(endpoint: &Endpoint, desired: &[Desired]) -> Result<EndpointConfig, ApiError> {
    let mut config = endpoint.serving.config.clone();
    for desired in desired {
        let mut variants = config.variants_mut();
        let variant = variants.find(|variant| variant.variant_name == desired.variant);
        let variant = variant.ok_or_else(|| {
            let (name, arn) = (&desired.variant, &endpoint.arn);
            ApiError::validation(format!(
                "Could not find variant \"{name}\" in endpoint \"{arn}\"."
            ))
        })?;
        desired.apply(variant)?;
    }
    if config.has_no_weight() {
        return Err(variant::no_weight());
    }
    Ok(config)
}

impl Desired {
    fn apply(&self, variant: &mut Variant) -> Result<(), ApiError> {
        if let Some(weight) = self.weight {
            variant.initial_variant_weight = weight;
        }
        let size = &mut variant.serverless_config;
        if let Some(desired) = &self.size {
            size.max_concurrency = desired.max_concurrency.unwrap_or(size.max_concurrency);
            let provisioned = desired.provisioned_concurrency;
            size.provisioned_concurrency = provisioned.or(size.provisioned_concurrency);
        }
        super::variant::check_concurrency(size)
    }
}
