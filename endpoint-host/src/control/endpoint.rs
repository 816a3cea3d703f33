//! CreateEndpoint, DescribeEndpoint, UpdateEndpoint, DeleteEndpoint and ListEndpoints.

use std::sync::Arc;

use serde_json::json;

use super::fields::Fields;
use super::{Answer, Request, deployment, description, list, tags, variant};
use crate::api_error::ApiError;
use crate::app::App;
use crate::lifecycle::{self, NotUpdated, Renewal};
use crate::record::{Endpoint, Serving, Status, Variant, now};
use crate::region::{Kind, Region};
use crate::registry::NotAdded;
use crate::resource_name::ResourceName;

/// Creates an endpoint and answers at once; it is in service when its container was tried.
pub(crate) async fn create(mut request: Request<'_>) -> Answer {
    let name = request.fields.name("EndpointName")?;
    let config_name = request.fields.name("EndpointConfigName")?;
    let tags = tags::given(&mut request.fields)?;
    let deployment = deployment::take(&mut request.fields)?;
    request.fields.finish()?;
    let Request { app, region, .. } = request;
    let arn = region.arn(Kind::Endpoint, name.as_str());
    let created = now();
    let endpoint = Endpoint {
        name,
        arn: arn.clone(),
        serving: serving(app, &region, &config_name)?,
        pending: None,
        status: Status::Creating,
        failure_reason: None,
        deployment,
        creation_time: created,
        last_modified_time: created,
    };
    match lifecycle::create(app, endpoint, tags).await {
        Ok(()) => Ok(Some(json!({"EndpointArn": arn}))),
        Err(NotAdded::Taken(existing)) => {
            Err(ApiError::already_exists(Kind::Endpoint, &existing.arn))
        }
        Err(NotAdded::Store(error)) => Err(ApiError::store(&error)),
    }
}

/// Copies of a configuration and its models, as they are now.
fn serving(app: &App, region: &Region, config: &ResourceName) -> Result<Serving, ApiError> {
    let not_found = |kind, name: &ResourceName| ApiError::not_found(region, kind, name.as_str());
    let found = app.registry.configs.get(config.as_str());
    let config = found.ok_or_else(|| not_found(Kind::EndpointConfig, config))?;
    let model = |variant: &Variant| {
        let found = app.registry.models.get(variant.model_name.as_str());
        found.map(Arc::unwrap_or_clone).ok_or_else(|| not_found(Kind::Model, &variant.model_name))
    };
    let models = config.variants().map(model).collect::<Result<_, _>>()?;
    Ok(Serving::new(Arc::unwrap_or_clone(config), models))
}

/// Begins to bring up another configuration beside the one that answers.
pub(crate) async fn update(mut request: Request<'_>) -> Answer {
    let name = request.fields.name("EndpointName")?;
    let config_name = request.fields.name("EndpointConfigName")?;
    let retained = Retained::take(&mut request.fields)?;
    let retain_deployment = request.fields.boolean("RetainDeploymentConfig")?.unwrap_or(false);
    let deployment = deployment::take(&mut request.fields)?;
    request.fields.finish()?;
    let Request { app, region, .. } = request;
    let mut serving = serving(app, &region, &config_name)?;
    let plan = |endpoint: &Endpoint| {
        retained.apply(endpoint, &mut serving);
        if serving.config.has_no_weight() {
            return Err(variant::no_weight());
        }
        let last = endpoint.deployment.clone().filter(|_| retain_deployment);
        Ok(Renewal { serving, deployment: deployment.or(last) })
    };
    let updated = lifecycle::update(app, name.as_str(), plan).await;
    let updated = updated.map_err(|error| not_updated(error, &region, &name))?;
    Ok(Some(json!({"EndpointArn": updated.arn})))
}

/// What an update leaves as it is, whatever the new configuration says.
struct Retained {
    weights: bool,
    data_capture: bool,
}

