//! Why fields of SageMaker that would change what happens are refused instead of ignored.

/// What serverless endpoints do not have, on SageMaker as here, and what this host does not
/// have yet: <https://docs.aws.amazon.com/sagemaker/latest/dg/serverless-endpoints.html>
const REASONS: [(&str, &str); 28] = [
    ("Containers", "serverless endpoints run one container; use PrimaryContainer"),
    ("InferenceExecutionConfig", "serverless endpoints run one container"),
    ("VpcConfig", "serverless endpoints have no VPC"),
    ("EnableNetworkIsolation", "serverless endpoints have no network isolation"),
    ("MultiModelConfig", "serverless endpoints serve one model"),
    ("ModelDataSource", "use ModelDataUrl"),
    ("AdditionalModelDataSources", "use ModelDataUrl"),
    ("ModelPackageName", "use Image and ModelDataUrl"),
    ("ImageConfig", "the endpoint host pulls no images"),
    ("AsyncInferenceConfig", "serverless endpoints answer at once"),
    ("ExplainerConfig", "the endpoint host has no explainers"),
    ("KmsKeyId", "the endpoint host does not encrypt its storage"),
    ("InstanceType", "the endpoint host runs serverless variants only; use ServerlessConfig"),
    ("InitialInstanceCount", "serverless variants have no instances; use ServerlessConfig"),
    ("AcceleratorType", "serverless variants have no accelerators"),
    ("DesiredInstanceCount", "serverless variants have no instances; use ServerlessUpdateConfig"),
    (
        "AutoRollbackConfiguration",
        "the endpoint host has no alarms; an update whose containers do not start is rolled back by itself",
    ),
    ("RollingUpdatePolicy", "serverless endpoints have no instances to update in batches"),
    ("CanarySize", "all traffic is shifted at once"),
    ("LinearStepSize", "all traffic is shifted at once"),
    ("StatusEquals", "only endpoints have a status"),
    ("LastModifiedTimeAfter", "only endpoints are modified"),
    ("LastModifiedTimeBefore", "only endpoints are modified"),
    ("ManagedInstanceScaling", "serverless variants have no instances"),
    ("InstancePools", "serverless variants have no instances"),
    (
        "ContainerStartupHealthCheckTimeoutInSeconds",
        "serverless containers have three minutes to start",
    ),
    ("ModelDataDownloadTimeoutInSeconds", "serverless containers have three minutes to start"),
    ("VolumeSizeInGB", "serverless variants have no volumes"),
];

/// Why `field` is refused.
pub(crate) fn reason(field: &str) -> &'static str {
    let known = REASONS.iter().find(|(name, _)| *name == field);
    known.map_or("the endpoint host does not know it", |(_, reason)| reason)
}
