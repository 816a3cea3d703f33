//! SageMaker's two APIs, as far as a deployment needs them, whoever answers them.

use std::collections::BTreeMap;
use std::time::Duration;

use aws_config::SdkConfig;
use aws_config::stalled_stream_protection::StalledStreamProtectionConfig;
use aws_config::timeout::TimeoutConfig;
use aws_sdk_sagemaker::Client;
use aws_sdk_sagemaker::error::{BuildError, ProvideErrorMetadata, SdkError};
use aws_sdk_sagemaker::primitives::{Blob, DateTime};
use aws_sdk_sagemaker::types::builders::ProductionVariantBuilder;
use aws_sdk_sagemaker::types::{
    ContainerDefinition, EndpointStatus, EndpointSummary, ModelSummary, ProductionVariant,
    ProductionVariantServerlessConfig, Tag,
};
use aws_sdk_sagemakerruntime as runtime;

use crate::refusal::{refused, says};
use crate::release::Release;
use crate::{Error, Limits, Target};

/// The control plane answers at once; SageMaker gives an invocation a minute.
const CONTROL_TIMEOUT: Duration = Duration::from_secs(30);
const INVOKE_TIMEOUT: Duration = Duration::from_secs(75);

/// What SageMaker says of something that is not there.
const NOT_FOUND: &str = "Could not find";
/// What it says of something that is there.
const EXISTS: &str = "already existing";
/// What it says of an endpoint that is created, updated or deleted already.
const BUSY: &str = "in-progress endpoint";

/// The clients of both APIs.
#[derive(Debug, Clone)]
pub(crate) struct SageMaker {
    control: Client,
    runtime: runtime::Client,
    /// The URL or region, for messages.
    place: String,
}

/// An endpoint as it is described.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Endpoint {
    pub(crate) name: String,
    pub(crate) arn: String,
    pub(crate) status: EndpointStatus,
    /// The config that it serves.
    pub(crate) config: String,
    /// The config that it is being updated to.
    pub(crate) pending: Option<String>,
    /// Why it, or its last update, failed.
    pub(crate) failure: Option<String>,
    pub(crate) modified: Option<DateTime>,
    created: Option<DateTime>,
}

impl Endpoint {
    /// Whether it answers, and nothing is being done to it.
    pub(crate) fn is_in_service(&self) -> bool {
        self.status == EndpointStatus::InService
    }

    /// Whether this is the very endpoint, and not a later one of the same name.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        (&self.arn, self.created) == (&other.arn, other.created)
    }
}

/// A config as it is described.
#[derive(Debug)]
pub(crate) struct Config {
    pub(crate) arn: String,
    /// The model that it serves.
    pub(crate) model: Option<String>,
}

/// Whether SageMaker took an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Order {
    /// It did.
    Taken,
    /// Another deployment was there before.
    Late,
}

/// What a resource is tagged with.
pub(crate) type Tags = BTreeMap<String, String>;

impl SageMaker {
    /// Clients with these settings.
    pub(crate) fn new(config: &SdkConfig, place: String) -> Self {
        let timeouts = |limit| TimeoutConfig::builder().operation_attempt_timeout(limit).build();
        let control = aws_sdk_sagemaker::config::Builder::from(config)
            .timeout_config(timeouts(CONTROL_TIMEOUT))
            .build();
        let runtime = runtime::config::Builder::from(config)
            .timeout_config(timeouts(INVOKE_TIMEOUT))
            // A model may be silent for as long as it likes.
            .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
            .build();
        Self {
            control: Client::from_conf(control),
            runtime: runtime::Client::from_conf(runtime),
            place,
        }
    }

    /// Creates the release's model from the package at `url`, or finds that an earlier run has;
    /// late if there is one of its name that was made from elsewhere.
    pub(crate) async fn create_model(
        &self,
        release: &Release,
        target: &Target,
        url: &str,
    ) -> Result<Order, Error> {
        let container =
            ContainerDefinition::builder().image(&target.image).model_data_url(url).build();
        let create = self.control.create_model().model_name(&release.model);
        let create = create.primary_container(container).execution_role_arn(&target.role_arn);
        match create.set_tags(Some(tags(&release.tags()))).send().await {
            Err(error) if says(&error, EXISTS) => {
                let is_from_here = self.data_of(&release.model).await?.as_deref() == Some(url);
                Ok(if is_from_here { Order::Taken } else { Order::Late })
            }
            created => created.map(|_| Order::Taken).map_err(self.refused("CreateModel")),
        }
    }

    /// Where a model's package is.
    async fn data_of(&self, model: &str) -> Result<Option<String>, Error> {
        let found = self.control.describe_model().model_name(model).send().await;
        let container = found.map_err(self.refused("DescribeModel"))?.primary_container;
        Ok(container.and_then(|container| container.model_data_url))
    }