/// A property that an update can leave as it is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Property {
    InstanceCount,
    Weight,
    DataCapture,
}

/// SageMaker's words for it.
const PROPERTIES: [(&str, Property); 3] = [
    ("DesiredInstanceCount", Property::InstanceCount),
    ("DesiredWeight", Property::Weight),
    ("DataCaptureConfig", Property::DataCapture),
];

impl Retained {
    fn take(fields: &mut Fields) -> Result<Self, ApiError> {
        let all = fields.boolean("RetainAllVariantProperties")?.unwrap_or(false);
        let listed = fields.objects("ExcludeRetainedVariantProperties")?.unwrap_or_default();
        if listed.len() > PROPERTIES.len() {
            let (field, most) = ("ExcludeRetainedVariantProperties", PROPERTIES.len());
            return Err(fields.too_long(field, &listed.len().to_string(), most));
        }
        let excluded = listed.into_iter().map(property).collect::<Result<Vec<_>, _>>()?;
        let retains = |property| all && !excluded.contains(&property);
        Ok(Self {
            weights: retains(Property::Weight),
            data_capture: retains(Property::DataCapture),
        })
    }

    fn apply(&self, endpoint: &Endpoint, serving: &mut Serving) {
        let old = &endpoint.serving.config;
        if self.data_capture {
            serving.config.data_capture_config.clone_from(&old.data_capture_config);
        }
        if !self.weights {
            return;
        }
        for variant in serving.config.variants_mut() {
            let mut before = old.variants();
            if let Some(same) = before.find(|old| old.variant_name == variant.variant_name) {
                variant.initial_variant_weight = same.initial_variant_weight;
            }
        }
    }
}

fn property(mut fields: Fields) -> Result<Property, ApiError> {
    let property = fields.one_of("VariantPropertyType", &PROPERTIES)?;
    let property = property.ok_or_else(|| fields.missing("VariantPropertyType"))?;
    fields.finish()?;
    Ok(property)
}

/// Why an update was not begun, in AWS's words where they are known.
pub(super) fn not_updated(error: NotUpdated, region: &Region, name: &ResourceName) -> ApiError {
    let arn = region.arn(Kind::Endpoint, name.as_str());
    match error {
        NotUpdated::Missing => ApiError::not_found(region, Kind::Endpoint, name.as_str()),
        NotUpdated::Busy(Status::Failed) => ApiError::validation(format!(
            "Cannot update failed endpoint \"{arn}\": DeleteEndpoint is the only operation that \
             can be performed on a failed endpoint."
        )),
        NotUpdated::Busy(_) => {
            ApiError::validation(format!("Cannot update in-progress endpoint \"{arn}\"."))
        }
        NotUpdated::Refused(refusal) => refusal,
        NotUpdated::Store(error) => ApiError::store(&error),
    }
}

/// Tells all about an endpoint.
pub(crate) fn describe(mut request: Request<'_>) -> Answer {
    let name = request.fields.name("EndpointName")?;
    request.fields.finish()?;
    let Some(endpoint) = request.app.registry.endpoints.get(name.as_str()) else {
        return Err(ApiError::not_found(&request.region, Kind::Endpoint, name.as_str()));
    };
    let live = request.app.fleet.get(name.as_str());
    Ok(Some(description::full(&endpoint, live.as_deref())))
}

/// Begins to delete an endpoint; it is gone when its processes are.
pub(crate) async fn delete(mut request: Request<'_>) -> Answer {
    let name = request.fields.name("EndpointName")?;
    request.fields.finish()?;
    let found = lifecycle::delete(request.app, name.as_str()).await;
    if found.map_err(|error| ApiError::store(&error))? {
        return Ok(None);
    }
    Err(ApiError::not_found(&request.region, Kind::Endpoint, name.as_str()))
}

/// Lists endpoints.
pub(crate) fn list(request: Request<'_>) -> Answer {
    let endpoints = &request.app.registry.endpoints;
    list::endpoints(request, endpoints, description::summary)
}
