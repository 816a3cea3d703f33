//! Where endpoints live, and how the AWS SDK reaches them: the endpoint host, or SageMaker itself.

use aws_config::environment::{
    EnvironmentVariableCredentialsProvider, EnvironmentVariableRegionProvider,
};
use aws_config::meta::region::RegionProviderChain;
use aws_config::profile::ProfileFileRegionProvider;
use aws_config::retry::RetryConfig;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::Credentials;
use aws_credential_types::provider::ProvideCredentials as _;
use clap::{Args, ValueEnum};

use crate::Error;

/// The built-in container.
const IMAGE: &str = "gatehouse/model-container";
/// SageMaker demands a role; the host has no use for one.
const ROLE: &str = "arn:aws:iam::000000000000:role/gatehouse";
/// How often the SDK tries a call that was throttled or that found nobody.
const ATTEMPTS: u32 = 3;

/// Where endpoints live.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// The endpoint host at this URL.
    Host(String),
    /// SageMaker, in this region.
    SageMaker(String),
}

/// What new endpoints there are made of.
#[derive(Debug, Clone)]
pub struct Target {
    /// Where they live.
    pub place: Place,
    /// Where packages go: a folder that the endpoint host reads, or `s3://BUCKET/PREFIX`.
    pub upload: String,
    /// The role that models run under.
    pub role_arn: String,
    /// The container's image.
    pub image: String,
}

impl Target {
    /// The endpoint host at `url`, which reads packages from the folder `upload`.
    pub fn host(url: &str, upload: &str) -> Self {
        Self {
            place: Place::Host(url.to_owned()),
            upload: upload.to_owned(),
            role_arn: ROLE.to_owned(),
            image: IMAGE.to_owned(),
        }
    }

    /// Whether models are made as the host makes them where nothing else is asked for.
    pub(crate) fn is_default(&self) -> bool {
        self.image == IMAGE && self.role_arn == ROLE
    }
}

/// The flags that say where endpoints live.
#[derive(Debug, Clone, Args)]
pub struct PlaceArguments {
    /// Where endpoints live
    #[arg(long, default_value = "host")]
    target: Kind,
    /// The endpoint host's URL
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:8090")]
    host: String,
    /// SageMaker's region; by default that of the AWS environment or profile
    #[arg(long, value_name = "REGION")]
    region: Option<String>,
}

/// The flags that say what new endpoints are made of.
#[derive(Debug, Clone, Args)]
pub struct TargetArguments {
    #[command(flatten)]
    place: PlaceArguments,
    /// Where packages go: the folder that the endpoint host reads, or s3://BUCKET/PREFIX
    /// [default for the host: data/models]
    #[arg(long, value_name = "DIR|S3URL")]
    upload: Option<String>,
    /// The role that SageMaker runs the model under
    #[arg(long, value_name = "ARN")]
    role_arn: Option<String>,
    /// The container's image [default for the host: gatehouse/model-container]
    #[arg(long, value_name = "IMAGE")]
    image: Option<String>,
}

/// A kind of place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Kind {
    /// The endpoint host.
    Host,
    /// Amazon SageMaker.
    Sagemaker,
}

impl PlaceArguments {
    /// The place that the flags and the AWS environment name.
    ///
    /// # Errors
    /// When no region is named.
    pub async fn place(self) -> Result<Place, Error> {
        self.find().await.ok_or_else(|| Error::Missing(vec![REGION]))
    }

    async fn find(self) -> Option<Place> {
        if self.target == Kind::Host {
            return Some(Place::Host(self.host));
        }
        match self.region {
            Some(region) => Some(Place::SageMaker(region)),
            None => Some(Place::SageMaker(configured_region().await?)),
        }
    }
}

impl TargetArguments {
    /// The target that the flags and the AWS environment name.
    ///
    /// # Errors
    /// When SageMaker needs flags that are missing; the message lists all of them.
    pub async fn target(self) -> Result<Target, Error> {
        let Self { place, upload, role_arn, image } = self;
        if place.target == Kind::Host {
            let default = Target::host(&place.host, "data/models");
            return Ok(Target {
                upload: upload.unwrap_or(default.upload),
                role_arn: role_arn.unwrap_or(default.role_arn),
                image: image.unwrap_or(default.image),
                place: default.place,
            });
        }
        let upload = upload.filter(|url| url.starts_with("s3://"));
        let place = place.find().await;
        let missing = [
            (role_arn.is_none(), "--role-arn ARN, a role that SageMaker may assume"),
            (image.is_none(), "--image IMAGE, the container's image in ECR"),
            (upload.is_none(), "--upload s3://BUCKET/PREFIX, where packages go"),
            (place.is_none(), REGION),
        ];
        match (place, upload, role_arn, image) {
            (Some(place), Some(upload), Some(role_arn), Some(image)) => {
                Ok(Target { place, upload, role_arn, image })
            }
            _ => Err(Error::Missing(
                missing.into_iter().filter_map(|(missing, flag)| missing.then_some(flag)).collect(),
            )),
        }
    }
}

const REGION: &str = "--region REGION, or AWS_REGION, or a region in the AWS profile";

/// What the environment or the profile says; EC2's metadata service is not asked.
async fn configured_region() -> Option<String> {
    let environment = EnvironmentVariableRegionProvider::new();
    let configured = RegionProviderChain::first_try(environment);
    let region = configured.or_else(ProfileFileRegionProvider::new()).region().await;
    region.map(|region| region.to_string())
}

impl Place {
    /// How the AWS SDK reaches it.
    pub(crate) async fn config(&self) -> SdkConfig {
        let retry = RetryConfig::standard().with_max_attempts(ATTEMPTS);
        let loader = aws_config::defaults(BehaviorVersion::v2026_01_12()).retry_config(retry);
        let url = match self {
            Self::SageMaker(region) => {
                return loader.region(Region::new(region.clone())).load().await;
            }
            Self::Host(url) => url,
        };
        let mut loader = loader
            .region(Region::from_static("us-east-1"))
            .endpoint_url(url)
            .credentials_provider(host_credentials().await);
        if url.starts_with("http://") {
            // Unlike the usual client, this one takes no proxy from the environment.
            loader = loader.http_client(aws_smithy_http_client::Builder::new().build_http());
        }
        loader.load().await
    }

    /// Its URL or name, for messages.
    pub(crate) fn name(&self) -> String {
        match self {
            Self::Host(url) => url.clone(),
            Self::SageMaker(region) => format!("SageMaker in {region}"),
        }
    }
}

/// Those of the environment for a host that demands signatures; on loopback it takes any.
async fn host_credentials() -> Credentials {
    let environment = EnvironmentVariableCredentialsProvider::new().provide_credentials().await;
    environment.unwrap_or_else(|_| Credentials::from_keys("gatehouse", "gatehouse", None))
}