    /// Creates the release's config, or finds that an earlier run has, and tells its ARN.
    pub(crate) async fn create_config(
        &self,
        release: &Release,
        limits: Limits,
    ) -> Result<String, Error> {
        let variant = variant(&release.model, limits).map_err(|error| Error::Refused {
            action: "CreateEndpointConfig".to_owned(),
            code: "not sent".to_owned(),
            reason: error.to_string(),
        })?;
        let create = self.control.create_endpoint_config().endpoint_config_name(&release.config);
        let create = create.production_variants(variant).set_tags(Some(tags(&release.tags())));
        match create.send().await {
            Err(error) if says(&error, EXISTS) => {
                Ok(self.config(&release.config).await?.map(|found| found.arn).unwrap_or_default())
            }
            created => {
                let created = created.map_err(self.refused("CreateEndpointConfig"))?;
                Ok(created.endpoint_config_arn.unwrap_or_default())
            }
        }
    }

    /// Orders a new endpoint.
    pub(crate) async fn create_endpoint(
        &self,
        name: &str,
        config: &str,
        own: &Tags,
    ) -> Result<Order, Error> {
        let create = self.control.create_endpoint().endpoint_name(name);
        let create = create.endpoint_config_name(config).set_tags(Some(tags(own)));
        match create.send().await {
            Err(error) if says(&error, EXISTS) => Ok(Order::Late),
            created => created.map(|_| Order::Taken).map_err(self.refused("CreateEndpoint")),
        }
    }

    /// Orders another config for an endpoint.
    pub(crate) async fn update_endpoint(&self, name: &str, config: &str) -> Result<Order, Error> {
        let update = self.control.update_endpoint().endpoint_name(name);
        match update.endpoint_config_name(config).send().await {
            Err(error) if says(&error, BUSY) => Ok(Order::Late),
            updated => updated.map(|_| Order::Taken).map_err(self.refused("UpdateEndpoint")),
        }
    }

    /// Orders the end of an endpoint; one that is gone is no error.
    pub(crate) async fn delete_endpoint(&self, name: &str) -> Result<Order, Error> {
        let delete = self.control.delete_endpoint().endpoint_name(name);
        match delete.send().await {
            Err(error) if says(&error, NOT_FOUND) => Ok(Order::Taken),
            Err(error) if says(&error, BUSY) => Ok(Order::Late),
            deleted => deleted.map(|_| Order::Taken).map_err(self.refused("DeleteEndpoint")),
        }
    }

    /// An endpoint's description, where it exists.
    pub(crate) async fn endpoint(&self, name: &str) -> Result<Option<Endpoint>, Error> {
        let found = match self.control.describe_endpoint().endpoint_name(name).send().await {
            Err(error) if says(&error, NOT_FOUND) => return Ok(None),
            found => found.map_err(self.refused("DescribeEndpoint"))?,
        };
        let pending = found.pending_deployment_summary.map(|pending| pending.endpoint_config_name);
        Ok(Some(Endpoint {
            name: name.to_owned(),
            arn: found.endpoint_arn.unwrap_or_default(),
            status: found.endpoint_status.unwrap_or(EndpointStatus::from("unknown")),
            config: found.endpoint_config_name.unwrap_or_default(),
            pending: pending.flatten(),
            failure: found.failure_reason,
            modified: found.last_modified_time,
            created: found.creation_time,
        }))
    }

    /// A config's description, where it exists.
    pub(crate) async fn config(&self, name: &str) -> Result<Option<Config>, Error> {
        let describe = self.control.describe_endpoint_config().endpoint_config_name(name);
        let found = match describe.send().await {
            Err(error) if says(&error, NOT_FOUND) => return Ok(None),
            found => found.map_err(self.refused("DescribeEndpointConfig"))?,
        };
        let variant = found.production_variants.unwrap_or_default().into_iter().next();
        Ok(Some(Config {
            arn: found.endpoint_config_arn.unwrap_or_default(),
            model: variant.and_then(|variant| variant.model_name),
        }))
    }

    /// What a config's model is tagged with; nothing where either is gone.
    pub(crate) async fn tags_of_config(&self, config: &str) -> Result<Option<Tags>, Error> {
        let Some(Config { model: Some(model), .. }) = self.config(config).await? else {
            return Ok(None);
        };
        let found = match self.control.describe_model().model_name(model).send().await {
            Err(error) if says(&error, NOT_FOUND) => return Ok(None),
            found => found.map_err(self.refused("DescribeModel"))?,
        };
        self.tags(found.model_arn().unwrap_or_default()).await.map(Some)
    }

    /// What a resource is tagged with.
    pub(crate) async fn tags(&self, arn: &str) -> Result<Tags, Error> {
        let mut pages = self.control.list_tags().resource_arn(arn).into_paginator().items().send();
        let mut tags = Tags::new();
        while let Some(tag) = pages.next().await {
            let tag = tag.map_err(self.refused("ListTags"))?;
            tags.insert(tag.key.unwrap_or_default(), tag.value.unwrap_or_default());
        }
        Ok(tags)
    }

    /// Sets tags of a resource.
    pub(crate) async fn tag(&self, arn: &str, own: &Tags) -> Result<(), Error> {
        if own.is_empty() {
            return Ok(());
        }
        let add = self.control.add_tags().resource_arn(arn).set_tags(Some(tags(own)));
        add.send().await.map(|_| ()).map_err(self.refused("AddTags"))
    }

    /// Removes tags of a resource; those it lacks are no error.
    pub(crate) async fn untag(&self, arn: &str, keys: &[&str]) -> Result<(), Error> {
        if keys.is_empty() {
            return Ok(());
        }
        let keys = keys.iter().map(|key| (*key).to_owned()).collect();
        let delete = self.control.delete_tags().resource_arn(arn).set_tag_keys(Some(keys));
        delete.send().await.map(|_| ()).map_err(self.refused("DeleteTags"))
    }

    /// The models whose names contain `part`, the newest first.
    pub(crate) async fn models(&self, part: &str) -> Result<Vec<ModelSummary>, Error> {
        let list = self.control.list_models().name_contains(part);
        let mut pages = list.into_paginator().items().send();
        let mut models = Vec::new();
        while let Some(model) = pages.next().await {
            models.push(model.map_err(self.refused("ListModels"))?);
        }
        models.sort_by_key(|model| {
            model.creation_time.map(|time| std::cmp::Reverse(time.as_nanos()))
        });
        Ok(models)
    }

    /// The configs whose names contain `part`, and since when they exist.
    pub(crate) async fn configs(&self, part: &str) -> Result<Vec<(String, DateTime)>, Error> {
        let list = self.control.list_endpoint_configs().name_contains(part);
        let mut pages = list.into_paginator().items().send();
        let mut configs = Vec::new();
        while let Some(config) = pages.next().await {
            let config = config.map_err(self.refused("ListEndpointConfigs"))?;
            configs.extend(config.endpoint_config_name.zip(config.creation_time));
        }
        Ok(configs)
    }

    /// All endpoints.
    pub(crate) async fn endpoints(&self) -> Result<Vec<EndpointSummary>, Error> {
        let mut pages = self.control.list_endpoints().into_paginator().items().send();
        let mut endpoints = Vec::new();
        while let Some(endpoint) = pages.next().await {
            endpoints.push(endpoint.map_err(self.refused("ListEndpoints"))?);
        }
        Ok(endpoints)
    }

    /// Deletes a config; one that is gone is no error.
    pub(crate) async fn delete_config(&self, name: &str) -> Result<(), Error> {
        match self.control.delete_endpoint_config().endpoint_config_name(name).send().await {
            Err(error) if says(&error, NOT_FOUND) => Ok(()),
            deleted => deleted.map(|_| ()).map_err(self.refused("DeleteEndpointConfig")),
        }
    }

    /// Deletes a model; one that is gone is no error.
    pub(crate) async fn delete_model(&self, name: &str) -> Result<(), Error> {
        match self.control.delete_model().model_name(name).send().await {
            Err(error) if says(&error, NOT_FOUND) => Ok(()),
            deleted => deleted.map(|_| ()).map_err(self.refused("DeleteModel")),
        }
    }

    /// Asks an endpoint with JSON, and gives its answer's bytes.
    pub(crate) async fn invoke(&self, endpoint: &str, input: Vec<u8>) -> Result<Vec<u8>, Error> {
        let invoke = self.runtime.invoke_endpoint().endpoint_name(endpoint);
        let invoke = invoke.content_type("application/json").body(input.into());
        let answer = invoke.send().await.map_err(self.refused("InvokeEndpoint"))?;
        Ok(answer.body.map(Blob::into_inner).unwrap_or_default())
    }

    fn refused<E>(&self, action: &str) -> impl FnOnce(SdkError<E>) -> Error
    where
        E: ProvideErrorMetadata + std::error::Error + 'static,
    {
        refused(action, &self.place)
    }
}

/// The one variant of a serverless endpoint.
fn variant(model: &str, limits: Limits) -> Result<ProductionVariant, BuildError> {
    let [memory, calls] =
        [limits.memory_mb, limits.max_concurrency].map(|n| i32::try_from(n).unwrap_or(i32::MAX));
    let size = ProductionVariantServerlessConfig::builder().memory_size_in_mb(memory);
    let size = size.max_concurrency(calls).build();
    let variant: ProductionVariantBuilder = ProductionVariant::builder().variant_name("AllTraffic");
    Ok(variant.model_name(model).serverless_config(size).build())
}

fn tags(tags: &Tags) -> Vec<Tag> {
    tags.iter().map(|(key, value)| Tag::builder().key(key).value(value).build()).collect()
}
